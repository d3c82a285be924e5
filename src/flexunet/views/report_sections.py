"""Sections of the report page: one class, false alarms and detection, calibration, area."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from .html_parts import faint, percent, section, table, three, with_interval
from .svg import Line, bar_chart, line_chart


def per_class(report: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Curves, objects and outlines of one class."""
    curves, objects, outline = entry["curves"], entry["objects"], entry["boundary"]
    threshold = report["calibration"]["threshold"]
    charts = [
        (
            line_chart([Line(curves["recall"], curves["precision"])], x_label="recall", y_label="precision",
                       title="Precision over recall"),
            f"Average precision {three(curves['average_precision'])}; saying it everywhere would give "
            f"{three(curves['true_share'])}.",
        ),
        (
            line_chart(
                [Line(curves["threshold"], curves[name], name if name != "iou" else "IoU")
                 for name in ("precision", "recall", "iou")],
                x_label="threshold on the calibrated probability", y_label="score",
                vertical=threshold, title="Scores over the threshold",
            ),
            "Dashed: the threshold in use. The best IoU on these images would be "
            f"{three(curves['best_iou_here'])} at {three(curves['best_threshold_here'])}; it is not "
            "chosen on them.",
        ),
        (
            bar_chart(
                [_size(size, objects["unit"]) for size in objects["by_size"]],
                [("recall", [size["recall"] for size in objects["by_size"]]),
                 ("precision", [size["precision"] for size in objects["by_size"]])],
                counts=[f"{size['truth']} / {size['predicted']}" for size in objects["by_size"]],
                x_label="area of an object" + (", m²" if objects["unit"] == "m2" else ", pixels"),
                y_label="share of objects", title="Objects by size",
            ),
            f"Objects are 8-connected patches. Of {objects['truth']} true ones {objects['found']} are found "
            f"(half their area or more), {objects['touched']} touched. Of {objects['predicted']} predicted "
            f"ones {objects['right']} are right (half their area or more). Small print: true / predicted.",
        ),
        (
            line_chart([Line(outline["distances_px"], outline["f1"], marks=True)], x_label="pixels",
                       y_label="boundary F1", x_range=(0.5, 5.5), title="Boundary F1"),
            "Share of the outlines that lie within so many pixels of each other: "
            + ", ".join(
                f"{px} px {three(f1)}" for px, f1 in zip(outline["distances_px"], outline["f1"], strict=True)
            ) + ".",
        ),
    ]  # fmt: skip
    shown = "".join(
        f"<figure>{chart}<figcaption>{escape(caption)}</figcaption></figure>" for chart, caption in charts
    )
    return section(entry["name"], f'<div class="charts">{shown}</div>')


def _size(size: Mapping[str, Any], unit: str) -> str:
    low, high = size["low"], size["high"]
    if high is None:
        return f"≥ {low:,g}"
    return f"< {high:,g}" if not low else f"{low:,g}–{high:,g}"


def alarms(report: Mapping[str, Any]) -> str:
    """Images without any object, and the image-level detection."""
    empty, found = report["scores"]["without_foreground"], report["detection"]
    parts = []
    if empty["images"]:
        parts.append(
            f"<p>{empty['images_with_false_alarm']} of {empty['images']} images without any object have a "
            f"false alarm, on {percent(empty['false_alarm_share'])} of their pixels (at most "
            f"{percent(empty['largest_share_in_an_image'])} of an image).</p>"
        )
    else:
        parts.append(
            "<p>No image of this split is without an object: false alarms there are not measured.</p>"
        )
    if found:
        names = {
            "any_pixel": "any pixel predicted",
            "image_threshold": f"image score from {three(found['image_threshold'])}, fitted on validation",
            "always": "for comparison: always “there is one”",
        }
        rows = [
            [escape(names[name]),
             with_interval(rule["f1"], rule["f1_interval"] if name != "always" else None),
             three(rule["precision"]), three(rule["recall"]),
             f"{rule['hits']} / {rule['misses']} / {rule['false_alarms']} / {rule['rejections']}"]
            for name, rule in found["rules"].items()
        ]  # fmt: skip
        parts.append(
            f"<p>Does an image hold an object at all? {found['images_with']} do, {found['images_without']} "
            f"do not. AUROC {three(found['auroc'])}.</p>"
        )
        head = [
            "an image is said to hold one by",
            "F1",
            "precision",
            "recall",
            "found / missed / false / right no",
        ]
        parts.append(table(head, rows))
        parts.append(faint(report["definitions"]["detection"]))
    return section("False alarms, and whole images", *parts)


