"""Seams between tiles, in numbers and in a picture: blended tiles against the reference's way of tiling.

    python benchmarks/bench_seams.py ../shared/data/uav-scene --work WORK/seams

Trains a network on the left half of the scene (or takes `--model`, a model file of 256 x 256 tiles), predicts
the right half in both ways with the same weights, and counts how often the class changes across tile borders
against everywhere else, and the scores against the truth. One scene has few class changes at few lines, so
this is done several times, each with other rows and columns left out, which moves the tiles over the
ground, and added up. What the ground itself does at these lines is taken out by a second number: class
changes at each line of the ground in the predictions in which a tile border lies there, over those at the
same line in the predictions in which none does (`paired`, with a standard error by the jackknife over the
predictions; also for the edges of tiles and the middles of overlaps alone). `--halos` repeats all with other
overlaps: a wider one costs more tiles. `results/seams.json`, `results/seams.png`.

The reference's way: tiles of S pixels are cut with a margin of m where the scene goes on, squeezed to the
network's size (so by varying factors), predicted one by one, stretched back to the nearest pixel, cut and put
beside each other.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from flexunet.classes import IGNORE_INDEX
from flexunet.config import read_config
from flexunet.metrics import ConfusionMatrix, line_changes, rate_ratio
from flexunet.prediction import Predictor
from flexunet.prediction.scenes import SceneOptions, plan_scene, predict_scene
from flexunet.prediction.tiles import Span
from flexunet.raster import Grid, open_raster, write_png, write_raster
from flexunet.training import train
from flexunet.views import draw_with_legend, overlay
from machine import RESULTS, machine_facts, save

EDGE = 256
OFFSET_PX = 37
CONFIG = """
[data]
root = "{root}"
size = [{edge}, {edge}]

[[data.classes]]
name = "background"
colour = [0, 0, 0]

[[data.classes]]
name = "landslide"
colour = [255, 255, 0]

[train]
epochs = {epochs}

