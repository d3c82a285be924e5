"""What a run says of itself: in its model file, and in the state it can be gone on with from."""

from __future__ import annotations

from typing import Any

import torch

from ..config import Config
from ..data.ground import ground_resolution
from ..machine import processor
from ..modelfile import InputRecord, ModelRecord, about_model
from .hardware import Hardware
from .material import Material


def identity_of(config: Config, material: Material, hardware: Hardware, processes: int) -> dict[str, str]:
    """What a saved state says of its run: the data, and what its place in the run is counted in."""
    return {
        "fingerprint": material.store.fingerprint,
        "global_batch": str(config.train.batch_size * processes),
        "steps_per_epoch": str(material.batches.steps_per_epoch),
        "precision": hardware.precision,
    }


def record_of(
    config: Config, material: Material, hardware: Hardware, processes: int, budget_minutes: float | None
) -> ModelRecord:
    """What the model file will say beside its weights; scores and epoch come with every epoch.

    config: as it is trained, with the epochs that `budget_minutes` became.
    """
    store = material.store
    ground = ground_resolution([pair.image for pair in store.pairs], config.data)
    return ModelRecord(
        model=config.model,
        classes=config.data.class_table(),
        bands=material.bands,
        data=InputRecord.of(config.data, ground),
        predict=config.predict,
        training=_training_record(config, material, hardware, processes, budget_minutes),
        fingerprint=store.fingerprint,
    )


def _training_record(
    config: Config, material: Material, hardware: Hardware, processes: int, budget_minutes: float | None
) -> dict[str, Any]:
    """How the weights came about; where other models lie is nobody's business."""
    store = material.store
    settings = {name: getattr(config, name).model_dump(mode="json") for name in ("train", "augment")}
    others = {"start_from": config.train.start_from, "teacher": config.train.teacher}
    settings["train"] |= {name: path and path.name for name, path in others.items()}
    sizes = [store.native_size(index) for index in range(len(store))]
    return {
        "config": settings,
        **{name: path and about_model(path) for name, path in others.items()},
        "images": len(store),
        "largest_image": [max(size[axis] for size in sizes) for axis in (0, 1)],
        "processes": processes,
        "accelerator": hardware.accelerator,
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "precision": hardware.precision,
        "budget_minutes": budget_minutes,
        "leakage": material.leakage,
    }
