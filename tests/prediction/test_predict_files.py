"""Every picture leads to its files, whole or not at all; what is bad is named and the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.cli.app import app
from flexunet.config.schema import ResUNetConfig
from flexunet.errors import DataError, FlexunetError, Interrupted, ModelFileError, OutputExistsError
from flexunet.modelfile import InputRecord, ModelRecord, save_model
from flexunet.nets import build_network
from flexunet.prediction import Predictor, find_images, locate_model, predict_files
from flexunet.raster import Grid, open_raster, write_png, write_raster

UTM = Grid((0.5, 0.0, 400000.0, 0.0, -0.5, 3000000.0), None)
COLOURS = ((0, 0, 0), (255, 255, 0), (0, 0, 255))
RNG = np.random.default_rng(11)


def image(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def model_file(path: Path, classes: int = 2, **data: Any) -> Path:
    torch.manual_seed(1)
    record = ModelRecord(
        model=ResUNetConfig(widths=(8, 12), depths=(1,)),
        classes=Classes(names=("background", "landslide", "water")[:classes], colours=COLOURS[:classes]),
        bands=Bands(names=("red", "green", "blue"), mean=(120.0,) * 3, std=(60.0,) * 3),
        data=InputRecord(size=(32, 32), **data),
    )
    network = build_network(record.model, 3, classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, network, record)
    return path


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return Predictor.from_file(model_file(tmp_path / "model.safetensors"), device="cpu", precision="32")


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["predict", *(str(argument) for argument in arguments)])


def test_a_folder_becomes_palette_pngs_of_the_same_names_and_sizes(
    tmp_path: Path, predictor: Predictor
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, shape in (("a", (40, 50)), ("оползень 2", (20, 70)), ("x.y", (33, 33))):
        write_png(folder / f"{name}.png", image(*shape, 3))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "._a.png").write_bytes(b"junk")
    seen: list[tuple[int, int]] = []
    report = predict_files(
        predictor,
        find_images([folder]),
        tmp_path / "out",
        overlay=True,
        probability=True,
        progress=lambda _, done, total: seen.append((done, total)),
    )
    assert [path.name for path in report.written] == ["a.png", "x.y.png", "оползень 2.png"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for path in report.written:
        source = np.asarray(Image.open(folder / path.name))
        with Image.open(path) as result:
            assert result.mode == "P"
            assert result.getpalette()[:6] == [0, 0, 0, 255, 255, 0]  # type: ignore[index]
            assert_array_equal(np.asarray(result), predictor(source))
        with Image.open(tmp_path / "out" / "overlays" / path.name) as drawn:
            assert drawn.size == source.shape[1::-1]
        shades = np.asarray(Image.open(tmp_path / "out" / "probabilities" / path.name))
        assert_array_equal(shades, np.rint(predictor.probabilities(source)[1] * 255))


def test_a_georeferenced_picture_is_the_scene_that_it_is_on_the_command_line(
    tmp_path: Path, predictor: Predictor
) -> None:
    pixels = image(3, 90, 80)
    pixels[pixels == 0] = 1
    pixels[:, :30, :20] = 0
    scene = tmp_path / "scene.tif"
    write_raster(scene, pixels, UTM, nodata=0)
    write_png(tmp_path / "a.png", image(40, 50, 3))
    images = [scene, tmp_path / "a.png", tmp_path / "missing.png"]
    report = predict_files(predictor, images, tmp_path / "out", probability=True, overlay=True)
    assert report.written == (tmp_path / "out" / "scene.tif", tmp_path / "out" / "a.png")
    assert [problem.path for problem in report.failed] == [tmp_path / "missing.png"]
    model = model_file(tmp_path / "model.safetensors")
    typed = run(model, scene, "--out", tmp_path / "cli", "--probability", "--overlay", "--precision", "32")
    assert typed.exit_code == 0, typed.output
    for name in ("scene.tif", "scene_probability.tif"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "cli" / name).read_bytes()
    assert (tmp_path / "out" / "scene_overlay.jpg").exists()
    assert not list((tmp_path / "out").glob(".*"))
    with open_raster(tmp_path / "out" / "scene.tif") as result:
        assert (result.grid, result.nodata, result.shape) == (UTM, 255, (1, 90, 80))
        _, valid = result.read_valid()
    assert not valid[:30, :20].any()
    assert valid.sum() == 90 * 80 - 30 * 20
    with pytest.raises(OutputExistsError, match=r"scene\.tif"):
        predict_files(predictor, [scene], tmp_path / "out")


def test_probabilities_of_several_classes_are_kept_in_half_precision(tmp_path: Path) -> None:
    predictor = Predictor.from_file(model_file(tmp_path / "m.safetensors", 3), device="cpu", precision="32")
    write_png(tmp_path / "a.png", image(30, 45, 3))
    predict_files(predictor, [tmp_path / "a.png"], tmp_path / "out", probability=True)
    with np.load(tmp_path / "out" / "probabilities" / "a.npz") as kept:
        assert kept["probabilities"].dtype == np.float16
        assert kept["probabilities"].shape == (3, 30, 45)
        assert list(kept["classes"]) == ["background", "landslide", "water"]


def test_names_that_would_meet_keep_their_extensions(tmp_path: Path, predictor: Predictor) -> None:
    other = tmp_path / "other"
    for path in (tmp_path / "a.png", tmp_path / "A.bmp", tmp_path / "b.png", other / "a.png"):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image(32, 32, 3)).save(path)
    images = [tmp_path / "a.png", tmp_path / "A.bmp", tmp_path / "b.png", other / "a.png"]
    report = predict_files(predictor, images, tmp_path / "out")
    assert [path.name for path in report.written] == ["a_png.png", "A_bmp.png", "b.png", "other_a_png.png"]
    assert sum("is called" in note for note in report.notes) == 3


def test_bad_files_are_named_and_the_rest_goes_on(tmp_path: Path, predictor: Predictor) -> None:
    write_png(tmp_path / "good.png", image(40, 40, 3))
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    np.save(tmp_path / "seven.npy", image(20, 20, 7))
    names = ("cut.png", "empty.png", "seven.npy", "missing.png", "good.png")
    report = predict_files(predictor, [tmp_path / name for name in names], tmp_path / "out")
    assert [path.name for path in report.written] == ["good.png"]
    assert [problem.path.name for problem in report.failed if problem.path] == list(names[:4])
    assert "7 bands; the model was trained on 3 bands" in str(report.failed[2])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_neither_results_nor_images_are_replaced_unasked(tmp_path: Path, predictor: Predictor) -> None:
    write_png(tmp_path / "a.png", image(32, 32, 3))
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(DataError, match="is one of the images"):
        predict_files(predictor, [tmp_path / "a.png"], tmp_path, overwrite=True)
    predict_files(predictor, [tmp_path / "a.png"], tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        predict_files(predictor, [tmp_path / "a.png"], tmp_path / "out")
    predict_files(predictor, [tmp_path / "a.png"], tmp_path / "out", overwrite=True)
    assert (tmp_path / "a.png").read_bytes() == before


def test_after_an_interrupt_only_whole_files_are_there(tmp_path: Path, predictor: Predictor) -> None:
    images = [tmp_path / f"{number}.png" for number in range(4)]
    for path in images:
        write_png(path, image(32, 32, 3))

    def stop(_: str, done: int, __: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, images, tmp_path / "out", progress=stop)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture in this folder"):
        find_images([tmp_path])
    with pytest.raises(DataError, match="nothing to predict"):
        find_images([])


def test_a_run_or_its_config_leads_to_the_model(tmp_path: Path) -> None:
    model = model_file(tmp_path / "runs" / "first" / "model.safetensors")
    assert locate_model(model).model == model
    assert locate_model(tmp_path / "runs" / "first").model == model
    config = tmp_path / "run.toml"
    config.write_text('[data]\nroot = "data"\n[output]\ndir = "runs/first"\n')
    assert locate_model(config).model == model
    config.write_text('[data]\nroot = "data"\n[output]\ndir = "runs/second"\n')
    with pytest.raises(ModelFileError, match="flexunet train"):
        locate_model(config)
    with pytest.raises(ModelFileError, match="no trained model"):
        locate_model(tmp_path)


def test_a_reference_config_says_where_images_and_results_are(tmp_path: Path) -> None:
    model_file(tmp_path / "models" / "best_model.safetensors")
    (tmp_path / "mini_test").mkdir()
    write_png(tmp_path / "mini_test" / "a.png", image(100, 90, 3))
    (tmp_path / "train_eval_infer.config").write_text(
        "[model]\nnum_classes = 2\nbase_filters = 8\ndropout_rate = 0.02\n"
        "image_width = 32\nimage_height = 32\n"
        'image_channels = 3\n[train]\nimages_dir = "./t/images"\nmasks_dir = "./t/masks"\n'
        'model_dir = "./models"\n[mask]\nrgb_map = {(0,0,0):0, (255,255,0):1}\n'
        '[infer]\nimages_dir = "./mini_test"\noutput_dir = "./mini_test_output"\n'
        '[tiledinfer]\nimages_dir = "./mini_test"\noutput_dir = "./tiled_output"\nsplit_size = 40\n'
        "overlapping = 8\n"
    )
    result = run(tmp_path / "train_eval_infer.config", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert size_of(tmp_path / "mini_test_output" / "a.png") == (90, 100)
    assert "tiles" not in result.output
    result = run(tmp_path / "train_eval_infer.config", "--tiled", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert size_of(tmp_path / "tiled_output" / "a.png") == (90, 100)
    assert "1 of 1 images were predicted in overlapping tiles" in result.output


def test_exit_codes_tell_some_from_none(tmp_path: Path) -> None:
    model = model_file(tmp_path / "model.safetensors")
    write_png(tmp_path / "a.png", image(32, 32, 3))
    out = ("--out", tmp_path / "out", "--overwrite", "--device", "cpu")
    assert run(model, tmp_path / "a.png", *out).exit_code == 0
    some = run(model, tmp_path / "a.png", tmp_path / "b.png", *out)
    assert some.exit_code == 1
    assert "1 of 2 pictures could not be used" in some.output
    assert run(model, tmp_path / "b.png", *out).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.safetensors"], "name the pictures"),
        (["model.safetensors", "a.png"], "--out"),
        (["model.safetensors", "a.png", "--out", "o", "--tiled", "--whole"], "exclude each other"),
        (["model.safetensors", "a.png", "--out", "o", "--precision", "8"], "precision"),
        (["none.safetensors", "a.png", "--out", "o"], "no such model file"),
    ],
)
def test_what_is_missing_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    model_file(tmp_path / "model.safetensors")
    write_png(tmp_path / "a.png", image(32, 32, 3))
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert isinstance(result.exception, FlexunetError)
    assert not isinstance(result.exception, Interrupted)
    assert message in str(result.exception)
