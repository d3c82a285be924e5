"""Does the applicability flag what fails? And what another region, sensor and scale cost a trained model.

    python benchmarks/bench_applicability.py --model RUN/model.safetensors --bijie WORK/bijie --data DATA

`--model` was trained on the training split of `--bijie` (prepared by `flexunet prepare`); `--data` is the
folder with `sichuan`, `uav-scene`, `mars-7band` and `terrain`. Pictures, and blocks of 256 pixels of larger
ones, are predicted once each, without flips and turns. A picture with at least 1 % of landslide fails below
an IoU of 0.3. Scores only, no times. Writes `results/applicability.json`, `results/transfer.json` and a
`.png` beside each.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexunet.config import read_config
from flexunet.data import open_store
from flexunet.evaluation.applicability import fit_applicability
from flexunet.evaluation.groups import groups_of
from flexunet.metrics.applicability import fit_cloud, kept_scores
from flexunet.metrics.detection import area_under_roc
from flexunet.modelfile import read_record, replace_record
from flexunet.prediction import FAR, Predictor
from flexunet.raster import Grid, Picture, open_raster, read_picture
from machine import machine_facts, save

HERE = Path(__file__).resolve().parent
BLOCK = 256
FAILS, LANDSLIDE = 0.3, 0.01
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """A picture (3, H, W) with its truth (H, W); 255 is not counted."""

    set: str
    name: str
    pixels: Pixels
    truth: Pixels | None
    valid: NDArray[np.bool_] | None = None


@dataclass
class Found:
    """What was measured of every picture, in columns."""

    sets: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    counts: list[NDArray[np.int64]] = field(default_factory=list)
    sure: list[float] = field(default_factory=list)
    levels: list[list[NDArray[np.float32]]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--bijie", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("WORK/applicability"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    model = fitted(arguments.model, arguments.bijie, arguments.work / "model.safetensors")
    predictor = Predictor.from_file(model, device="cpu")
    cache = arguments.work / "measured.npz"
    if not cache.exists():
        measure(predictor, items(arguments.bijie, arguments.data), cache)
    columns = dict(np.load(cache))
    result = {
        "model": arguments.model.name,
        "definitions": {
            "far": f"applicability of at most {FAR}: at most that share of the held-out groups is as far",
            "fails": f"landslide on at least {LANDSLIDE:.0%} of the pixels, and an IoU below {FAILS}",
            "auroc": "share of the pairs (failing, not failing) in which the failing picture is farther",
        },
        **judged(columns, predictor),
        "machine": machine_facts(threads=1),
    }
    save("applicability", result)
    draw(columns, predictor, HERE / "results" / "applicability.png")
    save("transfer", {**transfer(columns), "machine": machine_facts(threads=1)})
    draw_transfer(arguments, predictor, HERE / "results" / "transfer.png")


def fitted(model: Path, bijie: Path, target: Path) -> Path:
    """A copy of the model file that knows its training pictures."""
    if target.exists() and read_record(target).applicability is not None:
        return target
    shutil.copy(model, target)
    predictor = Predictor.from_file(target, device="cpu")
    config = read_config(model.parent / "config.toml", [f"data.root={bijie.resolve()}"]).config.data
    train, held_out = (open_store(config, split, full_size=True) for split in ("train", "valid"))
    groups = groups_of(held_out.pairs, config).names
    found = fit_applicability(predictor, train, held_out, groups)
    replace_record(target, read_record(target).model_copy(update={"applicability": found}))
    return target


def items(bijie: Path, data: Path) -> Iterator[Item]:
    """Everything that is looked at."""
    for split in ("train", "valid", "test"):
        for kind in ("images", "negatives"):
            for path in sorted((bijie / split / kind).glob("*.png")):
                pixels = picture(path)
                truth = np.zeros(pixels.shape[1:], np.uint8)
                if kind == "images":
                    truth = mask(bijie / split / "masks" / path.name)
                yield Item(f"bijie {split}", path.stem, pixels, truth)
    for path in sorted((data / "sichuan/images").glob("*.png")):
        pixels = picture(path)
        truth = mask(data / "sichuan/masks" / path.name.replace("Landslide", "LandslideLabel"))
        yield Item("sichuan", path.stem, pixels, truth)
        for divisor in (1, 2, 4):
            yield from blocks(f"sichuan 1/{divisor}", path.stem, pixels, truth, None, divisor)
    with open_raster(data / "uav-scene/ortho.tif") as raster:
        scene = raster.read()
    with open_raster(data / "uav-scene/landslide_mask.tif") as raster:
        truth = raster.read()[0]
    valid = scene.max(0) > 10
    yield Item("uav in one piece", "uav", scene, truth, valid)
    for divisor in (1, 2, 4, 8, 16):
        yield from blocks(f"uav 1/{divisor}", "uav", scene, truth, valid, divisor)
    for path in sorted((data / "mars-7band/images").glob("*.tif")):
        with open_raster(path) as raster:
            colour = np.clip(raster.read()[4:7], 0, 255).astype(np.uint8)
        with open_raster(data / "mars-7band/masks" / path.name) as raster:
            yield Item("mars", path.stem, colour, (raster.read()[0] > 0).astype(np.uint8))
    yield from hillshades(data / "terrain")


def picture(path: Path) -> Pixels:
    """A PNG as (3, H, W)."""
    return read_picture(path).pixels


def mask(path: Path) -> Pixels:
    """A mask as 0 and 1, (H, W)."""
    labels: Pixels = (read_picture(path).pixels.max(0) > 0).astype(np.uint8)
    return labels


def hillshades(folder: Path) -> Iterator[Item]:
    """Shaded relief of the terrain, with its landslides."""
    import pyogrio
    import rasterio.features
    import rasterio.transform

    with open_raster(folder / "dem.tif") as raster:
        heights, grid = raster.read()[0], raster.grid
    _, _, shapes, _ = pyogrio.raw.read(folder / "landslides.shp")
    from shapely import from_wkb

    geometries = [shape for shape in from_wkb(shapes) if not shape.is_empty]
    assert grid.transform is not None
    truth = rasterio.features.rasterize(
        geometries, heights.shape, transform=rasterio.transform.Affine(*grid.transform)
    ).astype(np.uint8)
    down, right = np.gradient(heights, 28.554923)
    shade = np.clip(127 + 100 * (right - down), 0, 255).astype(np.uint8)
    yield from blocks("hillshade", "terrain", np.repeat(shade[None], 3, 0), truth, None, 1)


def blocks(
    name: str, prefix: str, pixels: Pixels, truth: Pixels, valid: NDArray[np.bool_] | None, divisor: int
) -> Iterator[Item]:
    """Blocks of 256 pixels of a picture reduced by `divisor`, where at least a quarter has data."""
    height, width = pixels.shape[1] // divisor, pixels.shape[2] // divisor
    known = np.ones(truth.shape, np.bool_) if valid is None else valid
    small: Any = cv2.resize(
        np.ascontiguousarray(pixels.transpose(1, 2, 0)), (width, height), interpolation=cv2.INTER_AREA
    ).transpose(2, 0, 1)
    labels: Any = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST)
    known = cv2.resize(known.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            place = np.s_[top : top + BLOCK, left : left + BLOCK]
            if known[place].mean() > 0.25 and min(known[place].shape) >= BLOCK // 4:
                yield Item(
                    name, f"{prefix} {top} {left}", small[(slice(None), *place)], labels[place], known[place]
                )


def measure(predictor: Predictor, pictures: Iterator[Item], cache: Path) -> None:
    """Predict every picture once; keep its counts, how sure the model was, and the means of all levels."""
    network: Any = predictor._members[0]._network
    maps: list[Any] = []
    network.encoder.register_forward_hook(lambda module, inputs, output: maps.append(output))
    found = Found()
    for item in pictures:
        valid = np.ones(item.pixels.shape[1:], np.bool_) if item.valid is None else item.valid
        maps.clear()
        shown = Picture(np.ascontiguousarray(item.pixels), np.ascontiguousarray(valid), Grid())
        (made,) = predictor.predict([shown], tiling="whole", tta=False, keep_probabilities=True)
        assert made.probabilities is not None
        assert item.truth is not None
        truth, said = item.truth[valid] > 0, made.labels[valid] > 0
        cells = [(~truth & ~said), (~truth & said), (truth & ~said), (truth & said)]
        found.sets.append(item.set)
        found.names.append(item.name)
        found.counts.append(np.array([cell.sum() for cell in cells]))
        found.sure.append(float(made.probabilities.max(0)[valid].mean()))
        weights = torch.from_numpy(valid.astype(np.float32))[None, None]
        found.levels.append([pooled(level, weights) for level in maps[0]])
        print(item.set, item.name, f"{made.applicability:.2f}", flush=True)
    levels: dict[str, Any] = {
        f"level{i}": np.stack([row[i] for row in found.levels]) for i in range(len(found.levels[0]))
    }
    np.savez(
        cache, sets=np.array(found.sets), names=np.array(found.names), counts=np.stack(found.counts),
        sure=np.array(found.sure), **levels,
    )  # fmt: skip


def pooled(level: torch.Tensor, weights: torch.Tensor) -> NDArray[np.float32]:
    """Means over what has data, (D,)."""
    shares = torch.nn.functional.adaptive_avg_pool2d(weights, (level.shape[2], level.shape[3]))
    means = (level.float() * shares).sum((0, 2, 3)) / shares.sum()
    vector: NDArray[np.float32] = means.numpy()
    return vector


def iou(counts: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of the landslides, of counts (..., 4); NaN without any."""
    under = counts[..., 1:].sum(-1)
    found: NDArray[np.float64] = np.divide(
        counts[..., 3], under, out=np.full(under.shape, np.nan), where=under > 0
    )
    return found


