"""Raw Bijie material becomes a dataset folder: whole, honest, the same bytes again; or nothing at all."""

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.errors import DataError, OutputExistsError
from flexunet.prepare import prepare
from shared_data import SHARED, needs_shared


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """20 landslides and 10 negatives; landslides 2k and 2k + 1 show the same ground, 7 pixels apart."""
    generator = np.random.default_rng(0)
    src = tmp_path / "raw"
    for folder in ("landslide/image", "landslide/mask", "non-landslide/image"):
        (src / folder).mkdir(parents=True)
    for number in range(0, 20, 2):
        scene = generator.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        for offset in (0, 1):
            name = f"ls{number + offset:02d}.png"
            cv2.imwrite(str(src / "landslide/image" / name), scene[:, 7 * offset : 45 + 7 * offset])
            mask = np.zeros((40, 45), np.uint8)
            mask[5:20, 5 : 10 + number] = 255
            cv2.imwrite(str(src / "landslide/mask" / name), mask)
    for number in range(10):
        cv2.imwrite(
            str(src / "non-landslide/image" / f"n{number}.png"),
            generator.integers(0, 256, (30, 33, 3), dtype=np.uint8),
        )
    return src


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_overlapping_pictures_stay_together_and_shares_hold(raw: Path, tmp_path: Path) -> None:
    prepared = prepare(raw, tmp_path / "out", shares=(0.6, 0.2, 0.2))
    assert prepared.counts == {
        "train": {"images": 12, "negatives": 6},
        "valid": {"images": 4, "negatives": 2},
        "test": {"images": 4, "negatives": 2},
    }
    assert (prepared.group_count, prepared.grouped_count) == (10, 20)
    where = {path.stem: path.parent.parent.name for path in (tmp_path / "out").glob("*/images/*")}
    assert all(where[f"ls{number:02d}"] == where[f"ls{number + 1:02d}"] for number in range(0, 20, 2))


def test_files_are_copied_byte_for_byte_and_the_manifest_tells_their_source(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare(raw, out)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["items"]) == 30
    for item in manifest["items"]:
        for kind in {"image", "mask"} & item.keys():
            source, target = raw / item[kind]["source"], out / item[kind]["file"]
            assert source.read_bytes() == target.read_bytes()
            assert hashlib.sha256(source.read_bytes()).hexdigest() == item[kind]["source_sha256"]
            assert target.relative_to(out).parts[0] == item["split"]
    assert contents(out).keys() == {"manifest.json"} | {
        item[kind]["file"] for item in manifest["items"] for kind in {"image", "mask"} & item.keys()
    }


