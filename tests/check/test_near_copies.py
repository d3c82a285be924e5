"""A picture's copy is found whatever was done to it, and honest pairs are left alone."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flexunet.check.near import describe, find_copies, without_collar
from flexunet.check.near.features import mirrored
from flexunet.check.near.maps import whole_map
from planted_leaks import PLANTS, Plant, neighbouring_crops
from shared_data import SHARED, needs_shared

Pixels = NDArray[np.uint8]


def real_pictures(count: int) -> list[Pixels]:
    """Pictures of different places, at least 150 pixels on each edge."""
    folder = SHARED / "data" / "bijie" / "landslide" / "image"
    pictures = []
    for path in sorted(folder.glob("*.png"))[::9]:
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if pixels is not None and min(pixels.shape[:2]) >= 150:
            pictures.append(np.asarray(pixels, np.uint8))
    return pictures[:count]


def channels_first(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@needs_shared
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: str(plant.__name__))
def test_a_copy_is_found_and_nothing_else(plant: Plant) -> None:
    rng = np.random.default_rng(5)
    originals = real_pictures(10)
    copies = [plant(picture, rng) for picture in originals[:3]]
    found = find_copies([describe(channels_first(picture)) for picture in (*originals, *copies)])
    assert [(match.first, match.second) for match in found] == [(0, 10), (1, 11), (2, 12)]


@needs_shared
def test_crops_that_overlap_are_found_with_the_shift_between_them() -> None:
    scene = max(real_pictures(20), key=lambda picture: picture.size)
    height, width = scene.shape[:2]
    one = scene[: round(0.7 * height), : round(0.7 * width)]
    other = scene[round(0.3 * height) :, round(0.25 * width) :]
    small = cv2.resize(other, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    (match,) = find_copies([describe(channels_first(np.asarray(part, np.uint8))) for part in (one, small)])
    corner = match.matrix @ [0, 0, 1]
    assert corner == pytest.approx([round(0.25 * width), round(0.3 * height)], abs=3)
    assert match.matrix[0, 0] == pytest.approx(1.25, abs=0.02)


@needs_shared
def test_neighbouring_crops_of_two_people_are_found() -> None:
    rng = np.random.default_rng(2)
    pairs = [neighbouring_crops(picture, rng)[:2] for picture in real_pictures(4)]
    features = [describe(channels_first(part)) for pair in pairs for part in pair]
    assert [(match.first, match.second) for match in find_copies(features)] == [
        (0, 1),
        (2, 3),
        (4, 5),
        (6, 7),
    ]


def test_blank_and_tiny_pictures_match_nothing() -> None:
    rng = np.random.default_rng(0)
    blank = [np.full((3, 64, 64), value, np.uint8) for value in (0, 0, 200)]
    tiny = [rng.integers(0, 255, (3, 5, 7), np.uint8)] * 2
    assert find_copies([describe(pixels) for pixels in (*blank, *tiny)]) == []
    assert find_copies([]) == []


def test_bands_of_any_type_and_missing_pixels_are_described() -> None:
    rng = np.random.default_rng(1)
    elevation = cv2.GaussianBlur(rng.normal(0, 900, (140, 130)).astype(np.float32), (0, 0), 3)
    bands = np.stack([elevation, elevation**2, -elevation])
    valid = np.ones((140, 130), np.bool_)
    valid[:, :20] = False
    whole, part = describe(bands), describe(bands, valid)
    assert min(len(whole.points), len(part.points)) > 10
    assert whole.points[:, 0].min() < 20 <= part.points[:, 0].min()
    (match,) = find_copies([whole, part])
    assert match.score > 0.9


@needs_shared
def test_mirrored_descriptors_are_those_of_the_mirrored_picture() -> None:
    picture = real_pictures(1)[0]
    plain = describe(channels_first(picture))
    flipped = describe(channels_first(np.ascontiguousarray(picture[:, ::-1])))
    seen = mirrored(plain.descriptors).astype(np.float32)
    x = plain.grey.shape[1] - 1 - plain.points[:, 0]
    distances = []
    for index in range(len(seen)):
        near = np.hypot(flipped.points[:, 0] - x[index], flipped.points[:, 1] - plain.points[index, 1]) < 0.7
        if near.any():
            others = flipped.descriptors[near].astype(np.float32)
            distances.append(float(np.linalg.norm(others - seen[index], axis=1).min()))
    assert len(distances) > 50
    assert np.median(distances) < 60


@pytest.mark.parametrize("position", range(8))
def test_whole_map_undoes_each_position_of_the_thumbnails(position: int) -> None:
    from flexunet.check.near.candidates import dihedral

    picture = np.random.default_rng(3).random((20, 30), dtype=np.float32)
    seen = dihedral(picture[None], position)[0]  # what the second looks like when brought into position
    matrix = whole_map(seen.shape, picture.shape, position)
    for y, x in ((0, 0), (3, 7), (19, 29)):
        column, row = np.rint(matrix @ [x, y, 1]).astype(int)
        assert seen[row, column] == picture[y, x]


def test_collars_of_zeros_prove_nothing() -> None:
    rng = np.random.default_rng(4)
    scenes = []
    for _ in range(2):  # two places under one black wedge
        scene = cv2.GaussianBlur(rng.normal(120, 900, (3, 160, 160)).astype(np.float32), (0, 0), 2)
        scene = np.clip(scene, 1, 255).astype(np.uint8)
        scene[:, np.add.outer(np.arange(160), np.arange(160)) < 170] = 0
        scenes.append(scene)
    assert find_copies([describe(scene) for scene in scenes]) == []
    inside = without_collar(scenes[0])
    assert inside is not None
    assert not inside[0, 0]
    assert inside[-1, -1]
    assert without_collar(np.where(scenes[0] == 0, 7, scenes[0])) is None
