"""A scene, its classes and its polygons as one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..classes import IGNORE_INDEX, Classes
from ..files import write_text
from ..raster import Grid
from ..raster.ground import crs_name, is_geographic, lonlat_mesh, metres_per_pixel, placed
from .map_polygons import Feature, LightPolygons, lighten
from .scene_pictures import LONGEST_EDGE_PX, ScenePicture, class_shares, percent, scene_and_classes

MOST_POLYGONS = 20_000
_MOST_POLYGON_BYTES = 6_000_000
_MOST_PICTURE_BYTES = 5_000_000
_WEBP_QUALITIES = (82, 60, 35)


def write_html_map(
    out: Path,
    scene: Path | str,
    class_map: Path,
    classes: Classes,
    polygons: Iterable[Feature] | None = None,
    *,
    title: str | None = None,
    notes: Sequence[str] = (),
    edge_px: int = LONGEST_EDGE_PX,
    most_polygons: int = MOST_POLYGONS,
) -> tuple[str, ...]:
    """Write a map that any browser opens from the disk; returns what the reader of the map is told as notes.

    It has the scene and the class map (reduced to `edge_px` along the longer edge), an opacity slider, a
    toggle for each layer, the polygons with their attributes on a click, a legend, a scale bar and the
    coordinates under the cursor: of the grid, of the pixels and, for projected systems on Earth, latitude
    and longitude. Leaflet is inside the file and no request leaves it. The file stays below 15 MB.

    Args:
        polygons: GeoJSON features in the coordinates of the class map's grid (not in degrees unless that is
            the grid's system; those of the best affine transform where it has control points), read once.
            The class is named by `class` (its name) or `label` (its index).
        title: shown and in the tab; left out: the scene's file name.
        notes: sentences shown under the legend.
        most_polygons: where there are more, the largest are shown, and the map says so.

    Memory: the reduced pictures and the polygons shown.

    Raises:
        RasterError: scene or class map cannot be read.
        DataError: they differ in size; or polygons are given and the grid lays all pixels onto a line.
    """
    picture, labels = scene_and_classes(scene, class_map, edge_px, classes)
    grid, band = labels.grid, labels.pixels[0]
    coarse = picture.step > 1
    light = LightPolygons([], [], 0)
    if polygons is not None:
        light = lighten(
            polygons,
            placed(grid),
            classes,
            tolerance_px=picture.step / 2 if coarse else 0.0,
            most=most_polygons,
            most_bytes=_MOST_POLYGON_BYTES,
        )
    told = [*notes]
    if coarse:
        told.append(
            f"Pictures show 1 pixel for {picture.step:.3g} of the scene; outlines are exact to half of that."
        )
    if len(light.features) < light.given:
        told.append(f"The {len(light.features):,} largest of {light.given:,} polygons are shown.")
    shares = class_shares(band, classes)
    content: dict[str, Any] = {
        "title": title or Path(scene).name,
        "size": list(picture.shape),
        "step": picture.step,
        **_place(grid, picture.shape),
        "classes": [
            {
                "name": name,
                "colour": "#{:02x}{:02x}{:02x}".format(*classes.colours[label]),
                "shown": label != classes.background,
                "share": percent(shares[label]),
            }
            for label, name in enumerate(classes.names)
        ],
        "keys": light.keys,
        "notes": told,
        "scene": _scene_uri(picture),
        "mask": _mask_uri(band, classes),
    }
    write_text(out, _page(content, light.features))
    return tuple(told)


def _place(grid: Grid, shape: tuple[int, int]) -> dict[str, Any]:
    """What the page needs to say where the cursor is."""
    name = crs_name(grid)
    ground = metres_per_pixel(grid, shape)
    mesh = None if is_geographic(grid) else lonlat_mesh(grid, shape)
    place = placed(grid)
    a, b, _, d, e, _ = place.transform
    finest = min(np.hypot(a, d), np.hypot(b, e))
    return {
        "transform": list(place.transform),
        "georeferenced": grid.is_georeferenced,
        "decimals": int(np.clip(np.ceil(-np.log10(finest)) + 1, 0, 9)) if finest > 0 else 3,
        "metres": None if ground is None else round(ground[0], 9),
        "lonlat": None if mesh is None else np.round(mesh, 7).tolist(),
        "where": name or ("no reference system" if grid.is_georeferenced else "pixel coordinates"),
    }


def _scene_uri(picture: ScenePicture) -> str:
    """WebP, transparent where the scene has no data."""
    if picture.valid.all():
        shown = Image.fromarray(picture.rgb)
    else:
        alpha = picture.valid.astype(np.uint8) * np.uint8(255)
        shown = Image.fromarray(np.dstack((picture.rgb, alpha)))
    packed = b""
    for quality in _WEBP_QUALITIES:
        buffer = io.BytesIO()
        shown.save(buffer, format="WEBP", quality=quality, method=3)
        packed = buffer.getvalue()
        if len(packed) <= _MOST_PICTURE_BYTES:
            break
    return _data_uri("image/webp", packed)


def _mask_uri(labels: NDArray[np.uint8], classes: Classes) -> str:
    """Palette PNG; the background and what nobody predicted are transparent."""
    shown = Image.fromarray(np.where(labels < len(classes), labels, np.uint8(IGNORE_INDEX)))
    colours = [value for colour in classes.colours for value in colour]
    shown.putpalette(colours + [0] * (768 - len(colours)))
    opaque = bytes(255 if label in classes.foreground else 0 for label in range(256))
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG", transparency=opaque, optimize=True)
    return _data_uri("image/png", buffer.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _page(content: dict[str, Any], features: Sequence[str]) -> str:
    """The template with everything put in; nothing of the content can end a script or a tag."""
    page = files("flexunet.views") / "page"

    def part(name: str) -> str:
        return (page / name).read_text(encoding="utf-8")

    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    body = f'{body[:-1]},"polygons":[{",".join(features)}]}}'
    # inside a script element only "<" can be understood as HTML; line separators end old scripts' strings
    for letter in "<>&\u2028\u2029":
        body = body.replace(letter, f"\\u{ord(letter):04x}")
    css = part("leaflet.css")
    for name in ("layers.png", "layers-2x.png", "marker-icon.png"):
        css = css.replace(f"url(images/{name})", "none")  # of controls that the map does not have
    script = part("leaflet.js").partition("//# sourceMappingURL")[0]
    filled = {
        "TITLE": html.escape(str(content["title"])),
        "LEAFLET_CSS": css,
        "MAP_CSS": part("map.css"),
        "CONTENT": body,
        "LEAFLET_LICENCE": part("LEAFLET-LICENSE.txt").strip(),
        "LEAFLET_JS": script.strip(),
        "MAP_JS": part("map.js"),
    }
    pieces = part("map.html").split("@")
    # odd pieces are the names of places; what is put in is never searched again
    return "".join(filled[piece] if place % 2 else piece for place, piece in enumerate(pieces))
