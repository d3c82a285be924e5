"""A scene over worker processes gives the bytes that one process gives, whatever becomes of the workers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.testing import assert_array_equal
from typer.testing import CliRunner

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.cli.app import app
from flexunet.config.schema import ResUNetConfig
from flexunet.errors import ClusterError, ConfigError, DataError, MissingExtraError
from flexunet.modelfile import InputRecord, ModelRecord, save_model
from flexunet.nets import build_network
from flexunet.prediction import Predictor
from flexunet.prediction.cluster import TRIES, Crew, connect
from flexunet.prediction.scenes import SceneOptions, open_workbench, plan_scene, predict_scene
from flexunet.prediction.scenes.forecast import forecast
from flexunet.prediction.scenes.on_cluster import Recipe, predict_scene_on, share_out
from flexunet.raster import Grid, open_raster, write_raster

HEIGHT, WIDTH = 420, 150
GRID = Grid((10.0, 0.0, 500_000.0, 0.0, -10.0, 3_000_000.0), None)
OPTIONS = SceneOptions(probability=(1,), part_rows=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model for three bands of 8 bits that learned nothing."""
    record = ModelRecord(
        model=ResUNetConfig(widths=(4, 8), depths=(1,)),
        classes=Classes(names=("ground", "slide"), colours=((0, 0, 0), (255, 0, 0))),
        bands=Bands(names=("red", "green", "blue"), dtype="uint8", mean=(120.0,) * 3, std=(60.0,) * 3),
        data=InputRecord(size=(32, 32), sizing="crop"),
    )
    torch.manual_seed(3)
    network = build_network(record.model, 3, 2).eval()
    with torch.no_grad():  # as many pixels of one class as of the other
        logits = network(torch.randn(8, 3, 32, 32)).mean((0, 2, 3))
        dict(network.named_parameters())["head.bias"].sub_(logits)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, network, record)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a corner that holds no data."""
    pixels = np.random.default_rng(4).integers(1, 256, (3, HEIGHT, WIDTH), np.uint8)
    pixels[:, :60, :40] = 0
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    write_raster(path, pixels, GRID, nodata=0)
    return path


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    torch.set_num_threads(1)
    return Predictor.from_file(model, device="cpu", precision="32")


@pytest.fixture(scope="module")
def alone(predictor: Predictor, scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Class map and probability as one process writes them."""
    out = tmp_path_factory.mktemp("alone") / "map.tif"
    predict_scene(predictor, scene, out, OPTIONS)
    with open_raster(out) as found:
        assert len(np.unique(found.read())) == 3, "two classes and nodata"
    return files_of(out)


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """Two worker processes."""
    with connect("local:2", threads=1) as found:
        yield found


def files_of(out: Path) -> tuple[bytes, bytes]:
    return out.read_bytes(), out.with_name(f"{out.stem}_probability.tif").read_bytes()


def kill_a_worker() -> None:
    """SIGKILL to the youngest worker process of this one."""
    workers = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
    max(workers, key=psutil.Process.create_time).kill()


def on_cluster(
    crew: Crew, predictor: Predictor, model: Path, scene: Path, out: Path, after_part: Callable[[int], None]
) -> Any:
    counted = 0

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1
        after_part(counted)

    recipe = Recipe.of(predictor, [model], "cpu")
    return predict_scene_on(crew, recipe, predictor, scene, out, OPTIONS, progress=count)


