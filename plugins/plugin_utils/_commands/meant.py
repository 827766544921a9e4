# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which attempts a person means by a word, and what is nearest where there are none.

It is pure: rows of nodes and of this controller's records in, rows or a sentence out.

A word is the whole id of an attempt, the name of a job, or the beginning of an id. Any node can
make rows up. So what this controller's records know comes first, whoever tells more: rows that are
told by their node alone count only where no record knows the word, not even one of a node that
gives no answer now. What fits twice is never chosen among, for the command may end work.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from .._errors import InputError
from .._files.known_jobs import KnownJob
from .._files.record import run_folder
from .._fleet.ask import AttemptRow
from .views import status_of

# How many jobs are named in a sentence.
NAMED_MOST = 5
# How many are compared with what was typed. A node may tell any number.
COMPARED_MOST = 2000
# What is less like the word than this is not near.
LIKENESS = 0.6


def rows_meant_by(
    word: str,
    rows: Iterable[AttemptRow],
    known: Sequence[KnownJob],
    answered: Container[str],
    silent: Mapping[str, str],
) -> list[AttemptRow]:
    """The rows that the word means; none if neither a node nor a record knows it.

    rows: what nodes tell, with `told`; known: what this controller's records know by the word;
    answered: names of the nodes that gave an answer; silent: those that gave none, and why.

    Raises InputError for a word that means several, or one that no node tells.
    """
    fitting = [row for row in rows if row["job"] == word or row["attempt"].startswith(word)]
    recorded = [row for row in fitting if not row["told"]]
    told = [row for row in fitting if row["told"]]

    exact = [row for row in recorded if row["attempt"] == word]
    if exact:
        return exact

    # What a node may have that can't be asked now: to leave it out would be a guess.
    listed = {row["attempt"] for row in recorded}
    hidden = [
        each
        for each in known
        if each.is_open and each.attempt not in listed and each.node not in answered
    ]
    if recorded or hidden:
        return _only_one(word, fitting, recorded, hidden, silent)
    if known:
        raise InputError([_only_recorded(word, known, told)])
    exact = [row for row in told if row["attempt"] == word]
    return exact or _only_one(word, fitting, told, [], silent)


def _only_one(
    word: str,
    fitting: Sequence[AttemptRow],
    candidates: Sequence[AttemptRow],
    hidden: Sequence[KnownJob],
    silent: Mapping[str, str],
) -> list[AttemptRow]:
    """The rows of the one job, or the one attempt, that is meant. Raises InputError for others."""
    # What is meant -> what is said of it. All attempts of a job of this name are one.
    meanings: dict[str, str] = {}
    for row in candidates:
        meaning = _name(row) if row["job"] == word else row["attempt"]
        meanings[meaning] = f"{_name(row)} ({how_it_stands(row)}, attempt {row['attempt']})"
    for each in hidden:
        meaning = each.name if each.job == word else str(each.attempt)
        meanings[meaning] = f"{each.name} (attempt {each.attempt} on {_why_away(each, silent)})"
    if len(meanings) > 1:
        raise InputError([_ambiguous(word, meanings)])
    if hidden and not candidates:
        said = next(iter(meanings.values()))
        raise InputError([f"gummy_job={word} is {said}: call again when it answers"])
    by_name = {_name(row) for row in candidates if row["job"] == word}
    if by_name:
        # RUN/name means the same.
        return [row for row in fitting if _name(row) in by_name]
    return list(candidates)


def _ambiguous(word: str, meanings: Mapping[str, str]) -> str:
    said = list(meanings.values())
    more = f" and {len(said) - NAMED_MOST} more" if len(said) > NAMED_MOST else ""
    return (
        f"gummy_job={word} fits {len(said)}: {', '.join(said[:NAMED_MOST])}{more}; "
        "give RUN/name, or more of an attempt's id"
    )


def _why_away(known: KnownJob, silent: Mapping[str, str]) -> str:
    if known.node in silent:
        return f"{known.node}, which gives no answer: {silent[str(known.node)]}"
    return f"{known.node}, which is not among the hosts of this play"


def _only_recorded(word: str, known: Sequence[KnownJob], told: Sequence[AttemptRow]) -> str:
    """A sentence about what this controller's records know, and no node has any more."""
    sentence = f"no node that answers has anything of {word}; {recorded_jobs(known)}"
    if told:
        others = {_name(row): row for row in told}
        names = ", ".join(_described(row) for row in list(others.values())[:NAMED_MOST])
        sentence += (
            f"; by the word of their nodes alone there are {names}: "
            "give RUN/name if you mean one of those"
        )
    return sentence


