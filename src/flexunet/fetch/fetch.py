"""A dataset of the table: its files, sizes, checksums and licence as published, and their download."""

from __future__ import annotations

import http.client
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .download import Progress, RemoteFile, download_file
from .sources import Source

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Listing:
    """What a record publishes."""

    files: tuple[RemoteFile, ...]
    licence: str

    @property
    def size(self) -> int:
        """Bytes of all files of known size."""
        return sum(remote.size or 0 for remote in self.files)


def list_files(source: Source) -> Listing:
    """The files of a dataset, with their sizes, checksums and licence, as its record publishes them.

    Raises:
        DataError: the dataset has no record, or it cannot be read.
    """
    if source.record is None:
        raise DataError(
            f"{source.name} has no address to download from. Its page: {source.page}. {source.how}"
        )
    request = urllib.request.Request(source.record, headers={"User-Agent": "flexunet"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            content: Any = json.load(response)
    except (OSError, http.client.HTTPException) as error:  # not there; or cut, or no answer in HTTP
        reason = getattr(error, "reason", None) or str(error).strip() or type(error).__name__
        raise DataError(
            f"{source.record} cannot be read: {reason}. Page for people: {source.page}"
        ) from error
    except ValueError as error:
        raise DataError(
            f"{source.record} did not answer with a record. Page for people: {source.page}"
        ) from error
    try:
        files = tuple(_remote(entry) for entry in content["files"])
        licence = content.get("metadata", {}).get("license") or {}
        said = str(licence.get("id", "") if isinstance(licence, dict) else licence)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{source.record}: the record has no list of files. Page: {source.page}") from error
    if not files:
        raise DataError(f"{source.record}: the record holds no file. Page: {source.page}")
    return Listing(files, said or "none stated in the record")


def fetch(
    source: Source,
    listing: Listing,
    folder: Path,
    *,
    wait_seconds: float = 2.0,
    progress: Progress | None = None,
) -> list[Path]:
    """Download and verify every file of a listing into `folder`.

    Raises:
        DataError: see `download_file`.
    """
    return [
        download_file(remote, folder, wait_seconds=wait_seconds, progress=progress)
        for remote in listing.files
    ]


def _remote(entry: dict[str, Any]) -> RemoteFile:
    kind, _, checksum = str(entry.get("checksum") or "").partition(":")
    size = entry.get("size")
    return RemoteFile(
        name=str(entry["key"]),
        url=str(entry["links"]["self"]),
        size=int(size) if size is not None else None,
        md5=checksum if kind == "md5" else None,
    )