def calibration(report: Mapping[str, Any]) -> str:
    """What was fitted, and reliability diagrams before and after."""
    told = report["calibration"]
    fitted = told["fitted"]
    if fitted is None:
        text = (
            "The model file holds no calibration: flexunet evaluate RUN --calibrate fits one on validation."
        )
    else:
        threshold, on = fitted["threshold"], fitted["fitted_on"]
        text = (
            f"Temperature {fitted['temperature']:.3f}, threshold "
            + ("none (the likeliest class)" if threshold is None else f"{threshold:.3f}")
            + f", fitted on {on.get('images', '?')} {on.get('split', '')} images."
        )
    figures = []
    for name, both in [
        ("likeliest class", {key: told[key]["reliability"] for key in ("before", "after")}),
        *((entry["name"], entry["reliability"]) for entry in report["evidence"]),
    ]:
        lines = [
            Line(
                both[key]["said"],
                both[key]["found"],
                f"{key if fitted else 'as it is'}, ECE {three(both[key]['ece'])}",
                marks=True,
            )
            for key in ("before", "after")
            if key == "after" or fitted is not None
        ]
        chart = line_chart(
            lines, x_label="probability said", y_label="share that was so", diagonal=True, title="Reliability"
        )
        figures.append(f"<figure>{chart}<figcaption>{escape(name)}</figcaption></figure>")
    rows = [
        [key if fitted else "as it is", three(told[key]["ece"], 4), three(told[key]["nll"], 4)]
        for key in ("before", "after")
        if key == "after" or fitted is not None
    ]  # fmt: skip
    head = ["", "ECE of the likeliest class", "negative log-likelihood"]
    return section(
        "Calibration", f"<p>{escape(text)}</p>", table(head, rows),
        f'<div class="charts">{"".join(figures)}</div>', faint(report["definitions"]["calibration"]),
    )  # fmt: skip


def kept(report: Mapping[str, Any]) -> str:
    """The score of what is kept over the share that is left out."""
    told = report.get("kept")
    if not told:
        return ""
    names = {"by_margin": "pixels, by margin", "by_applicability": "images, by applicability"}
    lines = [
        Line(told[key]["left_out"], told[key]["iou"], name) for key, name in names.items() if told.get(key)
    ]
    chart = line_chart(
        lines, x_label="share of pixels left out", y_label="IoU of the rest", x_range=(0, 1),
        title="What leaving out gains",
    )  # fmt: skip
    about = report["scores"].get("applicability")
    if about is None:
        text = (
            "The model file does not say how far images lie from those of training: flexunet evaluate RUN "
            "--calibrate adds it where the training data are at hand."
        )
    else:
        text = (
            f"{about['far']} of {about['images']} images lie as far from those of training as at most "
            f"{100 * about['level']:g} of 100 held-out ones do; the median applicability is "
            f"{three(about['median'])}, and 0.5 where images are like the held-out ones."
        )
    return section(
        "Where not to trust the map", f"<p>{escape(text)}</p>",
        f'<div class="charts"><figure>{chart}</figure></div>', faint(report["definitions"]["kept"]),
    )  # fmt: skip


def area(report: Mapping[str, Any]) -> str:
    """Mapped, true and corrected areas."""
    told = report["area"]
    if told is None:
        return ""
    unit = "m²" if told["unit"] == "m2" else "pixels"

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:,.0f}"

    rows = []
    for row in told["classes"]:
        own = row["interval"]
        rows.append([
            escape(row["name"]), shown(row["mapped"]), shown(row["true"]), shown(row["corrected"]),
            "–" if own is None else f"{shown(own['low'])} – {shown(own['high'])}",
            f"± {shown(row['margin_if_pixels_were_independent'])}",
        ])  # fmt: skip
    head = [
        "class",
        f"mapped, {unit}",
        "true",
        "corrected",
        "95 %, over groups",
        "95 %, if pixels were independent",
    ]
    names = [row["name"] for row in told["classes"]]
    shares = [
        [escape(name), *(percent(value) for value in row)]
        for name, row in zip(names, told["true_share_of_mapped"], strict=True)
    ]
    return section(
        "Mapped area", table(head, rows), faint(report["definitions"]["area"]),
        "<h3>What a mapped class truly is</h3>",
        table(["mapped as", *(f"truly {name}" for name in names)], shares),
    )  # fmt: skip
