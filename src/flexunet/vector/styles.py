"""QGIS styles: layers open in the colours of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..classes import Classes
from ..files import write_bytes

_VERSION = "3.28.0"


def write_polygon_style(path: Path, classes: Classes) -> None:
    """A `.qml` that draws polygons by their `class_id`, filled half-transparently, with a darker rim."""
    root = _root()
    renderer = SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr="class_id", enableorderby="0", forceraster="0",
        symbollevels="0", referencescale="-1",
    )  # fmt: skip
    categories = SubElement(renderer, "categories")
    symbols = SubElement(renderer, "symbols")
    for number, label in enumerate(classes.foreground):
        SubElement(
            categories, "category", value=str(label), type="long", symbol=str(number),
            label=classes.names[label], render="true",
        )  # fmt: skip
        symbol = SubElement(
            symbols, "symbol", type="fill", name=str(number), alpha="1", clip_to_extent="1", force_rhr="0"
        )
        layer = SubElement(
            symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
        )
        red, green, blue = classes.colours[label]
        options = {
            "border_width_map_unit_scale": "3x:0,0,0,0,0,0", "color": f"{red},{green},{blue},110",
            "joinstyle": "miter", "offset": "0,0", "offset_map_unit_scale": "3x:0,0,0,0,0,0",
            "offset_unit": "MM", "outline_color": f"{red * 2 // 3},{green * 2 // 3},{blue * 2 // 3},255",
            "outline_style": "solid", "outline_width": "0.3", "outline_width_unit": "MM", "style": "solid",
        }  # fmt: skip
        listed = SubElement(layer, "Option", type="Map")
        for name, value in options.items():
            SubElement(listed, "Option", type="QString", name=name, value=value)
    SubElement(renderer, "rotation")
    SubElement(renderer, "sizescale")
    SubElement(root, "blendMode").text = "0"
    SubElement(root, "featureBlendMode").text = "0"
    SubElement(root, "layerGeometryType").text = "2"
    _write(path, root, "qgis")


def write_raster_style(path: Path, classes: Classes) -> None:
    """A `.qml` that draws a class band by its values; the background is transparent."""
    root = _root()
    pipe = SubElement(root, "pipe")
    renderer = SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="0.7", alphaBand="-1", nodataColor=""
    )
    SubElement(renderer, "rasterTransparency")
    palette = SubElement(renderer, "colorPalette")
    for label, (name, colour) in enumerate(zip(classes.names, classes.colours, strict=True)):
        alpha = "0" if label == classes.background else "255"
        SubElement(
            palette, "paletteEntry", value=str(label), label=name, alpha=alpha,
            color="#{:02x}{:02x}{:02x}".format(*colour),
        )  # fmt: skip
    SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    SubElement(
        pipe, "huesaturation", saturation="0", grayscaleMode="0", colorizeOn="0", colorizeStrength="100",
        colorizeRed="255", colorizeGreen="128", colorizeBlue="128", invertColors="0",
    )  # fmt: skip
    SubElement(pipe, "rasterresampler", maxOversampling="2")
    SubElement(root, "blendMode").text = "0"
    _write(path, root, "qgis")


def _root() -> Any:
    return Element(
        "qgis", version=_VERSION, styleCategories="Symbology", hasScaleBasedVisibilityFlag="0",
    )  # fmt: skip


def _write(path: Path, root: Any, doctype: str) -> None:
    indent(root)
    head = f"<!DOCTYPE {doctype} PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n".encode()
    write_bytes(path, head + tostring(root, encoding="utf-8") + b"\n")