[output]
dir = "{run}"
"""
Labels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", type=Path, help="folder with ortho.tif and landslide_mask.tif")
    parser.add_argument("--work", type=Path, default=Path("WORK/seams"), help="where dataset and run go")
    parser.add_argument("--model", type=Path, help="model file to take in place of training one")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--margin", type=int, default=EDGE // 4, help="the reference's `overlapping`, pixels")
    parser.add_argument(
        "--offsets", type=int, default=4, help="so many predictions, each with tiles elsewhere"
    )
    parser.add_argument(
        "--halos",
        type=int,
        nargs="*",
        default=[],
        help="further halos to measure, pixels (the usual is EDGE/8)",
    )
    parser.add_argument("--rows", type=int, help="only so many rows of the scene (a quick try; not saved)")
    arguments = parser.parse_args()
    with open_raster(arguments.scene / "ortho.tif") as reader:
        image = np.ascontiguousarray(reader.read().transpose(1, 2, 0)[: arguments.rows])
    with open_raster(arguments.scene / "landslide_mask.tif") as reader:
        truth = reader.read()[0][: arguments.rows]
    flown = without_collar(image)
    middle = image.shape[1] // 2
    model = arguments.model or trained(arguments, image[:, :middle], truth[:, :middle], flown[:, :middle])
    predictor = Predictor.from_file(model).with_settings(tta=False)
    right = Half(np.ascontiguousarray(image[:, middle:]), truth[:, middle:], flown[:, middle:])
    routes = {"blended": predictor}
    routes |= {f"blended, halo {halo}": predictor.with_settings(halo=halo) for halo in arguments.halos}
    ways = {name: Way() for name in (*routes, "reference")}
    first: tuple[Labels, Labels] | None = None
    for number in range(arguments.offsets):
        left_out = number * OFFSET_PX % EDGE
        half = right.without_edge(left_out)
        for name, route in routes.items():
            labels, lines, tiles = by_scene_route(route, half.image, arguments.work)
            ways[name].add(half, labels, lines, left_out, tiles)
            first = first or (labels, labels)
        hard = in_the_references_way(predictor, half.image, EDGE, arguments.margin)
        rows, cols = (list(range(EDGE, length, EDGE)) for length in hard.shape)
        ways["reference"].add(
            half, hard, {"borders": (rows, cols)}, left_out, (len(rows) + 1) * (len(cols) + 1)
        )
        assert first is not None
        first = first if number else (first[0], hard)
    result: dict[str, Any] = {
        "scene": f"right half of uav-scene, {right.truth.shape[0]} x {right.truth.shape[1]} pixels",
        "model": "given" if arguments.model else f"trained on the left half, {arguments.epochs} epochs",
        "offsets": arguments.offsets,
        "machine": machine_facts(threads=torch.get_num_threads()),
        **{name: way.summary() for name, way in ways.items()},
    }
    for name in ways:
        print(name, result[name])
    if arguments.rows is None:
        RESULTS.mkdir(exist_ok=True)
        save("seams", result)
    picture = RESULTS / "seams.png" if arguments.rows is None else arguments.work / "seams.png"
    assert first is not None
    draw(picture, right, *first, predictor)
    print(picture)


@dataclass(frozen=True)
class Half:
    """The half of the scene that is predicted."""

    image: NDArray[np.uint8]
    truth: Labels
    flown: NDArray[np.bool_]

    def without_edge(self, pixels: int) -> Half:
        """The same without some rows and columns at the top and left: all tiles lie elsewhere in it."""
        part = np.s_[pixels:, pixels:]
        return Half(np.ascontiguousarray(self.image[part]), self.truth[part], self.flown[part])


Lines = dict[str, tuple[list[int], list[int]]]
"""Rows and columns where a tile border lies, by kind."""


class Way:
    """What one way of tiling made of the scene, added up over the offsets."""

    def __init__(self) -> None:
        self.seams, self.in_truth = np.zeros(4, np.int64), np.zeros(4, np.int64)
        self.each: list[float] = []
        self.tiles: list[int] = []
        self.confusion = ConfusionMatrix(2)
        self.at: list[dict[str, NDArray[np.bool_]]] = []
        """Of each prediction: where borders of each kind lie on the ground, rows then columns."""
        self.changes: list[NDArray[np.int64]] = []
        """Class changes across these lines, on the ground that all predictions show."""

    def add(self, half: Half, labels: Labels, lines: Lines, left_out: int, tiles: int) -> None:
        """Count a prediction by so many `tiles`; so many rows and columns were `left_out` of the scene."""
        ignored = np.uint8(IGNORE_INDEX)
        seen = half.flown & (labels != IGNORE_INDEX)
        rows, cols = ([line for kind in lines.values() for line in kind[axis]] for axis in (0, 1))
        shared = np.where(seen, labels, ignored)[EDGE - left_out :, EDGE - left_out :]
        found = line_changes(shared)
        self.changes.append(np.concatenate([found.row_changes, found.col_changes]))
        self.at.append({name: np.zeros(len(self.changes[-1]), np.bool_) for name in lines})
        for name, kind in lines.items():
            for axis, (start, stop) in enumerate(
                ((0, shared.shape[0]), (shared.shape[0], sum(shared.shape)))
            ):
                ground = np.array(kind[axis], np.int64) + left_out - EDGE
                ground = ground[(ground > 0) & (ground < stop - start)]
                self.at[-1][name][start + ground] = True
        self.tiles.append(tiles)
        counts = line_changes(np.where(seen, labels, ignored)).seam_counts(rows, cols)
        self.seams += counts
        self.each.append(rate_ratio(counts))
        self.in_truth += line_changes(np.where(seen, half.truth, ignored)).seam_counts(rows, cols)
        self.confusion.add(np.where(seen, half.truth, ignored), np.where(seen, labels, np.uint8(0)))

    def paired(self, kind: str | None) -> dict[str, float] | None:
        """Changes at borders of one kind (None: all) over those at the same lines without any border."""
        if len(self.changes) < 3:
            return None
        changes = np.stack(self.changes).astype(np.float64)
        any_kind = np.stack([np.any([*at.values()], axis=0) for at in self.at])
        here = any_kind if kind is None else np.stack([at[kind] for at in self.at])

        def ratio(chosen: list[int]) -> float:
            free = ~any_kind[chosen]
            usual = (changes[chosen] * free).sum(0) / np.maximum(free.sum(0), 1)
            known = free.any(0)
            at = here[chosen] & known
            return float((changes[chosen] * at).sum() / (usual * at).sum())

        everyone = list(range(len(changes)))
        without = np.array([ratio([k for k in everyone if k != left]) for left in everyone])
        error = np.sqrt((len(everyone) - 1) * without.var())
        return {"ratio": round(ratio(everyone), 4), "standard_error": round(float(error), 4)}

    def summary(self) -> dict[str, Any]:
        """The numbers of the results file."""
        names = ("iou", "f1", "precision", "recall")
        return {
            "seam_ratio": round(rate_ratio(self.seams), 4),
            "seam_ratio_by_offset": [round(ratio, 4) for ratio in self.each],
            "paired": {name or "all borders": self.paired(name) for name in (None, *self.at[0])},
            "tiles": round(float(np.mean(self.tiles))),
            "the truth at the same lines": round(rate_ratio(self.in_truth), 4),
            "class changes across tile borders": int(self.seams[0]),
            **{name: round(float(getattr(self.confusion, name)[1]), 4) for name in names},
        }


def by_scene_route(predictor: Predictor, image: NDArray[np.uint8], work: Path) -> tuple[Labels, Lines, int]:
    """Classes (H, W) of an image (H, W, 3) as `flexunet predict` makes them of a scene; its tile borders,
    and how many tiles there are.
    """
    write_raster(work / "right.tif", image.transpose(2, 0, 1), Grid())
    options = SceneOptions(overwrite=True)
    job = plan_scene(predictor, work / "right.tif", options)
    done = predict_scene(predictor, work / "right.tif", work / "classes.tif", options, job=job)
    with open_raster(done.class_map) as reader:
        labels: Labels = reader.read()[0]
    edges = [(part.row, part.col) for part in job.plan.parts]
    grid = job.plan.grid
    lines: Lines = {
        "edges of tiles": (
            sorted({line for span in grid.rows for line in (span.start, span.stop)} | {r for r, _ in edges}),
            sorted({line for span in grid.cols for line in (span.start, span.stop)} | {c for _, c in edges}),
        ),
        "middles of overlaps": (middles(grid.rows), middles(grid.cols)),
    }
    return labels, lines, len(grid)


def without_collar(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the scene was flown, bool (H, W): black ground with the rim that JPEG leaves is not."""
    dark = (image.max(2) <= 10).astype(np.uint8)
    core = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    return np.asarray(cv2.dilate(core, np.ones((7, 7), np.uint8)) == 0)


