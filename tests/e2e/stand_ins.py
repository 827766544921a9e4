"""Where real agents work in tests: in a network without a way out, beside a stand-in."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from real_nodes import Played
from real_tailnet import inside, ip, namespace


@contextlib.contextmanager
def loopback_alone(host: str) -> Iterator[None]:
    """A namespace of this name that has loopback and nothing else."""
    subprocess.run(["ip", "netns", "del", namespace(host)], capture_output=True, check=False)
    ip("netns", "add", namespace(host))
    ip("-n", namespace(host), "link", "set", "lo", "up")
    yield
    ip("netns", "del", namespace(host))


@contextlib.contextmanager
def serving(host: str, program: str, *words: str) -> Iterator[None]:
    """A program of this folder serves in that namespace, once it has said that it is ready."""
    path = str(pathlib.Path(__file__).with_name(program))
    command = [*inside(host), sys.executable, path, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"
        yield
        service.kill()


def end(played: Played) -> tuple[str, str | None, str | None]:
    """How the only job of a run has ended: its status, class and kind of quota."""
    row = played.job
    return row["status"], row["class"], row["quota_kind"]
