"""Pictures are written whole, show what they are given, and survive every odd input a run can produce."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet.classes import IGNORE_INDEX, Classes
from flexunet.views import Card, display_rgb, draw_confusion, draw_curves, gallery, outline, overlay

TWO = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 255, 0)))


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize(
    "columns",
    [
        {"epoch": [1, 2, 3], "loss": [3.0, 2, 1], "val_loss": [3.0, 2, 2.5], "val_iou": [0.1, 0.4, 0.2]},
        {"loss": [1.0], "val_loss": [float("nan")]},
        {"val_iou": [None, 0.5], "learning_rate": [1e-3, 1e-4]},
        {"loss": [float("inf"), 1.0], "$odd_name$ 滑坡": [0.5, 0.25]},
        {},
    ],
)
def test_curves_of_any_log_are_drawn(columns: dict[str, list[float | None]], tmp_path: Path) -> None:
    draw_curves(columns, tmp_path / "new" / "curves.png", "a run, 5 $")
    assert size(tmp_path / "new" / "curves.png")[0] == 800
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["curves.png"]


def test_one_panel_has_the_references_picture_size(tmp_path: Path) -> None:
    draw_curves({"loss": [2.0, 1], "val_loss": [2.0, 1.5]}, tmp_path / "train_losses.png", "train_losses")
    assert size(tmp_path / "train_losses.png") == (800, 600)


def test_confusion_matrices_with_absent_classes_and_odd_names_are_drawn(tmp_path: Path) -> None:
    classes = Classes(names=("a$b$", "滑坡", "c"), colours=((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    draw_confusion(np.array([[5, 1, 0], [0, 0, 0], [1, 1, 1]]), classes, tmp_path / "confusion.png")
    draw_confusion(np.zeros((3, 3), np.int64), classes, tmp_path / "empty.png", "nothing counted")
    many = Classes(names=tuple(map(str, range(30))), colours=tuple((i, i, i) for i in range(30)))
    draw_confusion(np.eye(30, dtype=np.int64), many, tmp_path / "many.png")
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(ValueError, match=r"shape \(2, 2\), the classes need \(3, 3\)"):
        draw_confusion(np.zeros((2, 2), np.int64), classes, tmp_path / "no.png")


def test_overlay_tints_and_outlines_the_foreground_only() -> None:
    rgb = np.full((40, 40, 3), 100, np.uint8)
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    drawn = overlay(rgb, labels, TWO, tint=0.5)
    assert drawn[0, 0].tolist() == [100, 100, 100]
    assert drawn[20, 20].tolist() == [178, 178, 50]
    assert drawn[10, 20].tolist() == [255, 255, 0]
    assert rgb[20, 20].tolist() == [100, 100, 100]
    labels[0:5] = IGNORE_INDEX
    assert (overlay(rgb, labels, TWO)[0:5] == 128).any()


def test_the_pictures_edge_is_no_outline() -> None:
    assert not outline(np.ones((8, 8), np.bool_)).any()
    inside = np.zeros((8, 8), np.bool_)
    inside[:, :4] = True
    assert outline(inside).sum() == 8


def test_eight_bit_rgb_is_shown_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 50, (3, 9, 7)).astype(np.uint8)
    np.testing.assert_array_equal(display_rgb(pixels), pixels.transpose(1, 2, 0))


def test_many_bands_are_stretched_and_chosen_by_name() -> None:
    pixels = np.random.default_rng(0).normal(3000, 500, (4, 50, 60)).astype(np.float32)
    pixels[0] = np.linspace(0, 1, 3000).reshape(50, 60)
    pixels[:, 0, 0] = -3.4e38
    pixels[1, 0, 1] = np.nan
    valid = np.ones((50, 60), np.bool_)
    valid[0, 0] = False
    shown = display_rgb(pixels, valid, band_names=("Blue", "Green", "NIR", "Red"))
    assert shown.shape == (50, 60, 3)
    assert shown[0, 0].tolist() == shown[0, 1].tolist() == [48, 48, 48]
    np.testing.assert_allclose(shown[1:, :, 2].mean(1), np.linspace(5, 255, 49), atol=8)  # blue is the ramp
    assert 110 < shown[..., 0].mean() < 145


@pytest.mark.parametrize("bands", [1, 2, 7])
def test_any_number_of_bands_and_constant_or_empty_ones_are_shown(bands: int) -> None:
    constant = np.full((bands, 3, 3), 7, np.int16)
    assert display_rgb(constant).shape == (3, 3, 3)
    assert (display_rgb(constant, np.zeros((3, 3), np.bool_)) == 48).all()
    assert display_rgb(np.zeros((bands, 1, 1), np.uint8)).shape == (1, 1, 3)


def test_a_gallery_of_any_shapes_and_gaps_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cards = []
    for height, width in ((1, 1), (300, 20), (40, 500)):
        labels = rng.integers(0, 2, (height, width)).astype(np.uint8)
        labels[: height // 3] = IGNORE_INDEX
        picture = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
        cards.append(Card(picture, labels, 1 - labels.clip(0, 1), f"{width}x{height} 滑坡 " * 12))
    gallery(cards, TWO, tmp_path / "all.png", title="worst")
    gallery([Card(cards[0].rgb, None, cards[0].predicted)], TWO, tmp_path / "no_truth.png")
    # one card has a truth only, one a prediction only
    gallery([Card(cards[0].rgb, cards[0].truth, None), Card(cards[1].rgb, None, cards[1].predicted)],
            TWO, tmp_path / "mixed.png", panel_px=40, columns=1)  # fmt: skip
    mixed = np.asarray(Image.open(tmp_path / "mixed.png").convert("L")).astype(int)
    assert (mixed[150:170, 16 + 46 + 5 : 16 + 86] == 255).all(), "no truth: paper, not the prediction"
    gallery([], TWO, tmp_path / "empty.png", title="nothing")
    assert size(tmp_path / "all.png")[0] > size(tmp_path / "no_truth.png")[0]
    assert len(list(tmp_path.iterdir())) == 4