def trained(
    arguments: argparse.Namespace, image: NDArray[np.uint8], truth: Labels, flown: NDArray[np.bool_]
) -> Path:
    """The model file of a network trained on the left half; every fifth row of tiles is validation."""
    work: Path = arguments.work
    for row in range(image.shape[0] // EDGE):
        for col in range(image.shape[1] // EDGE):
            part = np.s_[row * EDGE : (row + 1) * EDGE, col * EDGE : (col + 1) * EDGE]
            if flown[part].mean() < 0.5:
                continue
            folder = work / "tiles" / ("valid" if row % 5 == 2 else "train")
            alpha = flown[part].astype(np.uint8) * np.uint8(255)  # transparent: no data
            write_png(folder / "images" / f"{row}_{col}.png", np.dstack((image[part], alpha)))
            colours = np.array([(0, 0, 0), (255, 255, 0)], np.uint8)[truth[part]]
            write_png(folder / "masks" / f"{row}_{col}.png", colours)
    config = work / "seams.toml"
    text = CONFIG.format(
        root=(work / "tiles").resolve().as_posix(),
        run=(work / "run").resolve().as_posix(),
        epochs=arguments.epochs,
        edge=EDGE,
    )
    config.write_text(text, encoding="utf-8")
    return train(read_config(config).config, overwrite=True, source=config, show=True).model


def in_the_references_way(predictor: Predictor, image: NDArray[np.uint8], split: int, margin: int) -> Labels:
    """Classes (H, W) of an image (H, W, 3) by squeezed tiles joined with hard seams."""
    height, width = image.shape[:2]
    size = predictor.record.data.size
    whole, labels = Image.fromarray(image), np.zeros((height, width), np.uint8)
    for top in range(0, height, split):
        for left in range(0, width, split):
            before = margin if left - margin >= 0 else 0
            above = margin if top - margin >= 0 else 0
            after = margin if left + split + margin <= width else 0
            below = margin if top + split + margin <= height else 0
            box = (left - before, top - above, left + split + after, top + split + below)
            tile = whole.crop(box)
            squeezed = np.asarray(tile.resize((size[1], size[0]), Image.Resampling.BICUBIC))
            entered = predictor.record.bands.normalise(squeezed.transpose(2, 0, 1))
            found = predictor.network_probabilities(torch.from_numpy(entered[None]))[0].argmax(0)
            stretched = Image.fromarray(found.numpy().astype(np.uint8)).resize(
                tile.size, Image.Resampling.NEAREST
            )
            kept = np.asarray(stretched)[above : above + split, before : before + split]
            place = labels[top : top + split, left : left + split]
            place[:] = kept[: place.shape[0], : place.shape[1]]
    return labels


def middles(spans: tuple[Span, ...]) -> list[int]:
    """The middle of each overlap: there another tile takes the lead."""
    return sorted({(one.stop + two.start) // 2 for one, two in pairwise(spans)})


def draw(path: Path, half: Half, ours: Labels, hard: Labels, predictor: Predictor) -> None:
    """Truth, blended tiles and the reference's tiles side by side, where the latter have the most seams."""
    image, truth = half.image, np.where(half.flown, half.truth, np.uint8(IGNORE_INDEX))
    edge = min(3 * EDGE, *image.shape[:2])
    best, top, left = -1.0, 0, 0
    for row in range(0, image.shape[0] - edge + 1, EDGE // 2):
        for col in range(0, image.shape[1] - edge + 1, EDGE // 2):
            part = np.s_[row : row + edge, col : col + edge]
            if (truth[part] == IGNORE_INDEX).mean() > 0.05:
                continue
            lines = [[line - at for line in range(at - at % EDGE, at + edge, EDGE)] for at in (row, col)]
            changes = line_changes(hard[part])
            jumps = sum(int(changes.row_changes[line]) for line in lines[0] if 0 < line < edge)
            jumps += sum(int(changes.col_changes[line]) for line in lines[1] if 0 < line < edge)
            if jumps > best:
                best, top, left = jumps, row, col
    part = np.s_[top : top + edge, left : left + edge]
    gap = np.full((edge, 12, 3), 255, np.uint8)
    panels = []
    for labels in (truth, ours, hard):
        shown = np.where(labels[part] == IGNORE_INDEX, np.uint8(0), labels[part])
        panels += [overlay(image[part], shown, predictor.record.classes, tint=0.35, thickness=3), gap]
    sheet = np.hstack(panels[:-1])
    height = round(sheet.shape[0] * 1500 / sheet.shape[1])
    sheet = np.asarray(cv2.resize(sheet, (1500, height), interpolation=cv2.INTER_AREA), np.uint8)
    colour = predictor.record.classes.colours[1]
    draw_with_legend(
        sheet, [(colour, "landslide")], path,
        title="truth  ·  overlapping tiles, blended  ·  the reference's squeezed tiles with hard seams",
    )  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    main()
