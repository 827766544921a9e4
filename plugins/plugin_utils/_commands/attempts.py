# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts on the nodes, seen from any controller: find them, read their logs, bring their harvest
home; and `sync` alone.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from .._errors import InputError
from .._files.paths import NAME
from .._files.record import SCHEMA_VERSION, RunRecord, ask_to_cancel, controller_id
from .._fleet.ask import AttemptRow, ask_all_nodes, list_attempts
from .._fleet.fleet import Fleet
from .._input.config import default_path
from .._input.keys import hint, show
from .._links.link import Link, LinkError
from .._node import wire
from .._project import sync as _sync
from .._project.bring_home import BranchWish, bring_home, deliver
from .._project.secrets import secrets_in, warnings


def find_attempts(
    fleet: Fleet, job: str | None, run_id: str | None
) -> tuple[list[AttemptRow], dict[str, str]]:
    """(attempts with their node and link, nodes that gave no answer). job: an id, a unique prefix
    of one, or RUN/name. Raises InputError.
    """
    if not job and not run_id:
        raise InputError(
            [
                "say which: gummy_job=ID (a unique prefix is enough, or RUN/name), or gummy_run_id=NAME"
            ]
        )
    if job and not all(NAME.fullmatch(part) for part in job.split("/", 1)):
        raise InputError(
            [
                f"gummy_job={show(job)} is no job: give the id of an attempt, a unique prefix of one, or RUN/name"
            ]
        )
    run, slash, name = (job or "").partition("/")
    request: wire.ListRequest = {
        "run_id": run if slash else run_id,
        "prefix": "" if slash else job or "",
    }
    answers, silent = ask_all_nodes(fleet, lambda node, link: list_attempts(node, link, request))
    rows = [row for found in answers.values() for row in found if not slash or row["job"] == name]
    rows = list({row["attempt"]: row for row in rows}.values())
    asked = job or run_id
    if job and not slash and len({row["attempt"] for row in rows}) > 1:
        raise InputError(
            [
                f"gummy_job={job} fits {len(rows)} attempts: {', '.join(sorted(row['attempt'] for row in rows)[:10])}"
            ]
        )
    if not rows:
        everything = [
            row
            for found in ask_all_nodes(
                fleet, lambda node, link: list_attempts(node, link, {}), without=silent
            )[0].values()
            for row in found
        ]
        known = (
            {f"{row['run_id']}/{row['job']}" for row in everything}
            if slash
            else {row["attempt" if job else "run_id"] for row in everything}
        )
        missing = (
            f"; no answer from {', '.join(f'{node} ({reason})' for node, reason in silent.items())}"
            if silent
            else ""
        )
        raise InputError(
            [
                f"no attempt of {asked} is known to {', '.join(answers) or 'any node'}; {hint(str(asked), known)}{missing}"
            ]
        )
    return sorted(rows, key=lambda row: (str(row["job"]), row["attempt"])), silent


def logs(
    fleet: Fleet, job: str | None, run_id: str | None, show: Callable[[str], None]
) -> dict[str, Any]:
    """Shows the log of every attempt that is asked for."""
    rows, silent = find_attempts(fleet, job, run_id)
    for row in rows:
        show(
            f"== {row['run_id']}/{row['job']} on {row['node']}, attempt {row['attempt']}, {row['state']}"
        )
        text = "".join(
            str(reply.get("text", ""))
            for reply in row["link"].stream("logs", {"attempt": row["attempt"]}, 120)
        )
        for line in text.splitlines():
            show(line)
    return _document("logs", rows, silent)


def harvest(fleet: Fleet, job: str | None, run_id: str | None) -> dict[str, Any]:
    """Fetches the harvest of what has ended into the folder of its run, and acknowledges it."""
    rows, silent = find_attempts(fleet, job, run_id)
    controller = controller_id()
    for row in rows:
        if row["state"] == "dead":
            # Who sees a dead supervisor first makes the harvest.
            _ask(row, "fence")
        again = row["state"] == "ended" and (row.get("ended") or {}).get("class") == "harvest"
        if again:
            _ask(row, "harvest")
        if (
            row["state"] == "ended"
            and NAME.fullmatch(str(row["run_id"]))
            and NAME.fullmatch(str(row["job"]))
        ):
            row["folder"], row["message"] = _bring_home(row, controller, again)
    return _document("harvest", rows, silent)


def cancel(fleet: Fleet, job: str | None, run_id: str | None) -> dict[str, Any]:
    """Ends what runs, all at once; an engine of this controller that drives the run begins nothing
    more of it.
    """
    if run_id and not job:
        ask_to_cancel(run_id)
    rows, silent = find_attempts(fleet, job, run_id)
    with ThreadPoolExecutor(32) as pool:
        list(
            pool.map(
                lambda row: _ask(row, "cancel"),
                [row for row in rows if row["state"] in ("running", "dead")],
            )
        )
    document = _document("cancel", rows, silent)
    return {
        **document,
        "status": "failed"
        if silent or any(row["state"] == "running" for row in rows)
        else "success",
    }


