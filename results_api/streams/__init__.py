"""Found results as bytes, as fast as Python goes: rows of the store in, lines or columns out."""
