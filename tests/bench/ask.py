"""Our side of the rows that ask many nodes, without Ansible's start.

`in_collection.py ask.py WHAT SSH_CONFIG ANSWER NODE...`

The answer is a file: the seconds that it took, links included, and what came of it. WHAT is
`specialists`, `watch` (the board once), `watch:LOOKS` (each node so many times, over one session),
`load` (new connections) or `load-again` (those of a question before, whose answer
has just become too old), or `sync:CONTROLLER` (the folder `big`, over links that are open; without
the claim before it), or `slots:CONTROLLER` (the same for eight jobs at once).
"""

from __future__ import annotations

import json
import pathlib
import secrets
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.playbook.task import Task
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.connect import LinkMaker
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.specialists import (
    specialists as ask_specialists,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.watch import (
    Watching,
    watch,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import (
    Fleet,
    ToldLoad,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.nodes import node_from_vars
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.measure import (
    ProbeTarget,
    facts_told,
    measure_all,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.probe import (
    LOAD_SCRIPT,
    NOW_SCRIPT,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.snapshots import (
    LOAD_LASTS,
    Snapshots,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync as _sync
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import workspace_key
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node

PATIENCE = 30.0
# How many nodes `watch-others:LOOKS` does not wait for.
SILENT = 10
# How many jobs of one project a node gets at once.
SLOTS = 8


def links(names: list[str], words: str) -> dict[str, Link]:
    maker = LinkMaker(Task())
    return {
        name: maker.make(name, {"ansible_host": name, "ansible_ssh_common_args": words})
        for name in names
    }


def load(names: list[str], words: str, snapshots: Snapshots) -> dict[str, int]:
    ways = {
        name: ProbeTarget(link.key, link.probe_argv(PATIENCE), name)
        for name, link in links(names, words).items()
    }
    found = measure_all(ways, snapshots, timeout=PATIENCE)
    return {"measured": sum(record["state"] == "measured" for record in found.values())}


def read_load(name: str, text: str) -> Node:
    facts = facts_told(text, None, Config().load_weights)
    return node_from_vars(name, {"gummy_facts": facts})


def fleet_of(names: list[str], words: str) -> Fleet:
    known = links(names, words)

    def no_measure(name: str, link: Link) -> Node:
        raise AssertionError("the dashboard measures nobody")

    return Fleet(
        nodes=tuple(map(Node, names)),
        fallback=None,
        make_link=known.__getitem__,
        measure=no_measure,
        config=Config(),
        told_load=ToldLoad(NOW_SCRIPT, LOAD_SCRIPT, read_load),
    )


def specialists(names: list[str], words: str) -> dict[str, float]:
    view = ask_specialists(fleet_of(names, words))
    return {**view["totals"], "measured": sum(row["slots"] is not None for row in view["nodes"])}


def board(names: list[str], words: str, looks: int, silent: int = 0) -> dict[str, float]:
    """looks: how often each node is asked in a session; 0: once, in a call of its own.

    silent: how many nodes are not waited for.
    """
    fleet = fleet_of(names, words)
    if not looks:
        return dict(watch(fleet)["totals"])
    counts = dict.fromkeys(names, 0)
    seen_at = dict.fromkeys(names, 0.0)
    watching = Watching(fleet, ())
    deadline = time.monotonic() + PATIENCE * looks
    try:
        while sorted(counts.values())[silent] < looks and time.monotonic() < deadline:
            # As often as the board is drawn.
            time.sleep(1.0)
            view = watching.document()
            for name, at in watching.answered_at().items():
                counts[name] += at != seen_at[name]
                seen_at[name] = at
    finally:
        watching.close()
    return {**view["totals"], "looks": sorted(counts.values())[silent]}


def claim(link: Link, project: str, controller: str, slots: int) -> tuple[str, int]:
    """(attempt, generation) of a claim."""
    attempt = f"bench-{secrets.token_hex(6)}"
    claimed = link.session.call(
        "claim",
        {"attempt": attempt, "key": workspace_key(project, controller), "slots": slots},
        PATIENCE,
    )
    return attempt, int(claimed["generation"])


def sync(link: Link, controller: str) -> dict[str, float]:
    """What a run does between claim and start."""
    project = str(pathlib.Path("big").resolve())
    attempt, generation = claim(link, project, controller, 2)
    begun = time.monotonic()
    sent = _sync.send_project(
        link, _sync.exclusions(project, Config().sync_exclude), attempt, generation
    )
    seconds = time.monotonic() - begun
    link.session.call("release", {"attempt": attempt})
    link.session.close()
    return {"files": sent.files, "bytes": sent.bytes, "wall": seconds}


def sync_to_all_slots(link: Link, controller: str) -> dict[str, float]:
    """The same for as many jobs as the node has slots, all at once."""
    project = str(pathlib.Path("big").resolve())
    claims = [claim(link, project, controller, SLOTS) for _slot in range(SLOTS)]
    excluded = _sync.exclusions(project, Config().sync_exclude)
    turn = _sync.Turn()

    def send(claimed: tuple[str, int]) -> int:
        return _sync.send_project(link, excluded, *claimed, turn).files

    begun = time.monotonic()
    with ThreadPoolExecutor(SLOTS) as pool:
        sent = list(pool.map(send, claims))
    seconds = time.monotonic() - begun
    for attempt, _generation in claims:
        link.session.call("release", {"attempt": attempt})
    link.session.close()
    return {"files": max(sent), "syncs": sum(map(bool, sent)), "wall": seconds}


def main() -> None:
    what, config, answer, *names = sys.argv[1:]
    words = shlex.join(["-F", config])
    if what == "load":
        # With settings of its own it finds no connection that is open.
        words += f" -o SendEnv=BENCH_{secrets.token_hex(4)}"
    elif what == "load-again":
        load(names, words, Snapshots(believe=False))

    begun = time.monotonic()
    if what.startswith("sync:"):
        told = sync(*links(names, words).values(), what.partition(":")[2])
    elif what.startswith("slots:"):
        told = sync_to_all_slots(*links(names, words).values(), what.partition(":")[2])
    elif what == "specialists":
        told = specialists(names, words)
    elif what.partition(":")[0] == "watch":
        told = board(names, words, int(what.partition(":")[2] or 0))
    elif what.startswith("watch-others:"):
        told = board(names, words, int(what.partition(":")[2]), SILENT)
    else:
        # By this clock every answer of before has just become too old.
        later = Snapshots(what == "load-again", lambda: time.time() + LOAD_LASTS + 1)
        told = load(names, words, later)
    row = {"wall": time.monotonic() - begun, **told}
    pathlib.Path(answer).write_text(json.dumps(row), encoding="utf-8")


if __name__ == "__main__":
    main()
