"""A scene and its classes at a size that fits a screen: the quick-look, and what the map is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..errors import DataError
from ..raster import Grid, Reduced, open_raster, read_reduced
from ..raster.ground import metres_per_pixel
from .figure import INK, figure_pixels, new_figure, plain, save_picture
from .pictures import RGB, display_rgb, overlay, shown_bands

LONGEST_EDGE_PX = 2000
_LEGEND_PX = 30  # height of a row under the picture
_LEAST_WIDTH_PX = 480
_OUTLINES = 600  # an outline's width is the picture's shorter edge over this


@dataclass(frozen=True)
class ScenePicture:
    """A scene for the eye."""

    rgb: RGB
    """uint8 (h, w, 3)."""
    valid: NDArray[np.bool_]
    """(h, w)."""
    shape: tuple[int, int]
    """Height and width of the scene itself."""
    grid: Grid

    @property
    def step(self) -> float:
        """Pixels of the scene to one of the picture."""
        return float(max(self.shape) / max(self.valid.shape))


def scene_picture(scene: Path | str, edge_px: int = LONGEST_EDGE_PX) -> ScenePicture:
    """The scene reduced to `edge_px` along its longer edge, in the bands the eye knows, stretched as
    `display_rgb` says.

    Memory: the reduced picture. Raises RasterError for a scene that cannot be read.
    """
    with open_raster(scene) as reader:
        bands = [band + 1 for band in shown_bands(reader.shape[0], reader.band_names)]
    reduced = read_reduced(scene, edge_px, list(dict.fromkeys(bands)))
    names = ("red", "green", "blue") if len(reduced.pixels) == 3 else None
    rgb = display_rgb(reduced.pixels, reduced.valid, band_names=names)
    return ScenePicture(rgb, reduced.valid, reduced.shape, reduced.grid)


def read_classes(class_map: Path, edge_px: int, classes: Classes) -> Reduced:
    """A class map reduced by the most frequent class; one band, values beyond the classes are 255.

    Raises:
        RasterError: it cannot be read.
        DataError: it has several bands.
    """
    reduced = read_reduced(class_map, edge_px, labels=True)
    if len(reduced.pixels) != 1:
        raise DataError(f"{class_map}: a class map has one band, this has {len(reduced.pixels)}.")
    band = reduced.pixels[0]
    known = reduced.valid & (band >= 0) & (band < len(classes))
    labels = np.where(known, band, IGNORE_INDEX).astype(np.uint8)
    return Reduced(labels[None], known, reduced.shape, reduced.grid, reduced.band_names)


def scene_and_classes(
    scene: Path | str, class_map: Path, edge_px: int, classes: Classes
) -> tuple[ScenePicture, Reduced]:
    """Both of them, reduced alike.

    Raises:
        RasterError: one of them cannot be read.
        DataError: they differ in size.
    """
    picture = scene_picture(scene, edge_px)
    labels = read_classes(class_map, edge_px, classes)
    if picture.shape != labels.shape:
        raise DataError(
            f"{class_map}: has {labels.shape[0]} x {labels.shape[1]} pixels, the scene "
            f"{picture.shape[0]} x {picture.shape[1]}; a class map lies on its scene pixel by pixel."
        )
    return picture, labels


def draw_scene_overlay(
    scene: Path | str,
    class_map: Path,
    out: Path,
    classes: Classes,
    *,
    edge_px: int = LONGEST_EDGE_PX,
    title: str | None = None,
) -> None:
    """Draw the quick-look of a scene as PNG or JPEG, by the ending of `out`.

    Its foreground classes tinted and outlined, a legend with the share of each, a scale bar. The longer edge
    is at most `edge_px` pixels. Memory: the reduced pictures.

    Raises:
        RasterError: scene or class map cannot be read.
        DataError: they differ in size.
    """
    picture, labels = scene_and_classes(scene, class_map, edge_px, classes)
    band = labels.pixels[0]
    # overlay() hatches what is ignored; what nobody predicted is simply shown
    shown = np.where(labels.valid, band, classes.background or 0)
    drawn = overlay(picture.rgb, shown, classes, thickness=max(1, round(min(band.shape) / _OUTLINES)))
    shares = class_shares(band, classes)
    legend = [
        (classes.colours[label], f"{classes.names[label]}  {percent(shares[label])}")
        for label in classes.foreground
    ]
    draw_with_legend(drawn, legend, out, ground=(picture.grid, picture.shape), title=title)


def draw_error_map(
    error_map: Path,
    out: Path,
    meanings: Sequence[tuple[str, tuple[int, int, int]]],
    *,
    scene: Path | str | None = None,
    edge_px: int = LONGEST_EDGE_PX,
    title: str | None = None,
) -> None:
    """Draw a map of errors: each value in its colour over the grey scene, with shares in the legend.

    `meanings` are name and colour of each value; the first is what is right and empty, and left as it is.
    Memory: the reduced pictures. Raises RasterError for a file that cannot be read.
    """
    errors = read_reduced(error_map, edge_px, labels=True)
    codes = np.where(errors.valid, errors.pixels[0], IGNORE_INDEX).astype(np.uint8)
    drawn: RGB = np.full((*codes.shape, 3), 255, np.uint8)
    if scene is not None:
        grey = cv2.cvtColor(scene_picture(scene, edge_px).rgb, cv2.COLOR_RGB2GRAY)
        size = (codes.shape[1], codes.shape[0])
        drawn[:] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)[..., None]
    strength = np.float32(0.6 if scene is not None else 1.0)
    for code, (_, colour) in enumerate(meanings[1:], 1):
        place = codes == code
        drawn[place] = (drawn[place] * (1 - strength) + np.asarray(colour, np.float32) * strength).round()
    drawn[codes == IGNORE_INDEX] //= 3
    counts = np.bincount(codes[codes != IGNORE_INDEX].ravel(), minlength=len(meanings))
    total = max(int(counts.sum()), 1)
    legend = [
        (colour, f"{name}  {percent(int(counts[code]) / total)}")
        for code, (name, colour) in enumerate(meanings)
        if code and (code < 4 or counts[code])
    ]
    draw_with_legend(drawn, legend, out, ground=(errors.grid, errors.shape), title=title)


def class_shares(labels: NDArray[np.uint8], classes: Classes) -> list[float | None]:
    """Share of each class among the labels that are one; None where there are none."""
    counts = np.bincount(labels.ravel(), minlength=256)[: len(classes)]
    total = int(counts.sum())
    return [int(count) / total if total else None for count in counts]


def percent(share: float | None) -> str:
    """`12.3 %`; never 0 or 100 when there is something to say."""
    if share is None:
        return ""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def draw_with_legend(
    rgb: RGB,
    legend: Sequence[tuple[tuple[int, int, int], str]],
    out: Path,
    *,
    ground: tuple[Grid, tuple[int, int]] | None = None,
    title: str | None = None,
) -> None:
    """Write a picture (h, w, 3) pixel for pixel with a legend below it: colours and what they mean.

    `ground` is the grid and the (height, width) of the scene that the picture shows, for a scale bar.
    """
    rgb = _enlarged(rgb)
    height, width = rgb.shape[:2]
    wide = max(width, _LEAST_WIDTH_PX)
    rows = _rows(legend, wide - (260 if ground is not None else 0))
    above = _LEGEND_PX if title else 0
    tall = height + above + max(len(rows), 1 if ground is not None or legend else 0) * _LEGEND_PX + 8
    figure = new_figure((wide + 0.5) / 100, (tall + 0.5) / 100)  # the canvas has whole pixels, cut off
    figure.set_layout_engine("none")
    left = (wide - width) // 2
    if title:
        figure.text(0.5, 1 - above / 2 / tall, plain(title), ha="center", va="center", color=INK, fontsize=11)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set_xlim(0, wide)
    page.set_ylim(tall, 0)
    page.patch.set_alpha(0)
    for number, row in enumerate(rows):
        middle = above + height + 4 + (number + 0.5) * _LEGEND_PX
        for x, colour, text in row:
            face = tuple(value / 255 for value in colour)
            page.fill(
                [x, x + 18, x + 18, x], [middle - 7, middle - 7, middle + 7, middle + 7],
                facecolor=face, edgecolor=INK, linewidth=0.6,
            )  # fmt: skip
            page.text(x + 25, middle, plain(text), va="center", color=INK, fontsize=9.5)
    if ground is not None:
        _draw_scale(page, *ground, width, wide - 14, above + height + 4 + _LEGEND_PX / 2)
    # matplotlib would resample the picture in double precision, in some thirty times its own memory
    whole = figure_pixels(figure)
    whole[above : above + height, left : left + width] = rgb
    save_picture(whole, out)


def _enlarged(rgb: RGB) -> RGB:
    """Pictures of a few pixels are shown larger, by whole factors."""
    factor = max(1, _LEAST_WIDTH_PX // max(rgb.shape[:2]))
    size = rgb.shape[1] * factor, rgb.shape[0] * factor
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _rows(
    legend: Sequence[tuple[tuple[int, int, int], str]], wide: int
) -> list[list[tuple[int, tuple[int, int, int], str]]]:
    """The entries of the legend with their x, wrapped at `wide` pixels."""
    rows: list[list[tuple[int, tuple[int, int, int], str]]] = [[]] if legend else []
    x = 12
    for colour, text in legend:
        length = 45 + round(7.6 * sum(2 if ord(letter) > 0x2E7F else 1 for letter in text))
        if rows[-1] and x + length > wide:
            rows.append([])
            x = 12
        rows[-1].append((x, colour, text))
        x += length
    return rows


def _draw_scale(
    page: object, grid: Grid, shape: tuple[int, int], width: int, right: float, middle: float
) -> None:
    ground = metres_per_pixel(grid, shape)
    per_pixel = (ground[0] if ground is not None else 1.0) * shape[1] / width
    length = nice_length(per_pixel * min(width * 0.4, 160))
    pixels = length / per_pixel
    text = f"{length:g} px" if ground is None else metres(length)
    x = [right - pixels, right - pixels, right, right]
    page.plot(x, [middle - 5, middle + 2, middle + 2, middle - 5], color=INK, linewidth=1.6)  # type: ignore[attr-defined]
    page.text(right - pixels - 8, middle, text, ha="right", va="center", color=INK, fontsize=9.5)  # type: ignore[attr-defined]


def nice_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most `most`."""
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9)))


def metres(length_m: float) -> str:
    """`500 m`, `2 km`, `20 cm`."""
    if length_m >= 1000:
        return f"{length_m / 1000:g} km"
    return f"{length_m:g} m" if length_m >= 1 else f"{length_m * 100:g} cm"
