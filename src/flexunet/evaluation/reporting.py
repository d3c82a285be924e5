"""`flexunet report`: finds or makes the report of each run, and compares several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, OutputExistsError
from ..files import sha256_of
from ..modelfile import read_record
from .compare import COMPARISON_HTML, COMPARISON_JSON, compare_reports, write_comparison
from .compose import REPORT_HTML, REPORT_JSON, read_report
from .inputs import Job, evaluate_job, evaluation_folder, job_of
from .opening import Progress, Split, open_split
from .report import finished


@dataclass(frozen=True)
class Reports:
    """What `report_runs` leaves: the pages, the last one being what was asked for, and notes."""

    pages: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Wanted:
    """What a report has to be about to be the one that is asked for."""

    job: Job
    split: Split
    tta: bool
    pixel_size_m: float | None
    """None: not said, any will do."""
    fingerprint: str | None
    """Of the images; None: they are not here."""

    def differences(self, report: dict[str, Any]) -> list[str]:
        """In what a report is another one, the model aside; what an early report does not say is no
        difference, but for a pixel size that is asked for.
        """
        asked, settings = report.get("asked", {}), self.job.settings
        reference = report["scores"]["reference"]
        found = [
            ("another split", report["split"] != self.split),
            ("other images", self.fingerprint not in (None, report["data"]["fingerprint"])),
            ("another pixel size", self.pixel_size_m not in (None, asked.get("pixel_size_m"))),
            ("another use of flips and turns", report["scores"]["prediction"]["tta"] != self.tta),
            ("another number of pictures", asked.get("gallery", settings.gallery) != settings.gallery),
            ("another loss", reference["loss"]["name"] != self.job.loss),
            ("another metric", reference["metric"]["name"] != self.job.metric),
        ]
        return [what for what, differs in found if differs]

    @property
    def digest(self) -> str:
        """Short name of all this."""
        settings = self.job.settings
        parts = [self.fingerprint, self.pixel_size_m, settings.gallery, self.job.loss, self.job.metric]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=4).hexdigest()


def report_runs(
    targets: Sequence[Path],
    split: Split = "test",
    *,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    tta: bool = False,
    pixel_size_m: float | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Reports:
    """The report of each run; of several runs also their comparison.

    A report that is there is used if it is of this model, these images and these settings. Where the one in
    evaluation_SPLIT is of other images or settings, it stays, and the evaluation goes beside it.

    Raises:
        ConfigError, DataError, ModelFileError: a target without a trained model, or runs that cannot be
        compared.
        OutputExistsError: a folder holds another evaluation and `overwrite` is False.
    """
    jobs = [job_of(target, split, data, overrides) for target in targets]
    notes = [note for job in jobs for note in job.notes]
    several = len(jobs) > 1
    folder = (out or jobs[0].base / f"comparison_{split}") if several else None
    if folder is not None and (folder / COMPARISON_JSON).exists() and not overwrite:
        raise OutputExistsError(f"{folder} holds a comparison already. Use --overwrite, or another folder.")
    special = data is not None or bool(overrides) or pixel_size_m is not None
    named = None if several else out
    pages, reports = [], []
    for job in jobs:
        wanted = _wanted(job, split, tta or job.settings.tta, pixel_size_m, special, progress)
        place = named or evaluation_folder(job, split, tta=tta)
        if named is None and (special or not overwrite):
            place, told = _place(place, wanted)
            notes += told
        report = None if overwrite else _there(place, wanted)
        if report is None:
            evaluate_job(
                job, split, place, tta=tta, pixel_size_m=pixel_size_m, overwrite=overwrite, progress=progress
            )
            report = read_report(place / REPORT_JSON)
        elif wanted.fingerprint is None:
            notes.append(f"{place}: its images are not here; not compared with those of the report.")
        notes += [f"{place}: {warning}" for warning in report["warnings"]]
        reports.append(report)
        pages.append(place / REPORT_HTML)
    if folder is not None:
        names = _distinct([report["title"] for report in reports])
        comparison = compare_reports(reports, names)
        eightfold = [tta or job.settings.tta for job in jobs]
        write_comparison(folder, comparison, jobs, split, eightfold, progress)
        pages.append(folder / COMPARISON_HTML)
    return Reports(tuple(pages), tuple(notes))


def _wanted(
    job: Job, split: Split, tta: bool, pixel_size_m: float | None, special: bool, progress: Progress | None
) -> _Wanted:
    """What is asked for. Images that cannot be opened are no fault where the run's own are asked for."""
    tell: Progress = progress or (lambda stage, done, images: None)
    try:
        fingerprint = open_split(read_record(job.model), job.data, split, tell).fingerprint
    except DataError:
        if special:
            raise
        fingerprint = None
    return _Wanted(job, split, tta, pixel_size_m, fingerprint)


def _place(usual: Path, wanted: _Wanted) -> tuple[Path, list[str]]:
    """The usual folder, or one beside it where that holds a report of something else; and what to say."""
    if not _has_report(usual):
        return usual, []
    other = wanted.differences(read_report(usual / REPORT_JSON))
    if not other:
        return usual, []
    beside = usual.with_name(f"{usual.name}_{wanted.digest}")
    return beside, [f"{usual} is of {' and '.join(other)}; what is asked for is in {beside.name}."]


def _there(place: Path, wanted: _Wanted) -> dict[str, Any] | None:
    """The report in a folder if it is what is asked for; None where there is no evaluation at all."""
    if _has_report(place):
        report = read_report(place / REPORT_JSON)
        if report["model"]["sha256"] != sha256_of(wanted.job.model):
            raise OutputExistsError(
                f"{place} holds the report of another state of {wanted.job.model.name}. Make it anew with "
                "--overwrite."
            )
        other = wanted.differences(report)
        if other:
            raise OutputExistsError(
                f"{place} holds a report of {' and '.join(other)} than asked for. Make it anew with "
                "--overwrite, or elsewhere with --out."
            )
        return report
    if finished(place):
        raise OutputExistsError(
            f"{place} holds an evaluation without a report. Make it anew with --overwrite, or elsewhere with "
            "--out."
        )
    return None


def _has_report(place: Path) -> bool:
    return (place / REPORT_JSON).is_file() and (place / REPORT_HTML).is_file()


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that tell the runs apart."""
    return [
        name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)
    ]
