"""The run folder: where every file of a run goes, and who wrote it.

A run lists what it writes in `state/files.json` before it writes anything. Only what is listed there may ever
be deleted, and only by `--overwrite`; a file in the way that no run wrote is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.schema import OutputConfig
from ..errors import OutputExistsError
from ..files import write_text
from .noticed import LISTED_IN_FILE

STOP_NAMES = ("STOP", "break_training")


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run, in either layout."""

    dir: Path
    reference: bool
    model: Path
    last: Path
    config: Path
    log: Path
    notes: Path
    curves: Path
    eval_dir: Path
    history: Path
    pictures: Path
    tiled_pictures: Path

    @classmethod
    def of(cls, output: OutputConfig) -> RunFolder:
        """The paths that `output` stands for."""
        root = output.dir
        if output.layout == "native":
            return cls(
                dir=root,
                reference=False,
                model=root / "model.safetensors",
                last=root / "last.safetensors",
                config=root / "config.toml",
                log=root / "log.csv",
                notes=root / LISTED_IN_FILE,
                curves=root / "curves.png",
                eval_dir=output.eval_dir or root / "eval",
                history=root / "history.json",
                pictures=output.epoch_pictures_dir or root / "epoch_pictures",
                tiled_pictures=output.epoch_pictures_tiled_dir or root / "epoch_pictures_tiled",
            )
        models, eval_dir = output.model_dir or root / "models", output.eval_dir or root / "eval"
        return cls(
            dir=root,
            reference=True,
            model=models / "best_model.safetensors",
            last=models / "last_model.safetensors",
            config=models / "config.toml",
            log=eval_dir / "log.csv",
            notes=eval_dir / LISTED_IN_FILE,
            curves=eval_dir / "curves.png",
            eval_dir=eval_dir,
            history=root / "history.json",
            pictures=output.epoch_pictures_dir or root / "epoch_change_infer",
            tiled_pictures=output.epoch_pictures_tiled_dir or root / "epoch_change_tiled_infer",
        )

    @property
    def state(self) -> Path:
        """Folder of the resumable state."""
        return self.dir / "state"

    @property
    def manifest(self) -> Path:
        """The list of what a run writes."""
        return self.state / "files.json"

    @property
    def losses_csv(self) -> Path:
        """`reference` layout: the losses of every epoch."""
        return self.eval_dir / "train_losses.csv"

    @property
    def metrics_csv(self) -> Path:
        """`reference` layout: the two configured log values of every epoch."""
        return self.eval_dir / "train_metrics.csv"

    def config_copy(self, source: Path | None) -> str | None:
        """Name of the copy of the user's config, which the reference layout keeps beside the model."""
        if source is None or not self.reference or source.name == self.config.name:
            return None
        return source.name

    def outputs(self, config_copy: str | None) -> tuple[Path, ...]:
        """Every file a run writes under a fixed name, the state aside."""
        common = (self.model, self.last, self.config, self.log, self.notes, self.curves)
        if not self.reference:
            return common
        charts = [self.losses_csv, self.metrics_csv]
        charts += [path.with_suffix(".png") for path in charts]
        copies = [self.config.parent / config_copy] if config_copy else []
        return (*common, *charts, *copies, self.history)

    def take_stop_file(self) -> bool:
        """Whether the user left a file that asks to stop after this epoch; it is removed."""
        places = [self.dir / name for name in STOP_NAMES]
        if self.reference:
            places.append(Path.cwd() / "break_training")
        there = [path for path in places if path.exists()]
        for path in there:
            path.unlink(missing_ok=True)
        return bool(there)


def check_folder(folder: RunFolder, config_copy: str | None, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds something this run may not touch; changes nothing.

    Raises:
        OutputExistsError: a run is there and neither `resume` nor `overwrite` is given, or a file that no run
        wrote
            has the name of an output.
    """
    if folder.dir.exists() and not folder.dir.is_dir():
        raise OutputExistsError(f"output.dir {folder.dir} is a file; name a folder for the run.")
    ours = _written(folder)
    if ours is None:
        foreign = [path for path in folder.outputs(config_copy) if path.exists()]
        if foreign:
            names = ", ".join(str(path) for path in foreign)
            raise OutputExistsError(
                f"{names}: already there, and not from a run that can be continued or replaced. "
                f"Move it away or choose another output.dir."
            )
        return
    if not resume and not overwrite:
        raise OutputExistsError(
            f"{folder.dir}: a run is already here. Continue it with --resume, replace it with --overwrite, "
            f"or choose another output.dir."
        )
    foreign = [path for path in folder.outputs(config_copy) if path.exists() and path not in ours]
    if foreign:
        raise OutputExistsError(f"{foreign[0]}: already there, and no run wrote it. Move it away.")


def claim_folder(folder: RunFolder, config_copy: str | None, pictures: Sequence[str], *, fresh: bool) -> None:
    """Make the folder ours: list what will be written; `fresh` first removes what an earlier run wrote."""
    earlier = _written(folder) or set()
    names = set(pictures)
    if earlier and fresh:
        for path in earlier | set(_epoch_pictures(folder)) | set(_state_files(folder)):
            path.unlink(missing_ok=True)
    elif earlier:
        names |= set(_picture_names(folder))
    files = set(folder.outputs(config_copy)) | (set() if fresh else earlier)
    content = {"files": sorted(_told(path, folder) for path in files), "epoch_pictures": sorted(names)}
    write_text(folder.manifest, json.dumps(content, indent=1))


def clear_run(place: Path) -> None:
    """Remove everything that a run in the native layout lists as its own; other files stay."""
    claim_folder(RunFolder.of(OutputConfig(dir=place)), None, [], fresh=True)


def lighten_run(place: Path, *, keep_model: bool) -> None:
    """Remove what only a run that goes on needs: states and last weights; and the model unless kept."""
    folder = RunFolder.of(OutputConfig(dir=place))
    for path in (*_state_files(folder), folder.last):
        path.unlink(missing_ok=True)
    if not keep_model:
        folder.model.unlink(missing_ok=True)


def _written(folder: RunFolder) -> set[Path] | None:
    """The fixed files that the run in this folder lists; None where no run has been."""
    try:
        content = json.loads(folder.manifest.read_text(encoding="utf-8"))
        return {folder.dir / name for name in content["files"]}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise OutputExistsError(f"{folder.manifest}: damaged ({error}). Remove it by hand.") from error


def _told(path: Path, folder: RunFolder) -> str:
    """How the list names a file: from the run folder on, which may be moved with all that is in it."""
    return path.relative_to(folder.dir).as_posix() if path.is_relative_to(folder.dir) else str(path)


def _picture_names(folder: RunFolder) -> list[str]:
    content = json.loads(folder.manifest.read_text(encoding="utf-8"))
    return [str(name) for name in content.get("epoch_pictures", [])]


def _epoch_pictures(folder: RunFolder) -> list[Path]:
    names = _picture_names(folder)
    ours = re.compile(r"Epoch_\d+_(" + "|".join(map(re.escape, names)) + r")") if names else None
    places = [place for place in (folder.pictures, folder.tiled_pictures) if place.is_dir()]
    return [path for place in places for path in place.iterdir() if ours and ours.fullmatch(path.name)]


def _state_files(folder: RunFolder) -> list[Path]:
    return list(folder.state.glob("state-*.safetensors"))
