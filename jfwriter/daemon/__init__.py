"""Everything asyncio: sockets, HTTP, systemd, and the one thread that owns the HDF5 objects."""
