"""Fetch the bytes of an image reference safely, wherever it points."""
