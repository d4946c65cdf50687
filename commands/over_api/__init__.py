"""What each command does that is told `--api`: the same, but by asking the API."""
