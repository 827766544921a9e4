# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sync`: a project to the workspaces of all nodes, so that the first job there need not wait."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from .._errors import InputError
from .._files.record import SCHEMA_VERSION, controller_id, known_controller_id
from .._fleet.ask import ask_all_nodes
from .._fleet.fleet import Fleet, with_load
from .._input.config import default_path
from .._links.link import Link
from .._node import wire
from .._project.secrets import look_for_secrets_once, secret_warnings
from .._project.sync import (
    Exclusions,
    Sent,
    TransferError,
    check_rsync,
    exclusions,
    preview_project,
    send_project,
    workspace_key,
)
from .._project.unreadable import why_unreadable

# How long a node may take to give a workspace, in seconds.
CLAIM_SECONDS = 60.0
# Stands for the identity of a controller that has none yet.
NOBODY = "0" * 16


class SyncOutcome(TypedDict):
    """What became of the sync to one node."""

    # success or failed.
    status: str
    # What went there, or why nothing did.
    message: str
    # The files that were sent, or would be, and the bytes in them; only of a success, as what
    # follows.
    files: NotRequired[int]
    bytes: NotRequired[int]
    # All that changed in the workspace: files, folders and links, times and modes of files too.
    changes: NotRequired[int]
    # How many of them were deleted.
    deleted: NotRequired[int]
    # In check mode the paths of the first thousand; what would be deleted behind `delete `.
    paths: NotRequired[list[str]]
    # Where the project lies on the node; not in check mode, as what follows.
    workspace: NotRequired[str]
    # How long it took.
    seconds: NotRequired[float]


class SyncRow(SyncOutcome):
    """The same with the node's name."""

    node: str


class SyncDocument(TypedDict):
    """What `sync` tells."""

    schema_version: int
    kind: str
    # success if every node has the project, else failed.
    status: str
    # Whether it is only told what would be sent.
    check: bool
    # Its real path here.
    project: str
    # What of it stays at home, for people.
    excluded: str
    # Folders outside of the project that went along, as parts of its repository.
    outside: list[str]
    # Paths that look like secrets and went, told at the project's first sync.
    secrets: list[str]
    # Sorted by name.
    nodes: list[SyncRow]


@dataclass(frozen=True)
class _Upload:
    """What is sent to each node, and for whom."""

    excluded: Exclusions
    # The workspace that it goes to.
    key: str

    def to(self, link: Link, slots: int) -> SyncOutcome:
        """Claim a workspace of the node, send the project there, and give the workspace back."""
        begun = time.monotonic()
        attempt = f"sync-{secrets.token_hex(6)}"
        request: wire.ClaimRequest = {"attempt": attempt, "key": self.key, "slots": slots}
        reply = link.call("claim", request, CLAIM_SECONDS)
        if reply["state"] != "claimed":
            message = "every slot is taken: try again later"
            if reply["state"] == "refused":
                message = reply["message"] or message
            return {"status": "failed", "message": message}

        try:
            generation = int(reply["generation"])
            sent = send_project(link, self.excluded, attempt, generation)
        except TransferError as exc:
            return {"status": "failed", "message": str(exc)}
        finally:
            link.call("release", {"attempt": attempt})
        return {
            **_outcome(sent),
            "workspace": os.path.join(reply["workspace"], "tree"),
            "seconds": round(time.monotonic() - begun, 2),
        }

    def preview(self, link: Link, slots: int) -> SyncOutcome:
        """What would be sent; no workspace is claimed."""
        try:
            sent = preview_project(link, self.excluded, self.key, slots)
        except TransferError as exc:
            return {"status": "failed", "message": str(exc)}
        outcome = _outcome(sent)
        if sent.changes is not None:
            outcome["paths"] = [*sent.changes.paths]
        return outcome


def _outcome(sent: Sent) -> SyncOutcome:
    outcome: SyncOutcome = {
        "status": "success",
        "message": sent.describe(),
        "files": sent.files,
        "bytes": sent.bytes,
    }
    if sent.changes is not None:
        outcome["changes"] = sent.changes.count
        outcome["deleted"] = sent.changes.deleted
    return outcome


def has_changed(document: SyncDocument) -> bool:
    """Whether something was sent or deleted, or would be."""
    return any(row.get("changes") or row.get("files") for row in document["nodes"])


def sync(
    fleet: Fleet,
    project: str | None,
    show_line: Callable[[str], None],
    *,
    check: bool = False,
) -> SyncDocument:
    """Send a project to every node's workspace; the controller itself is left out.

    project: its real path; show_line: takes warnings for people; check: only tell what would be
    sent. Raises InputError.
    """
    if project is None:
        raise InputError(["gummy_project=none leaves nothing to sync: name a directory"])

    check_rsync()
    patterns = fleet.config.sync_exclude
    # Who has no identity yet has no workspace anywhere either.
    controller = (known_controller_id() or NOBODY) if check else controller_id()
    key = workspace_key(project, controller)
    upload = _Upload(exclusions(project, patterns), key)
    why = why_unreadable(upload.excluded, default_path())
    if why:
        raise InputError([why])
    suspects = look_for_secrets_once(upload.excluded, key, note=not check)
    if suspects:
        for line in secret_warnings({project: suspects}, patterns, default_path()):
            show_line(line)

    rows = _ask_all(fleet, upload.preview if check else upload.to)
    good = bool(rows) and all(row["status"] == "success" for row in rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "sync",
        "status": "success" if good else "failed",
        "check": check,
        "project": project,
        "excluded": upload.excluded.describe(),
        "outside": upload.excluded.outside,
        "secrets": suspects,
        "nodes": sorted(rows, key=lambda row: row["node"]),
    }


def _ask_all(fleet: Fleet, upload: Callable[[Link, int], SyncOutcome]) -> list[SyncRow]:
    """upload: what is done over each node's link; it gets the node's slots too."""
    nodes = {node.name: node for node in fleet.nodes}
    here = fleet.candidates.keys() - nodes.keys()

    def question(node: str, link: Link) -> SyncOutcome:
        # Of a node whose load is not known nobody knows how many slots it has.
        return upload(link, with_load(fleet, nodes[node], link).slots)

    answers, silent = ask_all_nodes(fleet, question, without=here)
    rows: list[SyncRow] = [{"node": node, **outcome} for node, outcome in answers.items()]
    rows += [
        {"node": node, "status": "failed", "message": reason} for node, reason in silent.items()
    ]
    return rows
