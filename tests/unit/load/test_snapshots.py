"""What nodes said is shared by playbooks for a while, in a file that several may write at once."""

from __future__ import annotations

import json
import pathlib
import threading
from collections.abc import Mapping

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.at_once import (
    CompletedCommand,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.snapshots import (
    HOST_LASTS,
    LOAD_LASTS,
    Snapshot,
    Snapshots,
)

ANSWER = CompletedCommand(0, "all", "noise", "cut short")


class World:
    """A cache folder, and a clock that is moved by hand."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.moved = 0.0
        self.cache = folder / "distributed-gummy" / "nodes.json"

    def now(self) -> float:
        return 1_800_000_000 + self.moved

    def snapshots(self, **more: bool) -> Snapshots:
        return Snapshots(now=self.now, **more)

    def rows(self) -> Mapping[str, object]:
        return json.loads(self.cache.read_text(encoding="utf-8"))["nodes"]


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return World(tmp_path)


def test_the_next_playbook_gets_it_as_it_was(world):
    snapshot = Snapshot(ANSWER, world.now(), "newer load", world.now() + 1)
    world.snapshots().put({"n": snapshot})
    assert world.snapshots().get("n") == snapshot and world.snapshots().get("other") is None
    assert world.snapshots(believe=False).get("n") is None
    whole = snapshot.whole()
    assert (whole.out, whole.err, whole.trouble) == ("allnewer load", "noise", "cut short")


def test_a_load_is_believed_half_as_long_as_the_rest_and_a_newer_one_counts(world):
    snapshot = Snapshot(ANSWER, world.now())
    world.snapshots().put({"n": snapshot})
    world.moved = LOAD_LASTS + 1
    later = world.snapshots()
    assert later.get("n") == snapshot and later.get("n", LOAD_LASTS) is None
    assert not later.has_load(snapshot)
    assert later.has_load(Snapshot(ANSWER, snapshot.at, "x", world.now()))
    world.moved = HOST_LASTS + 1
    assert world.snapshots().get("n") is None


def test_what_comes_from_the_future_is_not_believed(world):
    world.snapshots().put({"n": Snapshot(ANSWER, world.now())})
    world.moved = -1
    assert world.snapshots().get("n") is None


def test_one_bad_row_does_not_cost_the_others(world):
    world.snapshots().put({"good": Snapshot(ANSWER, world.now())})
    data = json.loads(world.cache.read_text(encoding="utf-8"))
    data["nodes"]["bad"] = {"at": "soon"}
    data["nodes"]["worse"] = 5
    world.cache.write_text(json.dumps(data), encoding="utf-8")
    snapshots = world.snapshots()
    assert snapshots.get("good") and not snapshots.get("bad") and not snapshots.get("worse")


def test_two_who_write_at_once_leave_whole_files_and_no_others(world):
    ended = threading.Event()

    def write(number: int) -> None:
        while not ended.is_set():
            world.snapshots().put(
                {f"{number}": Snapshot(CompletedCommand(0, "x" * 50_000), world.now())}
            )

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        seen = set()
        while len(seen) < 4:
            if world.cache.exists():
                seen |= set(world.rows())
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    assert [path.name for path in world.cache.parent.iterdir()] == ["nodes.json"]


def test_what_has_run_out_is_not_kept(world):
    world.snapshots().put({"old": Snapshot(CompletedCommand(0), world.now())})
    world.moved = HOST_LASTS + 1
    world.snapshots().put({"new": Snapshot(CompletedCommand(0), world.now())})
    assert list(world.rows()) == ["new"]
