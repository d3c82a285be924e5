"""One file from the network: continued where it was cut, verified, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import DataError

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60
_RESERVE_BYTES = 64 << 20
"""Disk space that is left free."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RemoteFile:
    """A file as its publisher describes it."""

    name: str
    url: str
    size: int | None
    """Bytes; None: not pinned."""
    md5: str | None
    """Hexadecimal; None: not pinned."""


def download_file(
    remote: RemoteFile,
    folder: Path,
    *,
    attempts: int = 5,
    wait_seconds: float = 2.0,
    progress: Progress | None = None,
) -> Path:
    """Download into `folder`; a file that is there and verifies is left alone.

    What came so far is kept as `NAME.part` and continued, in this call after a cut and in later ones. A whole
    file with a wrong checksum is removed.

    Raises:
        DataError: wrong size or checksum, no space, or the server refuses or stays away.
    """
    path = folder / _safe_name(remote.name)
    if path.exists():
        _verify(path, remote, keep=True)
        return path
    part = path.with_name(f"{path.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    _check_space(remote, folder, part)
    fault = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(wait_seconds * attempt)
        try:
            _continue(remote, part, progress)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise DataError(f"{remote.url}: the server says {error.code} {error.reason}.") from error
            fault = f"{error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            fault = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        have = part.stat().st_size if part.exists() else 0
        raise DataError(
            f"{remote.url}: cut off after {have} bytes ({fault}), {attempts} times. Run the command again to "
            f"go on from there ({part})."
        )
    _verify(part, remote, keep=False)
    part.replace(path)
    return path


def _continue(remote: RemoteFile, part: Path, progress: Progress | None) -> None:
    """Fetch what is missing of the part; raises when the connection ends early."""
    have = part.stat().st_size if part.exists() else 0
    if remote.size is not None and have >= remote.size:
        if have == remote.size:
            return
        part.unlink()
        have = 0
    request = urllib.request.Request(remote.url, headers={"User-Agent": "flexunet"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left, or the part is not of this file
            part.unlink()
            raise ConnectionError("the part did not fit the file and was dropped") from error
        raise
    with response:
        if have and response.status != 206:
            have = 0  # the server sends it all again
        total = have + int(response.headers.get("Content-Length") or 0)
        if remote.size is not None and response.headers.get("Content-Length") and total != remote.size:
            raise DataError(
                f"{remote.url}: is {total} bytes long, {remote.size} are expected. Has the file changed?"
            )
        with part.open("ab" if have else "wb") as handle:
            _copy(response, handle, have, total, remote, progress)


def _copy(
    response: Any, handle: IO[bytes], have: int, total: int, remote: RemoteFile, progress: Progress | None
) -> None:
    while True:
        chunk = response.read(_CHUNK)
        if not chunk:
            break
        handle.write(chunk)
        have += len(chunk)
        if progress is not None:
            progress(f"{remote.name} (kB)", have // 1024, max(total, have) // 1024)
    if total and have < total:
        raise ConnectionError("the connection ended early")


def _verify(path: Path, remote: RemoteFile, *, keep: bool) -> None:
    """Size, checksum and, of archives, type; `keep`: a file that fails is the user's own and stays."""
    size = path.stat().st_size
    fault = None
    if remote.size is not None and size != remote.size:
        fault = f"is {size} bytes long, {remote.size} are expected"
    elif remote.md5 is not None:
        with path.open("rb") as handle:
            found = hashlib.file_digest(handle, "md5").hexdigest()
        if found != remote.md5:
            fault = f"has the MD5 checksum {found}, {remote.md5} is expected"
    if fault is None and remote.name.lower().endswith(".zip"):
        with path.open("rb") as handle:
            if handle.read(2) != b"PK":
                fault = "is no ZIP archive (a page of the server?)"
    if fault is None:
        return
    if keep:
        raise DataError(f"{path} {fault}. Remove it to download it again.")
    path.unlink()
    raise DataError(f"{remote.url}: what came {fault}. It was removed; try again later.")


def _check_space(remote: RemoteFile, folder: Path, part: Path) -> None:
    if remote.size is None:
        return
    missing = remote.size - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(folder).free
    if missing + _RESERVE_BYTES > free:
        raise DataError(
            f"{folder}: {remote.name} needs {missing / 1e9:.2f} GB more, {free / 1e9:.2f} GB are free. "
            "Free some space, or choose another folder with --out."
        )


def _safe_name(name: str) -> str:
    """A file name of the server, refused if it would leave the folder."""
    if not name or name in (".", "..") or any(sign in name for sign in '/\\:*?"<>|') or name != name.strip():
        raise DataError(f"the server names a file {name!r}, which is no file name here")
    return name
