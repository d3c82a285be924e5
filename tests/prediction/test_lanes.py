"""Tiles side by side on a CPU: in their order, the same bits however many, every fault told."""

import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from flexunet.bands import Bands
from flexunet.config.schema import EncoderUNetConfig, FlexUNetConfig, ModelConfig, ResUNetConfig
from flexunet.nets import build_network
from flexunet.prediction.compute import Precision, choose_compute
from flexunet.prediction.framing import Framing
from flexunet.prediction.network_call import NetworkCall
from flexunet.prediction.scenes.lanes import in_batches, lanes_here, side_by_side
from flexunet.prediction.scenes.stream import Event, NewRows, RowDone, Tile
from flexunet.prediction.tiles import tiled

NETWORKS: dict[str, ModelConfig] = {
    "resunet": ResUNetConfig(),
    "reference": FlexUNetConfig(base_filters=8, num_layers=4, base_kernels=(5, 5)),
    "encoder": EncoderUNetConfig(weights="random"),
}
BANDS = Bands(names=("a", "b", "c"), mean=(0.0,) * 3, std=(1.0,) * 3)
FRAMING = Framing(tiled(128, 192, (32, 32), (16, 16)), (BANDS,), squeezed=None)


@pytest.fixture(autouse=True)
def _four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def events() -> Iterator[Event]:
    """What a reader gives: rows, their tiles, and that a row has no more."""
    random = np.random.default_rng(5)
    for row in range(len(FRAMING.grid.rows)):
        yield NewRows(row, np.ones((1, 1), np.bool_))
        for col in range(len(FRAMING.grid.cols)):
            if (row + col) % 4:  # the others hold no data
                yield Tile(row, col, random.standard_normal((3, 64, 64)).astype(np.float32))
        yield RowDone(row)


def call_of(name: str, precision: Precision) -> NetworkCall:
    torch.manual_seed(3)
    return NetworkCall(build_network(NETWORKS[name], 3, 2).eval(), choose_compute("cpu", precision))


def places(some: list[Event]) -> list[tuple[object, ...]]:
    return [(type(event), event.row, getattr(event, "col", None)) for event in some]


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_how_many_tiles_are_computed_at_a_time_changes_no_bit(name: str, precision: Precision) -> None:
    call = call_of(name, precision)
    one, *others = [list(side_by_side(events(), call, FRAMING, lanes)) for lanes in (1, 2, 4)]
    assert places(one) == places(list(events()))
    for other in others:
        assert places(other) == places(one)
        for a, b in zip(one, other, strict=True):
            assert not isinstance(a, Tile) or (isinstance(b, Tile) and np.array_equal(a.content, b.content))


def test_batches_give_the_same_events_in_the_same_order() -> None:
    call = call_of("resunet", "32")
    batched = list(in_batches(events(), call, FRAMING, 3))
    assert places(batched) == places(list(events()))
    for a, b in zip(batched, side_by_side(events(), call, FRAMING, 2), strict=True):
        assert not isinstance(a, Tile) or np.allclose(a.content, b.content, atol=1e-5)  # type: ignore[union-attr]


def test_features_are_those_of_the_tile() -> None:
    call = call_of("resunet", "32")

    def features(images: torch.Tensor) -> torch.Tensor:
        with call.listening() as heard:
            call(images)
        return torch.cat(heard)[:, :1, None, None].expand(-1, 1, 64, 64)

    alone = [event for event in side_by_side(events(), features, FRAMING, 1) if isinstance(event, Tile)]
    beside = [event for event in side_by_side(events(), features, FRAMING, 4) if isinstance(event, Tile)]
    assert len({float(tile.content[0, 0, 0]) for tile in alone}) == len(alone)
    assert all(np.array_equal(a.content, b.content) for a, b in zip(alone, beside, strict=True))


def test_as_many_run_as_were_asked_for_each_on_its_part_of_the_threads() -> None:
    met = threading.Barrier(4)  # passed only if four compute at the same time
    number = itertools.count()
    threads: list[int] = []

    def call(images: torch.Tensor) -> torch.Tensor:
        if next(number) < 4:
            met.wait(30)
        threads.append(torch.get_num_threads())
        return images[:, :2]

    list(side_by_side(events(), call, FRAMING, lanes_here()))
    assert set(threads) == {1}
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(("threads", "lanes"), [(1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (8, 4), (12, 4)])
def test_no_thread_is_left_idle(threads: int, lanes: int) -> None:
    torch.set_num_threads(threads)
    assert lanes_here() == lanes


def test_a_process_of_one_thread_computes_one_tile_at_a_time_whatever_was_planned() -> None:
    torch.set_num_threads(1)
    busy = threading.Lock()

    def call(images: torch.Tensor) -> torch.Tensor:
        assert busy.acquire(blocking=False)
        time.sleep(0.005)
        busy.release()
        return images[:, :2]

    assert len(list(side_by_side(events(), call, FRAMING, 4))) == len(list(events()))


def test_a_fault_of_the_network_reaches_the_caller_and_the_next_run_works() -> None:
    def broken(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        list(side_by_side(events(), broken, FRAMING, 2))
    assert len(list(side_by_side(events(), lambda images: images[:, :2], FRAMING, 2))) == len(list(events()))


def test_few_tiles_are_read_ahead_of_the_lanes() -> None:
    read = 0
    blocked = threading.Event()

    def counted() -> Iterator[Event]:
        nonlocal read
        for event in events():
            read += isinstance(event, Tile)
            yield event

    def call(images: torch.Tensor) -> torch.Tensor:
        blocked.wait(0.05)
        return images[:, :2]

    done = 0
    for event in side_by_side(counted(), call, FRAMING, 2):
        assert read - done <= 2 * 2 + 1
        done += isinstance(event, Tile)