def judged(columns: dict[str, Any], predictor: Predictor) -> dict[str, Any]:
    """What is flagged, set by set, and how well failures are told from successes."""
    sets, counts = columns["sets"], columns["counts"].astype(float)
    familiar = predictor.require_familiar()
    distance = familiar.distance(columns["level3"]).astype(float)
    value = familiar.value(distance)
    share = counts[:, 2:].sum(1) / counts.sum(1)
    scores, landslides = iou(counts), share >= LANDSLIDE
    fails = landslides & (scores < FAILS)
    rows = {}
    for name in dict.fromkeys(sets.tolist()):
        here = sets == name
        with_slides = here & landslides
        failing = here & fails
        rows[name] = {
            "pictures": int(here.sum()),
            "pooled_iou": rounded(iou(counts[here].sum(0))),
            "with_landslide": int(with_slides.sum()),
            "mean_iou": rounded(np.nanmean(scores[with_slides]) if with_slides.any() else np.nan),
            "failing": int(failing.sum()),
            "flagged": rounded((value[here] <= FAR).mean()),
            "failing_flagged": rounded((value[failing] <= FAR).mean() if failing.any() else np.nan),
            "median_applicability": rounded(np.median(value[here])),
            "median_distance": rounded(np.median(distance[here])),
        }
    # the scene in one piece has as many pixels as all others together
    foreign = ~np.isin(sets, ["bijie train", "bijie valid", "uav in one piece"]) & landslides
    test = sets == "bijie test"
    return {
        "sets": rows,
        "told_apart": {
            "pictures": int(foreign.sum()),
            "failing": int(fails[foreign].sum()),
            "auroc_of_applicability": rounded(area_under_roc(distance[foreign], fails[foreign])),
            "auroc_of_mean_probability": rounded(
                area_under_roc(1 - columns["sure"][foreign], fails[foreign])
            ),
            "auroc_within_bijie_test": rounded(
                area_under_roc(distance[test & landslides], fails[test & landslides])
            ),
            "failing_flagged": rounded((value[foreign & fails] <= FAR).mean()),
            "not_failing_flagged": rounded((value[foreign & ~fails] <= FAR).mean()),
        },
        "kept": risk(counts[foreign], distance[foreign], columns["sure"][foreign]),
        "descriptions": descriptions(columns, fails, foreign),
    }


