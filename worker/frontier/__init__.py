"""Which delivery goes to its host next: one host is called by one process at a time, and gently."""
