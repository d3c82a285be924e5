"""Downloads against a real server on this machine: cut off, continued, damaged, refused, no space."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flexunet.errors import DataError
from flexunet.fetch import SOURCES, RemoteFile, Source, download_file, fetch, find_source, list_files

CONTENT = bytes(range(256)) * 4000


@dataclass
class Site:
    """A server with one file, and what it is to do wrong."""

    url: str = ""
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers end."""
    ranges: bool = True
    status: int | None = None
    asked: list[str | None] = field(default_factory=list)
    """Range header of each request for the file."""

    def remote(self, **changes: object) -> RemoteFile:
        values: dict[str, object] = {
            "name": "data.bin",
            "url": f"{self.url}/data.bin",
            "size": len(CONTENT),
            "md5": hashlib.md5(CONTENT).hexdigest(),
        }
        return RemoteFile(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/record":
                self.answer(json.dumps(record(state)).encode())
                return
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if state.status is not None:
                self.send_error(state.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.answer(CONTENT[start:], 206 if asked and state.ranges else 200)

        def answer(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = state.cut_after.pop(0) if state.cut_after and self.path != "/record" else None
            self.wfile.write(body[:cut])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def record(site: Site) -> dict[str, object]:
    entry = {
        "key": "data.bin",
        "size": len(CONTENT),
        "checksum": f"md5:{hashlib.md5(CONTENT).hexdigest()}",
        "links": {"self": f"{site.url}/data.bin"},
    }
    return {"files": [entry], "metadata": {"license": {"id": "cc-by-4.0"}}}


def test_a_file_arrives_whole_and_is_not_fetched_twice(site: Site, tmp_path: Path) -> None:
    path = download_file(site.remote(), tmp_path)
    assert path.read_bytes() == CONTENT
    assert download_file(site.remote(), tmp_path) == path
    assert site.asked == [None]


def test_a_cut_is_continued_in_the_same_call(site: Site, tmp_path: Path) -> None:
    site.cut_after = [300_000, 200_000]
    assert download_file(site.remote(), tmp_path, wait_seconds=0).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_what_came_is_kept_and_continued_by_a_later_call(site: Site, tmp_path: Path) -> None:
    site.cut_after = [300_000]
    with pytest.raises(DataError, match="cut off after 300000 bytes"):
        download_file(site.remote(), tmp_path, attempts=1)
    assert [path.name for path in tmp_path.iterdir()] == ["data.bin.part"]
    assert download_file(site.remote(), tmp_path).read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=300000-"


def test_a_server_without_ranges_starts_again(site: Site, tmp_path: Path) -> None:
    site.cut_after, site.ranges = [300_000], False
    assert download_file(site.remote(), tmp_path, wait_seconds=0).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_removed(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MD5 checksum"):
        download_file(site.remote(md5="0" * 32), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_refused_before_anything_is_written(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 are expected"):
        download_file(site.remote(size=5), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_in_place_of_an_archive_is_noticed_without_a_checksum(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ZIP archive"):
        download_file(site.remote(name="data.zip", size=None, md5=None), tmp_path)


def test_no_space_is_told_before_the_download(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="GB are free"):
        download_file(site.remote(size=10**18), tmp_path)
    assert site.asked == []


def test_a_refusal_is_told_at_once_and_a_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(DataError, match="404"):
        download_file(site.remote(), tmp_path)
    assert len(site.asked) == 1
    site.status = 503
    with pytest.raises(DataError, match="503"):
        download_file(site.remote(), tmp_path, attempts=2, wait_seconds=0)
    assert len(site.asked) == 3


def test_a_file_that_is_there_and_differs_stays(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"mine")
    with pytest.raises(DataError, match="Remove it"):
        download_file(site.remote(), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["../data.bin", "a/b", "..", "c:x", ""])
def test_names_that_leave_the_folder_are_refused(site: Site, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no file name"):
        download_file(site.remote(name=name), tmp_path)


def test_a_record_gives_files_sizes_checksums_and_licence(site: Site, tmp_path: Path) -> None:
    source = Source("x", "X", "page", f"{site.url}/record", "", "")
    listing = list_files(source)
    assert (listing.licence, listing.size) == ("cc-by-4.0", len(CONTENT))
    (path,) = fetch(source, listing, tmp_path)
    assert path.read_bytes() == CONTENT


def test_unreachable_and_foreign_records_are_told(site: Site) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list_files(Source("x", "X", "page", "http://127.0.0.1:1/record", "", ""))
    with pytest.raises(DataError, match="did not answer with a record"):
        list_files(Source("x", "X", "page", f"{site.url}/data.bin", "", ""))


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"files": [',
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
        b"",
    ],
)
def test_a_record_that_is_cut_or_garbled_is_told(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/record"
        with pytest.raises(DataError, match=r"cannot be read: .+ Page for people: page"):
            list_files(Source("x", "X", "page", address, "", ""))
        thread.join()


def test_datasets_without_address_say_where_their_page_is() -> None:
    with pytest.raises(DataError, match=r"gpcv\.whu\.edu\.cn"):
        list_files(find_source("Bijie"))
    with pytest.raises(DataError, match="Did you mean 'sichuan'"):
        find_source("sichuann")


def test_every_dataset_has_licence_and_citation() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES) == 6
    assert all(source.licence and source.citation and source.page for source in SOURCES)
    assert all(source.record or source.how for source in SOURCES)