def recorded_jobs(known: Iterable[KnownJob]) -> str:
    """The end of a sentence about jobs that no node tells: what this controller's records say."""
    # Of a job's attempts the newest stands last.
    jobs = {each.name: each for each in known}
    named = ", ".join(_recorded(each) for each in list(jobs.values())[:NAMED_MOST])
    more = f" and {len(jobs) - NAMED_MOST} more" if len(jobs) > NAMED_MOST else ""
    return f"this controller's records have {named}{more}"


def _recorded(known: KnownJob) -> str:
    folder = os.path.join(run_folder(known.run_id), known.job)
    where = f", its files are in {folder}" if os.path.isdir(folder) else ""
    return f"{known.name} ({known.how}{where})"


# -- what is nearest


def nearest_jobs(
    word: str, rows: Iterable[AttemptRow], known: Iterable[KnownJob] = (), is_run: bool = False
) -> str:
    """The end of a sentence about a word that nothing is known by: the nearest jobs, as they stand.

    is_run: the word is the name of a run; then runs are named.
    """
    # What a node alone tells comes last, so that it can't crowd out what is known.
    in_order = sorted(rows, key=lambda row: (row["told"], -(row.get("begun_at") or 0.0)))
    hows: dict[str, str] = {}
    own: dict[str, None] = {}
    ids: dict[str, str] = {}
    for row in in_order[:COMPARED_MOST]:
        hows.setdefault(_name(row), how_it_stands(row))
        ids.setdefault(row["attempt"], _name(row))
        if not row["told"]:
            own[_name(row)] = None
    for each in list(known)[:COMPARED_MOST]:
        hows.setdefault(each.name, each.how)
        own[each.name] = None
    if not hows:
        return "no job is known"

    if is_run:
        hows = _of_runs(hows)
        own = dict.fromkeys(name.partition("/")[0] for name in own)
        ids = {}
    names = [*own, *(name for name in hows if name not in own)]
    near = _near(word, names, ids)
    # The sort is stable: among those it keeps the order of their likeness.
    near.sort(key=lambda name: name not in own)
    chosen = near or names
    described = ", ".join(f"{name} ({hows[name]})" for name in chosen[:NAMED_MOST])
    if near:
        return f"the nearest: {described}"
    more = f" and {len(names) - NAMED_MOST} more" if len(names) > NAMED_MOST else ""
    return f"known: {described}{more}"


def _near(word: str, names: Iterable[str], ids: Mapping[str, str]) -> list[str]:
    """Those that are like the word, as RUN/name, as a name, or by an attempt's id; best first."""
    forms: dict[str, dict[str, None]] = {}
    for name in names:
        forms.setdefault(name, {})[name] = None
        if "/" not in word:
            forms.setdefault(name.partition("/")[2] or name, {})[name] = None
    for attempt, name in ids.items():
        forms.setdefault(attempt, {})[name] = None
    matches = difflib.get_close_matches(word, forms, n=NAMED_MOST, cutoff=LIKENESS)
    return list(dict.fromkeys(name for match in matches for name in forms[match]))


def _of_runs(hows: Mapping[str, str]) -> dict[str, str]:
    """How the runs of these jobs stand: `3 jobs: 2 running on a, 1 success on b`."""
    of_run: dict[str, dict[str, int]] = {}
    for name, how in hows.items():
        counts = of_run.setdefault(name.partition("/")[0], {})
        word = how.partition(" on ")[0]
        counts[word] = counts.get(word, 0) + 1
    return {
        run: ", ".join(f"{number} {word}" for word, number in counts.items())
        for run, counts in of_run.items()
    }


def how_it_stands(row: AttemptRow) -> str:
    """The status of an attempt in the words of `status`, and where it is."""
    ended: Mapping[str, Any] = row.get("ended") or {}
    failure = ended.get("class")
    proof = None if row.get("signature") == "wrong" else ended.get("proof")
    status = status_of(row["state"], failure, proof)
    if status == "failed":
        status = f"failed ({failure})"
    return f"{status} on {row['node']}"


def _name(row: AttemptRow) -> str:
    """RUN/name, as people type it."""
    return f"{row['run_id']}/{row['job']}"


def _described(row: AttemptRow) -> str:
    return f"{_name(row)} ({how_it_stands(row)})"
