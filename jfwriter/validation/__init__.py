"""Is a finished run whole? Judged from the published layout alone (`docs/reference/layout.md`).

Nothing here knows how the files were written, and nothing in them is trusted: pixels are read as the chunks
that are stored, never through HDF5's filters, links are resolved by name and only inside the run's folder.
"""
