"""How raw material lies on disk: one module a layout, every one giving the same list of items."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..items import Source
from ..options import LAYOUTS, LayoutName, Options
from ..settings import read_settings, understood
from .folders import held

_ORDER: tuple[LayoutName, ...] = (
    "bijie", "nnunet", "landslide4sense", "pairs", "splits", "flat", "text-polygons", "scene", "coco", "via",
    "labelme",
)  # fmt: skip
"""In which they are tried; those that need vector libraries come late."""

_EXPECTED = (
    "landslide/image and landslide/mask (Bijie); images/ and masks/; the same in train/, valid/ and test/; "
    "Landslide4Sense's img/*.h5 and mask/*.h5; nnU-Net's imagesTr and labelsTr; images/ and polygons/*.txt; "
    "a COCO or VIA JSON or labelme's JSON files beside the images; a raster with a vector layer; or one "
    "folder with Name*.png and NameLabel*.png"
)


def read_layout(src: Path, options: Options) -> Source:
    """All items of the raw material.

    Raises:
        DataError: no known layout, or faults in it; all of them are named.
    """
    if not src.exists():
        raise DataError(f"{src} is not a folder.")
    if src.is_file() and options.layout not in (None, "scene"):
        raise DataError(f"{src} is a file; the layout {options.layout} is a folder.")
    if src.is_file() and not _module("scene").matches(src):
        raise DataError(f"{src} is not a folder and no GeoTIFF.")
    name = options.layout or (
        "flat" if options.image_pattern else "scene" if src.is_file() else _detected(src)
    )
    _check_settings(name, options)
    source: Source = _module(name).read(src, options)
    return source


def _check_settings(name: LayoutName, options: Options) -> None:
    """Settings that a layout has no use for are refused, never passed over."""
    idle = read_settings(options.settings).model_fields_set - understood(name)
    if idle:
        keys = ", ".join(f"data.{key}" for key in sorted(idle))
        raise DataError(
            f"--set {keys}: the layout {name} has no use for it; it knows "
            f"{', '.join(f'data.{key}' for key in sorted(understood(name)))}."
        )


def _detected(src: Path) -> LayoutName:
    found = next((name for name in _ORDER if _module(name).matches(src)), None)
    if found is None:
        raise DataError(
            f"{src} is not in a layout that prepare knows. Expected: {_EXPECTED}. Found: {held(src)}. "
            f"--layout names one of {', '.join(LAYOUTS)}."
        )
    return found


def _module(name: LayoutName) -> Any:
    return import_module(f".{name.replace('-', '_')}", __name__)
