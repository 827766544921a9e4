# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task's result says: whether jobs failed, in one line, and where its document is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .ends import job_words
from .text import how_many, printable, some

# How many jobs are named in the line; all of them are in the document.
NAMED_MOST = 10

# Statuses of documents with which all is well.
GOOD = frozenset({"success", "plan", "unfinished"})


def why_failed(document: Mapping[str, Any], fail_on: Collection[str]) -> str | None:
    """`1 of 5 jobs did not succeed: lint failed (agent): exit status 4`; None: none ended so.

    fail_on: the statuses that count; with none nothing fails.
    """
    if document["kind"] != "run" or not fail_on:
        return None

    jobs = document["jobs"]
    bad = [row for row in jobs if row["status"] in fail_on]
    sentences = []
    if bad:
        count = f"{len(bad)} of {how_many(len(jobs), 'job')} did not succeed"
        sentences.append(f"{count}: {some([_named(row) for row in bad], NAMED_MOST)}")
    if document["message"] and "failed" in fail_on:
        sentences.append(document["message"])
    return printable("; ".join(sentences)) or None


def _named(row: Mapping[str, Any]) -> str:
    """The job with how it ended, and the reason."""
    words = f"{row['name']} {job_words(row)}"
    if row["message"]:
        words += f": {row['message'].splitlines()[0]}"
    return words


def why_bad(document: Mapping[str, Any], fail_on: Collection[str]) -> str | None:
    """Why a document is not good, in one line; None: it is good."""
    if document["kind"] == "run":
        return why_failed(document, fail_on)
    if document["status"] in GOOD:
        return None
    return printable(document.get("message") or "not every job succeeded: see above")


def find_document(
    result: object, name: str, kinds: Collection[str]
) -> tuple[Mapping[str, Any] | None, str]:
    """The document in the result that a task registered, or None and a sentence why it is not one.

    name: of the variable; kinds: of the documents that can be shown.
    """
    what = f"{name} has no document of this collection"
    if not isinstance(result, Mapping):
        return None, f"{what}: it is {_kind_of(result)}; give the name that a task registered"
    if isinstance(result.get("results"), list) and "document" not in result:
        return None, (
            f"{what}: it is the result of a loop, which has one for each item; "
            "set_fact one of its results to show it, or give run_jobs all jobs in one list"
        )
    if result.get("skipped"):
        return None, f"{what}: the task that registered it was skipped"

    document = result.get("document")
    if document is None and result.get("failed"):
        return None, f"{what}: the task that registered it failed: {result.get('msg', '')}"
    if not isinstance(document, Mapping):
        return None, f"{what}; give the name that a task of this collection registered"
    if document.get("kind") not in kinds or not isinstance(document.get("status"), str):
        return None, (
            f"{what}: one of the kind {document.get('kind')!r} is not known here; "
            "was it made by another version?"
        )
    return document, ""


def _kind_of(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, (list, tuple)) else "a number"
