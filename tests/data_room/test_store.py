"""A store gives what the files say, decodes each file once, and notices every change."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from flexunet.classes import IGNORE_INDEX
from flexunet.config.schema import ClassConfig, DataConfig, SplitConfig
from flexunet.data import Loader, PlainSampler, band_statistics, open_store
from flexunet.data.entry import moments_of, read_entry
from flexunet.errors import DataError
from flexunet.raster import Grid, write_raster
from shared_data import SHARED, needs_shared


def make(base: Path, count: int = 5, size: tuple[int, int] = (30, 40), split: str = "train") -> DataConfig:
    generator = np.random.default_rng(count)
    for kind in ("images", "masks"):
        (base / split / kind).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rgb = generator.integers(0, 255, (*size, 3), dtype=np.uint8)
        mask = (cv2.GaussianBlur(generator.random(size), (0, 0), 3) > 0.5).astype(np.uint8) * 255
        Image.fromarray(rgb).save(base / split / "images" / f"{number}.png")
        Image.fromarray(mask).save(base / split / "masks" / f"{number}.png")
    return DataConfig(root=base, size=(32, 32))


def entries(base: Path) -> dict[str, int]:
    found = (base / ".flexunet-cache").rglob("*.full")
    return {item.name: item.stat().st_mtime_ns for item in found}


# -------------------------------------------------------------------------------- laws


def test_the_store_holds_the_files_pixels_and_labels(tmp_path: Path) -> None:
    store = open_store(make(tmp_path), "train")
    assert (len(store), store.channels, store.dtype) == (5, 3, "uint8")
    for index, pair in enumerate(store.pairs):
        assert_array_equal(store.image(index).transpose(1, 2, 0), np.asarray(Image.open(pair.image)))
        assert_array_equal(store.labels(index), np.asarray(Image.open(pair.mask or "")) > 0)
        assert store.valid(index).all()
        assert store.native_size(index) == (30, 40)
    assert store.image(0).transpose(1, 2, 0).flags.c_contiguous
    assert not store.image(0).flags.writeable


def test_opening_again_decodes_nothing_and_a_change_decodes_that_file_only(tmp_path: Path) -> None:
    data = make(tmp_path)
    first = open_store(data, "train")
    before = entries(tmp_path)
    assert len(before) == 5
    again = open_store(data, "train")
    assert entries(tmp_path) == before
    assert again.fingerprint == first.fingerprint

    time.sleep(0.01)
    Image.fromarray(np.full((30, 40, 3), 7, np.uint8)).save(tmp_path / "train/images/3.png")
    changed = open_store(data, "train")
    assert (changed.image(3) == 7).all()
    assert changed.fingerprint != first.fingerprint
    after = entries(tmp_path)
    assert len(after) == 5, "the outdated entry is removed"
    assert sum(before.get(name) == written for name, written in after.items()) == 4


def test_a_changed_mask_or_setting_is_noticed(tmp_path: Path) -> None:
    data = make(tmp_path)
    first = open_store(data, "train")
    inverted = open_store(
        data.model_copy(update={"mask_encoding": "threshold", "invert_masks": True}), "train"
    )
    assert_array_equal(inverted.labels(2), 1 - first.labels(2))
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / "train/masks/2.png")
    assert not open_store(data, "train").labels(2).any()


def test_the_fingerprint_does_not_depend_on_the_place(tmp_path: Path) -> None:
    data = make(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    other = data.model_copy(update={"root": tmp_path / "b"})
    assert open_store(data, "train").fingerprint == open_store(other, "train").fingerprint


def test_a_cut_or_foreign_cache_file_is_decoded_anew(tmp_path: Path) -> None:
    data = make(tmp_path)
    fingerprint = open_store(data, "train").fingerprint
    cached = sorted((tmp_path / ".flexunet-cache").rglob("*.full"))
    cached[0].write_bytes(cached[0].read_bytes()[:-1])
    cached[1].write_bytes(b"something else")
    cached[2].write_bytes(b"")
    assert all(read_entry(path) is None for path in cached[:3])
    store = open_store(data, "train")
    assert store.fingerprint == fingerprint
    assert all(read_entry(path) is not None for path in cached)


OPEN_STORE = """
import sys
from pathlib import Path
from flexunet.config.schema import DataConfig
from flexunet.data import open_store
print(open_store(DataConfig(root=Path(sys.argv[1])), "train").fingerprint)
"""


def test_two_processes_at_once_agree(tmp_path: Path) -> None:
    make(tmp_path, count=12)
    command = [sys.executable, "-c", OPEN_STORE, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    prints = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(prints) == 1
    assert not list((tmp_path / ".flexunet-cache").rglob("*.part*"))
    assert len(entries(tmp_path)) == 12


def test_progress_counts_every_image(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    open_store(make(tmp_path), "train", progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert seen == [("decoding", done, 5) for done in (1, 2, 3, 4, 5)]


def test_large_pictures_are_kept_reduced_unless_full_size_is_asked_for(tmp_path: Path) -> None:
    data = make(tmp_path, count=2, size=(200, 60))
    squeezed = open_store(data, "train")
    assert squeezed.image(0).shape == (3, 48, 60)  # the long side 6 times too large, the short one not twice
    assert squeezed.labels(0).shape == squeezed.valid(0).shape == (48, 60)
    assert squeezed.native_size(0) == (200, 60)
    full = open_store(data, "train", full_size=True)
    assert full.image(0).shape == (3, 200, 60)
    assert full.fingerprint == squeezed.fingerprint
    fitted = open_store(data.model_copy(update={"sizing": "fit"}), "train")
    assert fitted.image(0).shape == (3, 48, 14)
    assert open_store(data.model_copy(update={"sizing": "crop"}), "train").image(0).shape == (3, 200, 60)
    assert abs(float(squeezed.image(0).mean()) - float(full.image(0).mean())) < 0.5
    assert abs(float(squeezed.labels(0).mean()) - float(full.labels(0).mean())) < 0.02


def test_missing_pixels_are_kept_apart(tmp_path: Path) -> None:
    pixels = np.ones((2, 6, 8), np.float32)
    pixels[1, 2, 3] = -3.4028235e38
    for kind, array in (("images", pixels), ("masks", np.ones((6, 8), np.uint8))):
        write_raster(tmp_path / "train" / kind / "a.tif", array, Grid())
    data = DataConfig(root=tmp_path, size=(6, 8))
    store = open_store(data, "train")
    assert np.argwhere(~store.valid(0)).tolist() == [[2, 3]]
    bands = band_statistics(store, data)
    assert bands.mean == (1, 1)
    values, labels = PlainSampler(bands, (6, 8), "resize")(
        store.image(0), store.labels(0), store.valid(0), np.random.default_rng()
    )
    assert labels[2, 3] == IGNORE_INDEX
    assert values[:, 2, 3].tolist() == [0, 0]
    assert (labels == 1).sum() == 47


# -------------------------------------------------------------------------------- statistics


floats = st.floats(-1e4, 1e4, width=32)
pictures = hnp.arrays(
    np.float32, st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 5)), elements=floats
)


@settings(max_examples=30, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=6), st.integers(0, 99))
def test_moments_of_parts_add_up_to_those_of_the_whole(parts: list[np.ndarray], seed: int) -> None:
    generator = np.random.default_rng(seed)
    valids = [generator.random(part.shape[1:]) > 0.3 for part in parts]
    total = moments_of(parts[0], valids[0])
    for part, valid in zip(parts[1:], valids[1:], strict=True):
        total = total + moments_of(part, valid)
    values = np.concatenate([part[:, valid] for part, valid in zip(parts, valids, strict=True)], 1).astype(
        np.float64
    )
    assert total.count == values.shape[1]
    if total.count:
        assert_allclose(total.mean, values.mean(1), atol=1e-8)
        assert_allclose(np.array(total.squares) / total.count, values.var(1), rtol=1e-9, atol=1e-8)


def test_normalisation_follows_the_config(tmp_path: Path) -> None:
    data = make(tmp_path)
    store = open_store(data, "train")
    every = np.concatenate([store.image(i).reshape(3, -1) for i in range(5)], 1).astype(np.float64)
    bands = band_statistics(store, data)
    assert_allclose(bands.mean, every.mean(1))
    assert_allclose(bands.std, every.std(1))
    assert bands.names == ("red", "green", "blue")
    scaled = band_statistics(store, data.model_copy(update={"normalisation": "scale255"}))
    assert (scaled.mean, scaled.std) == ((0, 0, 0), (255, 255, 255))
    raw = band_statistics(store, data.model_copy(update={"normalisation": "none"}))
    assert (raw.mean, raw.std) == ((0, 0, 0), (1, 1, 1))
    with pytest.raises(DataError, match="names 2 bands; the images have 3"):
        band_statistics(store, data.model_copy(update={"band_names": ("a", "b")}))


def test_a_constant_band_is_not_divided_by_nothing(tmp_path: Path) -> None:
    for kind, value in (("images", 9), ("masks", 0)):
        (tmp_path / "train" / kind).mkdir(parents=True)
        Image.fromarray(np.full((4, 4), value, np.uint8)).save(tmp_path / "train" / kind / "a.png")
    data = DataConfig(root=tmp_path)
    assert band_statistics(open_store(data, "train"), data).std == (1.0,)
    missing = data.model_copy(update={"nodata": 9.0})
    with pytest.raises(DataError, match="no image has a single pixel with data"):
        band_statistics(open_store(missing, "train"), missing)


# -------------------------------------------------------------------------------- faults


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    data = make(tmp_path)
    base = tmp_path / "train"
    (base / "images/0.png").write_bytes((base / "images/0.png").read_bytes()[:200])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(base / "masks/1.png")
    Image.fromarray(np.full((30, 40), 7, np.uint8)).save(base / "masks/2.png")
    with pytest.raises(DataError) as caught:
        open_store(data, "train")
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == 3
    assert "0.png: damaged PNG: image file is truncated" in lines[0]
    assert "is 9 x 9 pixels (height x width), its image" in lines[1]
    assert "is 30 x 40" in lines[1]
    assert "values that are no class: 7 (100.00%)" in lines[2]


def test_images_that_differ_in_bands_or_type_are_refused(tmp_path: Path) -> None:
    data = make(tmp_path)
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / "train/images/1.png")
    with pytest.raises(DataError, match=r"images differ in bands: 1 in 1 \(1.png\), 3 in 4 .*data.channels"):
        open_store(data, "train")
    assert open_store(data.model_copy(update={"channels": 3}), "train").channels == 3
    Image.fromarray(np.zeros((30, 40), np.uint16)).save(tmp_path / "train/images/1.png")
    with pytest.raises(DataError, match=r"images differ in type: uint16 in 1 \(1.png\), uint8 in 4"):
        open_store(data.model_copy(update={"channels": 3}), "train")


def test_images_in_a_folder_nobody_may_write_to_use_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path / "data")
    (tmp_path / "data" / ".flexunet-cache").write_text("a file where the cache folder would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "user"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    store = open_store(data, "train")
    assert len(store) == 5
    assert "decoded images are kept in" in store.notes[-1]
    assert not (tmp_path / "data" / ".flexunet-cache").is_dir()


FULL_DISK = """
import resource, sys
from pathlib import Path
from flexunet.config.schema import DataConfig
from flexunet.data import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # as if the disk were full after that many bytes
open_store(DataConfig(root=Path(sys.argv[1])), "train")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    make(tmp_path)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True)
    assert "decoded images cannot be kept: File too large. Make room there" in done.stderr
    assert not list((tmp_path / ".flexunet-cache").rglob("*.part*"))
    assert not entries(tmp_path)


