"""Several models on the same images as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .html_parts import Shown, facts, faint, page, picture_grid, section, table, three
from .svg import interval_bar


def compare_page(comparison: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    """The page of a comparison; `comparison` is the content of `comparison.json`."""
    names = comparison["names"]
    parts = [
        f"<h1>{escape(' against '.join(names))}</h1>",
        faint(
            f"{comparison['split']} split, {comparison['images']} images in {comparison['groups']} groups "
            f"({comparison['group_source']}). Made {comparison['created']}. This page needs no network."
        ),
        _verdicts(comparison),
        section(
            "Scores and differences",
            *(_class_table(comparison, name) for name in comparison["classes"]),
            faint(comparison["definition"]),
        ),
        _beside(comparison),
    ]
    if shown:
        note = f"Image, truth, then {', '.join(names)}; the truth's outline in white over each prediction."
        parts.append(section("Where they disagree most", faint(note), picture_grid(shown)))
    return page(" against ".join(names), parts)


def _verdicts(comparison: Mapping[str, Any]) -> str:
    """One sentence a foreground class and model, on IoU."""
    lines = []
    background = comparison["background"]
    for place, name in enumerate(comparison["classes"]):
        if place == background:
            continue
        row = next(r for r in comparison["rows"] if r["class"] == name and r["measure"] == "iou")
        for other, own in zip(comparison["names"][1:], row["differences"], strict=True):
            if own is None:
                lines.append(
                    f"{name}: {other} and {comparison['names'][0]} cannot be told apart: too few groups."
                )
                continue
            span = f"{own['value']:+.3f} (95 %: {own['low']:+.3f} to {own['high']:+.3f})"
            sure = "no difference that these images prove" if own["low"] <= 0 <= own["high"] else (
                "better" if own["value"] > 0 else "worse"
            )  # fmt: skip
            lines.append(f"IoU of {name}: {other} against {comparison['names'][0]} {span}: {sure}.")
    return section("In short", *(f"<p>{escape(line)}</p>" for line in lines))


def _class_table(comparison: Mapping[str, Any], name: str) -> str:
    names = comparison["names"]
    rows = []
    own = [row for row in comparison["rows"] if row["class"] == name]
    ends = [abs(d[end]) for row in own for d in row["differences"] if d for end in ("low", "high")]
    reach = max(ends, default=1.0) or 1.0
    for row in own:
        cells = [escape({"iou": "IoU", "f1": "F1"}.get(row["measure"], row["measure"]))]
        cells += [three(value) for value in row["values"]]
        for gap in row["differences"]:
            if gap is None:
                cells += ["–", ""]
                continue
            cells.append(f"{gap['value']:+.3f} <small>{gap['low']:+.3f} to {gap['high']:+.3f}</small>")
            cells.append(interval_bar(gap["value"], gap["low"], gap["high"], (-reach, reach)))
        rows.append(cells)
    head = ["", *names]
    for other in names[1:]:
        head += [f"{other} less {names[0]}", f"−{reach:.2f} to +{reach:.2f}"]
    return f"<h3>{escape(name)}</h3>{table(head, rows)}"


def _beside(comparison: Mapping[str, Any]) -> str:
    parts = []
    for name, own in zip(comparison["names"], comparison["others"], strict=True):
        seconds, size = own["training_seconds"], own["model_bytes"]
        alarms = f"{own['images_with_false_alarm']} of {own['images_without']}"
        parts.append(f"<h3>{escape(name)}</h3>")
        parts.append(
            facts({
                "network": own["architecture"],
                "empty images with false alarm": alarms,
                "AUROC of whole images": None if own["auroc"] is None else three(own["auroc"]),
                "calibration error": three(own["ece"]),
                "prediction": f"{own['megapixels_per_second']:.2f} Mpx/s"
                + (", eight flips and turns" if own["tta"] else ""),
                "training": None if seconds is None else f"{seconds / 60:.1f} min",
                "model file": None if size is None else f"{size / 1e6:.1f} MB",
            })
        )  # fmt: skip
    return section("Beside the scores", *parts)
