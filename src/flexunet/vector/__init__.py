"""Polygons across strips, their attributes, vector files."""
