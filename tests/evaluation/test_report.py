"""The page of evidence holds what was measured, needs nothing from outside, and compares runs in pairs."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexunet.check import check
from flexunet.cli.app import main
from flexunet.config import dump_toml
from flexunet.config.schema import Config, DataConfig, FlexUNetConfig, OutputConfig
from flexunet.errors import ConfigError, DataError, ModelFileError, OutputExistsError
from flexunet.evaluation import evaluate
from flexunet.evaluation.compare import compare_reports
from flexunet.evaluation.compose import read_report
from flexunet.evaluation.fitting import calibrate_model
from flexunet.evaluation.provenance import epochs_since_best, training_facts
from flexunet.evaluation.reporting import report_runs
from flexunet.modelfile import Calibration, read_record, replace_record
from flexunet.prediction import Predictor
from painted_dataset import paint, painted_data, painted_model

LANDSLIDES, EMPTY = 36, 12


def scene(index: int) -> tuple[np.ndarray, np.ndarray | None]:
    """What is predicted, and the truth: squares of growing size, found but for their first columns."""
    edge = 4 + index % 12
    truth = np.zeros((40, 48), np.uint8)
    truth[5 : 5 + edge, 6 : 6 + edge] = 1
    wanted = truth.copy()
    wanted[:, 6 : 6 + edge // 4] = 0
    wanted[30:33, 30 : 30 + index % 5] = 1
    return wanted, truth


def empty(index: int) -> tuple[np.ndarray, None]:
    wanted = np.zeros((40, 48), np.uint8)
    wanted[20:22, 20:26] = index % 3 == 0
    return wanted, None


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    root = tmp_path_factory.mktemp("dataset")
    items = []
    for split in ("valid", "test"):
        cases: dict[str, Any] = {f"l{index:02}": scene(index) for index in range(LANDSLIDES)}
        cases |= {f"n{index:02}": empty(index) for index in range(EMPTY)}
        paint(root / split, cases)
        for place, name in enumerate(cases):
            folder = "images" if name[0] == "l" else "negatives"
            items.append({
                "id": name, "split": split, "group": f"{split}{place // 2}", "negative": name[0] == "n",
                "image": {"file": f"{split}/{folder}/{name}.png"},
            })  # fmt: skip
    (root / "manifest.json").write_text(json.dumps({"format": "flexunet dataset", "items": items}))
    return painted_data(root)


def make_run(folder: Path, data: DataConfig) -> Path:
    config = Config(data=data, model=FlexUNetConfig(), output=OutputConfig(dir=folder))
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(dump_toml(config), encoding="utf-8")
    painted_model(folder / "model.safetensors", data)
    return folder


@pytest.fixture(scope="module")
def run(dataset: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "first & best", dataset)
    report_runs([folder], pixel_size_m=2.0)
    return folder


@pytest.fixture(scope="module")
def report(run: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (run / "evaluation_test" / "report.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return content


class _Links(HTMLParser):
    """Every address in a page, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "br", "img", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_from_outside(run: Path) -> None:
    text = (run / "evaluation_test" / "report.html").read_text(encoding="utf-8")
    links = _Links()
    links.feed(text)
    assert links.open == []
    assert links.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in links.addresses)
    assert "<script" not in text
    assert "url(" not in text
    assert "<h1>first &amp; best</h1>" in text
    assert len(text) < 1_000_000
    for heading in (
        "The data", "How it was trained", "Scores", "From image to image", "landslide",
        "False alarms, and whole images", "Calibration", "Mapped area", "Pictures", "Time, memory, hardware",
    ):  # fmt: skip
        assert f"<h2>{heading}</h2>" in text
    assert not re.search(r"\b(nan|None)\b", re.sub(r"<style>.*?</style>", "", text))


def test_scores_carry_intervals_over_the_groups_of_the_manifest(report: dict[str, Any]) -> None:
    drawn = report["intervals"]
    assert drawn["source"] == "groups of manifest.json"
    assert drawn["groups"] == (LANDSLIDES + EMPTY) // 2
    for place in (0, 1):
        for measure in ("iou", "f1", "precision", "recall"):
            own = drawn["all"][place][measure]
            value = report["scores"]["classes"][place][measure]
            assert own["low"] < own["value"] < own["high"]
            assert own["value"] == pytest.approx(value, abs=1e-5)
    assert report["consistency"]["agrees"]


