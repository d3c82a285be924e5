"""Several runs as one: folds and seeds, their scores in one table, their mean as a model file."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Config, dump_toml, read_config, without_dial
from ..data import read_folds
from ..errors import ConfigError, Interrupted, OutputExistsError
from ..files import write_text
from ..progress import Progress
from .folder import clear_run
from .folds import FoldPlan, plan_folds, write_folds
from .gathering import Ensemble, gather
from .member import FINISHED, FOLDS, GROUPS, MODEL, PLAN, Member, members_of, write_json
from .origins import refuse_own, refuse_seen, with_origins
from .resume import refuse_changes
from .run import refuse_both, train


def train_members(
    config: Config,
    *,
    folds: int | None = None,
    seeds: int = 1,
    groups: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    show: bool = False,
) -> Ensemble:
    """Train a member for every fold and seed and make them one model file.

    Each is an ordinary run in OUTPUT/fold-1-seed-1 and so on. Those that are finished are not trained again
    with `resume`; one that was stopped goes on where it was. A time budget is that of all together.

    folds: parts that train and valid are divided into, each validated on once; left out: the splits as they
    are. seeds: members a fold, with the config's seed and those after it. groups: CSV with the columns id and
    group; left out: the groups of the dataset's manifest.json, else every image by itself. resume, overwrite,
    show: as in `train`.

    Raises:
        ConfigError: no such number of folds or seeds, or another one than in the folder to resume.
        DataError: fewer groups than folds, or images that cannot be used.
        OutputExistsError: the folder is in use.
        Others as `train`.
    """
    refuse_both(resume=resume, overwrite=overwrite)
    _refuse_impossible(config, folds, seeds, groups)
    config, out = with_origins(config), config.output.dir
    earlier = _earlier(out, folds, seeds, resume=resume, overwrite=overwrite)
    going_on = earlier is not None and not overwrite
    if going_on and (out / "config.toml").is_file():
        refuse_changes(config, read_config(out / "config.toml").config)
    members = members_of(config, folds, seeds)
    refuse_own(config, [out / MODEL, *(path for member in members for path in member.folder.outputs(None))])
    unknown = refuse_seen(config) if folds is not None else []
    progress = Progress() if show else None
    division = _division(config, folds, groups, going_on=going_on)
    if progress is not None:
        for line in [*unknown, *([division.describe()] if division is not None else [])]:
            progress.line(line)
    _refuse_foreign(out, members, earlier or ())
    if earlier is not None and overwrite:
        _remove_earlier(out, earlier)
    if not going_on:
        names = [member.name for member in members]
        write_json(out / PLAN, {"folds": folds, "seeds": seeds, "members": names})
    if division is not None:
        write_folds(out / FOLDS, division.rows)
        write_json(out / GROUPS, {"source": division.source})
    write_text(out / "config.toml", dump_toml(without_dial(config)))
    for number, member in enumerate(members, 1):
        if member.finished.is_file():
            continue
        if progress is not None:
            progress.line(f"Member {number} of {len(members)}: {member.name}")
        _train_member(member, f"flexunet train {out} --resume", show)
    return gather(config, members, progress, unknown)


def _refuse_impossible(config: Config, folds: int | None, seeds: int, groups: Path | None) -> None:
    """Refuse what makes no members.

    Raises:
        ConfigError: what, and what would.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds {seeds}: at least 1 is needed.")
    if groups is not None and folds is None:
        raise ConfigError("--groups says what stays in one fold; it needs --folds.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 or config.train.num_nodes > 1:
        raise ConfigError("--folds and --seeds train on one machine; under torchrun start member by member.")
    if config.data.fold is not None:
        raise ConfigError(
            "the config is that of one fold already. Give the config that the folds were made of."
        )


def planned(out: Path) -> tuple[int | None, int] | None:
    """Folds and seeds that are trained in a folder; None where there are none.

    Raises:
        OutputExistsError: their plan cannot be read.
    """
    plan = out / PLAN
    if not plan.is_file():
        return None
    found = _read_plan(plan)
    return found["folds"], found["seeds"]


def _train_member(member: Member, again: str, show: bool) -> None:
    """Train or go on, and write down that it is over."""
    try:
        result = train(member.config, resume=True, show=show)
    except (Interrupted, KeyboardInterrupt) as error:
        raise Interrupted(
            f"{member.name} was interrupted; what is done is saved. Go on with: {again}"
        ) from error
    last = result.rows[-1] if result.rows else {}
    numbers = {
        "epoch": result.scores.get("epoch"),
        "epochs": last.get("epoch"),
        "val_iou": result.scores.get("val_iou"),
        "last_val_iou": last.get("val_iou"),
        "seconds": round(sum(row["seconds"] or 0.0 for row in result.rows), 1),
    }
    write_json(member.finished, numbers)
    if result.stop_asked:
        raise Interrupted(f"{member.name} is done; what is done is saved. Go on with: {again}")


def _earlier(out: Path, folds: int | None, seeds: int, *, resume: bool, overwrite: bool) -> list[str] | None:
    """Names of the members that are in the folder, to be gone on with or replaced; None where none are.

    Raises:
        OutputExistsError: members are there, and neither `resume` nor `overwrite` is given.
        ConfigError: they are of another plan, and are to be gone on with.
    """
    plan = out / PLAN
    if not plan.is_file():
        return None
    earlier = _read_plan(plan)
    names: list[str] = earlier["members"]
    if overwrite:
        return names
    if not resume:
        raise OutputExistsError(
            f"{out}: folds or seeds were trained here already. Continue with --resume, replace them with "
            f"--overwrite, or choose another output.dir."
        )
    if (earlier["folds"], earlier["seeds"]) != (folds, seeds):
        raise ConfigError(
            f"{out} holds {_asked(earlier['folds'], earlier['seeds'])}, not {_asked(folds, seeds)}. Ask for "
            f"the same, train anew with --overwrite, or choose another output.dir."
        )
    return names


def _division(config: Config, folds: int | None, groups: Path | None, *, going_on: bool) -> FoldPlan | None:
    """The folds that are to be written; None where there are none, or they stand already.

    Raises:
        ConfigError: those that stand are not those that `groups` makes.
        DataError: images or groups that cannot be divided so.
    """
    table = config.output.dir / FOLDS
    stands = going_on and table.is_file()
    if folds is None or (stands and groups is None):
        return None
    plan = plan_folds(config.data, folds, config.train.seed, groups)
    if not stands:
        return plan
    if read_folds(table) != plan.rows:
        raise ConfigError(
            f"{groups} divides the images in another way than {table}, by which the members were begun. "
            f"Leave --groups out, train anew with --overwrite, or choose another output.dir."
        )
    return None


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [str(name) for name in content["members"]]
        return {"folds": content["folds"], "seeds": content["seeds"], "members": names}
    except (ValueError, KeyError, TypeError) as error:
        raise OutputExistsError(f"{path}: damaged ({error}). Remove it by hand.") from error


def _remove_earlier(out: Path, names: Sequence[str]) -> None:
    """Remove what earlier members wrote, and the plan last: half removed is still theirs."""
    for name in names:
        (out / name / FINISHED).unlink(missing_ok=True)
        if (out / name / "state").is_dir():
            clear_run(out / name)
    for place in ("out_of_fold", "validation"):
        for table in (out / FOLDS, out / f"{place}.csv"):
            if table.is_file():
                with table.open(encoding="utf-8", newline="") as handle:
                    for row in csv.DictReader(handle):
                        (out / place / f"{row['id']}.png").unlink(missing_ok=True)
        (out / f"{place}.csv").unlink(missing_ok=True)
    for file in (MODEL, FOLDS, GROUPS, "summary.csv", "summary.json", "config.toml", PLAN):
        (out / file).unlink(missing_ok=True)


def _refuse_foreign(out: Path, members: Sequence[Member], earlier: Sequence[str]) -> None:
    """Refuse files in the way that no earlier members wrote; `earlier`: names of those that are there."""
    common = (MODEL, FOLDS, GROUPS, "config.toml", "summary.csv", "summary.json")
    wanted = [] if earlier else [out / name for name in common]
    wanted += [member.folder.model for member in members if member.name not in earlier]
    foreign = [str(path) for path in wanted if path.exists()]
    if foreign:
        raise OutputExistsError(
            f"{', '.join(foreign)}: already there, and not from folds or seeds that can be continued. Move "
            f"it away or choose another output.dir."
        )


def _asked(folds: int | None, seeds: int) -> str:
    return f"{'no' if folds is None else folds} folds and {seeds} seeds"
