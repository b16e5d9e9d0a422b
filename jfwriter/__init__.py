"""jfwriter: from a detector's CBOR stream to NeXus/NXmx HDF5 files."""

__version__ = "0.1.0"
