"""Train a little, evaluate, predict: real data of other makes, from the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flexunet.raster import open_raster, read_picture
from shared_data import SHARED, needs_shared

DATA = SHARED / "data"
SMALL = """
[model]
architecture = "resunet"
widths = [8, 12, 16]
depths = [1, 1]

[train]
epochs = 2
batch_size = 2
precision = "32"
threads = 1
epoch_pictures = 1

[output]
dir = "run"
"""


def flexunet(folder: Path, *arguments: object) -> str:
    """Run a command in `folder`; its output. A failure shows what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "flexunet", *map(str, arguments)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def copy_split(folder: Path, images: list[Path], masks: list[Path]) -> None:
    """Files of one split under images/ and masks/."""
    for name, files in (("images", images), ("masks", masks)):
        (folder / name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder / name)


def split_in_three(data: Path, images: list[Path], masks: list[Path]) -> None:
    """The first pairs for training, one each for validation and test."""
    for split, part in (("train", slice(None, -2)), ("valid", slice(-2, -1)), ("test", slice(-1, None))):
        copy_split(data / split, images[part], masks[part])


def round_trip(folder: Path, data_section: str) -> tuple[dict[str, object], Path]:
    """Train, evaluate and predict in `folder`; the scores and the folder of predictions."""
    (folder / "run.toml").write_text(f'[data]\nroot = "data"\n{data_section}\n{SMALL}', encoding="utf-8")
    flexunet(folder, "train", "run.toml")
    flexunet(folder, "evaluate", "run")
    flexunet(folder, "predict", "run/model.safetensors", "data/test/images", "--out", "predicted")
    scores = json.loads((folder / "run" / "evaluation_test" / "scores.json").read_text(encoding="utf-8"))
    return scores, folder / "predicted"


@needs_shared
@pytest.mark.slow
def test_sichuan_pairs_by_number_and_predicts_at_1024(tmp_path: Path) -> None:
    images = sorted((DATA / "sichuan" / "images").glob("*.png"))[:5]
    masks = sorted((DATA / "sichuan" / "masks").glob("*.png"))[:5]
    split_in_three(tmp_path / "data", images, masks)
    scores, predicted = round_trip(
        tmp_path,
        """size = [96, 96]
        sizing = "crop"
        image_pattern = 'Landslide(\\d+)'
        mask_pattern = 'LandslideLabel(\\d+)'
        classes = [
          {name = "background", colour = [0, 0, 0]},
          {name = "landslide", colour = [255, 0, 255]},
        ]""",
    )
    assert scores["images"] == 1
    picture = read_picture(next(predicted.glob("*.png")))
    assert picture.pixels.shape[1:] == (1024, 1024)


@needs_shared
@pytest.mark.slow
def test_mars_undeclared_missing_values_do_not_ruin_seven_bands(tmp_path: Path) -> None:
    names = sorted(path.name for path in (DATA / "mars-7band" / "images").glob("*.tif"))
    # both tiles with the undeclared -3.4e38 are trained on
    odd = [name for name in names if name.startswith(("col00071_row00028", "col00083_row00021"))]
    chosen = odd + [name for name in names if name not in odd][:4]
    split_in_three(
        tmp_path / "data",
        [DATA / "mars-7band" / "images" / name for name in chosen],
        [DATA / "mars-7band" / "masks" / name for name in chosen],
    )
    scores, predicted = round_trip(tmp_path, 'size = [64, 64]\nmask_encoding = "index"')
    assert scores["pixel_accuracy"] is not None
    with (
        open_raster(next(predicted.glob("*.tif"))) as after,
        open_raster(next((tmp_path / "data" / "test" / "images").glob("*.tif"))) as before,
    ):
        assert after.grid == before.grid
        assert after.shape[1:] == before.shape[1:]


@needs_shared
@pytest.mark.slow
def test_sen1floods_ignores_what_is_labelled_minus_one(tmp_path: Path) -> None:
    here = DATA / "sentinel" / "sen1floods11"
    image, label = here / "Spain_7370579_S2Hand.tif", here / "Spain_7370579_LabelHand.tif"
    for split in ("train", "valid", "test"):
        copy_split(tmp_path / "data" / split, [image], [label])
    scores, _ = round_trip(
        tmp_path,
        """size = [128, 128]
        sizing = "crop"
        mask_encoding = "index"
        ignore_value = -1
        image_pattern = '(.+)_S2Hand'
        mask_pattern = '(.+)_LabelHand'
        classes = [{name = "land", colour = [0, 0, 0]}, {name = "water", colour = [0, 0, 255]}]""",
    )
    assert scores["ignored_pixels"] == 99


@needs_shared
@pytest.mark.slow
def test_sparse_labels_teach_although_99_percent_are_unlabelled(tmp_path: Path) -> None:
    here = DATA / "sentinel" / "bangladesh-landslide"
    images, labels = (sorted((here / name).glob("*.tif")) for name in ("images", "labels"))
    split_in_three(tmp_path / "data", images, labels)
    scores, predicted = round_trip(
        tmp_path,
        """size = [64, 64]
        mask_encoding = "index"
        ignore_value = 0
        nodata = 0
        classes = [
          {name = "not landslide", colour = [0, 0, 0], values = [1]},
          {name = "landslide", colour = [255, 0, 0], values = [2]},
        ]""",
    )
    ignored = scores["ignored_pixels"]
    assert isinstance(ignored, int)
    assert ignored > 0.9 * 256 * 256
    assert np.isin(read_picture(next(predicted.glob("*.tif"))).pixels, (0, 1, 255)).all()