# -------------------------------------------------------------------------------- real data


REAL: dict[str, dict[str, Any]] = {
    "sichuan": {"colours": ((0, 0, 0), (255, 0, 255)), "size": (64, 64)},
    "mars-7band": {"size": (64, 64)},
    "bangladesh": {
        "values": ((1,), (2,)),
        "ignore_value": 0,
        "nodata": 0,
        "size": (64, 64),
        "sizing": "crop",
    },
    "floods": {
        "ignore_value": -1,
        "size": (256, 256),
        "image_pattern": "(.*)_S2",
        "mask_pattern": "(.*)_Label",
    },
}
FOLDERS = {
    "sichuan": ("sichuan/images", "sichuan/masks"),
    "mars-7band": ("mars-7band/images", "mars-7band/masks"),
    "bangladesh": ("sentinel/bangladesh-landslide/images", "sentinel/bangladesh-landslide/labels"),
    "floods": ("sentinel/sen1floods11", "sentinel/sen1floods11"),
}


@needs_shared
@pytest.mark.parametrize("name", REAL)
def test_real_sets_go_all_the_way_to_batches(name: str, tmp_path: Path) -> None:
    options = dict(REAL[name])
    colours = options.pop("colours", ((0, 0, 0), (255, 255, 0)))
    values = options.pop("values", (None, None))
    table = tuple(
        ClassConfig(name=f"class {i}", colour=colour, values=value)
        for i, (colour, value) in enumerate(zip(colours, values, strict=True))
    )
    images, masks = (SHARED / "data" / folder for folder in FOLDERS[name])
    split = SplitConfig(images=(images,), masks=(masks,))
    data = DataConfig(train=split, classes=table, cache_dir=tmp_path, **options)
    store = open_store(data, "train")
    expected = {
        "sichuan": (10, 3, "uint8"),
        "mars-7band": (18, 7, "float32"),
        "bangladesh": (4, 4, "float32"),
    }
    assert (len(store), store.channels, store.dtype) == expected.get(name, (1, 13, "int16"))
    labels = {int(value) for i in range(len(store)) for value in np.unique(store.labels(i))}
    assert labels == ({0, 1} if name in ("sichuan", "mars-7band") else {0, 1, IGNORE_INDEX})
    bands = band_statistics(store, data)
    assert max(map(abs, bands.mean)) < 10000
    assert max(bands.std) < 10000
    loader = Loader(store, PlainSampler(bands, data.size, data.sizing), batch_size=4, seed=1, shuffle=False)
    for batch in loader.epoch(0):
        assert batch.images.shape[1:] == (store.channels, *data.size)
        assert batch.images.isfinite().all()
        assert batch.images.abs().max() < 50
