"""The procedural landscape: a landslide dataset out of a seed, and the whole chain shown on it."""
