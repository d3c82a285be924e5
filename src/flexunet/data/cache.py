"""Where decoded images are kept, and under which names."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from ..config.schema import DataConfig, SplitConfig
from ..errors import RasterError
from ..files import write_text
from .entry import FORMAT
from .pairs import Pair

_DECODING_FIELDS = (
    "classes", "mask_encoding", "mask_axes", "threshold", "invert_masks", "ignore_value", "ignore_colour",
    "off_map_tolerance", "mask_size", "bands", "channels", "nodata", "alpha", "exif_orientation",
)  # fmt: skip
_CACHE_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Decoded images of flexunet; may be deleted any time.\n"
)


def source_key(pair: Pair) -> tuple[str, str]:
    """Hash of the paths, and hash of the files' sizes and times."""
    files = [path for path in (pair.image, pair.mask) if path is not None]
    places = json.dumps([str(path) for path in files])
    try:
        stats = [path.stat() for path in files]
    except OSError as error:
        raise RasterError(f"{error.filename}: cannot be opened: {error.strerror}") from error
    versions = json.dumps([[stat.st_size, stat.st_mtime_ns] for stat in stats])
    return _short_hash(places), _short_hash(versions)


def decoding_key(data: DataConfig) -> str:
    fields = data.model_dump(mode="json", include=set(_DECODING_FIELDS))
    return _short_hash(json.dumps([FORMAT, fields], sort_keys=True))


def _short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def cache_folder(data: DataConfig, folders: SplitConfig) -> tuple[Path, list[str]]:
    """The folder of entries: as configured, beside the images, or (nobody may write there) the user's."""
    if data.cache_dir is not None:
        _make_cache(data.cache_dir)
        return data.cache_dir, []
    first = next(folder for folder in (*folders.images, *folders.negatives))
    beside = (data.root if data.root is not None else _without_wildcards(first).parent) / ".flexunet-cache"
    try:
        _make_cache(beside)
    except OSError as error:
        elsewhere = _user_cache()
        _make_cache(elsewhere)
        return elsewhere, [f"decoded images are kept in {elsewhere}, because {beside}: {error.strerror}"]
    return beside, []


def _make_cache(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "CACHEDIR.TAG", _CACHE_TAG)


def _without_wildcards(folder: Path) -> Path:
    while any(sign in str(folder) for sign in "*?"):
        folder = folder.parent
    return folder


def _user_cache() -> Path:
    """The user's cache folder by the platform's custom."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "flexunet"


def remove_entry(path: Path) -> None:
    """Remove an outdated entry; on Windows one that is still mapped elsewhere stays for now."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return
