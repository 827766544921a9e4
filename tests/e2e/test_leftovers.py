"""A tailnet whose test was killed: the next one, or `make clean`, leaves nothing of it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import real_tailnet
from real_nodes import ROOT, until

RIG = pathlib.Path(real_tailnet.__file__)
BEGIN = "import real_tailnet as r\nprint(r.MARK, flush=True)\nwith r.tailnet():\n    pass"


def traces(*words: str) -> list[str]:
    """Network namespaces, files and processes that show one of these words."""
    found = [
        str(path) for folder in ("/run", "/run/netns") for path in pathlib.Path(folder).iterdir()
    ]
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append(
                "".join(
                    process.joinpath(file).read_bytes().decode(errors="replace")
                    for file in ("cmdline", "environ")
                )
            )
    return [one for one in found if any(word in one for word in words)]


@pytest.mark.parametrize(
    "seen", ["netns/{mark}-node-4", "{mark}/node-4.sock", "fleet/node-1/sshd/log"]
)
def test_nothing_is_left_of_a_killed_one(tmp_path: pathlib.Path, seen: str) -> None:
    folder = tmp_path / "another"
    folder.mkdir()
    (folder / "bin").symlink_to(real_tailnet.BIN)
    env = {
        **os.environ,
        "GUMMY_E2E_DIR": str(folder),
        "PYTHONPATH": f"{RIG.parent}:{ROOT / 'tests' / 'integration'}",
    }
    with subprocess.Popen(
        [sys.executable, "-B", "-c", BEGIN],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as killed:
        assert killed.stdout is not None
        mark = killed.stdout.readline().strip()
        place = (folder if seen.startswith("fleet") else pathlib.Path("/run")) / seen.format(
            mark=mark
        )
        until(place.exists, f"{place}")
        assert mark.startswith("gummy-e2e-") and traces(mark)
        os.killpg(killed.pid, signal.SIGKILL)
    subprocess.run(
        [sys.executable, "-B", str(RIG)], env=env, stdin=subprocess.DEVNULL, check=True, timeout=60
    )
    assert traces(mark, str(folder)) == []
