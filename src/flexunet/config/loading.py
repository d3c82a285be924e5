"""A config file in either dialect becomes a checked `Config`."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, Problem
from .describe import fields_at
from .draft import Draft
from .native import read_native
from .overrides import apply_overrides, working_folder
from .paths import absolute
from .quality import apply_quality
from .reference import read_reference
from .reference.keys import KEYS as REFERENCE_KEYS
from .reference.keys import WITHOUT_EFFECT
from .schema import Config
from .search import Search, check_values, problems_with_config, take_search
from .validate import validate
from .writing import dump_toml


@dataclass(frozen=True)
class Loaded:
    """A config, what its reader should know of how it was understood, and the file it came from."""

    config: Config
    notes: tuple[str, ...]
    path: Path
    search: Search | None = None
    """The `[tune]` section; None where there is none."""


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """The config of a file in either dialect; notes go to the log.

    Raises:
        ConfigError: everything wrong in the file and the overrides, in one report.
    """
    loaded = read_config(path, overrides)
    for note in loaded.notes:
        logging.getLogger("flexunet").warning("%s", note)
    return loaded.config


def read_config(path: Path | str, overrides: Sequence[str] = ()) -> Loaded:
    """The config of a file in either dialect, with notes on how it was understood. Its paths are absolute.

    Args:
        path: native TOML or the reference's INI, told apart by what stands in them.
        overrides: `section.key=value` in native names, for either dialect.

    Raises:
        ConfigError: everything wrong in the file and the overrides, in one report.
    """
    path = Path(path)
    text, notes = source_text(path)
    return parse_config(text, path, overrides, notes)


def parse_config(text: str, path: Path, overrides: Sequence[str] = (), notes: Sequence[str] = ()) -> Loaded:
    """The config that a text says, as if it stood in the file `path`.

    Raises:
        ConfigError: everything wrong in the text and the overrides, in one report.
    """
    draft = read_draft(text, path)
    search = take_search(draft)
    apply_overrides(draft, overrides)
    apply_quality(draft)
    config = validate(draft)
    check_values(search, draft)
    if config is not None:
        problems_with_config(search, config, draft)
    if draft.problems or config is None:
        problems = sorted(draft.problems, key=lambda problem: (problem.path is None, problem.line or 0))
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        raise ConfigError(f"{path} has {count}:", problems)
    config = absolute(config, draft, working_folder())
    return Loaded(config, tuple(dict.fromkeys([*notes, *draft.notes])), path, search)


def apply_to(config: Config, path: Path, overrides: Sequence[str]) -> Config:
    """`config` with values from the command line; `path` is the file that reports name.

    Raises:
        ConfigError: everything wrong in the overrides, in one report.
    """
    return parse_config(dump_toml(config), path, overrides).config if overrides else config


def read_draft(text: str, path: Path) -> Draft:
    """The text of a config, read by the reader of its dialect."""
    if is_reference(text, path.suffix):
        return read_reference(text, path)
    return read_native(text, path)


def source_text(path: Path) -> tuple[str, list[str]]:
    """The text of a config file and a note when it is not UTF-8.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        cure = f"Write a config for its images: flexunet init {path} > run.toml" if path.is_dir() else None
        reason = "is a folder." if path.is_dir() else f"{error.strerror or error}."
        raise ConfigError("The config cannot be read:", [Problem(reason, path, cure=cure)]) from error
    except ValueError as error:  # a NUL in the name
        raise ConfigError("The config cannot be read:", [Problem(f"{error}.", path)]) from error
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    if b"\0" in content and not wide:
        cure = "A config is TOML, or the reference's train_eval_infer.config."
        raise ConfigError("The config cannot be read:", [Problem("is no text file.", path, cure=cure)])
    encodings = ["utf-16"] if wide else ["utf-8-sig"]
    for encoding in (*encodings, "cp932", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        usual = encoding.startswith("utf")
        return text, [] if usual else [f"{path.name} is not UTF-8; it was read as {encoding}."]
    raise AssertionError("latin-1 reads everything")


_SECTION = re.compile(r"\s*\[{1,2}([^\[\]]+)\]")
_KEY = re.compile(r"\s*([A-Za-z_]\w*)\s*[=:]\s*(.*)$")
_PYTHON = re.compile(r"(True|False|None)\b|\(|\{\s*\(")
_SUFFIXES = {".toml": -3, ".config": 1, ".ini": 1, ".cfg": 1, ".conf": 1}


def is_reference(text: str, suffix: str) -> bool:
    """Whether a text is the reference's INI and not TOML, by its sections, keys and spelling.

    The file's suffix has a say where little is written.
    """
    score, section = _SUFFIXES.get(suffix.lower(), 0), ""
    for line in text.splitlines():
        if line.lstrip().startswith(";"):
            score += 1
        elif found := _SECTION.match(line):
            section = found.group(1).strip().split(".")[0]
            score += (section in REFERENCE_KEYS) - (section in Config.model_fields)
            score -= line.lstrip().startswith("[[")
        elif found := _KEY.match(line):
            key, value = found.group(1).lower(), found.group(2)
            there = key in REFERENCE_KEYS.get(section, {}) or key in WITHOUT_EFFECT.get(section, ())
            score += there - bool(fields_at((section, key)))
            score += _PYTHON.match(value) is not None
            score -= re.match(r"(true|false)\b", value) is not None
    return score > 0
