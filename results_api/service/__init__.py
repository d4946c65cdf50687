"""The HTTP service; only this package uses FastAPI."""
