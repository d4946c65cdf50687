"""Image decoding in confined child processes with limits on memory and time."""
