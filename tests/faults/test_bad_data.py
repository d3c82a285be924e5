"""Images and masks that cannot be used are named, all of them, before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blob_dataset import write_picture
from command_line import flexunet


def test_every_fault_of_both_splits_stands_in_one_report(dataset: Path) -> None:
    images, masks = dataset / "train" / "images", dataset / "train" / "masks"
    whole = (images / "p0.png").read_bytes()
    (images / "p0.png").write_bytes(whole[: len(whole) // 2])
    write_picture(masks / "p1.png", np.zeros((30, 20), np.uint8))
    painted = np.zeros((32, 32, 3), np.uint8)
    painted[:16] = (40, 30, 200)
    write_picture(masks / "p2.png", painted)
    (dataset / "valid" / "masks" / "p1.png").unlink()

    said = flexunet("train", "run.toml", cwd=dataset, code=2).stderr

    assert f"{images / 'p0.png'}: damaged PNG: image file is truncated. Replace the file" in said
    assert f"{masks / 'p1.png'}: is 30 x 20 pixels" in said
    assert 'data.mask_size = "resize"' in said
    assert f"{masks / 'p2.png'}: 50.00% of the pixels have no class colour: (200, 30, 40)" in said
    assert f"{dataset / 'valid' / 'images' / 'p1.png'}: has no mask." in said
    assert "data.on_orphan" in said
    assert not (dataset / "run").exists()


def test_a_class_index_beyond_the_classes_is_named(dataset: Path) -> None:
    for path in (dataset / "train" / "masks").iterdir():
        write_picture(path, np.ones((32, 32), np.uint8))
    painted = np.zeros((32, 32), np.uint8)
    painted[3, 4] = 7
    write_picture(dataset / "train" / "masks" / "p3.png", painted)

    said = flexunet("train", "run.toml", "--set", "data.mask_encoding=index", cwd=dataset, code=2).stderr

    assert "p3.png: values that are no class: 7 (0.10%); classes have the values 0, 1. Set" in said


def test_an_empty_folder_is_named(dataset: Path) -> None:
    for path in (dataset / "train" / "images").iterdir():
        path.unlink()
    said = flexunet("train", "run.toml", cwd=dataset, code=2).stderr
    assert f"in {dataset / 'train' / 'images'}. Put the files there" in said
