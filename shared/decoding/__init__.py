"""Decoding where it can do no harm: in processes of its own, short of memory, time and everything else."""
