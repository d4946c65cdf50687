"""What SmartSight costs, against the bare model: figures, never tests."""
