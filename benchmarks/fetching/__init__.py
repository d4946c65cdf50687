"""Performance of fetching: CPU time, hosts in trouble, and a comparison with img2dataset."""
