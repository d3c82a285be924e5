"""What `flexunet evaluate` was pointed at: a model file, a run folder or a config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import Config, apply_to, read_config
from ..config.schema import ClassConfig, DataConfig, EvaluateConfig, SplitConfig
from ..data import split_folders
from ..errors import ConfigError, DataError, OutputExistsError
from ..files import write_text
from ..modelfile import MODEL_SUFFIXES, ModelRecord, is_model_file, read_record
from ..prediction.locate import CONFIGS_OF_RUNS, config_of_run, locate_model, model_of_config
from .evaluate import Evaluation, evaluate
from .opening import Progress, Split
from .reference import DEFAULT_LOSS, DEFAULT_METRIC, loss_name, metric_name
from .report import reference_csv, refuse_finished


@dataclass(frozen=True)
class Job:
    """Which model on which data, and where results go unless told otherwise."""

    model: Path
    data: DataConfig
    settings: EvaluateConfig
    base: Path
    """Folder in which the evaluation's folder is made."""
    loss: str = DEFAULT_LOSS
    metric: str = DEFAULT_METRIC
    as_reference: bool = False
    """Whether its outputs stand where the reference puts them."""
    notes: tuple[str, ...] = ()

    @property
    def reference_csv(self) -> Path | None:
        """Where the reference itself would have put `evaluation.csv`."""
        return self.base / "evaluation.csv" if self.as_reference else None


def job_of(
    target: Path, split: Split = "test", data: Path | None = None, overrides: Sequence[str] = ()
) -> Job:
    """Understand a model file, a run folder, or a config in either dialect.

    Args:
        target: `model.safetensors`, RUN with its model and config.toml, or a config whose model is in its
            place.
        split: the split that will be evaluated.
        data: dataset folder in place of the config's: with {split}/{images,masks}, or images and masks
            itself.
        overrides: `section.key=value` on the config; of a model file alone, on what it says itself.

    Raises:
        ConfigError, DataError, ModelFileError: nothing there, or not enough to go on.
    """
    if target.is_dir():
        job = _of_run(target, overrides)
    elif is_model_file(target) or target.suffix.lower() in MODEL_SUFFIXES:
        job = _of_model(target, data, overrides)
    elif target.exists():
        job = _of_config(target, overrides)
    else:
        raise ConfigError(f"{target}: no such model file, run folder or config")
    if data is None:
        return job
    return replace(job, data=_at(job.data, data, split))


def _of_run(folder: Path, overrides: Sequence[str]) -> Job:
    config = config_of_run(folder)
    if config is None:
        raise ConfigError(f"{folder} is no run folder: it has no {' or '.join(CONFIGS_OF_RUNS)}")
    job = _of_config(config, overrides, locate_model(folder).model)
    return replace(job, base=folder)


def _of_model(path: Path, data: Path | None, overrides: Sequence[str]) -> Job:
    config = config_of_run(path.parent)
    if config is not None:
        return replace(_of_config(config, overrides, path), base=path.parent)
    own = apply_to(Config(data=_data_of(read_record(path))), path, overrides)
    if data is None and not any((own.data.root, own.data.train, own.data.valid, own.data.test)):
        raise ConfigError(
            f"{path} has no config.toml beside it. Say where images and masks are: --data FOLDER"
        )
    return Job(path, own.data, own.evaluate, path.parent)


def _of_config(path: Path, overrides: Sequence[str], model: Path | None = None) -> Job:
    loaded = read_config(path, overrides)
    config = loaded.config
    return Job(
        model=model or model_of_config(config, path),
        data=config.data,
        settings=config.evaluate,
        base=config.output.dir,
        loss=loss_name(config.train.loss),
        metric=metric_name((config.evaluate.metric, *config.output.metrics)),
        as_reference=config.output.layout == "reference",
        notes=loaded.notes,
    )


def _data_of(record: ModelRecord) -> DataConfig:
    """Data as the model's record describes them; the folders come from the user."""
    masks = record.data.masks
    values = (None,) * len(record.classes) if masks is None else masks.values
    classes = tuple(
        ClassConfig(name=name, colour=colour, values=own)
        for name, colour, own in zip(record.classes.names, record.classes.colours, values, strict=True)
    )
    kept = {
        name: getattr(part, name)
        for part in (record.data, masks)
        for name in DataConfig.model_fields
        if hasattr(part, name)
    }
    return DataConfig(classes=classes, **kept)


def _at(data: DataConfig, folder: Path, split: Split) -> DataConfig:
    """The same data settings for another dataset folder."""
    folder = folder.absolute()
    moved = data.at(folder)
    try:
        split_folders(moved, split)
    except DataError:
        images, masks = folder / "images", folder / "masks"
        if not (images.is_dir() and masks.is_dir()):
            raise
        moved = moved.model_copy(update={split: SplitConfig(images=(images,), masks=(masks,))})
    return moved


def evaluation_folder(job: Job, split: Split, *, tta: bool = False) -> Path:
    """Where a job's evaluation goes unless told otherwise."""
    return job.base / f"evaluation_{split}{'_tta' if tta or job.settings.tta else ''}"


def report_places(
    job: Job, split: Split, out: Path | None = None, *, tta: bool = False, overwrite: bool = False
) -> tuple[Path, Path | None]:
    """The folder of a job's report and, unless it is told to go elsewhere, the reference's own file.

    Raises:
        OutputExistsError: a report or the reference's file, ours or its own, is there and `overwrite` is
            False.
    """
    reference = job.reference_csv if out is None else None
    if reference is not None and reference.exists() and not overwrite:
        raise OutputExistsError(
            f"{reference} is there already. Replace it with --overwrite, or leave it with --out FOLDER."
        )
    folder = evaluation_folder(job, split, tta=tta) if out is None else out
    refuse_finished(folder, overwrite=overwrite)
    return folder, reference


def evaluate_job(
    job: Job,
    split: Split = "test",
    out: Path | None = None,
    *,
    tta: bool = False,
    pixel_size_m: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a job and write its report into `out`, or beside its model as `evaluation_SPLIT`.

    The reference's own file is written with the latter only: what stands elsewhere leaves a run as it is.

    Raises:
        OutputExistsError: the reference's file is there already, ours or its own, and `overwrite` is False.
        Others: as `evaluate`.
    """
    settings = job.settings.model_copy(update={"tta": tta or job.settings.tta})
    out, reference = report_places(job, split, out, tta=tta, overwrite=overwrite)
    result = evaluate(
        job.model, job.data, split, out,
        settings=settings, loss=job.loss, metric=job.metric, pixel_size_m=pixel_size_m,
        overwrite=overwrite, progress=progress,
    )  # fmt: skip
    if reference is not None:
        write_text(reference, reference_csv(result.scores))
    return result
