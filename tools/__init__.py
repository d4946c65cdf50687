"""Developer tools; none ships or is needed at run time."""
