"""A config written as TOML reads back as the same config."""

from __future__ import annotations

import math
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from flexunet.config import Config, FlexUNetConfig, dump_toml
from flexunet.config.loading import parse_config
from flexunet.config.schema import ENCODERS

HERE = Path.cwd()
PATIENT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.text("ab \"'\\\n\t#=[]é滑\x7f\x01", min_size=1, max_size=8)
PATHS = st.lists(NAMES.map(lambda name: name.strip() or "x"), min_size=1, max_size=3).map(
    lambda parts: HERE.joinpath(*parts)
)
COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


def values_of(annotation: Any, metadata: tuple[Any, ...] = ()) -> SearchStrategy[Any]:
    """Any value that a field's annotation takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values_of(arguments[0], (*arguments[1:], *metadata))
    if origin in (Union, types.UnionType):
        return st.one_of([values_of(part, metadata) for part in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(values_of(arguments[0]), max_size=4).map(tuple)
        return st.tuples(*map(values_of, arguments))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return sections(annotation)
    limits = [
        limit for item in metadata for limit in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    low: Any = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    above: Any = next((limit.gt for limit in limits if isinstance(limit, Gt)), None)
    high: Any = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    below: Any = next((limit.lt for limit in limits if isinstance(limit, Lt)), None)
    simple: dict[Any, SearchStrategy[Any]] = {
        type(None): st.none(),
        bool: st.booleans(),
        str: TEXT,
        Path: PATHS,
        int: st.integers(low, high),
        float: st.floats(
            low if above is None else above,
            high if below is None else below,
            exclude_min=above is not None,
            exclude_max=below is not None,
            allow_nan=False,
        ),
    }
    return simple[annotation]


SPECIAL = {
    ("DataConfig", "classes"): st.lists(st.tuples(NAMES, COLOURS), min_size=2, max_size=4).map(
        lambda rows: tuple({"name": name, "colour": colour} for name, colour in rows)
    ),
    ("DataConfig", "image_pattern"): st.none(),
    ("DataConfig", "mask_pattern"): st.none(),
    ("DataConfig", "band_names"): st.none(),
    ("FlexUNetConfig", "dropout_rate"): st.floats(0, 0.01),
    ("FlexUNetConfig", "num_layers"): st.integers(2, 9),
    ("FlexUNetConfig", "sigmoid"): st.just(False),
    ("ResUNetConfig", "widths"): st.just((8, 16, 32)),
    ("ResUNetConfig", "depths"): st.just((1, 2)),
    ("EncoderUNetConfig", "encoder"): st.sampled_from(ENCODERS),
    ("TrainConfig", "class_weights"): st.sampled_from(["none", "auto"]),
    ("AugmentConfig", "scale"): st.sampled_from([(0.5, 1.5), (1.0, 1.0)]),
}


@st.composite
def sections(draw: st.DrawFn, model: type[BaseModel]) -> BaseModel:
    """A section with some of its fields set to anything they take."""
    names = list(model.model_fields)
    chosen = draw(st.sets(st.sampled_from(names), max_size=6)) if names else set()
    chosen |= {name for name in names if model.model_fields[name].is_required()}
    chosen |= {"loss"} & set(names) if draw(st.booleans()) else set()
    content = {}
    for name in sorted(chosen):
        field = model.model_fields[name]
        usual = values_of(field.annotation, tuple(field.metadata))
        content[name] = draw(SPECIAL.get((model.__name__, name), usual))
    try:
        return model(**content)
    except ValidationError:
        reject()


@st.composite
def configs(draw: st.DrawFn) -> Config:
    content = {name: draw(values_of(field.annotation)) for name, field in Config.model_fields.items()}
    try:
        return Config(**content)
    except ValidationError:
        reject()


def read(text: str) -> Config:
    return parse_config(text, HERE / "run.toml").config


def settled(config: Config) -> Config:
    """`config` with its default run folder absolute, as reading makes it."""
    return read(dump_toml(config))


@PATIENT
@given(configs(), st.booleans())
def test_reading_what_was_written_gives_an_equal_config(config: Config, comments: bool) -> None:
    once = settled(config)
    assert read(dump_toml(once, comments=comments)) == once
    assert once.model_copy(update={"output": config.output}) == config


@PATIENT
@given(configs())
def test_relative_paths_read_back_as_the_same_paths(config: Config) -> None:
    once = settled(config)
    assert read(dump_toml(once, relative_to=HERE)) == once


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -9999.0, 1e-300, -0.0])
def test_every_float_survives(value: float) -> None:
    config = Config.model_validate({"data": {"nodata": value}})
    nodata = read(dump_toml(config)).data.nodata
    assert nodata is not None
    assert repr(nodata) == repr(value)


def test_what_is_on_by_default_can_be_written_as_off() -> None:
    config = Config.model_validate({"train": {"clip_norm": None}})
    assert 'clip_norm = "none"' in dump_toml(config)
    assert read(dump_toml(config)).train.clip_norm is None


def test_comments_tell_every_field_with_what_it_takes() -> None:
    text = dump_toml(Config(model=FlexUNetConfig()), comments=True)
    for section in ("data", "train", "augment", "evaluate", "predict", "output"):
        for name in Config.model_fields[section].annotation.model_fields:  # type: ignore[union-attr]
            assert f"\n{name} =" in text or f"\n#{name} =" in text, name
    assert (
        "Largest number of passes over the training split. (a whole number, at least 1)\nepochs = 50" in text
    )


def test_what_is_not_active_stands_as_a_comment_and_reads_as_the_default() -> None:
    config = Config.model_validate({"train": {"epochs": 7, "batch_size": 3}})
    text = dump_toml(config, comments=True, active={"train.epochs"})
    assert "\n#batch_size = 3" in text
    again = read(text)
    assert (again.train.epochs, again.train.batch_size) == (7, 16)
    assert read(text.replace("\n#batch_size", "\nbatch_size")).train.batch_size == 3
