"""Who asks: the API as Python functions, for programs and for this project's own command line."""
