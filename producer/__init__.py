"""The producer: read references, record them as items, publish them."""
