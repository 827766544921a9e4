# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`install`, as far as it looks: which nodes lack an agent, and what would install it there.

The role `agent` does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from .._errors import InputError
from .._files.record import SCHEMA_VERSION
from .._fleet.ask import ask_all_nodes
from .._fleet.fleet import Fleet
from .._fleet.settle import settle
from .._input.config import Recipe
from .._links.link import Link
from .recipes import NEEDS, CantInstall, find_installation, lacks, off_path
from .tools import Tools, look_for_tools
from .views import away, why_it_fails

# How many characters of a reason are told.
REASON_MOST = 1000

ROOT = (
    "its login is root, and no agent is installed for that: claude refuses to work as root, and "
    "brew to install; make a login without rights for agents there, and set ansible_user to it"
)
HANGS = (
    "its login shell gave no PATH within 2 s, so no agent would be found: look which of its "
    "start-up files waits (log in there by hand)"
)


class InstallSource(TypedDict):
    """What git gets."""

    url: str
    # The full hash.
    commit: str


class InstallRow(TypedDict):
    """A node, and what is to be done there."""

    name: str
    # usable: nothing is to be done. missing: it can be installed. unusable: it is there, and
    # something else is wrong. refused: it can't be installed there. no_answer.
    state: str
    # Why it is as it is, and what to do about it: sentences, none where nothing is.
    reasons: list[str]
    # The agent's path; None if it is not there.
    path: str | None
    # How it is installed: command, brew, source or npm; None if it is not.
    way: str | None
    # Argument lists of what is run, in their order.
    commands: list[list[str]]
    # What git gets before, and the folder for it, in which the commands are run.
    source: InstallSource | None
    folder: str | None
    # The same as lines of a shell, for people.
    lines: list[str]
    # The PATH with which it is run; blank where nothing is.
    search: str


class InstallDocument(TypedDict):
    """What `install` finds, before it does anything."""

    schema_version: int
    # The word install.
    kind: str
    # success, or failed if no node answers.
    status: str
    # Why it failed.
    message: str | None
    # The agent that is wanted.
    agent: str
    # In the order of the play.
    nodes: list[InstallRow]


def look_for_agent(
    fleet: Fleet, agent: str | tuple[str, ...], way: str | None = None
) -> InstallDocument:
    """Ask all nodes whether they have the agent, and what they could install it with.

    way: the only way that may be taken. The controller is not asked: it takes a job only where no
    node can, and what is installed there its user says by hand. Raises InputError for an agent that
    needs no installation, and for several.
    """
    if not isinstance(agent, str):
        raise InputError(["agent: one agent is installed at a time; name one (gummy_agent)"])
    if agent not in NEEDS:
        known = " or ".join(NEEDS)
        problem = f"agent: {agent} is on every node already; name {known} (gummy_agent)"
        raise InputError([problem])

    recipe = fleet.config.recipes.get(agent, Recipe())
    nodes = {name: node for name, node in fleet.candidates.items() if not node.local}
    unreachable = away(nodes)

    def question(name: str, link: Link) -> InstallRow:
        # What the probe calls usable is what a job would find there.
        link.connect()
        measured = fleet.measure(name, link)
        if measured.state == "unreachable":
            return row(name, "no_answer", [measured.reason or "not reachable"])
        if agent in measured.unseen:
            measured = settle(fleet, measured, link)
        return assess(
            name,
            agent,
            look_for_tools(link),
            usable=agent in (measured.agents or ()),
            way=way,
            recipe=recipe,
            command=fleet.command,
        )

    skipped = {*unreachable, *(name for name in fleet.candidates if name not in nodes)}
    rows, silent = ask_all_nodes(fleet, question, without=skipped)
    failure = why_it_fails(nodes, rows)
    silent = {**unreachable, **silent}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "install",
        "status": "failed" if failure else "success",
        "message": failure,
        "agent": agent,
        "nodes": [
            rows[name] if name in rows else row(name, "no_answer", [silent[name]]) for name in nodes
        ],
    }


def assess(
    name: str,
    agent: str,
    tools: Tools,
    *,
    usable: bool,
    way: str | None,
    recipe: Recipe,
    command: str,
) -> InstallRow:
    """How it stands on one node, by what that has.

    usable: whether a job would find the agent; way, recipe: as for `find_installation`; command:
    how a playbook is called.
    """
    path = tools.programs.get(agent)
    if usable:
        return row(name, "usable", [], path)
    if tools.is_root:
        return row(name, "refused", [ROOT], path)
    if not tools.path:
        return row(name, "refused", [HANGS], path)

    reasons = [*lacks(agent, tools, command)]
    if path is not None:
        if not tools.is_on_path(agent):
            reasons.insert(0, off_path(agent, tools))
        odd = f"{path} is there, and the node says that it can't be used"
        return row(name, "unusable", reasons or [odd], path)

    try:
        installation = find_installation(agent, way, recipe, tools)
    except CantInstall as exc:
        return row(name, "refused", [*exc.reasons, *reasons])

    # What is run finds what was found: npm needs node, and brew what lies beside it.
    folders = [*tools.path, *(each.rpartition("/")[0] for each in tools.programs.values())]
    found = row(name, "missing", reasons)
    found["way"] = installation.way
    found["commands"] = [list(words) for words in installation.commands]
    if installation.source is not None:
        source = installation.source
        found["source"] = {"url": source.url, "commit": source.commit}
    found["folder"] = installation.folder
    found["lines"] = installation.lines()
    found["search"] = ":".join(dict.fromkeys(folders))
    return found


def row(name: str, state: str, reasons: Sequence[str], path: str | None = None) -> InstallRow:
    """A node for which nothing is run."""
    return {
        "name": name,
        "state": state,
        "reasons": [reason[:REASON_MOST] for reason in reasons],
        "path": path,
        "way": None,
        "commands": [],
        "source": None,
        "folder": None,
        "lines": [],
        "search": "",
    }
