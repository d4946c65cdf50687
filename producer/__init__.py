"""Who submits: read references, record them, publish them."""
