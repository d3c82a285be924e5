"""Every number of an evaluation is the one that the painted pixels say, and the report holds all of them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flexunet.config.schema import Config, DataConfig, EvaluateConfig, SplitConfig
from flexunet.errors import ConfigError, DataError, OutputExistsError
from flexunet.evaluation import evaluate, score_table
from flexunet.prediction import Predictor
from painted_dataset import CLASSES, IGNORED, paint, painted_data, painted_model


def rectangle(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    labels = np.zeros(size, np.uint8)
    labels[rows, columns] = 1
    return labels


def cases() -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    half = rectangle((20, 30), slice(0, 10), slice(0, 30))
    partly = half.copy()
    partly[:5] = IGNORED
    return {
        "perfect": (half, half),
        "shifted": (rectangle((20, 30), slice(5, 15), slice(0, 30)), half),
        "missed": (np.zeros((8, 40), np.uint8), rectangle((8, 40), slice(0, 2), slice(0, 40))),
        "ignored": (half, partly),
        "all_ignored": (half, np.full((20, 30), IGNORED, np.uint8)),
        "full": (np.ones((5, 7), np.uint8), np.ones((5, 7), np.uint8)),
        "quiet": (np.zeros((10, 10), np.uint8), None),
        "alarm": (rectangle((10, 10), slice(0, 1), slice(0, 10)), None),
        "pixel": (np.ones((1, 1), np.uint8), np.zeros((1, 1), np.uint8)),
    }


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataConfig]:
    root = tmp_path_factory.mktemp("painted")
    data = painted_data(root)
    paint(root / "test", cases())
    painted_model(root / "model.safetensors", data)
    return root / "model.safetensors", data


@pytest.fixture(scope="module")
def report(painted: tuple[Path, DataConfig], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return evaluate(*painted, out=tmp_path_factory.mktemp("report") / "evaluation")


def test_the_pooled_matrix_counts_every_pixel_that_is_not_ignored(report: Any) -> None:
    expected = np.zeros((2, 2), np.int64)
    for predicted, truth in cases().values():
        for t, p in zip(
            (np.zeros_like(predicted) if truth is None else truth).flat, predicted.flat, strict=True
        ):
            if t != IGNORED:
                expected[t, p] += 1
    assert report.confusion.counts.tolist() == expected.tolist()
    (tn, fp), (fn, tp) = expected.tolist()
    landslide = report.scores["classes"][1]
    assert landslide["iou"] == pytest.approx(tp / (tp + fp + fn))
    assert landslide["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert landslide["precision"] == pytest.approx(tp / (tp + fp))
    assert landslide["recall"] == pytest.approx(tp / (tp + fn))
    assert report.scores["foreground"]["iou"] == landslide["iou"]
    assert report.scores["pixel_accuracy"] == pytest.approx((tn + tp) / expected.sum())
    assert report.scores["ignored_pixels"] == 150 + 600


def test_scores_of_single_images_are_defined_everywhere(report: Any) -> None:
    rows = list(csv.DictReader((report.out / "per_image.csv").read_text(encoding="utf-8").splitlines()))
    scores = {row["id"]: row["score"] for row in rows}
    assert scores == {
        "perfect": "1.000000", "shifted": "0.333333", "missed": "0.000000", "ignored": "1.000000",
        "all_ignored": "", "full": "1.000000", "quiet": "1.000000", "alarm": "0.000000", "pixel": "0.000000",
    }  # fmt: skip
    assert [row["id"] for row in rows][:4] == ["missed", "alarm", "pixel", "shifted"]
    assert rows[-1]["id"] == "all_ignored"
    assert rows[0]["recall_landslide"] == "0.000000"
    assert rows[0]["precision_landslide"] == ""


def test_false_alarms_and_images_with_landslides_are_told_apart(report: Any) -> None:
    empty, full = report.scores["without_foreground"], report.scores["with_foreground"]
    assert empty["images"] == 3
    assert empty["images_with_false_alarm"] == 2
    assert empty["false_alarm_pixels"] == 11
    assert empty["false_alarm_share"] == pytest.approx(11 / 201)
    assert empty["largest_share_in_an_image"] == 1.0
    assert full["images"] == 5
    assert full["foreground"]["iou"] > report.scores["foreground"]["iou"]


def test_the_report_is_whole_and_strict_json(report: Any) -> None:
    names = {path.name for path in report.out.iterdir()}
    assert names == {
        "scores.json", "per_image.csv", "confusion.png", "worst.png", "best.png", "false_alarms.png",
        "evaluation.csv", "report.html", "report.json",
    }  # fmt: skip

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (report.out / "scores.json").read_text(encoding="utf-8")
    scores = json.loads(text, parse_constant=refuse)
    assert scores == report.scores
    assert scores["images"] == 9
    assert scores["split"] == "test"
    assert len(scores["model"]["sha256"]) == 64
    assert set(scores["definitions"]) >= {"iou", "f1", "reference", "image_scores"}
    for name in ("confusion.png", "worst.png", "best.png", "false_alarms.png"):
        with Image.open(report.out / name) as picture:
            picture.load()
    table = score_table(scores)
    assert "landslide" in table
    assert "false alarm in 2, on 5.47 % of their pixels" in table


def test_the_references_numbers_stand_in_its_own_form(report: Any) -> None:
    lines = (report.out / "evaluation.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["categorical_crossentropy", "dice_coef_multiclass"]
    reference = report.scores["reference"]
    assert [float(line.split(",")[1]) for line in lines] == [
        round(reference["loss"]["value"], 4), round(reference["metric"]["value"], 4)
    ]  # fmt: skip
    assert 0.5 < reference["metric"]["value"] < 1
    assert reference["size"] == [16, 16]


def test_batches_tiles_and_turns_change_nothing_for_a_pixelwise_model(
    painted: tuple[Path, DataConfig], report: Any
) -> None:
    predictor = Predictor.from_file(painted[0])
    config = Config(data=painted[1], evaluate=EvaluateConfig(batch_size=1, tta=True, gallery=0))
    turned = evaluate(predictor, config, tiling="tiled")
    assert turned.confusion == report.confusion
    assert turned.out is None
    assert turned.scores["prediction"] == {"tta": True, "tiling": "tiled", "images_in_tiles": 5}
    assert turned.scores["reference"]["metric"]["value"] == pytest.approx(
        report.scores["reference"]["metric"]["value"], abs=1e-6
    )


def test_an_evaluation_is_not_replaced_unless_asked(painted: tuple[Path, DataConfig], tmp_path: Path) -> None:
    evaluate(*painted, out=tmp_path)
    before = (tmp_path / "scores.json").read_bytes()
    with pytest.raises(OutputExistsError, match=r"holds an evaluation already\. Use --overwrite"):
        evaluate(*painted, out=tmp_path)
    assert (tmp_path / "scores.json").read_bytes() == before
    evaluate(*painted, out=tmp_path, settings=EvaluateConfig(gallery=0), overwrite=True)
    assert not (tmp_path / "worst.png").exists()


def test_nothing_but_ignored_masks_or_nothing_but_background_gives_no_nan(tmp_path: Path) -> None:
    data = painted_data(tmp_path)
    painted_model(tmp_path / "model.safetensors", data)
    ignored = {"a": (np.ones((6, 6), np.uint8), np.full((6, 6), IGNORED, np.uint8))}
    background = {"b": (np.zeros((6, 6), np.uint8), np.zeros((6, 6), np.uint8))}
    for split, painted_cases in (("valid", ignored), ("test", background)):
        paint(tmp_path / split, painted_cases)
        found = evaluate(tmp_path / "model.safetensors", data, split, tmp_path / f"out_{split}")  # type: ignore[arg-type]
        assert found.scores["foreground"]["iou"] is None
        assert "-" in score_table(found.scores)
    assert found.scores["pixel_accuracy"] == 1.0
    assert found.per_image[0].score(CLASSES) == 1.0


def test_pixels_without_image_data_are_not_counted(tmp_path: Path) -> None:
    data = painted_data(tmp_path)
    painted_model(tmp_path / "model.safetensors", data)
    truth = rectangle((12, 12), slice(0, 6), slice(0, 12))
    paint(tmp_path / "test", {"a": (truth, truth)})
    picture = Image.open(tmp_path / "test" / "images" / "a.png").convert("RGBA")
    alpha = np.full((12, 12), 255, np.uint8)
    alpha[:, :4] = 0
    picture.putalpha(Image.fromarray(alpha))
    picture.save(tmp_path / "test" / "images" / "a.png")
    found = evaluate(tmp_path / "model.safetensors", data)
    assert found.confusion.counts.tolist() == [[48, 0], [0, 48]]
    assert found.scores["ignored_pixels"] == 48


def test_a_sigmoid_model_is_scored_on_its_one_channel(
    painted: tuple[Path, DataConfig], report: Any, tmp_path: Path
) -> None:
    painted_model(tmp_path / "sigmoid.safetensors", painted[1], sigmoid=True)
    found = evaluate(tmp_path / "sigmoid.safetensors", painted[1], loss="bce_dice_loss", metric="dice_coef")
    assert found.confusion == report.confusion
    assert found.scores["reference"]["metric"]["name"] == "dice_coef"
    assert 0 < found.scores["reference"]["metric"]["value"] < 1


def test_data_that_do_not_fit_the_model_are_refused(painted: tuple[Path, DataConfig], tmp_path: Path) -> None:
    model, data = painted
    with pytest.raises(ConfigError, match=r"the reference has no loss 'focal'; it has .*dice_loss"):
        evaluate(model, data, loss="focal")
    three = data.model_copy(update={"classes": (*data.classes, data.classes[1].model_copy(
        update={"name": "road", "colour": (9, 9, 9)}
    ))})  # fmt: skip
    with pytest.raises(DataError, match=r"the model knows 2 classes .* the data have 3"):
        evaluate(model, three)
    lost = data.model_copy(update={"test": SplitConfig(images=(tmp_path / "no",), masks=(tmp_path / "no",))})
    with pytest.raises(DataError, match="no such folder"):
        evaluate(model, lost)
