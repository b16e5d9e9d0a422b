"""What a run is and what every message means for it: pure decisions, no sockets, files or clocks."""