def test_the_same_call_gives_the_same_bytes_and_another_seed_another_split(raw: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        prepare(raw, tmp_path / name, seed=seed, min_side=35)
    one, two, three = (contents(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one.keys() != three.keys()


def test_small_pictures_are_enlarged_and_masks_keep_their_values(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", min_side=80)
    for path in (tmp_path / "out").glob("*/images/*"):
        mask = cv2.imread(str(path.parents[1] / "masks" / path.name), cv2.IMREAD_UNCHANGED)
        assert cv2.imread(str(path)).shape == (80, 90, 3)  # type: ignore[union-attr]
        assert mask is not None
        assert mask.shape == (80, 90)
        assert set(np.unique(mask)) == {0, 255}
    negative = next((tmp_path / "out").glob("*/negatives/*"))
    assert cv2.imread(str(negative)).shape == (80, 88, 3)  # type: ignore[union-attr]


def test_groups_come_from_a_file_or_a_pattern(raw: Path, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    with table.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("id", "group"), *((f"ls{n:02d}", f"site{n % 2}") for n in range(20))])
    prepare(raw, tmp_path / "file", groups=table)
    prepare(raw, tmp_path / "pattern", group_pattern=r"^ls\d*([02468]|[13579])$")
    for name, modulus in (("file", 2), ("pattern", 10)):
        found: dict[int, set[str]] = {}
        for path in (tmp_path / name).glob("*/images/*"):
            found.setdefault(int(path.stem[2:]) % modulus, set()).add(path.parent.parent.name)
        assert all(len(splits) == 1 for splits in found.values())


def test_a_groups_file_that_names_unknown_or_repeated_ids_is_refused(raw: Path, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("id,group\nls00,a\nls99,a\nls00,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"(?s)groups\.csv:3.*'ls99'.*groups\.csv:4.*'ls00' stands twice"):
        prepare(raw, tmp_path / "out", groups=table)
    table.write_text("name,site\nls00,a\n", encoding="utf-8")
    with pytest.raises(DataError, match="columns id and group; found: name, site"):
        prepare(raw, tmp_path / "out", groups=table)


def test_everything_wrong_with_the_pairs_is_named_at_once(raw: Path, tmp_path: Path) -> None:
    (raw / "landslide/mask/ls03.png").unlink()
    (raw / "landslide/image/ls04.png").unlink()
    with pytest.raises(DataError, match=r"(?s)ls03\.png: has no mask.*ls04\.png: belongs to no image"):
        prepare(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_pictures_and_wrong_sizes_are_named_at_once(raw: Path, tmp_path: Path) -> None:
    damaged = raw / "landslide/image/ls05.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    cv2.imwrite(str(raw / "landslide/mask/ls06.png"), np.zeros((40, 44), np.uint8))
    with pytest.raises(DataError, match=r"(?s)ls05\.png.*ls06\.png: 44x40 pixels, but its image has 45x40"):
        prepare(raw, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"raw"}


def test_another_layout_says_what_was_expected_and_found(tmp_path: Path) -> None:
    (tmp_path / "raw" / "pictures").mkdir(parents=True)
    with pytest.raises(DataError, match=r"(?s)Expected: landslide/image.*Found: pictures"):
        prepare(tmp_path / "raw", tmp_path / "out")
    with pytest.raises(DataError, match="is not a folder"):
        prepare(tmp_path / "nowhere", tmp_path / "out")


def test_an_existing_folder_is_kept_unless_prepare_made_it_and_may_replace_it(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepare(raw, out)
    before = contents(out)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        prepare(raw, out, seed=5)
    assert contents(out) == before
    prepare(raw, out, seed=5, overwrite=True)
    assert contents(out).keys() != before.keys()
    (out / "manifest.json").unlink()
    with pytest.raises(OutputExistsError, match="was not made by prepare"):
        prepare(raw, out, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "out"}


def test_impossible_options_are_refused_together(raw: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)shares.*min_side.*overlap"):
        prepare(raw, raw / "inside", shares=(0, 1, 1), min_side=0)


def test_equal_names_of_a_landslide_and_a_negative_are_told_apart(raw: Path, tmp_path: Path) -> None:
    (raw / "non-landslide/image/n0.png").rename(raw / "non-landslide/image/ls00.png")
    prepare(raw, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*/negatives/negative_ls00.png"))) == 1


def test_the_command_prints_counts_and_the_folder(raw: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["prepare", str(raw), str(tmp_path / "out"), "--shares", "3/1/1"])
    assert result.exit_code == 0
    assert "train         12          6" in result.output
    assert str(tmp_path / "out") in result.output.replace("\n", "")
    assert "Example: flexunet prepare" in CliRunner().invoke(app, ["prepare", "--help"]).output


@needs_shared
@pytest.mark.slow
def test_the_real_bijie_folder_is_split_with_its_overlaps_together(tmp_path: Path) -> None:
    prepared = prepare(SHARED / "data" / "bijie", tmp_path / "bijie")
    assert prepared.counts == {
        "train": {"images": 406, "negatives": 70},
        "valid": {"images": 87, "negatives": 15},
        "test": {"images": 87, "negatives": 15},
    }
    assert (prepared.group_count, prepared.grouped_count) == (76, 186)  # 75 and 184 pixel for pixel
