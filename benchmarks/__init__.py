"""Performance measurements, compared with the bare model. No tests."""
