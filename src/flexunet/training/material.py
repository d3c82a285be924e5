"""What a run is trained on: decoded splits, band statistics, batches, class weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from ..augment import Augmenter, SampleMixer
from ..bands import Bands
from ..check.verdict import quick_verdict
from ..config import Config, DataConfig
from ..data import Loader, PlainSampler, Store, band_statistics, has_validation, open_store
from ..errors import DataError
from .launch import first_process
from .losses import balanced_weights
from .noticed import Note, lines_of, notes_of
from .pictures import choose_images
from .reporter import Reporter
from .start import bands_of_start
from .windows import Windows


@dataclass(frozen=True)
class Material:
    """The data of a run as one of its processes takes them."""

    store: Store
    """The decoded training split."""
    bands: Bands
    batches: Loader
    """Training samples, augmented and shuffled."""
    validation: Loader | None
    """Validation samples, plain and in order; None without a validation split."""
    weights: torch.Tensor | None
    """Class weights, float32 (K,)."""
    pictured: tuple[Path, ...]
    """Images for the epoch pictures."""
    leakage: dict[str, Any] | None
    """The verdict on training images in the validation split; the first process has it."""
    notes: tuple[Note, ...]
    """What was noticed about the files of both splits."""


def open_material(config: Config, fabric: Fabric, reporter: Reporter) -> Material:
    """Decode both splits, say what is noticed about them, and make the batches.

    Raises:
        DataError: everything that is wrong with either split, in one report.
    """
    # the first process fills the cache, the others find it filled
    first_process(fabric, lambda: open_stores(config.data))
    store, valid_store = open_stores(config.data)
    bands = bands_of_start(config.train.start_from, band_statistics(store, config.data))
    notes = notes_of({"train": store} | ({} if valid_store is None else {"valid": valid_store}))
    for line in lines_of(notes):
        reporter.line(line)
    batches, validation = build_loaders(config, bands, store, valid_store, fabric)
    if validation is not None and isinstance(validation.store, Windows):
        reporter.line(validation.store.describe())
    counts = label_counts(store, len(config.data.classes))
    for warning in remarks(config, counts, store, valid_store, fabric.world_size):
        reporter.warn(warning)
    leakage = None
    if valid_store is not None and fabric.is_global_zero:
        verdict = quick_verdict(store, valid_store, "valid", config.data)
        (reporter.warn if verdict.status == "leak" else reporter.line)(verdict.line())
        leakage = verdict.as_json()
    return Material(
        store,
        bands,
        batches,
        validation,
        class_weights(config, counts, fabric.device),
        tuple(choose_images(config, (valid_store or store).pairs, reporter)),
        leakage,
        tuple(notes),
    )


def open_stores(data: DataConfig) -> tuple[Store, Store | None]:
    """Decoded training and validation splits; None where there is no validation split.

    Raises:
        DataError: everything that is wrong with either split, in one report.
    """
    stores: list[Store] = []
    faults: list[DataError] = []
    splits: tuple[Literal["train", "valid"], ...] = ("train", "valid") if has_validation(data) else ("train",)
    for split in splits:
        try:
            stores.append(open_store(data, split))
        except DataError as error:
            faults.append(error)
    if faults:
        raise DataError("\n".join(map(str, faults)))
    return stores[0], stores[1] if len(stores) > 1 else None


def build_loaders(
    config: Config, bands: Bands, store: Store, valid_store: Store | None, fabric: Fabric
) -> tuple[Loader, Loader | None]:
    """Batches of the training split, augmented and shuffled, and of the validation split, plain and in
    order; `crop` validates on windows over the whole of its pictures.
    """
    data, train, augment = config.data, config.train, config.augment
    plain = PlainSampler(bands, data.size, data.sizing)
    sampler = Augmenter(augment, bands, data.size, data.sizing) if augment.enabled else plain
    mix = augment.mix if augment.enabled else None
    common: dict[str, Any] = {
        "batch_size": train.batch_size,
        "seed": train.seed,
        "num_workers": train.num_workers,
        "rank": fabric.global_rank,
        "world_size": fabric.world_size,
    }
    batches = Loader(
        store,
        sampler,
        shuffle=True,
        steps_per_epoch=train.steps_per_epoch and train.steps_per_epoch * train.accumulate,
        mixer=None if mix is None else SampleMixer(mix, data.class_table().background),
        **common,
    )
    if valid_store is None:
        return batches, None
    seen = Windows(valid_store, data.size) if data.sizing == "crop" else valid_store
    return batches, Loader(seen, plain, shuffle=False, **common)


def label_counts(store: Store, num_classes: int) -> NDArray[np.int64]:
    """Pixels of each class in all labels of a store, int64 (K,)."""
    counts = np.zeros(256, np.int64)
    for index in range(len(store)):
        counts += np.bincount(np.asarray(store.labels(index)).ravel(), minlength=256)
    return counts[:num_classes]


def class_weights(config: Config, counts: NDArray[np.int64], device: torch.device) -> torch.Tensor | None:
    """The configured class weights, float32 (K,); `auto` makes them of the training labels' counts."""
    weights = config.train.class_weights
    if weights == "none":
        return None
    if weights == "auto":
        weights = balanced_weights(counts.tolist())
    return torch.tensor(weights, dtype=torch.float32, device=device)


def remarks(
    config: Config, counts: NDArray[np.int64], store: Store, valid_store: Store | None, processes: int
) -> list[str]:
    """What a user should know of the data before the run begins."""
    said = []
    classes = config.data.class_table()
    absent = [classes.names[label] for label in classes.foreground if counts[label] == 0]
    if absent:
        said.append(
            f"no training mask has a pixel of {', '.join(absent)}: it cannot be learned. See with `flexunet "
            f"stats` what the masks hold, and how they are read (mask_encoding, threshold, values in [data])."
        )
    together = config.train.batch_size * processes
    if together > len(store):
        said.append(
            f"a batch of {together} is more than the {len(store)} training images: they are repeated in it. "
            f"A smaller train.batch_size learns the same in less time."
        )
    if valid_store is None:
        said.append(
            "no validation split: the weights of the last epoch are kept as the model, early stopping is off."
        )
    return said
