"""The report of a job: what it came to and why, in words, tables and pictures."""
