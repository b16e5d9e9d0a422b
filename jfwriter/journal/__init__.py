"""What survives a crash beside the pixels: side files of a run that is being written."""
