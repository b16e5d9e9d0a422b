"""Numbers computed from pixels: one Numba kernel per file, each with a plain NumPy twin in its test."""
