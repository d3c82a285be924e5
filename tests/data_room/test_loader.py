"""A sample depends on seed, epoch and position, and on nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from flexunet.bands import Bands
from flexunet.config.schema import DataConfig
from flexunet.data import Batch, Loader, PlainSampler, Store, open_store

BANDS = Bands(names=("r", "g", "b"), mean=(0, 0, 0), std=(255, 255, 255))
COUNT = 11


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    base = tmp_path_factory.mktemp("data")
    for kind in ("images", "masks"):
        (base / "train" / kind).mkdir(parents=True)
    for number in range(COUNT):
        rgb = np.full((8, 8, 3), number * 20, np.uint8)
        Image.fromarray(rgb).save(base / "train/images" / f"{number:02}.png")
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(base / "train/masks" / f"{number:02}.png")
    return open_store(DataConfig(root=base, size=(8, 8)), "train")


def noisy(pixels: Any, labels: Any, valid: Any, generator: np.random.Generator) -> Any:
    """A sampler whose result shows the generator it was given."""
    return pixels.astype(np.float32) + np.float32(generator.random()), labels.copy()


def joined(batches: list[Batch]) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
    ids = tuple(name for batch in batches for name in batch.ids)
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches]), ids


def epoch_of(store: Store, epoch: int = 3, first_step: int = 0, **options: Any) -> list[Batch]:
    settings = {"batch_size": 2, "seed": 5, "shuffle": True, **options}
    return list(Loader(store, noisy, **settings).epoch(epoch, first_step))


def same(one: list[Batch], other: list[Batch]) -> bool:
    (images, labels, ids), (images2, labels2, ids2) = joined(one), joined(other)
    return torch.equal(images, images2) and torch.equal(labels, labels2) and ids == ids2


# -------------------------------------------------------------------------------- laws


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=st.integers(1, 4), size=st.integers(1, 4), shuffle=st.booleans(), workers=st.integers(0, 3))
def test_the_ranks_together_are_one_process_with_the_global_batch(
    store: Store, world: int, size: int, shuffle: bool, workers: int
) -> None:
    whole = epoch_of(store, batch_size=size * world, shuffle=shuffle)
    parts = [
        epoch_of(store, batch_size=size, shuffle=shuffle, rank=rank, world_size=world, num_workers=workers)
        for rank in range(world)
    ]
    for step, batch in enumerate(whole):
        together = [part[step] for part in parts if step < len(part)]
        assert same([batch], together)


def test_threads_and_batch_size_change_no_sample(store: Store) -> None:
    plain = epoch_of(store, num_workers=0, batch_size=1)
    assert same(plain, epoch_of(store, num_workers=3, batch_size=1))
    images = joined(epoch_of(store, batch_size=5))[0]
    assert torch.equal(images, joined(plain)[0][: len(images)])


def test_an_epoch_can_start_at_any_step(store: Store) -> None:
    whole = epoch_of(store)
    for step in range(len(whole)):
        assert same(whole[step:], epoch_of(store, first_step=step))
    assert epoch_of(store, first_step=len(whole)) == []


def test_seed_and_epoch_change_order_and_draws(store: Store) -> None:
    base = epoch_of(store)
    assert same(base, epoch_of(store))
    for other in (epoch_of(store, epoch=4), epoch_of(store, seed=6)):
        assert joined(base)[2] != joined(other)[2]
        assert not torch.equal(joined(base)[0], joined(other)[0])


def test_mixing_depends_on_the_place_in_the_run_alone_and_leaves_other_samples_as_they_were(
    store: Store,
) -> None:
    from flexunet.augment import SampleMixer
    from flexunet.config import MixConfig

    mixer = SampleMixer(MixConfig(mixup=0.3, cutmix=0.4))
    options: dict[str, Any] = {"mixer": mixer, "steps_per_epoch": 5}
    alone = epoch_of(store, num_workers=0, **options)
    for workers in (1, 3):
        assert same(alone, epoch_of(store, num_workers=workers, **options))
    ranks = [
        epoch_of(store, batch_size=1, rank=rank, world_size=2, num_workers=2, **options) for rank in (0, 1)
    ]
    for step, batch in enumerate(alone):
        assert same([batch], [rank[step] for rank in ranks])
    plain = joined(epoch_of(store, steps_per_epoch=5))
    images, _, ids = joined(alone)
    assert ids == plain[2]
    untouched = [torch.equal(one, other) for one, other in zip(images, plain[0], strict=True)]
    assert 0 < sum(untouched) < len(untouched)
    second = [batch for batch in alone if batch.others is not None]
    assert second
    for batch in second:
        assert batch.others is not None
        assert batch.shares is not None
        assert batch.others.shape == batch.labels.shape
        assert ((batch.shares >= 0.5) & (batch.shares <= 1)).all()
        assert torch.equal(batch.labels == 255, batch.others == 255)


# -------------------------------------------------------------------------------- steps and types


def test_training_steps_are_full_and_validation_sees_each_image_once(store: Store) -> None:
    training = epoch_of(store, batch_size=4)
    assert [len(batch.ids) for batch in training] == [4, 4]
    assert len(set(joined(training)[2])) == 8
    validation = epoch_of(store, batch_size=4, shuffle=False)
    assert [len(batch.ids) for batch in validation] == [4, 4, 3]
    assert joined(validation)[2] == store.ids
    assert len(epoch_of(store, batch_size=4, shuffle=False, steps_per_epoch=2)) == 2


def test_more_steps_than_images_go_on_with_a_fresh_order(store: Store) -> None:
    long = epoch_of(store, batch_size=COUNT, steps_per_epoch=3)
    orders = [batch.ids for batch in long]
    assert all(sorted(order) == list(store.ids) for order in orders)
    assert len(set(orders)) == 3
    wrapped = epoch_of(store, batch_size=16)
    assert [len(batch.ids) for batch in wrapped] == [16]


def test_batches_are_float32_and_int64(store: Store) -> None:
    loader = Loader(store, PlainSampler(BANDS, (16, 12), "fit"), batch_size=3, seed=0, shuffle=False)
    batch = next(iter(loader.epoch(0)))
    assert (batch.images.shape, batch.images.dtype) == ((3, 3, 16, 12), torch.float32)
    assert (batch.labels.shape, batch.labels.dtype) == ((3, 16, 12), torch.int64)
    assert set(np.unique(batch.labels.numpy()).tolist()) == {0, 1, 255}
    assert batch.images[1].max().item() == pytest.approx(20 / 255)


# -------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_in_a_thread_surfaces(store: Store, workers: int) -> None:
    def broken(pixels: Any, labels: Any, valid: Any, generator: np.random.Generator) -> Any:
        raise ValueError("a pixel is broken")

    loader = Loader(store, broken, batch_size=2, seed=0, shuffle=True, num_workers=workers)
    with pytest.raises(ValueError, match="a pixel is broken"):
        list(loader.epoch(0))


def test_leaving_an_epoch_early_leaves_no_thread(store: Store, tmp_path: Path) -> None:
    before = threading.active_count()
    batches = Loader(store, noisy, batch_size=1, seed=0, shuffle=True, num_workers=2).epoch(0)
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_impossible_ranks_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="rank 2 of 2"):
        Loader(store, noisy, batch_size=1, seed=0, shuffle=True, rank=2, world_size=2)
