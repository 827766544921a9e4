# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be read of the fleet, and all of it together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .._files.record import SCHEMA_VERSION
from .._fleet.fleet import Fleet
from .doctor import doctor
from .follow import Told
from .logs import LogsView, followed_logs, logs
from .specialists import specialists
from .status import status
from .watch import watch

# What can be gathered, in the order in which it is shown.
THINGS = ("status", "specialists", "watch", "logs", "doctor")


class InfoDocument(TypedDict):
    """Several documents in one."""

    schema_version: int
    kind: str
    # failed if one of them has failed.
    status: str
    # Why they failed.
    message: str | None
    # Each is that of a command of its own.
    documents: list[Mapping[str, Any]]


@dataclass(frozen=True)
class Wanted:
    """What is to be read beyond what every node tells by itself, and how logs are shown."""

    # Whose logs, as in find_attempts.
    job: str | None = None
    run_id: str | None = None

    # Projects on the nodes whose specialists are looked for too.
    specialist_paths: tuple[str, ...] = ()

    view: LogsView = field(default_factory=LogsView)

    # Takes what logs become, until their attempts have ended; None: they are read once.
    follow: Callable[[Told], None] | None = None


def gather(
    fleet: Fleet, things: Sequence[str], wanted: Wanted
) -> tuple[dict[str, Mapping[str, Any]], Mapping[str, Any]]:
    """The documents of these things by name, and what is to be shown of them as one document.

    things: of THINGS. Raises the InputError of find_attempts.
    """
    documents = {thing: _gather(fleet, thing, wanted) for thing in THINGS if thing in things}
    if len(documents) == 1:
        return documents, next(iter(documents.values()))
    return documents, _together(list(documents.values()))


def _gather(fleet: Fleet, thing: str, wanted: Wanted) -> Mapping[str, Any]:
    if thing == "status":
        return status(fleet)
    if thing == "specialists":
        return specialists(fleet, wanted.specialist_paths)
    if thing == "doctor":
        return doctor(fleet)
    if thing == "watch":
        return watch(fleet, wanted.specialist_paths)
    if wanted.follow is not None:
        return followed_logs(fleet, wanted.job, wanted.run_id, wanted.view, wanted.follow)
    return logs(fleet, wanted.job, wanted.run_id, wanted.view)


def _together(documents: list[Mapping[str, Any]]) -> InfoDocument:
    reasons = [document["message"] for document in documents if document.get("message")]
    failed = any(document["status"] == "failed" for document in documents)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "info",
        "status": "failed" if failed else "success",
        "message": "; ".join(dict.fromkeys(reasons)) or None,
        "documents": documents,
    }
