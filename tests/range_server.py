"""A web server that sends ranges of bytes, which Python's own does not: `range_server.py FOLDER`.

Says its port, and adds the number of bytes of each answer to `sent.log` in the folder.
"""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Ranges(BaseHTTPRequestHandler):
    """Files of a folder, by ranges of bytes as stores of scenes serve them."""

    folder: Path

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        file = self.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, len(content)
        if asked is not None:
            start, stop = int(asked[1]), min(int(asked[2] or stop) + 1, stop)
        self.send_response(206 if asked is not None else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.end_headers()
        if body:
            with (self.folder / "sent.log").open("a") as log:
                log.write(f"{stop - start}\n")
            self.wfile.write(content[start:stop])

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    Ranges.folder = Path(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as served:
        print(served.server_port, flush=True)
        served.serve_forever()
