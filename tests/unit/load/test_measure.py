"""What is known of the nodes: from snapshots, from the probe and from dw, all at once, inside one
deadline.
"""

from __future__ import annotations

import json
import os
import pathlib
import stat
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link, LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import measure
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.measure import (
    ProbeTarget,
    measure_all,
    measure_link,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.snapshots import (
    HOST_LASTS,
    LOAD_LASTS,
    Snapshots,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
)

TESTS = pathlib.Path(__file__).resolve().parents[2]
MACOS = (TESTS / "fixtures" / "probe" / "macos_made_by_hand.txt").read_text(encoding="utf-8")
# Seconds that no answer here takes.
LONG = 60.0


class World:
    """A fake ssh, the double of dw, a cache folder, and a clock that is moved by hand."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.moved = 0.0
        (folder / "bin").mkdir()
        (folder / "bin" / "dw").symlink_to(TESTS / "doubles" / "dw")
        self.program(
            "ssh",
            'echo "$1 $(grep -c find_agents)" >> "$LOG"; '
            'case "$1" in busy) printf "%s" "$ANSWER" ;; '
            'refused) echo "Connection refused" >&2; exit 255 ;; '
            'silent) echo "ssh: connect: Connection timed out" >&2; exit 255 ;; '
            "noshell) echo no >&2; exit 1 ;; stuck) exec sleep 60 ;; flood) exec yes ;; esac",
        )
        monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        monkeypatch.setenv("LOG", str(folder / "asked"))
        monkeypatch.setenv("ANSWER", MACOS)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setenv("DW_DOUBLE", str(folder / "world.json"))
        monkeypatch.setattr(measure.time, "time", self.now)
        self.dw(busy="1.00 4 25 40 29.50", refused="0.40 4 10 20 13.00")
        self.cache = folder / "cache" / "distributed-gummy" / "nodes.json"

    def now(self) -> float:
        return 1_800_000_000 + self.moved

    def program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def dw(self, seconds: dict[str, float] | None = None, **hosts: str) -> None:
        (self.folder / "world.json").write_text(
            json.dumps({"hosts": hosts, "seconds": seconds or {}}), encoding="utf-8"
        )

    def snapshots(self, **more) -> Snapshots:
        return Snapshots(now=self.now, **more)

    def measure(self, *names: str, sources=("probe",), timeout=LONG, **more):
        targets = {name: ProbeTarget(f"key of {name}", ["ssh", name], name) for name in names}
        return measure_all(
            targets, more.pop("snapshots", None) or self.snapshots(), sources, timeout, **more
        )

    def asked(self) -> list[str]:
        """Who was asked over ssh since the last call: with ` 2` behind it for all, with ` 0` for
        the load alone.
        """
        path = self.folder / "asked"
        lines = sorted(path.read_text(encoding="utf-8").splitlines()) if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_every_node_gets_its_own_answer(world):
    found = world.measure("busy", "refused", "noshell", "flood", slots={"busy": 1})
    states = {
        "busy": "measured",
        "refused": "unreachable",
        "noshell": "unknown",
        "flood": "unreachable",
    }
    assert {name: record["state"] for name, record in found.items()} == states
    assert (
        found["busy"]["slots"] == {"total": 1, "busy": 1}
        and "kB of output" in found["flood"]["reason"]
    )
    assert found["busy"]["measured_at"] == world.now()


def test_the_deadline_is_one_for_all(world):
    begun = time.monotonic()
    found = world.measure(
        "stuck",
        "busy",
        *(f"stuck {number}" for number in range(3)),
        timeout=0.4,
        sources=("probe", "dw"),
    )
    assert (
        found["stuck"]["reason"] == "no answer within 0.4 s" and time.monotonic() - begun < LONG / 2
    )


def test_for_half_a_minute_nobody_is_asked_again_then_for_the_load_and_then_for_all(world):
    assert world.measure("busy")["busy"]["source"] == "probe" and world.asked() == ["busy 2"]
    world.moved = LOAD_LASTS
    assert (
        world.measure("busy")["busy"]["measured_at"] == world.now() - LOAD_LASTS
        and world.asked() == []
    )
    world.moved = LOAD_LASTS + 1
    again = world.measure("busy")["busy"]
    assert (
        again["measured_at"] == world.now()
        and again["agents"] == ["gummy", "claude"]
        and world.asked() == ["busy 0"]
    )
    world.moved = HOST_LASTS
    assert world.measure("busy") and world.asked() == []
    world.moved = HOST_LASTS + 1
    assert world.measure("busy") and world.asked() == ["busy 2"]


def test_a_node_that_went_away_is_not_known_by_its_snapshot(world):
    world.measure("busy")
    world.moved = LOAD_LASTS + 1
    world.program("ssh", "echo Connection refused >&2; exit 255")
    assert world.measure("busy")["busy"]["state"] == "unreachable"
    world.program("ssh", 'printf "%s" "$ANSWER"')
    # What fails at once is asked again.
    assert world.measure("busy")["busy"]["state"] == "measured"


def test_a_silent_node_is_left_alone_for_a_minute(world):
    assert world.measure("silent")["silent"]["reason"] == "timed out" and world.asked() == [
        "silent 2"
    ]
    world.moved = HOST_LASTS
    assert world.measure("silent")["silent"]["state"] == "unreachable" and world.asked() == []
    world.moved = HOST_LASTS + 1
    assert world.measure("silent") and world.asked() == ["silent 2"]


def test_other_settings_are_another_snapshot_and_a_new_config_holds_at_once(world):
    world.measure("busy")
    target = ProbeTarget("other key", ["ssh", "busy"], "busy")
    measure_all({"busy": target}, world.snapshots(), timeout=LONG)
    assert world.asked() == ["busy 2", "busy 2"]
    changed = world.measure(
        "busy",
        slots={"busy": 7},
        weights={"cpu": 1.0, "memory": 0, "load_average": 0, "io_wait": 0},
    )["busy"]
    assert (changed["slots"]["total"], changed["score"]) == (
        7,
        changed["load"]["cpu"],
    ) and world.asked() == []
    assert world.measure("busy", sources=["dw"])["busy"]["source"] == "dw"


def test_who_asks_anew_gets_what_is_new_and_so_does_the_next(world):
    world.measure("busy")
    world.moved = 5
    world.asked()
    assert (
        world.measure("busy", snapshots=world.snapshots(believe=False))["busy"]["measured_at"]
        == world.now()
    )
    assert (
        world.asked() == ["busy 2"] and world.measure("busy")["busy"]["measured_at"] == world.now()
    )


def test_dw_tells_memory_and_load_average_and_the_probe_the_rest(world):
    found = world.measure("busy", "refused", sources=("dw", "probe"), slots={"busy": 8})
    assert found["busy"]["load"] == {
        "cpu": None,
        "memory": 0.4,
        "load_average": 0.25,
        "io_wait": None,
    }
    assert (
        found["busy"]["source"],
        found["busy"]["cpus"],
        found["busy"]["agents"],
        found["busy"]["slots"]["busy"],
    ) == ("dw", 4, ["gummy", "claude"], 1)
    # Of what is known.
    assert found["busy"]["score"] == pytest.approx((0.3 * 0.4 + 0.3 * 0.25) / 0.6, abs=1e-4)
    assert (
        found["refused"]["state"],
        found["refused"]["source"],
        found["refused"]["slots"]["total"],
    ) == ("measured", "dw", 2)
    first = world.measure("busy", sources=("probe", "dw"))["busy"]
    assert (first["source"], first["cpus"]) == ("probe", 8)


@pytest.mark.parametrize(
    ("break_dw", "reason"),
    [
        (lambda world: world.program("dw", "exit 1"), "dw printed no row"),
        (lambda world: world.dw(), "dw could not ask it"),
        (lambda world: world.dw(busy="150.00 2 7500 0 0.00"), "decimal comma"),
        (lambda world: world.dw({"busy": 60}, busy="1.00 4 25 40 29.50"), "no answer within 0.5 s"),
        (lambda world: (world.folder / "bin" / "dw").unlink(), "can't start dw"),
    ],
)
def test_without_an_answer_of_dw_there_is_no_load_from_it_and_no_error(world, break_dw, reason):
    break_dw(world)
    alone = world.measure("busy", sources=["dw"], timeout=0.5 if "0.5" in reason else LONG)["busy"]
    assert (alone["state"], alone["score"]) == ("unknown", None) and reason in alone["reason"]
    assert (
        world.measure("busy", sources=["dw", "probe"], timeout=LONG / 20)["busy"]["source"]
        == "probe"
    )


class FakeLink:
    key = "key"

    def __init__(self, answer: str | LinkError) -> None:
        self.answer = answer
        self.scripts = []

    def shell(self, script: str, seconds: float) -> str:
        self.scripts.append("find_agents" in script)
        if isinstance(self.answer, LinkError):
            raise self.answer
        return self.answer


def test_a_link_measures_and_shares_its_snapshot(world):
    link = FakeLink(MACOS)
    for _time in range(2):
        assert measure_link(link, world.snapshots(), 3, DEFAULT_WEIGHTS)["slots"]["total"] == 3
    world.moved = LOAD_LASTS + 1
    measure_link(link, world.snapshots(), 3, DEFAULT_WEIGHTS)
    assert link.scripts == [True, False]
    for kind, state in {"reply": "unknown", "login": "unreachable"}.items():
        assert (
            measure_link(
                FakeLink(LinkError("why", kind)), world.snapshots(believe=False), 1, DEFAULT_WEIGHTS
            )["state"]
            == state
        )


def test_the_load_of_now_is_asked_for_whatever_is_known_and_is_not_that_since_the_last_question(
    world,
):
    def now(link):
        return measure_link(link, world.snapshots(), None, DEFAULT_WEIGHTS, now=True)

    known = _linux(idle=100, busy=0) + _linux(idle=200, busy=0) + "@gummy-probe programs jq @end\n"
    measure_link(FakeLink(known), world.snapshots(), None, DEFAULT_WEIGHTS)
    world.moved = 1.0
    # Since the last question the node has been idle, and this moment it is busy.
    link = FakeLink(_linux(idle=1000, busy=0) + _linux(idle=1000, busy=50))
    facts = now(link)
    assert link.scripts == [False]
    assert (facts["load"]["cpu"], facts["measured_at"]) == (1.0, world.now())
    # What does not change so fast is still known.
    assert facts["agents"] == []
    # A later question for the load gets what was told now.
    later = FakeLink("")
    assert measure_link(later, world.snapshots(), None, DEFAULT_WEIGHTS)["load"] == facts["load"]
    assert later.scripts == []
    # Of one that was silent nothing is known.
    world.measure("silent", snapshots=world.snapshots())
    link = FakeLink(_linux(idle=1, busy=0))
    link.key = "key of silent"
    now(link)
    assert link.scripts == [True]


def _linux(idle, busy):
    return (
        "@gummy-probe begin @end\n"
        f"@gummy-probe stat cpu {busy} 0 0 {idle} 0 0 0 0 @end\n"
        "@gummy-probe done @end\n"
    )


def test_a_probe_asks_nothing_and_its_host_is_no_option():
    argv = Link("n", "-oProxyCommand=x", ["ssh", "-F", "f"], None).probe_argv(2)  # type: ignore[arg-type]
    assert argv[:3] == ["ssh", "-o", "ConnectTimeout=1"] and argv[-5:] == [
        "-F",
        "f",
        "--",
        "-oProxyCommand=x",
        "/bin/sh -s",
    ]


def spoil(what: str, cache: pathlib.Path) -> None:
    if what == "a link":
        cache.rename(cache.with_name("real"))
        cache.symlink_to("real")
    elif what == "a folder that is a link":
        cache.parent.rename(cache.parent.with_name("real"))
        cache.parent.symlink_to("real")
    elif what == "a folder that others may enter":
        cache.parent.chmod(0o755)
    elif what == "a file that others may write":
        cache.chmod(0o666)
    elif what == "of another user":
        os.chown(cache, 12345, 12345)
    elif what == "a pipe":
        cache.unlink()
        os.mkfifo(cache)
    else:
        cache.write_text(what, encoding="utf-8")


@pytest.mark.parametrize(
    "what",
    [
        "a link",
        "a folder that is a link",
        "a folder that others may enter",
        "a file that others may write",
        "of another user",
        "a pipe",
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 2, "nodes": {}}',
        '{"format": 1, "nodes": {"probe key of busy": {"at": "soon"}}}',
        "[" * 100_000,
    ],
)
def test_a_cache_that_may_be_somebody_else_s_or_is_broken_is_not_believed(world, what):
    if what == "of another user" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    world.measure("busy")
    assert (
        stat.S_IMODE(world.cache.parent.stat().st_mode) == 0o700
        and stat.S_IMODE(world.cache.stat().st_mode) == 0o600
    )
    world.asked()
    spoil(what, world.cache)
    assert world.measure("busy")["busy"]["state"] == "measured" and world.asked() == ["busy 2"]


def test_a_cache_that_can_not_be_written_costs_nothing_else(world):
    (world.folder / "cache").write_text("no folder", encoding="utf-8")
    assert world.measure("busy")["busy"]["state"] == "measured"
