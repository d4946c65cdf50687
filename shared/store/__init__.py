"""The store: jobs, items and results in one SQL database."""
