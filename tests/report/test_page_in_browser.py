"""The page in a real browser: what it makes of hostile text, whether it fetches or runs anything, whether it fits.

Wherever ``STATEHEAL_TEST_CHROMIUM`` or /usr/bin/chromium is one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stateheal.engine.api import audit
from stateheal.model.report import Report
from stateheal.report.html import page
from stateheal.text import printable
from tests.report.test_html import HOSTILE, Reader, made_up
from tests.support import NOW, PROJECT, FakeProcesses, journal_in, world

CHROMIUM = os.environ.get("STATEHEAL_TEST_CHROMIUM", "/usr/bin/chromium")
QUIET = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=2000"),
)
pytestmark = [
    pytest.mark.proc("Chromium wants it"),
    pytest.mark.processes,
    pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK) or sys.platform == "win32", reason="needs a Chromium"),
]


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and what was asked of it."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def browse(tmp_path: Path, made: str, *args: str) -> bytes:
    """What the browser printed of a page."""
    file = tmp_path / "page.html"
    file.write_text(made, "utf-8")
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="sh-", dir="/tmp", ignore_cleanup_errors=True) as short:
        # Its socket's path has little room.
        command = [CHROMIUM, *QUIET, *root, f"--user-data-dir={short}/profile", *args, file.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=120, env={**os.environ, "TMPDIR": short})
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]
    return done.stdout


def sample(tmp_path: Path) -> Report:
    paths = [PROJECT / "samples/polluted"]
    return audit(paths, world=world(FakeProcesses()), journal=journal_in(tmp_path), page=True)


def test_hostile_text_is_text_for_a_browser_and_nothing_is_fetched(
    tmp_path: Path, asked: tuple[str, list[str]]
) -> None:
    address, paths = asked
    fetching = (
        f"<img src={address}/image>",
        f"'\"><script src={address}/script></script>",
        f"</style><link rel=stylesheet href={address}/style><style>",
        f"url({address}/background)",
        f'<meta http-equiv=refresh content="0; url={address}/refresh"><iframe src={address}/frame></iframe>',
        "<script>document.title = 'ran'</script>",
    )
    for value in ("".join(HOSTILE), "".join(fetching)):
        made = page(made_up(value), NOW)
        dom = browse(tmp_path, made, "--dump-dom").decode("utf-8")
        seen, meant = Reader(dom), Reader(made)
        assert seen.tags == meant.tags and printable(value) in seen.text
        assert len(seen.of("li", "finding")) == 3
    assert paths == []
    browse(tmp_path, fetching[0], "--dump-dom")
    assert paths == ["/image"], "the server would have noticed"


def test_a_script_would_not_run(tmp_path: Path) -> None:
    script = "<script>document.title = 'it ran'</script>"
    made = page(sample(tmp_path), NOW).replace("</body>", script + "</body>")
    assert b"<title>it ran" not in browse(tmp_path, made, "--dump-dom")


MEASURE = """<!doctype html><iframe style="width: %dpx; height: 900px; border: 0" onload="
const page = this.contentDocument.documentElement; document.title = page.scrollWidth + ' of ' + page.clientWidth
" srcdoc="%s"></iframe>"""


@pytest.mark.parametrize("width", [320, 400, 1400])
def test_nothing_sticks_out(tmp_path: Path, width: int) -> None:
    """Measured from outside, with everything unfolded, and with the longest of names."""
    for report in (sample(tmp_path), made_up("x" * 400)):
        made = page(report, NOW).replace("<details ", "<details open ")
        dom = browse(tmp_path, MEASURE % (width, escape(made)), "--window-size=1600,1000", "--dump-dom")
        assert f"<title>{width} of {width}</title>" in dom.decode("utf-8")


def test_it_can_be_printed(tmp_path: Path) -> None:
    pdf = tmp_path / "page.pdf"
    browse(tmp_path, page(sample(tmp_path), NOW), f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF") and pdf.stat().st_size > 20_000


def test_light_and_dark_have_their_own_ground(tmp_path: Path) -> None:
    pictures = []
    for scheme in (0, 1):
        picture = tmp_path / f"{scheme}.png"
        look = (f"--blink-settings=preferredColorScheme={scheme}", "--window-size=500,400", f"--screenshot={picture}")
        browse(tmp_path, page(sample(tmp_path), NOW), *look)
        pictures.append(picture.read_bytes())
    assert all(each.startswith(b"\x89PNG") for each in pictures) and pictures[0] != pictures[1]