def test_objects_outlines_and_areas_are_those_of_the_painted_squares(report: dict[str, Any]) -> None:
    (landslide,) = report["evidence"]
    objects = landslide["objects"]
    assert objects["unit"] == "m2"
    assert objects["truth"] == objects["found"] == objects["touched"] == LANDSLIDES
    false = sum(index % 5 > 0 for index in range(LANDSLIDES)) + EMPTY // 3
    assert objects["predicted"] == LANDSLIDES + false
    assert objects["right"] == LANDSLIDES
    assert sum(size["truth"] for size in objects["by_size"]) == LANDSLIDES
    assert len(objects["by_size"]) > 1
    assert 0 < landslide["boundary"]["f1"][0] <= landslide["boundary"]["f1"][4] < 1
    truth = sum((4 + index % 12) ** 2 for index in range(LANDSLIDES))
    row = report["area"]["classes"][1]
    assert row["true"] == row["corrected"] == truth * 4
    assert row["interval"]["low"] < row["true"] < row["interval"]["high"]
    narrow = row["margin_if_pixels_were_independent"]
    assert 2 * narrow < row["interval"]["high"] - row["interval"]["low"]


def test_images_are_told_apart_as_painted(report: dict[str, Any]) -> None:
    found = report["detection"]
    assert (found["images_with"], found["images_without"]) == (LANDSLIDES, EMPTY)
    rule = found["rules"]["any_pixel"]
    assert (rule["hits"], rule["misses"], rule["false_alarms"]) == (LANDSLIDES, 0, EMPTY // 3)
    assert found["rules"]["always"]["f1"] == pytest.approx(2 * LANDSLIDES / (2 * LANDSLIDES + EMPTY))
    assert found["auroc"] == pytest.approx(1 - EMPTY // 3 / EMPTY / 2, abs=0.2)
    assert report["data"]["splits"]["test"] == {"images": LANDSLIDES, "negatives": EMPTY, "groups": 24}
    assert "no group lies in two splits" in report["data"]["leakage"]


def test_without_a_manifest_images_are_the_units_and_the_page_says_so(tmp_path: Path) -> None:
    data = painted_data(tmp_path)
    paint(tmp_path / "test", {f"l{index:02}": scene(index) for index in range(8)})
    painted_model(tmp_path / "model.safetensors", data)
    evaluate(tmp_path / "model.safetensors", data, out=tmp_path / "out")
    report = read_report(tmp_path / "out" / "report.json")
    assert report["intervals"]["source"].startswith("every image by itself: no manifest.json")
    assert report["intervals"]["groups"] == 8
    assert report["evidence"][0]["objects"]["unit"] == "px"
    assert any("Only 8 groups" in warning for warning in report["warnings"])
    assert report["detection"]["auroc"] is None


def test_labels_and_probabilities_of_an_evaluation_are_the_predictors_own(
    dataset: DataConfig, tmp_path: Path
) -> None:
    model = make_run(tmp_path / "run", dataset) / "model.safetensors"
    calibration = Calibration(temperature=3.0, threshold=0.9)
    replace_record(model, read_record(model).model_copy(update={"calibration": calibration}))
    found = evaluate(model, dataset, out=tmp_path / "out")
    predictor = Predictor.from_file(model)
    assert dataset.root is not None
    first = next(image for image in found.per_image if image.id == "l05")
    labels = predictor(dataset.root / "test" / "images" / "l05.png")
    assert first.confusion.predicted[1] == (labels == 1).sum()
    report = read_report(tmp_path / "out" / "report.json")
    assert report["calibration"]["threshold"] == 0.9
    assert report["calibration"]["before"]["nll"] != report["calibration"]["after"]["nll"]


def test_calibration_is_fitted_on_validation_stored_and_used(dataset: DataConfig, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", dataset)
    model = folder / "model.safetensors"
    found = calibrate_model(model, dataset)
    assert read_record(model).calibration == found
    assert found.fitted_on["split"] == "valid"
    assert found.fitted_on["images"] == LANDSLIDES + EMPTY
    assert found.fitted_on["nll_after"] <= found.fitted_on["nll_before"]
    assert found.threshold is not None
    assert found.image_threshold is not None
    report_runs([folder])
    report = read_report(folder / "evaluation_test" / "report.json")
    # test is painted as valid is: what was fitted there holds here
    calibration = report["calibration"]
    assert calibration["after"]["nll"] <= calibration["before"]["nll"]
    assert calibration["after"]["nll"] == pytest.approx(found.fitted_on["nll_after"], rel=0.02)
    assert "image_threshold" in report["detection"]["rules"]


def test_two_runs_are_compared_in_pairs(run: Path, dataset: DataConfig, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", dataset)
    record = read_record(other / "model.safetensors")
    strict = record.model_copy(update={"calibration": Calibration(threshold=0.999)})
    replace_record(other / "model.safetensors", strict)
    made = report_runs([run, other], out=tmp_path / "both")
    assert made.pages[-1] == tmp_path / "both" / "comparison.html"
    comparison = json.loads((tmp_path / "both" / "comparison.json").read_text(encoding="utf-8"))
    row = next(r for r in comparison["rows"] if (r["class"], r["measure"]) == ("landslide", "recall"))
    (gap,) = row["differences"]
    assert gap["value"] == pytest.approx(row["values"][1] - row["values"][0], abs=1e-5)
    assert gap["high"] < 0
    text = made.pages[-1].read_text(encoding="utf-8")
    links = _Links()
    links.feed(text)
    assert links.open == []
    assert links.addresses
    assert "worse" in text
    with pytest.raises(OutputExistsError, match="holds a comparison already"):
        report_runs([run, other], out=tmp_path / "both")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_opens_both_pages_without_a_word_of_complaint(
    run: Path, dataset: DataConfig, tmp_path: Path
) -> None:
    made = report_runs([run, make_run(tmp_path / "other", dataset)], out=tmp_path / "both")
    assert {page.name for page in made.pages} == {"report.html", "comparison.html"}
    for page in made.pages:
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
            "--virtual-time-budget=3000", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=True, timeout=120, text=True)
        assert "<svg" in done.stdout
        assert "CONSOLE" not in done.stderr


def test_reports_of_other_images_are_not_compared(report: dict[str, Any]) -> None:
    moved = report | {"data": report["data"] | {"fingerprint": "other"}, "classes": ["a", "b"]}
    with pytest.raises(
        DataError, match=r"cannot be compared[\s\S]*other classes than one[\s\S]*other images"
    ):
        compare_reports([report, moved], ["one", "two"])


def test_a_report_whose_numbers_exclude_each_other_is_refused(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    content = json.loads((run / "evaluation_test" / "report.json").read_text(encoding="utf-8"))
    content["scores"]["classes"][1]["iou"] += 0.05
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"landslide: IoU .* exclude each other"):
        read_report(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="not a readable report"):
        read_report(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="not a report of flexunet"):
        read_report(path)


def test_runs_that_are_not_finished_are_named(dataset: DataConfig, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", dataset)
    model = folder / "model.safetensors"
    record = read_record(model)
    training = {"epoch": 2, "config": {"train": {"epochs": 80, "patience": None}}}
    replace_record(model, record.model_copy(update={"training": training}))
    (folder / "log.csv").write_text("epoch,val_iou,seconds\n1,0.1,5\n2,0.2,5\n", encoding="utf-8")
    made = report_runs([folder])
    assert any("Half-finished run: 2 of 80 epochs" in note for note in made.notes)
    assert "Half-finished run: 2 of 80 epochs" in made.pages[0].read_text(encoding="utf-8")
    replace_record(model, record)  # another state of the model than the report's
    with pytest.raises(OutputExistsError, match="another state of model"):
        report_runs([folder])
    model.unlink()
    with pytest.raises(ModelFileError, match=r"no trained model .* go on: flexunet train .*run --resume"):
        report_runs([folder])
    copied = tmp_path / "copied"  # its config.toml still names the folder it was trained in
    painted_model(model, dataset)
    shutil.copytree(folder, copied)
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="copied: holds no trained model"):
        report_runs([copied])


def log_of(*ious: float) -> str:
    rows = [f"{epoch},{iou},5" for epoch, iou in enumerate(ious, 1)]
    return "\n".join(["epoch,val_iou,seconds", *rows, ""])


@pytest.mark.parametrize(
    ("log", "unfinished"),
    [
        (log_of(0.1, 0.4, 0.3, 0.2, 0.4), False),  # three epochs without a better one
        (log_of(0.1, 0.4, 0.3, 0.2), True),
        (log_of(0.1, 0.2, 0.3), True),
        ("epoch,val_iou,val_loss,seconds\n1,,0.5,5\n2,,0.6,5\n3,,0.7,5\n4,,0.5,5\n", False),
        ("epoch,val_iou,seconds\n1,,5\n2,,5\n", True),  # no validation split: nothing stops early
    ],
)
def test_only_early_stopping_ends_a_run_before_its_epochs(
    dataset: DataConfig, tmp_path: Path, log: str, *, unfinished: bool
) -> None:
    model = make_run(tmp_path / "run", dataset) / "model.safetensors"
    training = {"epoch": 2, "config": {"train": {"epochs": 80, "patience": 3, "monitor": "val_iou"}}}
    record = read_record(model).model_copy(update={"training": training})
    (model.parent / "log.csv").write_text(log, encoding="utf-8")
    told = training_facts(record, model)
    assert (told["unfinished"] is not None) is unfinished


def test_early_stopping_by_the_loss_is_judged_by_the_loss() -> None:
    column = {"val_iou": [0.1, 0.2, 0.3], "val_loss": [0.5, 0.6, 0.7]}
    assert epochs_since_best(column, "val_loss") == 2
    assert epochs_since_best(column, "val_iou") == 0


def test_what_a_check_said_of_the_labels_stands_in_the_report(dataset: DataConfig, tmp_path: Path) -> None:
    """Only if it was of these very pictures; a check.json that lies about is not asked."""
    root = tmp_path / "data"
    truth = np.zeros((60, 70), np.uint8)
    truth[20:50, 10:40] = 1
    other = np.roll(truth, 25, axis=1)
    paint(root / "test", {"a": (truth, truth), "b": (truth, other)})
    data = painted_data(root)
    run = make_run(tmp_path / "run", data)
    (run / "check.json").write_text('{"findings": []}', encoding="utf-8")
    (root / "check.json").write_text('{"findings": []}', encoding="utf-8")
    page = report_runs([run]).pages[0]
    told = read_report(page.with_name("report.json"))["data"]
    assert told["label_conflicts"].startswith(f"not checked: flexunet check {root}")
    check(run / "config.toml")
    report_runs([run], overwrite=True)
    told = read_report(page.with_name("report.json"))["data"]
    assert told["label_conflicts"].startswith("1 of 1 pairs with a label on shared ground in test")
    assert "labels contradict each other there" in page.read_text(encoding="utf-8")


def flexunet(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["flexunet", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code if isinstance(stopped.value.code, int) else 0


def test_the_command(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert flexunet(monkeypatch, "report", str(run)) == 0
    assert capsys.readouterr().out.strip() == str(run / "evaluation_test" / "report.html")
    assert flexunet(monkeypatch, "report") == 2
    assert "name a run folder" in capsys.readouterr().err
    assert flexunet(monkeypatch, "report", "--check", "iou=0.74 f1=0.80") == 2
    assert "IoU 0.74, F1 0.8 exclude each other" in capsys.readouterr().err
    assert flexunet(monkeypatch, "report", "--check", "iou=0.67, f1=0.80") == 0
    assert flexunet(monkeypatch, "report", "--check", "iou=0.74 f1=0.9") == 0
    assert flexunet(monkeypatch, "report", "--check", "iou=7.4e-1 f1=0.90") == 2
    for scores, told in (
        ("dice=0.8", "expected iou, f1, precision, recall"),
        ("", "two scores or more"),
        ("iou=0.74", "two scores or more"),
        ("iou=0.74 iou=0.8", "iou is given twice"),
        ("iou=nan f1=0.8", "expected name=number"),
        ("iou f1=0.8", "expected name=number"),
    ):
        assert flexunet(monkeypatch, "report", "--check", scores) == 2
        assert told in capsys.readouterr().err


def test_an_evaluation_without_a_report_is_not_replaced_unasked(dataset: DataConfig, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", dataset)
    (folder / "evaluation_test").mkdir()
    (folder / "evaluation_test" / "scores.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputExistsError, match="without a report"):
        report_runs([folder])
    with pytest.raises(ConfigError, match="no such model"):
        report_runs([tmp_path / "nothing"])
