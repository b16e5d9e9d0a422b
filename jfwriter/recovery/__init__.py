"""Final files from what a crash has left: the data files under their temporary names, and their journals."""
