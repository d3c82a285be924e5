"""The report of an evaluation put together: `report.json`, and `report.html` drawn from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..classes import Classes
from ..config.schema import DataConfig
from ..data import Store
from ..errors import DataError
from ..files import write_text
from ..prediction import Predictor
from ..views import Card
from ..views.html_parts import Shown
from ..views.report_page import Pictures, report_page
from ..views.report_pictures import card_strip
from .applicability import kept_part
from .evidence import Evidence, number
from .groups import groups_of, read_manifest
from .provenance import machine_facts, training_facts
from .scores import ImageScores
from .summary import (
    FORMAT,
    VERSION,
    area,
    consistency,
    detection,
    image_rows,
    intervals,
)

REPORT_JSON, REPORT_HTML = "report.json", "report.html"

DEFINITIONS = {
    "intervals": "Small print: 95 % intervals. Whole groups of images are drawn again 2000 times, never "
    "pixels; expanded percentile interval (Hesterberg 2015) with Kish's effective number of groups. No "
    "interval with fewer than 3 effective groups. Groups keep what overlaps together; they do not make "
    "another region.",
    "consistency": "Checked, in full and as printed: IoU = F1 / (2 - F1), F1 = 2 P R / (P + R), IoU = P R / "
    "(P + R - P R) for each class. These hold for pooled pixels of one class, not for means.",
    "detection": "The score of an image is the mean of the highest hundredth of its calibrated foreground "
    "probabilities. F1 depends on how many images hold an object: compare it with that of always saying so.",
    "calibration": "ECE: over 15 bins of equal width, the mean of |share that was so - probability said|, "
    "weighed by pixels (Guo et al. 2017), on these images. Before: without the temperature.",
    "kept": "Mean foreground IoU of what is kept when the least certain is left out: by the margin between "
    "the calibrated probabilities of the decided class and the best other one, pixel by pixel; by the "
    "applicability, image by image. Applicability: the share of held-out pictures of the training region, "
    "by groups, that lie at least as far from the training pictures in the encoder's features.",
    "area": "Stratified estimator of Olofsson et al. 2014 (eqs 9 to 11), map classes as strata. As every "
    "counted pixel has a label, the corrected area is the true one; the interval over groups says how far it "
    "would go for another sample of as many groups. The last column takes pixels for independent and is far "
    "too narrow.",
}


@dataclass(frozen=True)
class Material:
    """What an evaluation hands over."""

    predictor: Predictor
    model: Path | None
    data: DataConfig
    store: Store
    scores: dict[str, Any]
    images: Sequence[ImageScores]
    evidence: Evidence
    seconds: float
    label_conflicts: str | None
    """What `flexunet check` said of contradicting masks in these very pictures; None: it has not looked."""
    asked: dict[str, Any]
    """Settings of the evaluation that the scores do not say."""


def compose(material: Material) -> dict[str, Any]:
    """The content of `report.json`; JSON values.

    Raises:
        DataError: scores that cannot be true together.
    """
    predictor, scores, images = material.predictor, material.scores, material.images
    record, evidence = predictor.record, material.evidence
    classes, calibration = record.classes, predictor.calibration
    groups = groups_of(material.store.pairs, material.data)
    training = training_facts(record, material.model)
    sizes = [material.store.native_size(index) for index in range(len(images))]
    pixels = sum(height * width for height, width in sizes)
    report: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "version_of_flexunet": version("flexunet"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "title": _title(material.model),
        "split": scores["split"],
        "asked": material.asked,
        "classes": list(classes.names),
        "background": classes.background,
        "model": scores["model"],
        "data": _about_data(material),
        "training": training,
        "scores": scores,
        "consistency": consistency(scores),
        "intervals": intervals(images, groups, classes),
        "distribution": _distribution(images, classes),
        "evidence": evidence.by_class(),
        "detection": detection(
            images,
            evidence.image_scores,
            calibration.image_threshold if calibration else None,
            classes,
            groups,
        ),
        "calibration": evidence.calibration()
        | {"threshold": calibration.threshold if calibration and calibration.threshold else 0.5},
        "kept": kept_part(images, evidence.by_margin, classes),
        "area": area(images, groups, classes, evidence.areas_m2),
        "time": {
            "seconds": round(material.seconds, 3),
            "megapixels_per_second": pixels / 1e6 / max(material.seconds, 1e-9),
        },
        "machine": machine_facts(str(predictor.compute), torch.get_num_threads()),
        "images": image_rows(images, groups, evidence.image_scores, classes),
        "definitions": DEFINITIONS,
    }
    members = {member.fingerprint for member in record.members}
    report["warnings"] = _warnings(report, {record.fingerprint} | members)
    return report


def write_page(out: Path, report: dict[str, Any], pictures: Pictures) -> None:
    """Write `report.json` and `report.html` into `out`."""
    write_text(out / REPORT_JSON, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(out / REPORT_HTML, report_page(report, pictures))


def read_report(path: Path) -> dict[str, Any]:
    """The content of a `report.json`.

    Raises:
        DataError: not a report, of a newer version, or with scores that cannot be true together.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a readable report ({error}). Make it anew: flexunet report RUN"
        ) from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise DataError(f"{path}: not a report of flexunet.")
    if report.get("version") != VERSION:
        raise DataError(f"{path}: a report of version {report.get('version')}; {VERSION} is read here.")
    consistency(report["scores"])
    return report


