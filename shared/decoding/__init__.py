"""Image decoding in sandboxed child processes with limits on memory and time."""
