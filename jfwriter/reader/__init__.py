"""Finished runs and other HDF5 files, opened to be read. Never raises for an odd file what h5py raises."""
