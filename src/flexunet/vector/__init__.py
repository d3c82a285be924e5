"""Polygons across strips, their attributes, vector files. Needs the extra `geo`."""

from .aoi import AreaOfInterest, LabelLayer, rasterise_layer
from .polygonise import Polygons, Tracer, polygonise
from .styles import write_polygon_style, write_raster_style
from .write import PolygonSummary, write_polygons

__all__ = [
    "AreaOfInterest",
    "LabelLayer",
    "PolygonSummary",
    "Polygons",
    "Tracer",
    "polygonise",
    "rasterise_layer",
    "write_polygon_style",
    "write_polygons",
    "write_raster_style",
]