@pytest.mark.slow
def test_two_workers_give_the_bytes_of_one_process_though_one_is_killed(
    crew: Crew, predictor: Predictor, model: Path, scene: Path, alone: tuple[bytes, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "map.tif"
    before = crew.workers()

    on_cluster(crew, predictor, model, scene, out, lambda parts: kill_a_worker() if parts == 2 else None)

    assert len(before) == 2
    assert set(crew.workers()) != set(before), "a worker was killed"
    assert files_of(out) == alone
    assert sorted(path.name for path in tmp_path.iterdir() if "parts" in path.name) == []


@pytest.mark.slow
def test_one_process_goes_on_where_the_cluster_was_interrupted(
    crew: Crew, predictor: Predictor, model: Path, scene: Path, alone: tuple[bytes, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "map.tif"

    def interrupt(parts: int) -> None:
        if parts == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_cluster(crew, predictor, model, scene, out, interrupt)
    bench = open_workbench(plan_scene(predictor, scene, OPTIONS), out)
    done = len(bench.job.plan.parts) - len(bench.missing())
    result = predict_scene(predictor, scene, out, OPTIONS)

    assert 3 <= done < len(bench.job.plan.parts)
    assert any("earlier attempt" in note for note in result.notes)
    assert files_of(out) == alone


@pytest.mark.slow
def test_one_worker_gives_the_bytes_of_one_process(
    predictor: Predictor, model: Path, scene: Path, alone: tuple[bytes, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "map.tif"

    with connect("local:1", threads=1) as crew:
        assert len(crew.workers()) == 1
        on_cluster(crew, predictor, model, scene, out, lambda parts: None)

    assert files_of(out) == alone
    assert not [child for child in psutil.Process().children() if child.name() == "dask"]


def test_a_cluster_has_a_forecast(predictor: Predictor, scene: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, part_rows=4)
    job = plan_scene(predictor, scene, options)
    alone = forecast(job, predictor, tmp_path / "map.tif")
    shared = forecast(job, predictor, tmp_path / "map.tif", {"tcp://a:1": 2, "tcp://b:1": 6})
    assert alone.seconds is not None
    assert shared.seconds is not None
    assert shared.tiles > alone.tiles, "rows that two parts compute count twice"
    assert " on 2 workers, " in str(shared)
    assert " of memory each, " in str(shared)
    assert forecast(job, predictor, tmp_path / "map.tif", {}).seconds is None


@pytest.mark.slow
def test_the_command_says_its_forecast_with_a_cluster_too(model: Path, scene: Path, tmp_path: Path) -> None:
    arguments = ["predict", model, scene, "--out", tmp_path, "--dask", "local:1", "--threads", "1"]
    done = CliRunner().invoke(app, [str(word) for word in (*arguments, "--precision", "32")])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "tiles: about " in done.output
    assert " on 1 worker, " in done.output
    assert (tmp_path / "scene.tif").exists()


@pytest.mark.slow
def test_a_task_that_fails_is_tried_again_and_the_note_says_so(crew: Crew, tmp_path: Path) -> None:
    marker = tmp_path / "failed before"

    def fails_once(number: int, threads: int) -> tuple[int, int]:
        if number == 1 and not marker.exists():
            marker.touch()
            raise OSError("the disk was away")
        return number * number, threads

    notes: list[str] = []
    found = dict(crew.results(fails_once, [(0,), (1,), (2,)], notes.append))

    assert found == {0: (0, 1), 1: (1, 1), 2: (4, 1)}
    assert len(notes) == 1
    assert "part 2 failed" in notes[0]
    assert "the disk was away" in notes[0]


@pytest.mark.slow
def test_a_task_that_always_fails_raises_its_own_fault(crew: Crew, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def fails(kind: type[Exception], threads: int) -> None:
        with log.open("a") as lines:
            lines.write(f"{kind.__name__}\n")
        raise kind("never works")

    with pytest.raises(OSError, match="never works"):
        list(crew.results(fails, [(OSError,)]))
    with pytest.raises(DataError, match="never works"):
        list(crew.results(fails, [(DataError,)]))

    assert log.read_text().split() == ["OSError"] * TRIES + ["DataError"], "what is hopeless is tried once"


@pytest.mark.slow
def test_another_model_on_a_worker_is_refused(
    crew: Crew, predictor: Predictor, model: Path, scene: Path, tmp_path: Path
) -> None:
    recipe = replace(Recipe.of(predictor, [model], "cpu"), digests=("of another file",))

    with pytest.raises(ClusterError, match="another model"):
        predict_scene_on(crew, recipe, predictor, scene, tmp_path / "map.tif", OPTIONS)


@pytest.mark.parametrize(("workers", "least"), [(1, 1), (2, 2), (7, 5)])
def test_parts_are_enough_for_the_workers_and_cover_the_scene(
    predictor: Predictor, scene: Path, workers: int, least: int
) -> None:
    job = share_out(plan_scene(predictor, scene, SceneOptions()), workers)
    covered = np.zeros((HEIGHT, WIDTH), np.int64)
    for part in job.plan.parts:
        covered[part.rows, part.cols] += 1

    assert len(job.plan.parts) >= least
    assert_array_equal(covered, 1)


@pytest.mark.parametrize("where", ["scene.tif", "somewhere", "local:0", "tcp://host"])
def test_what_is_no_address_is_refused(where: str) -> None:
    with pytest.raises(ConfigError, match="is no address"), connect(where):
        pass


def test_a_scheduler_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such scheduler file"), connect(str(tmp_path / "s.json")):
        pass


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with (
        pytest.raises(ClusterError, match=r"127\.0\.0\.1:9: no scheduler answers.*dask scheduler"),
        connect("127.0.0.1:9", timeout_s=0.5),
    ):
        pass


def test_without_distributed_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(MissingExtraError, match=r"flexunet\[cluster\]"), connect("local"):
        pass