def _ask(row: AttemptRow, verb: Literal["fence", "cancel", "harvest"]) -> None:
    """The row with what its node answers to this verb."""
    try:
        reply: wire.FenceReply | wire.HarvestReply
        if verb == "harvest":
            reply = row["link"].call(verb, {"attempt": row["attempt"]}, 60)
        else:
            reply = row["link"].call(verb, {"attempt": row["attempt"]}, 60)
        row["state"] = reply["state"]
        row["ended"] = {
            key: value for key, value in reply.items() if key not in ("state", "store")
        } or None
    except LinkError as exc:
        row["message"] = str(exc)


def _bring_home(row: AttemptRow, controller: str, again: bool) -> tuple[str | None, str]:
    """(folder, None if it is not there; what a person should know)."""
    record = RunRecord(row["run_id"])
    try:
        if record.fetched(row["job"]) == row["attempt"] and not again:
            return _fetched_before(record, row, controller)
        home = bring_home(
            record,
            row["link"],
            row["attempt"],
            row["job"],
            result=row["ended"] or {},
            wish=_wish_of(row, controller),
            acknowledge_as=controller,
        )
    except (LinkError, _sync.TransferError) as exc:
        return None, str(exc)
    finally:
        record.close()
    return home.folder, home.describe()


def _fetched_before(record: RunRecord, row: AttemptRow, controller: str) -> tuple[str, str]:
    """A harvest that is at home already: only a branch that could not be made is tried again."""
    folder = record.job_folder(row["job"])
    failed = any(
        end.get("job") == row["job"] and end.get("class") == "deliver"
        for end in record.history.ended.values()
    )
    if not failed:
        return folder, "fetched before"
    home = deliver(
        record, folder, row["job"], result=row["ended"] or {}, wish=_wish_of(row, controller)
    )
    return folder, "; ".join(filter(None, ("fetched before", home.describe())))


def _wish_of(row: AttemptRow, controller: str) -> BranchWish | None:
    """The branch that was asked for, if the project is this controller's own."""
    project = row.get("project_path")
    if row.get("deliver") != "branch" or row.get("controller") != controller or project is None:
        return None
    return BranchWish(project, row["title"] or row["job"])


def _document(kind: str, rows: list[AttemptRow], silent: Mapping[str, str]) -> dict[str, Any]:
    bad = [row for row in rows if row.get("folder", "") is None]
    public = [
        {key: value for key, value in row.items() if key not in ("link", "store")} for row in rows
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "status": "failed" if bad else "success",
        "attempts": public,
        "no_answer": dict(silent),
    }


def sync(fleet: Fleet, project: str | None, show: Callable[[str], None]) -> dict[str, Any]:
    """The project to every candidate's workspace; the controller itself is left out."""
    if project is None:
        raise InputError(["gummy_project=none leaves nothing to sync: name a directory"])
    controller = controller_id()
    excluded = _sync.exclusions(project, fleet.config.sync_exclude)
    suspects = secrets_in(excluded, _sync.workspace_key(project, controller))
    for line in warnings(
        {project: suspects} if suspects else {}, fleet.config.sync_exclude, default_path()
    ):
        show(line)
    slots = {node.name: node.slots for node in fleet.nodes}

    def question(node: str, link: Link) -> dict[str, Any]:
        if node not in slots:
            return {}
        begun = time.monotonic()
        attempt = f"sync-{secrets.token_hex(6)}"
        reply = link.call(
            "claim",
            {
                "attempt": attempt,
                "key": _sync.workspace_key(project, controller),
                "slots": slots[node],
            },
            60,
        )
        if reply["state"] != "claimed":
            return {
                "status": "failed",
                "message": reply.get("message") or "every slot is taken: try again later",
            }
        try:
            sent = _sync.send_project(link, excluded, attempt, int(reply["generation"]))
        except _sync.TransferError as exc:
            return {"status": "failed", "message": str(exc)}
        finally:
            link.call("release", {"attempt": attempt})
        told = {
            "message": f"{sent['files']} files, {_sync.size(sent['bytes'])}",
            "workspace": os.path.join(reply["workspace"], "tree"),
        }
        return {"status": "success", **sent, **told, "seconds": round(time.monotonic() - begun, 2)}

    answers, silent = ask_all_nodes(fleet, question)
    rows = [{"node": node, **answer} for node, answer in answers.items() if answer]
    rows += [
        {"node": node, "status": "failed", "message": reason}
        for node, reason in silent.items()
        if node in slots
    ]
    good = bool(rows) and all(row["status"] == "success" for row in rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "sync",
        "status": "success" if good else "failed",
        "project": project,
        "excluded": excluded.describe(),
        "secrets": suspects,
        "nodes": sorted(rows, key=lambda row: str(row["node"])),
    }
