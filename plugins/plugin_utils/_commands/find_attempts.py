# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts on the nodes, found from any controller by what a person types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict, cast

from .._errors import InputError
from .._files.known_jobs import known_jobs
from .._files.paths import NAME
from .._files.record import (
    SCHEMA_VERSION,
    History,
    key_of,
    read_history,
    read_key,
    run_folder,
)
from .._fleet.ask import AttemptRow, ask_all_nodes, list_attempts
from .._fleet.fleet import Fleet
from .._input.keys import show
from .._links.link import Link, LinkError
from .._links.signatures import Verdict, judge
from .._node import wire
from .meant import nearest_jobs, recorded_jobs, rows_meant_by

# How long a node may take for a verb about one attempt, in seconds.
VERB_SECONDS = 60.0
# What of a row is no business of people: it leads nowhere outside of this process, or says nothing.
PRIVATE = frozenset({"link", "store"})


class AttemptsDocument(TypedDict):
    """What logs, cancel and harvest tell of the attempts that were asked for."""

    schema_version: int
    # The command: logs, cancel or harvest.
    kind: str
    # success or failed.
    status: str
    # Whether it is only told what would be done.
    check: bool
    attempts: list[AttemptRow]
    # Why nodes gave no answer, by name.
    no_answer: dict[str, str]


def find_attempts(
    fleet: Fleet, job: str | None, run_id: str | None
) -> tuple[list[AttemptRow], dict[str, str]]:
    """The attempts that are asked for, and the nodes that gave no answer, with the reason.

    job: RUN/name, or a word: an attempt's id, a unique prefix of one, or the name of a job that
    only one known run has (`meant.py` says which counts); run_id: a run's name.

    A row that this controller's record contradicts is dropped; one of which the record knows
    nothing is `told`. Raises InputError if that says nothing, fits several attempts, or none.
    """
    _check(job, run_id)
    run, slash, name = (job or "").partition("/")
    request: wire.ListRequest = {"run_id": run_id}
    if slash:
        request = {"run_id": run}
    elif job:
        request = {"run_id": run_id, "word": job}

    stores: dict[str, object] = {}
    answers, silent = _list_on_all(fleet, request, stores=stores)
    rows = _checked_by_the_record(answers, stores)
    if slash:
        rows = [row for row in rows if row["job"] == name]
    elif job:
        rows = rows_meant_by(job, rows, known_jobs(job, run_id), answers, silent)

    if not rows:
        raise InputError([_nothing_found(fleet, job, run_id, answers, silent)])
    return sorted(rows, key=lambda row: (str(row["job"]), row["attempt"])), silent


def _checked_by_the_record(
    answers: Mapping[str, list[AttemptRow]], stores: Mapping[str, object]
) -> list[AttemptRow]:
    """What the nodes tell, without what this controller knows better; `told` says which it is.

    Two names may lead to one store, which then tells its attempts twice: each is taken once.
    stores: the id of each node's store.
    """
    records = Records(stores)
    rows: dict[tuple[str, object], AttemptRow] = {}
    for listed in answers.values():
        for row in listed:
            if records.contradict(row["node"], row):
                continue
            row["told"] = records.entry_of(row) is None
            row["signature"] = records.verdict(row)
            rows.setdefault((row["attempt"], row.get("store")), row)
    return list(rows.values())


