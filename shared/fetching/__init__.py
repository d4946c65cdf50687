"""From a reference to the bytes of its image: safe from strangers, whatever they point at."""
