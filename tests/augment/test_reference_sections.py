"""Every section of the reference's online augmentation changes samples, as far as its numbers say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from flexunet.augment import Augmenter
from flexunet.bands import Bands
from flexunet.config.loading import parse_config

QUIET = {"hflip": "False", "vflip": "False", "rotation": "False", "shrinks": "[]"}
SECTIONS: dict[str, tuple[dict[str, str], dict[str, dict[str, str]]]] = {
    "hflip": ({"hflip": "True"}, {}),
    "vflip": ({"vflip": "True"}, {}),
    "rotation": ({"rotation": "True", "angles": "[90, 180, 270]"}, {}),
    "shrinks": ({"shrinks": "[0.6]"}, {}),
    "shears": ({"shears": "[0.3]"}, {}),
    "deformation": ({"deformation": "True"}, {"deformation": {"alpah": "1300", "sigmoids": "[8]"}}),
    "distortion": (
        {"distortion": "True"},
        {"distortion": {"gaussian_filter_rsigma": "20", "distortions": "[0.05]"}},
    ),
    "barrdistortion": (
        {"barrdistortion": "True"},
        {"barrdistortion": {"radius": "0.4", "amount": "0.4", "centers": "[(0.5, 0.5)]"}},
    ),
    "pincdistortion": (
        {"pincdistortion": "True"},
        {"pincdistortion": {"radius": "0.4", "amount": "-0.4", "centers": "[(0.4, 0.5)]"}},
    ),
    "sharpening": ({"sharpening": "True"}, {"sharpening": {"k": "0.5"}}),
    "brightening": ({"brightening": "True"}, {"brightening": {"alpha": "1.3", "beta": "20"}}),
}
VALUES_ONLY = ("sharpening", "brightening")


def samples(
    augmentor: dict[str, str], sections: dict[str, dict[str, str]], generator: str = "True"
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Twelve samples of one picture, as a config with these settings draws them."""
    parts = {
        "model": {
            "image_height": "96", "image_width": "96", "num_classes": "2", "base_filters": "4",
            "dropout_rate": "0.05", "generator": "True",
        },
        "generator": {"augmentation": generator},
        "augmentor": {**QUIET, **augmentor},
        "mask": {"rgb_map": "{(0,0,0):0, (255,255,255):1}"},
        **sections,
    }  # fmt: skip
    text = "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in values.items())
        for name, values in parts.items()
    )
    config = parse_config(text, Path("train_eval_infer.config")).config.augment
    noise = np.random.default_rng(0).normal(size=(96, 96))
    smooth = cv2.GaussianBlur(noise, (0, 0), 7)
    labels = (smooth > 0).astype(np.uint8)
    grey = np.clip(128 + 700 * smooth, 0, 255).astype(np.uint8)
    bands = Bands(names=tuple("rgb"), mean=(0.0,) * 3, std=(1.0,) * 3)
    augmenter = Augmenter(config, bands, (96, 96), "resize")
    everywhere = np.ones(labels.shape, np.bool_)
    return [
        augmenter(np.stack([grey] * 3), labels, everywhere, np.random.default_rng(seed)) for seed in range(12)
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_is_on_changes_samples_and_some_are_left_as_they_are(section: str) -> None:
    plain = samples({}, {})
    assert all(np.array_equal(image, plain[0][0]) for image, _ in plain)  # nothing else is on
    changed = [
        (not np.array_equal(image, plain[0][0]), not np.array_equal(labels, plain[0][1]))
        for image, labels in samples(*SECTIONS[section])
    ]
    images, masks = ([flags[axis] for flags in changed] for axis in (0, 1))
    assert any(images)
    if section in VALUES_ONLY:
        assert not any(masks)
    else:
        assert sum(masks) > sum(images) / 2  # a shrink of next to nothing moves no whole pixel
        assert all(image for image, mask in changed if mask)
    if section not in ("shrinks", "shears"):  # drawn from a range that hardly ever ends at nothing
        assert not all(images)


def test_generator_augmentation_false_changes_nothing() -> None:
    everything = {name: value for augmentor, _ in SECTIONS.values() for name, value in augmentor.items()}
    off = samples(everything, {}, generator="False")
    plain = samples({}, {})
    assert all(np.array_equal(image, plain[0][0]) for image, _ in off)


def test_brightening_has_the_factor_and_offset_of_its_section() -> None:
    plain = samples({}, {})[0][0]
    bright = {image.tobytes(): image for image, _ in samples(*SECTIONS["brightening"])}
    expected = np.rint(plain * np.float32(1.3) + 20).clip(0, 255)
    assert any(np.array_equal(image, expected) for image in bright.values())