def risk(counts: NDArray[Any], distance: NDArray[Any], sure: NDArray[Any]) -> dict[str, Any]:
    """Pooled IoU of what is kept when the farthest, or the least sure pictures are left out."""
    cells = counts.reshape(-1, 2, 2)
    kept = {}
    for name, order in (("by_applicability", -distance), ("by_mean_probability", sure)):
        left_out, scores = kept_scores(cells, order, [1], 11)
        kept[name] = {"left_out": left_out.round(3).tolist(), "iou": scores.round(3).tolist()}
    return kept


def descriptions(
    columns: dict[str, Any], fails: NDArray[np.bool_], foreign: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Other levels and other descriptions of the same features."""
    sets = columns["sets"]
    train, valid, test = (sets == f"bijie {split}" for split in ("train", "valid", "test"))
    levels = {
        **{f"level {i + 1} of 5": columns[f"level{i}"] for i in range(5)},
        "levels 4 and 5": np.hstack([columns["level3"], columns["level4"]]),
        "all levels": np.hstack([columns[f"level{i}"] for i in range(5)]),
    }
    kinds: dict[str, Callable[[NDArray[Any]], Callable[[NDArray[Any]], NDArray[np.float64]]]] = {
        "a few directions": lambda features: fit_cloud(features).distance,
        "full covariance, half shrunk": shrunk,
        "nearest of 32 k-means centres": centres,
    }
    rows = []
    for level, features in levels.items():
        for kind, fit in kinds.items():
            distance = fit(features[train])(features)
            far = distance > np.quantile(distance[valid], 1 - FAR)
            rows.append({
                "features": level,
                "description": kind,
                "auroc": rounded(area_under_roc(distance[foreign], fails[foreign])),
                "flagged": {name: rounded(far[sets == name].mean()) for name in
                            ("sichuan", "uav 1/1", "uav 1/4", "mars", "hillshade")},
                "flagged_in_region": rounded(far[test].mean()),
            })  # fmt: skip
    return rows


def shrunk(features: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Mahalanobis distance with half the covariance of scaled channels and half the identity."""
    centre, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - centre) / spread
    inverse = np.linalg.inv(0.5 * np.cov(scaled.T) + 0.5 * np.eye(scaled.shape[1]))

    def distance(others: NDArray[Any]) -> NDArray[np.float64]:
        moved = (others - centre) / spread
        found: NDArray[np.float64] = np.sqrt(np.einsum("ni,ij,nj->n", moved, inverse, moved))
        return found

    return distance


