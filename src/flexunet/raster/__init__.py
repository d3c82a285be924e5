"""Pixels in and out of files: one face for PNG, JPEG, BMP, TIFF, GeoTIFF, BigTIFF and `.npy`."""

from .burn import burn
from .decode import IMAGE_SUFFIXES, MAX_PIXELS
from .grid import Grid
from .onto import read_onto
from .picture import MaskPicture, Picture, read_mask_picture, read_picture
from .reader import RasterReader, open_raster
from .reduced import Reduced, read_reduced
from .values import data_mask, native_dtype
from .window import Window
from .writers import create_raster, write_labels_png, write_png, write_raster

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Grid",
    "MaskPicture",
    "Picture",
    "RasterReader",
    "Reduced",
    "Window",
    "burn",
    "create_raster",
    "data_mask",
    "native_dtype",
    "open_raster",
    "read_mask_picture",
    "read_onto",
    "read_picture",
    "read_reduced",
    "write_labels_png",
    "write_png",
    "write_raster",
]
