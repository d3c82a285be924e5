"""What a score becomes elsewhere: one recipe, its images held out at random, by groups, by regions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import Config, dump_toml, read_config
from ..data import read_folds
from ..errors import ConfigError, DataError, Interrupted, OutputExistsError
from ..evaluation.scores import ImageScores
from ..evaluation.summary import confusion_of
from ..files import write_text
from ..metrics import ConfusionMatrix
from ..progress import Progress
from ..quiet import quiet
from ..training import train
from ..training.folder import clear_run, lighten_run
from ..training.folds import write_folds
from ..training.held_out import HeldOut
from ..training.material import open_stores
from ..training.member import FOLDS, Member, members_of
from ..training.origins import refuse_seen, with_origins
from ..training.resume import refuse_changes
from ..training.state import Row
from .gap_results import GapRun, score_gap, write_gap
from .schemes import SCHEMES, Division, Scheme, plan_division

PLAN, CONFIG, SCORED = "plan.json", "config.toml", "held_out.json"


@dataclass(frozen=True)
class Gap:
    """What the comparison leaves: its folder, everything in `gap.json`, and the table as text."""

    dir: Path
    results: dict[str, Any]
    text: str


def measure_gap(
    config: Config,
    *,
    parts: int = 5,
    seeds: int = 1,
    budget_minutes: float | None = None,
    groups: Path | None = None,
    region_pattern: str | None = None,
    regions: Path | None = None,
    region_column: str = "region",
    out: Path | None = None,
    overwrite: bool = False,
    show: bool = False,
) -> Gap:
    """Train one recipe many times and score it on images held out at random, by groups and by regions.

    Every image of train and valid is predicted once under each division, by a model that was not trained on
    its part; the test split is not opened. Nothing is chosen on held-out images: the last epoch counts, the
    likelier class, no calibration, no early stopping. The same call goes on after a stop; finished runs are
    kept.

    budget_minutes: of each run; the first one turns it into a number of epochs, which all others have. The
    other arguments are those of `plan_division`; seeds: runs a part, with the config's seed and those after
    it. out: folder; left out: `gap` in `output.dir`. overwrite: replace what is there.

    Raises:
        ConfigError: a schedule that looks at validation, another plan than that of the folder, or a model to
        start or learn from that was trained on these images.
        DataError: what cannot be divided so, or images that cannot be used.
        OutputExistsError: other files are in the way.
        Interrupted: Ctrl-C or SIGTERM; everything is saved.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds {seeds}: at least 1 is needed.")
    config = _blind(with_origins(config), budget_minutes)
    doubts = refuse_seen(config)
    folder = config.output.dir / "gap" if out is None else out.absolute()
    division = plan_division(
        config.data, parts, config.train.seed,
        groups=groups, region_pattern=region_pattern, regions=regions, region_column=region_column,
    )  # fmt: skip
    progress = Progress() if show else None
    for line in [*doubts, *division.describe()] if progress is not None else ():
        assert progress is not None
        progress.line(line)
    _claim(folder, config, division, overwrite=overwrite)
    study = _Study(folder, config, division, seeds, progress)
    try:
        study.run()
    except KeyboardInterrupt as error:
        raise Interrupted(f"Stopped; what is done is saved in {folder}. The same command goes on.") from error
    finally:
        if progress is not None:
            progress.close()
    results = score_gap(study.scored(), division, config, seeds, doubts)
    return Gap(folder, results, write_gap(results, folder))


class _Study:
    """The runs of all divisions, in their order."""

    def __init__(
        self, folder: Path, config: Config, division: Division, seeds: int, progress: Progress | None
    ) -> None:
        self.folder, self.config, self.division = folder, config, division
        self.progress = progress
        self.runs = [
            (scheme, member)
            for seed in range(1, seeds + 1)
            for scheme in division.schemes
            for member in _members(folder, config, scheme, seed)
        ]
        self.done_epochs = 0

    def run(self) -> None:
        """Every run that is not finished."""
        for scheme, member in self.runs:
            if not _scored_file(member).is_file():
                self._train(scheme, self._with_epochs(member))
            elif (epochs := self._epochs()) is not None:
                self.done_epochs += epochs

    def _train(self, scheme: Scheme, member: Member) -> None:
        name = f"{scheme.name}, {_part(scheme, member)} held out, seed {member.seed}"

        def watch(rows: Sequence[Row]) -> None:
            self._tell(name, len(rows))

        with quiet("flexunet", logging.ERROR):  # a study tells of its runs itself
            result = train(member.config, resume=True, watch=watch, curves=False)
            held = HeldOut(member.config.data.class_table(), None)
            held.add_fold([member.folder.last], member.config.data, member.fold, lambda *_: None)
        content = {
            "epochs": len(result.rows),
            "seconds": round(sum(row["seconds"] or 0.0 for row in result.rows), 1),
            "images": [
                {"id": image.id, "height": image.height, "width": image.width, "ignored": image.ignored,
                 "counts": image.confusion.counts.ravel().tolist()}
                for image in held.images
            ],
        }  # fmt: skip
        write_text(_scored_file(member), json.dumps(content) + "\n")
        lighten_run(member.folder.dir, keep_model=False)
        self.done_epochs += len(result.rows)
        if self.progress is not None:
            total = sum((image.confusion for image in held.images), ConfusionMatrix(len(held.classes)))
            iou = total.mean_iou(held.classes.foreground)
            self.progress.line(f"{name}: IoU {iou:.3f} on {len(held.images)} images")
        if result.stop_asked:
            raise KeyboardInterrupt

    def _with_epochs(self, member: Member) -> Member:
        """The member with the epochs that the first run's budget became; the first one with the budget."""
        epochs = self._epochs()
        if epochs is None:
            return member
        chosen = {"epochs": epochs, "budget_minutes": None}
        trained = member.config.train.model_copy(update=chosen)
        return replace(member, config=member.config.model_copy(update={"train": trained}))

    def _epochs(self) -> int | None:
        """Epochs of every run; None as long as the first has not turned its budget into them."""
        if self.config.train.budget_minutes is None:
            return self.config.train.epochs
        first = self.runs[0][1]
        if not first.folder.config.is_file():
            return None
        return read_config(first.folder.config).config.train.epochs

    def _tell(self, name: str, epoch: int) -> None:
        epochs = self._epochs()
        if self.progress is not None and epochs is not None:
            total = epochs * len(self.runs)
            done = min(self.done_epochs + epoch, total - 1)
            self.progress.update("runs", done, total, unit="epochs", note=name)

    def scored(self) -> Iterator[GapRun]:
        """What every run made of its held-out images."""
        size = len(self.config.data.classes)
        for scheme, member in self.runs:
            content = json.loads(_scored_file(member).read_text(encoding="utf-8"))
            images = tuple(
                ImageScores(row["id"], row["id"], row["height"], row["width"], row["ignored"],
                            confusion_of(row, size))
                for row in content["images"]
            )  # fmt: skip
            yield GapRun(scheme.name, _part(scheme, member), member.seed, content["epochs"],
                         content["seconds"], images)  # fmt: skip


