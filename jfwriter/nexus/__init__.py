"""Building blocks of an NXmx file, one function per NeXus class or group."""
