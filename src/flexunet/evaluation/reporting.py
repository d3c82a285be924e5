"""`flexunet report`: finds or makes the report of each run, and compares several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputExistsError
from ..files import sha256_of
from .compare import COMPARISON_HTML, COMPARISON_JSON, compare_reports, write_comparison
from .compose import REPORT_HTML, REPORT_JSON, read_report
from .inputs import Job, evaluate_job, evaluation_folder, job_of
from .opening import Progress, Split
from .report import finished


@dataclass(frozen=True)
class Reports:
    """What `report_runs` leaves: the pages, the last one being what was asked for, and notes."""

    pages: tuple[Path, ...]
    notes: tuple[str, ...]


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
    """The report of each run, evaluated where there is none of its model and data yet; of several runs also
    their comparison.

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
    pages, reports = [], []
    for job in jobs:
        place = evaluation_folder(job, split, tta=tta) if several or out is None else out
        report = None if overwrite else _there(place, job)
        if report is None:
            evaluate_job(
                job, split, place, tta=tta, pixel_size_m=pixel_size_m, overwrite=overwrite, progress=progress
            )
            report = read_report(place / REPORT_JSON)
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


def _there(place: Path, job: Job) -> dict[str, Any] | None:
    """The report in a folder if it is of the job's model; None where there is no evaluation at all."""
    if (place / REPORT_JSON).is_file() and (place / REPORT_HTML).is_file():
        report = read_report(place / REPORT_JSON)
        if report["model"]["sha256"] == sha256_of(job.model):
            return report
        raise OutputExistsError(
            f"{place} holds the report of another state of {job.model.name}. Make it anew with --overwrite."
        )
    if finished(place):
        raise OutputExistsError(
            f"{place} holds an evaluation without a report. Make it anew with --overwrite, or elsewhere with "
            "--out."
        )
    return None


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that tell the runs apart."""
    return [
        name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)
    ]
