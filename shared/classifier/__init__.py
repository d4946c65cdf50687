"""The classifier: models, the engines that run them, and what they say of a picture."""
