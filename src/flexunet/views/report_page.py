"""The report as one HTML page that opens anywhere without a network: styles, charts and pictures inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from .html_parts import Shown, facts, faint, page, picture_grid, section, table, three, with_interval
from .report_sections import alarms, area, calibration, kept, per_class
from .svg import Line, bar_chart, interval_bar, line_chart

Pictures = Mapping[str, Sequence[Shown]]
"""By heading."""
_RATES = ("encoder_rate", "weight_decay", "warmup", "clip_norm", "clip_value", "ema", "accumulate")


def report_page(report: Mapping[str, Any], pictures: Pictures) -> str:
    """The page of one evaluation; `report` is the content of `report.json`."""
    parts = [_head(report), _key_cards(report)]
    parts += [f'<div class="warn">{escape(text)}</div>' for text in report["warnings"]]
    parts += [_data(report), _training(report), _scores(report), _distribution(report)]
    parts += [per_class(report, entry) for entry in report["evidence"]]
    parts += [alarms(report), calibration(report), kept(report), area(report)]
    parts += [_gallery(pictures), _footing(report)]
    return page(f"{report['title']}: {report['split']}", parts)


def _head(report: Mapping[str, Any]) -> str:
    return (
        f"<h1>{escape(report['title'])}</h1>"
        f'<p class="faint">{escape(report["split"])} split, {report["scores"]["images"]} images, '
        f"{report['scores']['pixels']:,} pixels with a label. Made {escape(report['created'])} "
        f"by flexunet {escape(report['version_of_flexunet'])}. This page needs no network.</p>"
    )


def _key_cards(report: Mapping[str, Any]) -> str:
    cards = []
    for place, row in enumerate(report["scores"]["classes"]):
        if row["name"] not in [entry["name"] for entry in report["evidence"]]:
            continue
        interval = report["intervals"]["all"][place]["iou"]
        span = "" if interval is None else f", 95 % {three(interval['low'])} – {three(interval['high'])}"
        cards.append((three(row["iou"]), f"IoU of {row['name']}{span}"))
    found = report["detection"]
    if found and found["auroc"] is not None:
        cards.append((three(found["auroc"]), "AUROC: image with an object or without"))
    empty = report["scores"]["without_foreground"]
    if empty["images"]:
        cards.append(
            (f"{empty['images_with_false_alarm']} of {empty['images']}", "empty images with false alarm")
        )
    cards.append((three(report["calibration"]["after"]["ece"]), "calibration error (ECE)"))
    shown = "".join(
        f'<div class="card"><b>{escape(b)}</b><span>{escape(t)}</span></div>' for b, t in cards[:6]
    )
    return f'<div class="cards">{shown}</div>'


def _data(report: Mapping[str, Any]) -> str:
    data, drawn = report["data"], report["intervals"]
    rows = [
        [escape(name), *(f"{split.get(key, 0):,}" for key in ("images", "negatives", "groups"))]
        for name, split in data["splits"].items()
    ]
    parts = [
        facts({
            "fingerprint of this split": data["fingerprint"],
            "fingerprint of the training data": report["model"]["training_data"],
            "units of the intervals": f"{drawn['groups']} groups ({drawn['source']})",
            "leakage": data["leakage"],
            "labels that contradict": data["label_conflicts"],
        })
    ]  # fmt: skip
    if rows:
        parts.append(table(["split", "images with mask", "without any object", "groups"], rows))
    parts += [faint(f"Note: {note}") for note in data["notes"]]
    return section("The data", *parts)


def _training(report: Mapping[str, Any]) -> str:
    told, config = report["training"], report["training"]["config"]
    losses = ", ".join(str(term.get("name")) for term in config.get("loss", []))
    size, bands = told["model_bytes"], ", ".join(told["bands"])
    done, planned = told["epochs_done"], told["epochs_planned"]
    members = told.get("members", ())
    kinds = {row["architecture"] for row in members}
    shown = facts({
        "ensemble": f"mean of the probabilities of {len(members)} networks" if members else None,
        "network": ", ".join(sorted(kinds)) if len(kinds) > 1
        else ", ".join(f"{name} {value}" for name, value in told["model"].items()),
        "input": f"{told['size'][0]} x {told['size'][1]} ({told['sizing']}), bands {bands}",
        "images": told["images"] or _span(row["images"] for row in members),
        "epochs": f"{done} of {planned}" if done is not None else planned,
        "model kept": None if told["best_epoch"] is None else f"epoch {told['best_epoch']}",
        "training time": None if told["seconds"] is None
        else f"{told['seconds'] / 60:.1f} min{', all members together' if members else ''}",
        "loss": losses or None,
        "optimiser": f"{config['optimizer']}, learning rate {config['learning_rate']:g}, {config['schedule']}"
        if "optimizer" in config else None,
        "rates": _settings(config, _RATES),
        "batch": config.get("batch_size"),
        "augmentation": _augmentation(told["augmentation"]),
        "seed": config.get("seed", ", ".join(dict.fromkeys(str(row["seed"]) for row in members)) or None),
        "device": f"{told['accelerator']}, precision {told['precision']}" if told["accelerator"] else None,
        "processor": None if told.get("processor") is None
        else f"{told['processor']}, {told['threads']} threads",
        "most memory of the process": None if told.get("peak_memory_mb") is None
        else f"{told['peak_memory_mb']:,.0f} MB",
        "model file": None if size is None else f"{size / 1e6:.1f} MB, SHA-256 {report['model']['sha256']}",
    })  # fmt: skip
    curve = told["curve"]
    chart = ""
    if curve and len(curve["epoch"]) > 1 and any(value is not None for value in curve["val_iou"]):
        last = max(value or 1 for value in curve["epoch"])
        chart = line_chart(
            [Line(curve["epoch"], curve["val_iou"], "validation IoU, at the network's size")],
            x_label="epoch", y_label="IoU", x_range=(1, last), title="Validation IoU over epochs",
        )  # fmt: skip
        chart = f'<div class="charts"><figure>{chart}</figure></div>'
    return section("How it was trained", shown, chart, _members(members))


def _augmentation(told: Mapping[str, Any] | bool | None) -> str | None:
    """Every operation that happens, by its key; pages of earlier versions only know whether there is any."""
    if not isinstance(told, Mapping):
        return None if told is None else ("on" if told else "off")
    if not told:
        return None
    if not told.get("enabled"):
        return "off"
    return _settings(told, [name for name in told if name != "enabled"])


def _settings(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """`ema 0.998, noise (probability 0.2, deviation 0.05)`; what is off is left out."""
    said = []
    for name in names:
        value = values.get(name)
        if value is None or value is False or value == 0 or value == []:
            continue
        said.append(name if value is True else f"{name} {_value(value)}")
    return ", ".join(said) or None


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_settings(value, value) or ''})"
    if isinstance(value, list):
        parts = [f"({_value(item)})" if isinstance(item, list) else _value(item) for item in value]
        return (" to " if len(value) == 2 else ", ").join(parts)
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _members(members: Sequence[Mapping[str, Any]]) -> str:
    """The table of an ensemble's members; nothing for a single network."""
    if not members:
        return ""
    rows = [
        [
            escape(str(row["member"])),
            *(_cell(row[name]) for name in ("seed", "images", "epochs_done", "epochs_planned", "best_epoch")),
            "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}",
        ]
        for row in members
    ]
    head = ["member", "seed", "images", "epochs", "planned", "epoch kept", "minutes"]
    return table(head, rows)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value}"