def centres(features: NDArray[Any], count: int = 32) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Distance to the nearest centre of k-means on scaled channels."""
    centre, spread = features.mean(0), features.std(0) + 1e-6
    scaled = ((features - centre) / spread).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 50, 1e-3)
    cv2.setRNGSeed(0)
    _, _, middles = cv2.kmeans(scaled, count, None, criteria, 3, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]

    def distance(others: NDArray[Any]) -> NDArray[np.float64]:
        moved = (others - centre) / spread
        nearest: NDArray[np.float64] = np.linalg.norm(moved[:, None] - middles[None], axis=2).min(1)
        return nearest

    return distance


def transfer(columns: dict[str, Any]) -> dict[str, Any]:
    """IoU over the scale a picture is shown at, pooled; the scale is chosen on few labelled pictures."""
    sets, names, counts = columns["sets"], columns["names"], columns["counts"].astype(float)
    site = np.array([name.split()[0] for name in names.tolist()])
    found: dict[str, Any] = {
        "bijie test": rounded(iou(counts[sets == "bijie test"].sum(0))),
        "bijie test, with landslides": rounded(
            iou(counts[(sets == "bijie test") & (counts[:, 2:].sum(1) > 0)].sum(0))
        ),
        "uav in one piece": rounded(iou(counts[sets == "uav in one piece"].sum(0))),
        "sichuan as it is": rounded(iou(counts[sets == "sichuan"].sum(0))),
    }
    for place, divisors in (("sichuan", (1, 2, 4)), ("uav", (1, 2, 4, 8, 16))):
        found[f"{place}, blocks at 1/n"] = {
            divisor: rounded(iou(counts[sets == f"{place} 1/{divisor}"].sum(0))) for divisor in divisors
        }
    pictures = sorted(set(site[sets == "sichuan"].tolist()))
    few, rest = pictures[:3], pictures[3:]
    scale = {
        divisor: iou(counts[(sets == f"sichuan 1/{divisor}") & np.isin(site, few)].sum(0))
        for divisor in (1, 2, 4)
    }
    best = max(scale, key=lambda divisor: float(scale[divisor]))
    found["sichuan, scale chosen on three pictures"] = {
        "pictures": few,
        "divisor": best,
        "iou_of_the_others": rounded(iou(counts[(sets == f"sichuan 1/{best}") & np.isin(site, rest)].sum(0))),
        "iou_of_the_others_as_they_are": rounded(
            iou(counts[(sets == "sichuan") & np.isin(site, rest)].sum(0))
        ),
    }
    return found


def rounded(value: Any) -> float | None:
    """Three decimals; None for what cannot be measured."""
    return None if value is None or not np.isfinite(value) else round(float(value), 3)


COLOURS = {
    "bijie test": "#2b6cb0",
    "sichuan": "#2f855a",
    "uav 1/1": "#c53030",
    "uav 1/4": "#dd6b20",
    "uav 1/16": "#d69e2e",
    "mars": "#805ad5",
    "hillshade": "#4a5568",
}


def draw(columns: dict[str, Any], predictor: Predictor, path: Path) -> None:
    """IoU against distance, and how many of each set are flagged."""
    from matplotlib.figure import Figure

    counts, sets = columns["counts"].astype(float), columns["sets"]
    distance = predictor.require_familiar().distance(columns["level3"])
    landslides = counts[:, 2:].sum(1) / counts.sum(1) >= LANDSLIDE
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, colour in COLOURS.items():
        here = (sets == name) & landslides
        left.scatter(
            distance[here], iou(counts[here]), s=16, color=colour, alpha=0.75,
            label=f"{name} ({here.sum()})", linewidths=0,
        )  # fmt: skip
    left.axvline(1, color="black", linewidth=1, linestyle="--")
    left.axhline(FAILS, color="black", linewidth=0.6, linestyle=":")
    left.set(
        xscale="log", xlabel="distance from training (1: as far as the farthest twentieth held out)",
        ylabel="IoU of the picture", ylim=(-0.02, 1), title="Pictures with landslides",
    )  # fmt: skip
    left.legend(fontsize=8)
    value = predictor.require_familiar().value(distance)
    names = list(COLOURS)
    shares = [(value[sets == name] <= FAR).mean() for name in names]
    right.barh(names[::-1], shares[::-1], color=[COLOURS[name] for name in names[::-1]])
    right.axvline(FAR, color="black", linewidth=1, linestyle="--")
    right.set(xlim=(0, 1), xlabel=f"share with an applicability of at most {FAR}", title="Flagged")
    figure.savefig(path, dpi=110)


def draw_transfer(arguments: argparse.Namespace, predictor: Predictor, path: Path) -> None:
    """The UAV scene at three scales: prediction and applicability, block by block."""
    from matplotlib.figure import Figure

    with open_raster(arguments.data / "uav-scene/ortho.tif") as raster:
        scene = raster.read()
    with open_raster(arguments.data / "uav-scene/landslide_mask.tif") as raster:
        truth = raster.read()[0]
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    panels = figure.subplots(2, 4)
    height, width = truth.shape[0] // 16, truth.shape[1] // 16
    small: Any = cv2.resize(scene.transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_AREA)
    outline = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST)
    panels[0, 0].imshow(small)
    panels[0, 0].set_title("scene")
    panels[1, 0].imshow(outline, cmap="gray")
    panels[1, 0].set_title("truth")
    for column, divisor in enumerate((1, 4, 16), 1):
        said, value = maps_at(predictor, scene, truth, divisor)
        panels[0, column].imshow(small)
        panels[0, column].imshow(np.ma.masked_equal(enlarged(said, small), 0), alpha=0.6, cmap="autumn")
        panels[0, column].contour(outline, [0.5], colors="white", linewidths=0.8)
        panels[0, column].set_title(f"found, shown at 1/{divisor}")
        shown = panels[1, column].imshow(enlarged(value, small), vmin=0, vmax=0.3, cmap="viridis")
        panels[1, column].set_title("applicability")
    figure.colorbar(shown, ax=panels[1, :].tolist(), shrink=0.8)
    for panel in panels.flat:
        panel.set_axis_off()
    figure.savefig(path, dpi=100)


def maps_at(
    predictor: Predictor, scene: Pixels, truth: Pixels, divisor: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Classes and applicability of the scene at a scale, by blocks."""
    height, width = truth.shape[0] // divisor, truth.shape[1] // divisor
    said, value = np.zeros((height, width), np.float32), np.full((height, width), np.nan, np.float32)
    for item in blocks("", "", scene, truth, scene.max(0) > 10, divisor):
        top, left = (int(part) for part in item.name.split())
        assert item.valid is not None
        shown = Picture(np.ascontiguousarray(item.pixels), np.ascontiguousarray(item.valid), Grid())
        (made,) = predictor.predict([shown], tiling="whole", tta=False)
        place = np.s_[top : top + item.valid.shape[0], left : left + item.valid.shape[1]]
        said[place] = made.labels
        value[place] = np.where(item.valid, np.float32(made.applicability), np.nan)
    return said, value


def enlarged(values: NDArray[np.float32], like: Pixels) -> NDArray[np.float32]:
    """At the size of a picture (H, W, 3)."""
    height, width = like.shape[:2]
    resized: Any = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST)
    found: NDArray[np.float32] = resized
    return found


if __name__ == "__main__":
    main()