def _blind(config: Config, budget_minutes: float | None) -> Config:
    """The recipe without anything that looks at the images held out.

    Raises:
        ConfigError: the config is that of a fold, or its schedule looks at them.
    """
    if config.data.fold is not None:
        raise ConfigError("the config is that of one fold already. Give the one that the folds were made of.")
    if config.train.schedule == "plateau":
        raise ConfigError(
            'train.schedule = "plateau" looks at the images that are held out. Take another one, such as '
            "--set train.schedule=onecycle."
        )
    changes: dict[str, Any] = {
        "patience": None, "validation_steps": 1, "calibrate": False, "epoch_pictures": 0,
        "devices": 1, "num_nodes": 1, "budget_minutes": budget_minutes or config.train.budget_minutes,
    }  # fmt: skip
    return config.model_copy(update={"train": config.train.model_copy(update=changes)})


def _members(folder: Path, config: Config, scheme: Scheme, seed: int) -> list[Member]:
    """The runs of one division and seed, in FOLDER/random/fold-1-seed-1 and so on."""
    output = config.output.model_copy(update={"dir": folder / scheme.name})
    whole = config.model_copy(update={
        "output": output,
        "train": config.train.model_copy(update={"budget_minutes": None}),
    })  # fmt: skip
    members = members_of(whole, len(scheme.parts), seed)[-len(scheme.parts) :]
    budget = {"budget_minutes": config.train.budget_minutes}
    return [
        replace(member, config=member.config.model_copy(update={
            "train": member.config.train.model_copy(update=budget)}))
        for member in members
    ]  # fmt: skip


def _claim(folder: Path, config: Config, division: Division, *, overwrite: bool) -> None:
    """Write down what is divided how, or make sure that it is what was written down.

    Raises:
        ConfigError: the folder holds another plan.
        DataError: the runs there were of other images.
        OutputExistsError: it holds something else.
    """
    plan = folder / PLAN
    images = [store.fingerprint for store in open_stores(config.data) if store is not None]
    if overwrite and plan.is_file():
        _remove_earlier(folder)
    if not plan.is_file():
        foreign = [folder / name for name in (CONFIG, *SCHEMES) if (folder / name).exists()]
        if foreign:
            raise OutputExistsError(
                f"{foreign[0]}: already there, and not from `flexunet gap`. Move it away or choose another "
                f"--out."
            )
        content = {"format": "flexunet gap plan", "images": images, "regions": division.region_source,
                   "groups": division.groups.source}  # fmt: skip
        write_text(plan, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if (folder / CONFIG).is_file():
        refuse_changes(
            config.model_copy(update={"output": config.output.model_copy(update={"dir": folder})}),
            read_config(folder / CONFIG).config,
        )
    if json.loads(plan.read_text(encoding="utf-8")).get("images") != images:
        raise DataError(
            f"The images or masks have changed since the runs in {folder} were begun. Put them back, choose "
            f"another --out, or begin anew with --overwrite."
        )
    write_text(folder / CONFIG, dump_toml(config))
    for scheme in division.schemes:
        table = folder / scheme.name / FOLDS
        if not table.is_file():
            write_folds(table, scheme.rows)
        elif read_folds(table) != scheme.rows:
            raise ConfigError(
                f"{table} divides the images in another way: images, groups, regions or --folds differ from "
                f"those the runs were begun with. Undo the change, choose another --out, or begin anew with "
                f"--overwrite."
            )


def _remove_earlier(folder: Path) -> None:
    """Remove what an earlier comparison wrote, its plan last; other files stay."""
    for name in SCHEMES:
        for place in (folder / name).glob("fold-*-seed-*"):
            if (place / "state").is_dir():
                clear_run(place)
                (place / SCORED).unlink(missing_ok=True)
        (folder / name / FOLDS).unlink(missing_ok=True)
    for file in ("gap.json", "gap.png", "gap.txt", CONFIG, PLAN):
        (folder / file).unlink(missing_ok=True)


def _scored_file(member: Member) -> Path:
    return member.folder.dir / SCORED


def _part(scheme: Scheme, member: Member) -> str:
    assert member.fold is not None
    name = scheme.parts[member.fold - 1]
    return name if scheme.name == "regions" else f"part {name}"