def _span(values: Iterable[int | None]) -> str | None:
    """`8 to 9 a member`; None where there are no members, or one does not say it."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    if not known or len(numbers) < len(known):
        return None
    return f"{min(numbers)} to {max(numbers)} a member"


def _scores(report: Mapping[str, Any]) -> str:
    parts = []
    for heading, key, scores in (
        ("All images", "all", report["scores"]),
        ("Images with an object only", "with_foreground", report["scores"]["with_foreground"]),
    ):
        rows = [
            [
                escape(row["name"]),
                *(with_interval(row[name], own[name]) for name in ("iou", "f1", "precision", "recall")),
                _bar(own["iou"]),
                f"{row['truth_pixels']:,}",
            ]
            for row, own in zip(scores["classes"], report["intervals"][key], strict=True)
        ]
        parts.append(f"<h3>{heading}: {scores['images']}</h3>")
        parts.append(table(["class", "IoU", "F1", "precision", "recall", "IoU, 0 to 1", "true pixels"], rows))
    definitions = report["scores"]["definitions"]
    parts.append(
        "<p>" + "<br>".join(
            f"<b>{name}</b>: {escape(definitions[key])}"
            for name, key in (("pooled", "pooled"), ("IoU", "iou"), ("F1", "f1"), ("precision", "precision"),
                              ("recall", "recall"))
        ) + "</p>"
    )  # fmt: skip
    parts.append(faint(report["definitions"]["intervals"]))
    parts.append(
        faint(f"Pixel accuracy, in which background counts: {three(report['scores']['pixel_accuracy'])}.")
    )
    parts.append(faint(report["definitions"]["consistency"]))
    return section("Scores", *parts)


def _bar(interval: Mapping[str, Any] | None) -> str:
    if interval is None:
        return ""
    return interval_bar(interval["value"], interval["low"], interval["high"])


def _distribution(report: Mapping[str, Any]) -> str:
    own = report["distribution"]
    names = [f"{step / 10:g}" for step in range(10)]
    groups = [("images with an object", own["with_foreground"]), ("without", own["without_foreground"])]
    highest = max([1, *(a + b for a, b in zip(groups[0][1], groups[1][1], strict=True))])
    chart = bar_chart(
        names, groups, x_label="score from", y_label="images", y_max=highest, title="Scores of single images"
    )
    quantiles = own["quantiles"]
    rows = [
        [name, *(three(value) for value in values.values())] for name, values in quantiles.items() if values
    ]
    head = ["", *next((list(values) for values in quantiles.values() if values), [])]
    return section(
        "From image to image",
        f'<div class="charts"><figure>{chart}</figure></div>',
        table(head, rows),
        faint(report["scores"]["definitions"]["image_scores"]),
    )


def _gallery(pictures: Pictures) -> str:
    parts = [f"<h3>{escape(name)}</h3>{picture_grid(shown)}" for name, shown in pictures.items() if shown]
    if not parts:
        return ""
    note = "Image, truth, prediction; the truth's outline in white over the prediction."
    return section("Pictures", faint(note), *parts)


def _footing(report: Mapping[str, Any]) -> str:
    machine, time = report["machine"], report["time"]
    versions = ", ".join(f"{name} {value}" for name, value in report["training"]["versions"].items())
    flips = " with eight flips and turns" if report["scores"]["prediction"]["tta"] else ""
    return section(
        "Time, memory, hardware",
        facts({
            "prediction": f"{time['seconds']:.1f} s for {report['scores']['images']} images, "
            f"{time['megapixels_per_second']:.2f} Mpx/s"
            f"{flips}; scoring included",
            "most memory of the process": None if machine["peak_memory_mb"] is None
            else f"{machine['peak_memory_mb']:,.0f} MB",
            "processor": f"{machine['processor']}, {machine['cores']} logical cores",
            "threads": machine["threads"],
            "computing": machine["compute"],
            "system": f"{machine['system']}, Python {machine['python']}",
            "trained with": versions,
        }),
    )  # fmt: skip
