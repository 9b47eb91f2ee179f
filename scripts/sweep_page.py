"""Requests to a real `teethseg serve` for `sweep.py`: hostile addresses, headers and uploads.

After each request the server must still answer with its own messages; nothing of a refused file may stay.
"""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote

from teethseg.application.saved_work import SCANS

PATIENCE = 60  # seconds
PLACES = (
    *("/", "/upload", "/download/1/teeth.seg.nrrd", "/download/../../etc/passwd", "/ws", "/__teethseg/page.js"),
    "//etc/passwd",
)
NAMES = (
    *(
        "",
        "scan.nrrd",
        "scan.nii.gz",
        "a.zip",
        "../../x.nrrd",
        "/etc/x.nrrd",
        "C:\\x.nrrd",
        "x" * 300 + ".nrrd",
        "歯.mha",
    ),
    *("\0.nrrd", "a\nb.nrrd", ".nrrd", "scan.nhdr", "x.exe", "%2e%2e%2fx.nrrd", "CON.nrrd", "a.nrrd.zip", "-rf.nrrd"),
    *("\u202e.nrrd", "x.dcm"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "X" * 50)
LENGTHS = ("-1", "x", "0", "1", "99999999999999999999", "1e3", "")


class Server:
    """A running page, and the cookie that it gave."""

    def __init__(self, process: subprocess.Popen, port: int, token: str, state: Path):
        self.process, self.port, self.state = process, port, state
        answer = self.ask("GET", f"/?token={token}")
        self.cookie = answer[1]["Set-Cookie"].partition(";")[0]

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None):
        """Status, headers and body of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def try_request(self, good: list[Path], chance: random.Random) -> str:
        """One request; `good` are files to send."""
        way = chance.choice(("upload", "upload", "strange", "raw", "stranger"))
        wrong = self._upload(good, chance) if way == "upload" else getattr(self, f"_{way}")(chance)
        if self.process.poll() is not None:
            return f"the server ended with status {self.process.returncode} ({wrong})"
        status, _, _ = self.ask("GET", "/index.html", headers={"Cookie": self.cookie})
        return wrong or ("" if status == 200 else f"the page answers with status {status}")

    def _upload(self, good: list[Path], chance: random.Random) -> str:
        from sweep import damaged

        name = chance.choice((*NAMES, *(file.name for file in good)))
        content = chance.choice(good).read_bytes()
        if chance.random() < 0.8:
            content = damaged(content, chance)
        before = self._sent()
        place = f"/upload?name={quote(name, errors='replace')}"
        status, _, body = self.ask("POST", place, content, {"Cookie": self.cookie})
        text = body.decode("utf-8", "replace")
        if status == 422:
            left = self._sent() - before
            return f"{sorted(left)} is left of {name!r}, which was refused" if left else one_line(text)
        return "" if status == 200 else f"an upload of {name!r} was answered with {status}: {text[:200]}"

    def _sent(self) -> set[str]:
        return {str(path) for path in self.state.glob(f"*/{SCANS}/*/*")}

    def _strange(self, chance: random.Random) -> str:
        """Addresses, methods and headers that make no sense."""
        endings = ("", "?name=x", "?once=x", "?" + "a" * 5000, "/..%2f..%2fetc/passwd", "%00")
        path = chance.choice(PLACES) + chance.choice(endings)
        header = chance.choice(("Origin", "Host", "Range", "Upgrade", "Expect"))
        headers = {"Cookie": self.cookie, header: chance.choice(("x", "bytes=0-", "http://evil"))}
        body = chance.choice((None, b"", b"x" * 70_000))
        try:
            status, _, body = self.ask(chance.choice(METHODS), path, body, headers)
        except (HTTPException, ConnectionError):
            return ""  # it closed the connection, which is a valid answer to nonsense
        return f"{path!r}: status {status}, {body[:100]!r}" if status >= 500 or b"root:" in body else ""

    def _raw(self, chance: random.Random) -> str:
        """Bytes that are no request."""
        version = chance.choice(("1.1", "9.9", "x"))
        lines = [f"{chance.choice(METHODS)} {chance.choice(PLACES)} HTTP/{version}", f"Cookie: {self.cookie}"]
        more = [f"Content-Length: {chance.choice(LENGTHS)}", "Transfer-Encoding: chunked"]
        lines += more[: chance.randrange(3)]
        end = chance.choice((b"", b"\r\n\r\n", b"\r\n\r\nzz\r\n", b"\0\xff", b"\n\n"))
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall("\r\n".join(lines).encode() + end)
        return ""

    def _stranger(self, chance: random.Random) -> str:
        """A request without the cookie, or from another site's page, must be refused."""
        wrong, evil = {"Cookie": self.cookie[:-1] + "~"}, {"Cookie": self.cookie, "Origin": "http://evil"}
        headers = chance.choice(({}, {"Cookie": "x=y"}, wrong, evil))
        path = chance.choice(("/", "/index.html", "/upload?name=a.nrrd", "/?token=x", "/ws"))
        method = "POST" if "upload" in path else "GET"
        status, _, _ = self.ask(method, path, b"x" if method == "POST" else None, headers)
        return "" if status == 403 else f"a stranger's {method} {path} got status {status}"


def one_line(text: str) -> str:
    return "" if text and "\n" not in text and "Traceback" not in text else f"told {text[:300]!r}"


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A page of its own, whose state and temporary files lie in a folder."""
    state, temporary = folder / "state", folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TEETHSEG_STATE": str(state), "TMPDIR": str(temporary), "PYTHONUTF8": "1"}
    code = "from teethseg.cli import main; main()"
    with (folder / "page.txt").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", "--no-open"], env=environment, stdout=errors, stderr=subprocess.PIPE
        )
        try:
            line = process.stderr.readline().decode("utf-8", "replace")
            found = re.search(r":(\d+)/\?token=(\S+)", line)
            if not found:
                raise RuntimeError(f"the page did not start: {line}")
            yield Server(process, int(found[1]), found[2], state)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)