class Records:
    """What this controller's records of runs say of the attempts that nodes tell.

    stores: the ids of the stores of the nodes that told something; None: it did not tell its own.
    """

    def __init__(self, stores: Mapping[str, object]) -> None:
        self._stores = stores
        self._histories: dict[str, History] = {}
        self._keys: dict[str, bytes] = {}

    def entry_of(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What is known of the attempt; None: nothing."""
        run_id = str(row.get("run_id"))
        if run_id not in self._histories:
            self._histories[run_id] = _history_of(run_id)
        return self._histories[run_id].attempts.get(str(row.get("attempt")))

    def verdict(self, row: Mapping[str, Any]) -> Verdict | None:
        """What the signature of the attempt's end is worth; None: it has not ended well."""
        ended = row.get("ended")
        if row.get("state") != "ended" or not isinstance(ended, Mapping):
            return None
        key = None
        if self.entry_of(row) is not None:
            run_id = str(row["run_id"])
            if run_id not in self._keys:
                self._keys[run_id] = read_key(run_folder(run_id))
            key = key_of(self._keys[run_id], self._histories[run_id], str(row["attempt"]))
        return judge(ended, str(row["attempt"]), key)

    def contradict(self, node: str, row: Mapping[str, Any]) -> bool:
        """Whether the attempt is of another job, or on another node or store, than this one says.

        A node may have another name by now. Then its store tells that it is the one.
        """
        entry = self.entry_of(row)
        if entry is None:
            return False
        store = entry.get("store")
        if row.get("job") != entry["job"] or (store is not None and row.get("store") != store):
            return True
        if node == entry["node"]:
            return False
        # Who has the node's name now may be another one, as its own store tells.
        named = self._stores.get(entry["node"], "")
        return store is None or named in (None, store)


def _history_of(run_id: str) -> History:
    """What this controller's record says of the run; nothing, if it has none."""
    if not NAME.fullmatch(run_id):
        return History()
    try:
        return read_history(run_folder(run_id))
    except OSError:
        return History()


def _check(job: str | None, run_id: str | None) -> None:
    """Raise InputError for what names no attempt."""
    if not job and not run_id:
        problem = (
            "say which: gummy_job=NAME (RUN/name, a job's name, or an attempt's id or a unique "
            "prefix of one), or gummy_run_id=NAME"
        )
        raise InputError([problem])
    if job and not all(NAME.fullmatch(part) for part in job.split("/", 1)):
        problem = (
            f"gummy_job={show(job)} is no job: "
            "give RUN/name, a job's name, or the id of an attempt or a unique prefix of one"
        )
        raise InputError([problem])


def _list_on_all(
    fleet: Fleet,
    request: wire.ListRequest,
    without: Iterable[str] = (),
    *,
    stores: dict[str, object],
) -> tuple[dict[str, list[AttemptRow]], dict[str, str]]:
    incomplete: dict[str, str] = {}

    def question(node: str, link: Link) -> list[AttemptRow]:
        rows = list_attempts(node, link, request, stores)
        if link.invalid_rows:
            incomplete[node] = link.invalid_rows
        return rows

    answers, silent = ask_all_nodes(fleet, question, without=frozenset(without))
    # Such a node has told what it has, but not all of it in words that can be believed.
    return answers, {**silent, **incomplete}


def _nothing_found(
    fleet: Fleet,
    job: str | None,
    run_id: str | None,
    answered: Iterable[str],
    silent: Mapping[str, str],
) -> str:
    """A sentence that names what is nearest among all that the nodes and the records know."""
    asked = str(job or run_id)
    within = f" in run {run_id}" if job and run_id and "/" not in job else ""
    sentence = f"no attempt of {asked}{within} is known to {', '.join(answered) or 'any node'}; "

    known = known_jobs()
    recorded = [each for each in known if asked in (each.name, each.run_id)]
    if job in {each.run_id for each in known}:
        sentence += f"it is the name of a run: give gummy_run_id={job}, or {job}/NAME of a job"
    elif recorded:
        sentence += recorded_jobs(recorded)
    else:
        stores: dict[str, object] = {}
        answers, _silent = _list_on_all(fleet, {}, without=silent, stores=stores)
        rows = _checked_by_the_record(answers, stores)
        sentence += nearest_jobs(asked, rows, known, is_run=not job)
    if silent:
        reasons = ", ".join(f"{node} ({reason})" for node, reason in silent.items())
        sentence += f"; no answer from {reasons}"
    if not fleet.nodes:
        sentence += (
            "; no node is among the hosts of this play: give -i or, in a play of localhost, the "
            "module's option nodes"
        )
    return sentence


def ask_about(row: AttemptRow, verb: Literal["fence", "cancel", "harvest"]) -> None:
    """Ask the attempt's node something about it, and bring the row up to date with the reply.

    A node that gives none is told of in the row's message.
    """
    request: wire.AttemptRequest = {"attempt": row["attempt"]}
    reply: wire.FenceReply | wire.HarvestReply
    try:
        if verb == "harvest":
            reply = row["link"].call(verb, request, VERB_SECONDS)
        else:
            reply = row["link"].call(verb, request, VERB_SECONDS)
        # A refusal is told as one: its state, and what it says in place of how it ended.
        row["state"] = cast(Any, reply["state"])
        ended = {key: value for key, value in reply.items() if key not in ("state", "store")}
        row["ended"] = cast(wire.EndedRecord, ended) if ended else None
    except LinkError as exc:
        row["message"] = str(exc)


def attempts_document(
    kind: str,
    rows: Iterable[AttemptRow],
    silent: Mapping[str, str],
    *,
    failed: bool,
    check: bool = False,
) -> AttemptsDocument:
    """The document of a command about attempts, without what is private in their rows."""
    public = [{key: value for key, value in row.items() if key not in PRIVATE} for row in rows]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "status": "failed" if failed else "success",
        "check": check,
        "attempts": [cast(AttemptRow, row) for row in public],
        "no_answer": dict(silent),
    }
