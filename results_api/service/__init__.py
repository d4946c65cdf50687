"""The service that answers over HTTP: the only place that knows FastAPI."""
