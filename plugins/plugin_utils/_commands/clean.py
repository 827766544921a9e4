# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes away what is old on the nodes and of the controller's runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

from .._files.paths import state_home
from .._files.record import SCHEMA_VERSION, read_history
from .._fleet.ask import all_replies, ask_all_nodes
from .._fleet.fleet import Fleet
from .._input.config import Keep
from .._node import wire
from .._node.clean import size_of

# Seconds.
LONGEST = 600.0
# Attempts of which this controller may be the only one that knows.
OPEN = frozenset({"sent", "running", "lost"})


def clean(fleet: Fleet, check: bool) -> dict[str, Any]:
    """The document of what went, or with check would go."""
    keep = fleet.config.keep
    request: wire.CleanRequest = {
        "days": keep.days,
        "most": keep.size_gb * 1e9,
        "free": keep.free_gb * 1e9,
        "check": check,
    }
    answers, silent = ask_all_nodes(
        fleet,
        lambda _node, link: all_replies(
            link, link.stream("clean", request, LONGEST), last="cleaned"
        ),
    )
    nodes = []
    seen = set[object]()
    for node, replies in answers.items():
        # Two names of one store.
        if (store := replies[-1].get("store")) not in seen:
            seen.add(store)
            removed: list[wire.CleanRow] = [
                {
                    "what": reply["what"],
                    "name": reply["name"],
                    "bytes": reply["bytes"],
                    "why": reply["why"],
                }
                for reply in replies
                if reply["state"] == "removed"
            ]
            nodes.append(
                {"node": node, "removed": removed, "bytes": sum(row["bytes"] for row in removed)}
            )
    runs = list(clean_runs(keep, check))
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "clean",
        "status": "success",
        "check": check,
        "nodes": nodes,
        "runs": runs,
        "bytes": sum(row["bytes"] for row in [*nodes, *runs]),
        "no_answer": silent,
    }


def clean_runs(keep: Keep, check: bool) -> Iterator[dict[str, Any]]:
    """{name, bytes, why} of this controller's runs that go, the oldest first: those whose every job
    has ended, with its harvest at home.
    """
    top = os.path.join(state_home(), "runs")
    now = time.time()
    names = sorted(os.listdir(top)) if os.path.isdir(top) else []
    sizes = {name: size_of(os.path.join(top, name)) for name in names}
    total = sum(sizes.values())
    for since, name in sorted(
        (_used(os.path.join(top, name)), name) for name in names if not name.startswith(".")
    ):
        why = (
            "old"
            if since < now - keep.days * 86400
            else "more than is kept"
            if total > keep.size_gb * 1e9
            else None
        )
        if why and _over_and_gone(top, name, check):
            total -= sizes[name]
            yield {"name": name, "bytes": sizes[name], "why": why}


def _used(folder: str) -> float:
    return max(
        (
            os.stat(path).st_mtime
            for name in ("journal.jsonl", "run.json")
            if os.path.exists(path := os.path.join(folder, name))
        ),
        default=time.time(),
    )


def _over_and_gone(top: str, name: str, check: bool) -> bool:
    folder = os.path.join(top, name)
    try:
        lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        history = read_history(folder)
        ends = [history.ended.get(digest) for digest in history.digests.values()]
        if not ends or any(
            end is None or end.get("status") == "lost" or end.get("class") == "harvest"
            for end in ends
        ):
            return False
        ended = {
            attempt["id"] for end in ends if end is not None for attempt in end.get("attempts", ())
        }
        if any(
            known.get("state") in OPEN and attempt not in ended
            for attempt, known in history.attempts.items()
        ):
            return False
        if not check:
            aside = os.path.join(top, f".gone-{name}")
            os.rename(folder, aside)
            shutil.rmtree(aside, ignore_errors=True)
        return True
    except OSError:
        # It is being driven.
        return False
    finally:
        os.close(lock)
