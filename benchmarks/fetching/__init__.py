"""What fetching costs, what hosts in trouble hold up, and how much img2dataset does in the same time."""
