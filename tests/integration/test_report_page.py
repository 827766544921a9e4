"""The report's page in a real Chromium: no errors, nothing hostile acts, dark and light."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.formats import page_of_run
from real_nodes import ROOT

EXAMPLE = ROOT / "tests" / "fixtures" / "report"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "headless_shell")
# Words of the document that say which of several things it is; all other texts may be anything.
FIXED = frozenset({"status", "kind", "verify", "outcome", "agent"})
# A browser has its own ways to say light and dark.
SCHEMES = {"light": "1", "dark": "0"}

pytestmark = pytest.mark.once


class Chromium:
    """A headless Chromium with a home of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def open(self, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
        words = [
            self._program,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--enable-logging=stderr",
            f"--user-data-dir={self._folder}",
            # So that everything that would happen in the page's first seconds has happened.
            "--virtual-time-budget=3000",
            *options,
        ]
        if os.geteuid() == 0:
            # It refuses root otherwise.
            words.append("--no-sandbox")
        return subprocess.run(
            [*words, page.as_uri()],
            env={**os.environ, "HOME": str(self._folder)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=300,
            check=True,
        )


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium here (Debian, Ubuntu: apt-get install chromium)")
    return Chromium(program, tmp_path_factory.mktemp("chromium"))


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and the paths that it is asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()
    thread.join()


def example() -> tuple[Any, Any]:
    return (
        json.loads((EXAMPLE / "run.json").read_text(encoding="utf-8")),
        json.loads((EXAMPLE / "files.json").read_text(encoding="utf-8")),
    )


def poisoned(value: Any, poison: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: poisoned(item, poison, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison, key) for item in value]
    if isinstance(value, str) and key not in FIXED:
        return value + poison
    return value


def console(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page's console has."""
    return [line for line in result.stderr.split("\n") if "CONSOLE" in line]


def first_pixel(picture: bytes) -> tuple[int, int, int]:
    """The colour of the upper left corner of a PNG, of which no row stands before it."""
    data = b""
    place = 8
    while place < len(picture):
        (size,) = struct.unpack(">I", picture[place : place + 4])
        if picture[place + 4 : place + 8] == b"IDAT":
            data += picture[place + 8 : place + 8 + size]
        place += size + 12
    row = zlib.decompress(data)
    return row[1], row[2], row[3]


def test_the_page_has_every_job_and_no_complaints(chromium: Chromium, tmp_path: Path) -> None:
    run, files = example()
    page = tmp_path / "report.html"
    page.write_text(page_of_run(".html", run, files), encoding="utf-8")
    result = chromium.open(page, "--dump-dom")
    assert console(result) == []
    for number, row in enumerate(run["jobs"]):
        assert re.search(f'<p id="job-{number}">', result.stdout), row["name"]
        assert row["name"] in result.stdout


def test_nothing_hostile_in_a_page_does_anything(
    chromium: Chromium, tmp_path: Path, asked: tuple[str, list[str]]
) -> None:
    address, paths = asked
    poison = (
        f"\"'></p></pre></title></style><script>document.title='owned'</script>"
        f"<script src={address}/script></script><img src={address}/img onerror=alert(1)>"
        f"<link rel=stylesheet href={address}/link><iframe src={address}/frame></iframe>"
        f"<meta http-equiv=refresh content='0;url={address}/refresh'>"
        f"<style>@import url({address}/style);body{{background:url({address}/ground)}}</style>"
    )
    run, files = example()
    run = poisoned(run, poison)
    run["nodes"] = {name + poison: row for name, row in run["nodes"].items()}
    files = {name + poison: poisoned(each, poison) for name, each in files.items()}
    page = tmp_path / "report.html"
    page.write_text(page_of_run(".html", run, files), encoding="utf-8")
    result = chromium.open(page, "--dump-dom")
    assert console(result) == [] and paths == []
    assert not re.search("<title>owned|<(script|img|iframe)", result.stdout)
    assert "</html>" in result.stdout


def test_the_browser_itself_refuses_what_would_get_past_the_escaping(
    chromium: Chromium, tmp_path: Path, asked: tuple[str, list[str]]
) -> None:
    address, paths = asked
    run, files = example()
    text = page_of_run(".html", run, files)
    evil = f"<script>document.title='owned'</script><img src={address}/img>"
    page = tmp_path / "report.html"
    page.write_text(text.replace("<body>", f"<body>{evil}"), encoding="utf-8")
    result = chromium.open(page, "--dump-dom")
    assert "<title>owned" not in result.stdout and paths == []
    assert len(console(result)) == 2


def test_the_page_is_light_or_dark_as_the_reader_likes(chromium: Chromium, tmp_path: Path) -> None:
    run, files = example()
    page = tmp_path / "report.html"
    page.write_text(page_of_run(".html", run, files), encoding="utf-8")
    colours = {}
    for scheme, number in SCHEMES.items():
        picture = tmp_path / f"{scheme}.png"
        chromium.open(
            page,
            f"--blink-settings=preferredColorScheme={number}",
            "--window-size=400,800",
            f"--screenshot={picture}",
        )
        colours[scheme] = first_pixel(picture.read_bytes())
    assert min(colours["light"]) > 200 and max(colours["dark"]) < 60, colours


def test_the_page_is_no_wider_than_a_phone(chromium: Chromium, tmp_path: Path) -> None:
    run, files = example()
    text = page_of_run(".html", run, files)
    # Only for this look: the page itself may have no script.
    text = re.sub("<meta http-equiv[^>]*>", "", text)
    look = (
        "<script>addEventListener('load', () => { document.title = "
        "document.documentElement.scrollWidth + ' of ' + innerWidth })</script>"
    )
    page = tmp_path / "report.html"
    page.write_text(text.replace("</body>", f"{look}</body>"), encoding="utf-8")
    # A window of Chromium has at least 500 columns.
    result = chromium.open(page, "--dump-dom", "--window-size=500,900")
    found = re.search(r"<title>(\d+) of (\d+)</title>", result.stdout)
    assert found is not None and int(found[1]) <= int(found[2]), found