def page_pictures(
    groups: Mapping[str, Sequence[Card]], classes: Classes, panel_px: int = 200
) -> dict[str, list[Shown]]:
    """Cards as pictures of a page, by heading."""
    return {
        name: [Shown(card_strip(card, classes, panel_px), card.caption) for card in cards]
        for name, cards in groups.items()
    }


def _title(model: Path | None) -> str:
    if model is None:
        return "a network in memory"
    folder = model.resolve().parent
    return folder.parent.name if folder.name == "models" else folder.name


def _about_data(material: Material) -> dict[str, Any]:
    manifest = read_manifest(material.store.pairs, material.data)
    splits: dict[str, dict[str, int]] = {}
    leakage = None
    if manifest is not None:
        items = [item for item in manifest.get("items", []) if isinstance(item, dict)]
        for split in ("train", "valid", "test"):
            own = [item for item in items if item.get("split") == split]
            kinds = Counter(bool(item.get("negative")) for item in own)
            splits[split] = {
                "images": kinds[False],
                "negatives": kinds[True],
                "groups": len({item.get("group") for item in own}),
            }
        leakage = _leak_of_manifest(items, manifest)
    quick = material.scores.get("leakage", {})
    if quick.get("status") != "not checked" and quick.get("text"):
        leakage = f"{quick['text']} {'By the manifest: ' + leakage if leakage else ''}".strip()
    check = f"flexunet check {material.data.root or 'CONFIG'}"
    return {
        "fingerprint": material.store.fingerprint,
        "splits": splits,
        "leakage": leakage or "not checked: flexunet check looks for it",
        "label_conflicts": material.label_conflicts
        or f"not checked: {check} looks for them, and the next evaluation says what it found",
        "notes": list(material.store.notes)[:12],
    }


def _leak_of_manifest(items: Sequence[dict[str, Any]], manifest: dict[str, Any]) -> str:
    """Whether a group of the manifest lies in two splits."""
    places: dict[Any, set[Any]] = {}
    for item in items:
        places.setdefault(item.get("group"), set()).add(item.get("split"))
    torn = sum(len(splits) > 1 for splits in places.values())
    origin = manifest.get("options", {}).get("groups")
    how = f" (groups by {origin})" if isinstance(origin, str) else ""
    if torn:
        return f"{torn} groups{how} lie in more than one split: the scores are too good"
    return f"no group{how} lies in two splits"


def _distribution(images: Sequence[ImageScores], classes: Classes) -> dict[str, Any]:
    """Histograms in tenths and quantiles of the scores of single images."""
    result: dict[str, Any] = {"quantiles": {}}
    for name, wanted in (("with_foreground", True), ("without_foreground", False)):
        values = np.array([
            score for image in images
            if image.has_foreground(classes) == wanted and (score := image.score(classes)) is not None
        ])  # fmt: skip
        result[name] = np.histogram(values, 10, (0, 1))[0].tolist()
        label = "with an object" if wanted else "without"
        shares = {"lowest": 0, "10 %": 0.1, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "highest": 1}
        result["quantiles"][label] = (
            {key: number(float(np.quantile(values, share))) for key, share in shares.items()}
            if len(values)
            else None
        )
    return result


def _warnings(report: dict[str, Any], trained_on: Set[str | None]) -> list[str]:
    """What a reader has to know first; `trained_on`: fingerprints of what the model or its members saw."""
    found = []
    if report["scores"]["leakage"]["status"] == "leak":
        found.append(report["scores"]["leakage"]["text"])
    if report["training"]["unfinished"]:
        found.append(f"Half-finished run: {report['training']['unfinished']}. These are the scores so far.")
    if report["split"] == "train":
        found.append("Scores on the training split say what was memorised, not what a new image would give.")
    if report["data"]["fingerprint"] in trained_on:
        found.append("The model was trained on these very images.")
    fitted = report["calibration"]["fitted"]
    if fitted and fitted["fitted_on"].get("fingerprint") == report["data"]["fingerprint"]:
        found.append("Temperature and threshold were fitted on these very images.")
    if fitted and fitted["tta"] != report["scores"]["prediction"]["tta"]:
        found.append(
            "The calibration was fitted " + ("with" if fitted["tta"] else "without")
            + " flips and turns, this evaluation is the other way round."
        )  # fmt: skip
    if report["intervals"]["groups"] < 20:
        found.append(f"Only {report['intervals']['groups']} groups: the intervals are rough.")
    return found
