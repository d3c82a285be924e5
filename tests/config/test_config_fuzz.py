"""Whatever stands in a config file, reading it gives a config or a ConfigError, never anything else."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexunet.config import read_config
from flexunet.config.loading import parse_config
from flexunet.config.native import read_native
from flexunet.config.reference import read_reference
from flexunet.config.reference.keys import KEYS
from flexunet.config.reference.literals import NoLiteral, literal
from flexunet.errors import ConfigError

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONFIGS = sorted((Path(__file__).parents[1] / "data" / "config").rglob("*.config"))
SYMBOLS = st.text("=:[](){}.,;#%'\"\\ \n\tab01-+*/_TrueFalseNone\x00é\u2028", max_size=60)
SECTION_NAMES = [*KEYS, "data", "augment", "predict", "output"]
KEY_NAMES = sorted({key for keys in KEYS.values() for key in keys} | {"loss", "root", "classes", "size"})
VALUES = st.one_of(
    SYMBOLS,
    st.sampled_from(
        ["True", "false", "None", "3", "-1", "1e999", "(3,3)", "[1,", "{(0,0,0):0}", "{}", '"text"', "nan"]
    ),
)
LINES = st.one_of(
    SYMBOLS,
    st.sampled_from(SECTION_NAMES).map("[{}]".format),
    st.tuples(st.sampled_from(KEY_NAMES), VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
)
TEXTS = st.lists(LINES, max_size=12).map("\n".join)


@PATIENT
@given(TEXTS, st.sampled_from([".toml", ".config", ""]))
def test_any_text_gives_a_config_or_a_config_error(text: str, suffix: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(text, Path("run" + suffix))


@PATIENT
@given(TEXTS)
def test_either_reader_takes_any_text(text: str) -> None:
    read_native(text, Path("run.toml"))
    read_reference(text, Path("run.config"))


@PATIENT
@given(st.binary(max_size=80))
def test_any_bytes_give_a_config_or_a_config_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.config"
        file.write_bytes(content)
        with contextlib.suppress(ConfigError):
            read_config(file)


@PATIENT
@given(st.data(), st.sampled_from(CONFIGS))
def test_a_damaged_reference_config_gives_a_config_or_a_config_error(data: st.DataObject, file: Path) -> None:
    text = file.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    with contextlib.suppress(ConfigError):
        parse_config(text[:start] + data.draw(SYMBOLS) + text[end:], file)


@PATIENT
@given(st.lists(SYMBOLS.map("train.epochs={}".format) | SYMBOLS | SYMBOLS.map("data.{}".format), max_size=3))
def test_any_override_gives_a_config_or_a_config_error(overrides: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        parse_config("", Path("run.toml"), overrides)


@PATIENT
@given(SYMBOLS)
def test_any_value_is_a_literal_or_refused(text: str) -> None:
    with contextlib.suppress(NoLiteral):
        literal(text)


@pytest.mark.parametrize(
    "text", ["[" * 3000 + "]" * 3000, "9" * 9000, "9**9**9**9", "1e308*1e308", "-" * 9000 + "1", "'" * 9001]
)
@pytest.mark.parametrize("form", ["[model]\nnum_layers = {}\nimage_width = 3\n", "[train]\nepochs = {}\n"])
def test_monstrous_values_are_refused(text: str, form: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(form.format(text), Path("run.toml"))
    with pytest.raises(ConfigError):
        parse_config(form.format(text), Path("run.config"))
