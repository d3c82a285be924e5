"""The scores as a few lines of text."""

from __future__ import annotations

from typing import Any

from .scores import MEASURES


def score_table(scores: dict[str, Any]) -> str:
    """The scores of `Evaluation.scores` for a terminal."""
    rows = [["class", "IoU", "F1", "precision", "recall", "true pixels"]]
    rows += [
        [row["name"], *map(_three, _measures(row)), f"{row['truth_pixels']:,}"] for row in scores["classes"]
    ]
    rows.append(["mean foreground", *map(_three, _measures(scores["foreground"])), ""])
    lines = [f"{scores['split']}: {scores['images']} images, {scores['pixels']:,} pixels counted", ""]
    lines += _aligned(rows)
    lines += ["", f"pixel accuracy {_three(scores['pixel_accuracy'])}"]
    empty, full = scores["without_foreground"], scores["with_foreground"]
    if empty["images"]:
        lines.append(
            f"{full['images']} images with foreground: mean IoU {_three(full['foreground']['iou'])}; "
            f"{empty['images']} without: false alarm in {empty['images_with_false_alarm']}, "
            f"on {_percent(empty['false_alarm_share'])} of their pixels"
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
    return "\n".join(lines)


def _measures(row: dict[str, Any]) -> list[float | None]:
    return [row[measure] for measure in MEASURES]


def _aligned(rows: list[list[str]]) -> list[str]:
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


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _four(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
