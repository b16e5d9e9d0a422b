"""The files of one run. Everything here runs on the writer thread only: it owns every HDF5 object."""
