"""A report is shown again only if it says what was asked: these images, this pixel size, these settings."""

import json
from pathlib import Path

import numpy as np
import pytest

from flexunet.config import dump_toml
from flexunet.config.schema import Config, DataConfig, FlexUNetConfig, OutputConfig
from flexunet.errors import DataError, OutputExistsError
from flexunet.evaluation.compare import write_comparison
from flexunet.evaluation.compose import read_report
from flexunet.evaluation.inputs import job_of
from flexunet.evaluation.reporting import report_runs
from flexunet.modelfile import Calibration, read_record, replace_record
from painted_dataset import paint, painted_data, painted_model


def dataset(root: Path, *edges: int) -> DataConfig:
    """A test split with one square of each edge, found but for its first column."""
    cases = {}
    for index, edge in enumerate(edges):
        truth = np.zeros((20, 24), np.uint8)
        truth[3 : 3 + edge, 4 : 4 + edge] = 1
        wanted = truth.copy()
        wanted[:, 4] = 0
        cases[f"p{index}"] = (wanted, truth)
    paint(root / "test", cases)
    return painted_data(root)


def make_run(folder: Path, data: DataConfig) -> Path:
    config = Config(data=data, model=FlexUNetConfig(), output=OutputConfig(dir=folder))
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(dump_toml(config), encoding="utf-8")
    painted_model(folder / "model.safetensors", data)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> DataConfig:
    return dataset(tmp_path / "own", 5, 6, 7)


@pytest.fixture
def run(own: DataConfig, tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run", own)
    report_runs([folder])
    return folder


def test_what_was_asked_before_is_shown_again(run: Path) -> None:
    page = run / "evaluation_test" / "report.html"
    before = page.stat().st_mtime_ns
    assert report_runs([run]).pages == (page,)
    assert page.stat().st_mtime_ns == before


def test_other_images_are_evaluated_beside_it(run: Path, tmp_path: Path) -> None:
    other = dataset(tmp_path / "other", 9, 10)
    kept = (run / "evaluation_test" / "report.json").read_bytes()
    made = report_runs([run], data=tmp_path / "other")
    place = made.pages[0].parent
    assert place.parent == run
    assert place.name.startswith("evaluation_test_")
    assert read_report(place / "report.json")["scores"]["images"] == 2
    assert (run / "evaluation_test" / "report.json").read_bytes() == kept
    assert any("evaluation_test is of other images" in note for note in made.notes)
    again = made.pages[0].stat().st_mtime_ns
    assert report_runs([run], data=tmp_path / "other").pages == made.pages
    assert made.pages[0].stat().st_mtime_ns == again
    by_setting = report_runs([run], overrides=[f"data.root={other.root}"])
    assert by_setting.pages == made.pages, "--set data.root says the same as --data"


def test_another_pixel_size_or_setting_is_evaluated_beside_it(run: Path) -> None:
    sized = report_runs([run], pixel_size_m=0.8)
    report = read_report(sized.pages[0].parent / "report.json")
    assert report["area"]["unit"] == "m2"
    assert any("another pixel size" in note for note in sized.notes)
    assert report_runs([run], pixel_size_m=0.8).pages == sized.pages
    assert report_runs([run], pixel_size_m=0.5).pages != sized.pages
    metric = report_runs([run], overrides=["evaluate.metric=dice_coef"])
    scores = read_report(metric.pages[0].parent / "report.json")["scores"]
    assert scores["reference"]["metric"]["name"] == "dice_coef"


def test_to_make_anew_is_to_make_anew_where_it_belongs(run: Path, tmp_path: Path) -> None:
    dataset(tmp_path / "other", 9, 10)
    kept = (run / "evaluation_test" / "report.json").read_bytes()
    made = report_runs([run], data=tmp_path / "other")
    first = made.pages[0].stat().st_mtime_ns
    assert report_runs([run], data=tmp_path / "other", overwrite=True).pages == made.pages
    assert made.pages[0].stat().st_mtime_ns > first
    assert (run / "evaluation_test" / "report.json").read_bytes() == kept
    dataset(tmp_path / "own", 12)  # the run's own images are others now
    report_runs([run], overwrite=True)
    assert (run / "evaluation_test" / "report.json").read_bytes() != kept


def test_a_folder_that_was_named_is_not_left_for_another(run: Path, tmp_path: Path) -> None:
    dataset(tmp_path / "other", 9, 10)
    with pytest.raises(OutputExistsError, match=r"evaluation_test .* of other images than asked.*--out"):
        report_runs([run], data=tmp_path / "other", out=run / "evaluation_test")


def test_a_report_made_before_settings_were_kept_is_shown_again(run: Path) -> None:
    path = run / "evaluation_test" / "report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    del report["asked"]
    path.write_text(json.dumps(report), encoding="utf-8")
    assert report_runs([run]).pages[0].parent == run / "evaluation_test"
    assert report_runs([run], pixel_size_m=0.8).pages[0].parent != run / "evaluation_test"


def test_a_page_whose_images_are_gone_is_shown_with_a_note(run: Path, tmp_path: Path) -> None:
    (tmp_path / "own").rename(tmp_path / "moved")
    made = report_runs([run])
    assert made.pages == (run / "evaluation_test" / "report.html",)
    assert any("images are not here" in note for note in made.notes)
    with pytest.raises(DataError):
        report_runs([run], data=tmp_path / "nowhere")


def test_runs_of_different_data_are_compared_on_one_dataset(run: Path, tmp_path: Path) -> None:
    """The cure that the refusal prints works, and the pictures are those of the compared images."""
    dataset(tmp_path / "second", 8, 9, 10, 11, 12)
    second = make_run(tmp_path / "second_run", painted_data(tmp_path / "second"))
    record = read_record(second / "model.safetensors")
    strict = record.model_copy(update={"calibration": Calibration(threshold=0.999)})
    replace_record(second / "model.safetensors", strict)
    report_runs([second])
    with pytest.raises(DataError, match=r"other images[\s\S]*--data FOLDER"):
        report_runs([run, second])
    made = report_runs([run, second], data=tmp_path / "second", out=tmp_path / "both")
    comparison = json.loads((tmp_path / "both" / "comparison.json").read_text(encoding="utf-8"))
    assert comparison["images"] == 5
    assert made.pages[0].parent.name.startswith("evaluation_test_")
    jobs = [job_of(folder) for folder in (run, second)]  # other images than those compared
    with pytest.raises(DataError, match="other images than those that are compared"):
        write_comparison(tmp_path / "wrong", comparison, jobs, "test", [False, False])
    assert not (tmp_path / "wrong").exists()
