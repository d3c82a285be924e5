"""The scores as a few lines of text."""

from __future__ import annotations

from typing import Any

from .scores import MEASURES


def score_table(scores: dict[str, Any]) -> str:
    """The scores of `Evaluation.scores` for a terminal."""
    rows = [["class", "IoU", "F1", "precision", "recall", "true pixels"]]
    rows += [
        [row["name"], *map(three, _measures(row)), f"{row['truth_pixels']:,}"] for row in scores["classes"]
    ]
    rows.append(["mean foreground", *map(three, _measures(scores["foreground"])), ""])
    lines = [f"{scores['split']}: {scores['images']} images, {scores['pixels']:,} pixels counted", ""]
    lines += aligned(rows)
    lines += ["", f"pixel accuracy {three(scores['pixel_accuracy'])}"]
    empty, full = scores["without_foreground"], scores["with_foreground"]
    if empty["images"]:
        lines.append(
            f"{full['images']} images with foreground: mean IoU {three(full['foreground']['iou'])}; "
            f"{empty['images']} without: false alarm in {empty['images_with_false_alarm']}, "
            f"on {percent(empty['false_alarm_share'])} of their pixels"
        )
    in_tiles = scores["prediction"]["images_in_tiles"]
    if in_tiles:
        lines.append(f"{in_tiles} images were predicted in tiles, at native resolution")
    reference = scores["reference"]
    height, width = reference["size"]
    lines.append(
        f"the reference's numbers at {height} x {width}: "
        + ", ".join(
            f"{reference[what]['name']} {_four(reference[what]['value'])}" for what in ("loss", "metric")
        )
    )
    about = scores.get("applicability")
    if about:
        lines.append(
            f"applicability: {about['far']} of {about['images']} images are as far from those of training as "
            f"at most {100 * about['level']:g} of 100 held-out ones are"
        )
    lines.append(scores["leakage"]["text"])
    return "\n".join(lines)


def _measures(row: dict[str, Any]) -> list[float | None]:
    return [row[measure] for measure in MEASURES]


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines of columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]


def three(value: float | None) -> str:
    """Three decimals; a dash for what cannot be measured."""
    return "-" if value is None else f"{value:.3f}"


def _four(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def percent(value: float | None) -> str:
    """A share as `12.34 %`."""
    return "-" if value is None else f"{100 * value:.2f} %"
