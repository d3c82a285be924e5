"""The landscape is the same for the same seed, and its landslides are where landslides are."""

import numpy as np
import pytest

from flexunet.demo.landslides import add_landslides
from flexunet.demo.noise import fractal, ramp, ridged
from flexunet.demo.scene import PIXEL_SIZE_M, Scene, make_scene
from flexunet.demo.terrain import Terrain, make_terrain
from flexunet.demo.threshold import best_threshold, features

SIZE = 96


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(3, index, SIZE) for index in range(4)]


def test_a_scene_depends_on_seed_and_index_alone(scenes: list[Scene]) -> None:
    again, other = make_scene(3, 1, SIZE), make_scene(4, 1, SIZE)
    assert np.array_equal(again.image, scenes[1].image)
    assert np.array_equal(again.mask, scenes[1].mask)
    assert np.array_equal(again.height_m, scenes[1].height_m)
    assert not np.array_equal(other.image, scenes[1].image)


def test_arrays_have_the_promised_shapes_and_values(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (SIZE, SIZE, 3)
        assert scene.image.dtype == np.uint8
        assert scene.mask.shape == (SIZE, SIZE)
        assert scene.mask.dtype == np.uint8
        assert set(np.unique(scene.mask)) <= {0, 1}
        assert scene.height_m.shape == (SIZE, SIZE)
        assert scene.height_m.dtype == np.float32
        assert np.isfinite(scene.height_m).all()
        assert scene.image.std() > 12


def test_landslides_run_downhill_from_steep_ground() -> None:
    falls, starts = [], []
    for seed in range(2):
        generator = np.random.default_rng(seed)
        terrain = make_terrain(200, PIXEL_SIZE_M, generator)
        slides = add_landslides(terrain, 4, generator)
        crown, toe = slides.mask & (slides.along < 0.1), slides.mask & (slides.along > 0.9)
        falls.append(terrain.height_m[crown].mean() - terrain.height_m[toe].mean())
        starts.append(np.median(terrain.slope_deg[crown]))
    assert min(falls) > 5
    assert min(starts) > 20


def test_flat_ground_has_no_landslides() -> None:
    nothing = np.zeros((0, 2, 2), np.float32)
    flat = Terrain(PIXEL_SIZE_M, np.zeros((80, 80), np.float32), nothing, np.zeros(0, np.float32))
    slides = add_landslides(flat, 5, np.random.default_rng(0))
    assert not slides.mask.any()
    assert np.array_equal(slides.height_m, flat.height_m)


def test_streams_flow_downhill_and_grow_downstream() -> None:
    terrain = make_terrain(240, PIXEL_SIZE_M, np.random.default_rng(5))
    assert len(terrain.streams) == len(terrain.flow) > 20
    starts = {tuple(start): flow for (start, _), flow in zip(terrain.streams, terrain.flow, strict=True)}
    onward = [
        (flow, starts[tuple(end)])
        for (_, end), flow in zip(terrain.streams, terrain.flow, strict=True)
        if tuple(end) in starts
    ]
    assert len(onward) > 10
    assert all(below > above for above, below in onward)


@pytest.mark.parametrize("make", [fractal, ridged])
def test_noise_is_standardised_and_repeatable(make: object) -> None:
    assert callable(make)
    one, two = (make(64, np.random.default_rng(9), largest=16) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.dtype == np.float32
    assert abs(float(one.mean())) < 1e-4
    assert abs(float(one.std()) - 1) < 1e-3


def test_a_ramp_climbs_both_ways() -> None:
    values = np.array([0, 1, 1.5, 2, 3], np.float32)
    assert ramp(values, 1, 2).tolist() == [0, 0, 0.5, 1, 1]
    assert ramp(values, 2, 1).tolist() == [1, 1, 0.5, 0, 0]


def test_the_best_threshold_is_found_in_the_right_feature_and_direction() -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    mask = (image[..., 2] < 60).astype(np.uint8)
    best = best_threshold([(image, mask)])
    assert (best.feature, best.above) == ("blue", False)
    assert best.iou > 0.97
    assert 59 / 255 - 0.01 < best.threshold < 60 / 255 + 0.01
    assert best.brightness_iou < 0.6


def test_no_threshold_solves_the_scenes(scenes: list[Scene]) -> None:
    best = best_threshold([(scene.image, scene.mask) for scene in scenes])
    assert best.iou < 0.75
    assert best.brightness_iou < 0.5


def test_features_stay_between_minus_one_and_one() -> None:
    extremes = np.array([[[0, 0, 0], [255, 255, 255], [0, 255, 0], [255, 0, 255]]], np.uint8)
    for values in features(extremes).values():
        assert values.min() >= -1
        assert values.max() <= 1
