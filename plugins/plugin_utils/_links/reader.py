# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one reader of what node programs say: whoever gets a reply gets one that passed through here.

A node may say anything, for an agent that was talked into something has the login of its node. So a
reply is held against its type in `_node/wire.py` and, for what a type can't say, against the table
LIMITS: lengths, ranges, patterns. What comes out has exactly the keys and types of the contract,
numbers that can be reckoned with, and no text that a terminal would obey.

What does not fit is no valid reply (NotValid), and costs what the reply was about. Two things are
mended instead, so that a node can't keep its own job open by saying how it ended in odd words:

* a class of failure that is not known becomes `agent`, with the word in the sentence;
* an end whose record does not fit becomes a plain failed one, whose sentence says what was wrong.

Nothing here takes more than linear time, or goes deeper than the types do.
"""

from __future__ import annotations

import base64
import collections.abc
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from .._node import wire

# -- what a terminal obeys

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# What becomes of it in a line: control characters (of C0, C1, and DEL), what changes the direction
# of text or ends a line in Unicode, and halves of pairs, which no stream can encode. (A table,
# because a regular expression with these ranges takes 10 ms to compile.)
OBEYED = dict.fromkeys(
    (
        *range(0x20),
        *range(0x7F, 0xA0),
        0x061C,
        0x200E,
        0x200F,
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
    ),
    REPLACEMENT,
)
# The same where lines and tabs are kept: what splitlines() takes for the end of a line is one.
OBEYED_IN_LINES = {
    **OBEYED,
    ord("\t"): "\t",
    **dict.fromkeys(map(ord, "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), "\n"),
}


def clean_line(text: str) -> str:
    """The text as one line that a terminal only shows."""
    return text if text.isprintable() else text.translate(OBEYED)


def escape_line(text: str) -> str:
    """The text as one line in which what a terminal would obey stands as \\xNN or \\uNNNN.

    For what a person or a script may want to find again, such as a path.
    """
    if text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number not in OBEYED:
        return character
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}"


def clean_lines(text: str) -> str:
    """The text with its lines and tabs, and without all else that a terminal obeys."""
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(OBEYED_IN_LINES)


# -- what the types can't say


@dataclass(frozen=True)
class Text:
    """How a text may be."""

    # Characters.
    most: int
    # Its whole form, if it has one.
    form: re.Pattern[str] | None = None
    # Whether what is longer is cut; otherwise it does not fit.
    cut: bool = False
    # Whether it may have several lines.
    lines: bool = False
    # Whether what a terminal obeys is escaped; otherwise it is replaced.
    escaped: bool = False


@dataclass(frozen=True)
class Number:
    """Which numbers there may be, these two included."""

    least: float
    most: float


@dataclass(frozen=True)
class Encoded:
    """Bytes in base64."""

    # Characters.
    most: int


Limit = Text | Number | Encoded

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# A name that becomes a folder of the controller, as `_files/paths.py` has it.
SHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COMMIT = re.compile(r"[0-9a-f]{40,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
# Characters of a path that becomes a word of a command line here: a word may have 128 kB on Linux,
# and a command line 256 kB on macOS.
COMMAND_PATH_MOST = 1024

ID = Text(128, NAME)
WORD = Text(128)
SENTENCE = Text(4096, cut=True, lines=True)
PATH = Text(4096, cut=True, escaped=True)
COUNT = Number(0, 2**63 - 1)
# Until the year 5138.
WHEN = Number(0, 1e11)
# A clock that was set back makes a duration negative, and 30 years are long enough.
SECONDS = Number(-1e9, 1e9)
DOLLARS = Number(0, 1e6)

# By the key; where two dicts use one key in two ways, by DICT.key. Each text and each number of a
# reply is here, which a test holds; of lists and dicts it is what they hold.
LIMITS: Mapping[str, Limit] = {
    "store": ID,
    "attempt": ID,
    "message": SENTENCE,
    "class": WORD,
    # Of files that the patch changes, and of what is left out.
    "path": PATH,
    "why": SENTENCE,
    "Change.status": WORD,
    "added": COUNT,
    "deleted": COUNT,
    # Of a sync.
    "changes": COUNT,
    "listed": COUNT,
    "paths": PATH,
    # Of a harvest.
    "patch": Text(128, NAME),
    "HarvestRecord.files": COUNT,
    "nested": PATH,
    "head": Text(64, COMMIT),
    "commits": Text(64, COMMIT),
    "artifacts": COUNT,
    # Of an end.
    "proof": SENTENCE,
    # One that is none is a wrong one, and no odd end.
    "signature": Text(128, cut=True),
    "cost_usd": DOLLARS,
    "turns": COUNT,
    "session_id": Text(512),
    "watch": PATH,
    "kind": WORD,
    "reset_at": WHEN,
    "denied": SENTENCE,
    "agent_version": WORD,
    "doubt": SENTENCE,
    # Of an agent that runs.
    "quiet": SECONDS,
    "at": WHEN,
    "waits": SENTENCE,
    "words": SENTENCE,
    "awake": WORD,
    # Of the agents of a node.
    "version": WORD,
    "logged_in": WORD,
    # Of tokens.
    "input": COUNT,
    "output": COUNT,
    "exit_status": Number(-(2**31), 2**32),
    "begun_at": WHEN,
    "ended_at": WHEN,
    "seconds": SECONDS,
    "survivors": COUNT,
    "workspace": PATH,
    "base": Text(64, COMMIT),
    "PollEndedReply.files": Encoded(65536),
    # Of a claim.
    "generation": COUNT,
    "slot": Number(0, 1e6),
    # Of a row of `list`.
    "run_id": Text(64, SHORT_NAME),
    "job": Text(64, SHORT_NAME),
    "digest": WORD,
    "agent": WORD,
    "project_path": PATH,
    "controller": WORD,
    "deliver": WORD,
    "title": SENTENCE,
    # Of a log: a chunk of 64 kB, each byte of which may have become \xNN.
    "text": Text(4 * 65536, lines=True),
    "size": COUNT,
    # Of specialists.
    "project": PATH,
    "name": Text(256),
    "sessions": COUNT,
    "last_active": WORD,
    "reason": SENTENCE,
    "cost_today": DOLLARS,
    # Of a board.
    "line": SENTENCE,
    "pid": COUNT,
    "idle": SECONDS,
    "works": SECONDS,
    "load": Text(16384, cut=True, lines=True),
    # Of clean.
    "bytes": COUNT,
    # Of a session.
    "id": COUNT,
}
# How many items of a list or dict are kept; the rest of a harvest's are counted in its `left_out`.
ITEMS_MOST = 10_000
# How many files come with the word that an attempt ended; with more, none of them is taken.
FILES_MOST = 64
# A key of a dict, such as the name of a ref or of a file.
KEY = Text(1024, cut=True)

# What a node can say of how an attempt ended.
FAILURES = frozenset(
    {
        "agent",
        "budget",
        "cancelled",
        "harvest",
        "killed",
        "login",
        "lost",
        "quota",
        "setup",
        "stalled",
        "start",
        "timeout",
        "verify",
    }
)
# What a class is that we don't know: the agent is not tried again, and what it left comes home.
PLAIN_FAILURE = "agent"

# The replies of each verb.
REPLIES: Mapping[str, object] = {
    "claim": wire.ClaimReply,
    "release": wire.ReleaseReply,
    "start": wire.StartReply,
    "fence": wire.FenceReply,
    "cancel": wire.CancelReply,
    "harvest": wire.HarvestReply,
    "poll": wire.PollReply,
    "list": wire.ListReply,
    "logs": wire.LogsReply,
    "follow": wire.FollowReply,
    "ack": wire.AckReply,
    "adopt": wire.AdoptReply,
    "specialists": wire.SpecialistsReply,
    "board": wire.BoardReply,
    "clean": wire.CleanReply,
    # What a session says; what it carries is read as the reply of its own verb.
    "session": wire.SessionReply,
    # The remote side of a sync says it among rsync's errors.
    "receive": wire.ReceiveReply,
    "foresee": wire.ForeseeReply,
    "remake": wire.RemakeReply,
    "mirrored": wire.MirroredReply,
}
# Dicts that tell how an attempt ended.
ENDS = (wire.EndedRecord, wire.EndedReply, wire.PollEndedReply)
# What of a reply that tells an end says whose end it is.
ABOUT = frozenset({"state", "store", "attempt"})


class NotValid(ValueError):
    """A reply that is not valid. The text says which field is how, and names no node."""


# Takes a value from JSON and how it is called, and returns what is kept of it, or raises NotValid.
Check = Callable[[object, str], object]


# -- reading


def read(verb: str, request: Mapping[str, object], line: bytes) -> dict[str, Any] | None:
    """The reply in a line of stdout; None for what a login shell printed.

    A reply (RFC 7464) is a record separator, then JSON. Raises NotValid for one that is not what
    the verb answers to this request.
    """
    _noise, separator, text = line.rpartition(b"\x1e")
    if not separator:
        return None
    return read_asked(verb, request, _parse(text))


def read_asked(verb: str, request: Mapping[str, object], value: object) -> dict[str, Any]:
    """The reply to this request that a value from JSON is. Raises NotValid."""
    reply = read_value(verb, value)
    _check_asked(request, reply)
    return reply


def read_value(verb: str, value: object) -> dict[str, Any]:
    """The reply that a value from JSON is. Raises NotValid."""
    if not isinstance(value, dict):
        raise NotValid("it is no JSON object")
    state = value.get("state")
    check = _checks_of(verb).get(state) if isinstance(state, str) else None
    if check is None:
        raise NotValid(f"state is {_shown(state)}")
    return cast(dict[str, Any], check(value, ""))


def told_facts(text: str) -> dict[str, str]:
    """Lines of KEY=VALUE, each after a record separator, among whatever else a script printed."""
    told = {}
    for line in text.split("\n"):
        _noise, separator, fact = line.rpartition("\x1e")
        if separator:
            key, _equals, told[key] = fact.partition("=")
    return told


def read_facts(text: str) -> dict[str, str]:
    """What hello.sh says of a node in lines of KEY=VALUE, each after a record separator.

    The keys are python, state and program. A key that it says nothing of is missing or blank. The
    first two become words of a command line here, so they are paths that can be. Raises NotValid.
    """
    said = told_facts(text)
    facts = {key: said.get(key, "") for key in ("python", "state", "program")}
    for key in ("python", "state"):
        if facts[key] and not is_path(facts[key]):
            raise NotValid(f"{key} is {_shown(facts[key])}, which is no path")
    if facts["program"] and not SHA256.fullmatch(facts["program"]):
        raise NotValid(f"program is {_shown(facts['program'])}, which is no hash")
    return facts


def is_path(text: str) -> bool:
    """Whether it is an absolute path that any command line takes and any person can read."""
    return text.startswith("/") and len(text) <= COMMAND_PATH_MOST and text.isprintable()


def _parse(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise NotValid("it is no JSON") from None
    except RecursionError:
        raise NotValid("it is nested too deep") from None


def _check_asked(request: Mapping[str, object], reply: Mapping[str, object]) -> None:
    """Raise NotValid for what is told of another attempt or run than was asked for."""
    if "attempt" not in reply:
        return
    prefix = request.get("prefix")
    if prefix and not str(reply["attempt"]).startswith(str(prefix)):
        raise NotValid(f"attempt {reply['attempt']} was not asked for")
    offsets = request.get("offsets")
    if isinstance(offsets, Mapping) and reply["attempt"] not in offsets:
        raise NotValid(f"attempt {reply['attempt']} was not asked for")
    word = request.get("word")
    if word and not str(reply["attempt"]).startswith(str(word)) and reply.get("job") != word:
        raise NotValid(f"attempt {reply['attempt']} of {reply.get('job')} was not asked for")
    run_id = request.get("run_id")
    if run_id is not None and reply.get("run_id", run_id) != run_id:
        raise NotValid(f"run {reply['run_id']} was not asked for")


def _shown(value: object) -> str:
    """A value from a node in a sentence: enough to know it again."""
    if isinstance(value, str):
        return repr(clean_line(value[:40]))
    if value is None:
        return "missing"
    return f"a {type(value).__name__}"


# -- the checks, each made once from the types of wire.py


@cache
def _checks_of(verb: str) -> dict[str, Check]:
    """State -> the check of the reply that has it."""
    union = REPLIES[verb]
    kinds = typing.get_args(union) or (union,)
    return {
        state: _check_of_dict(kind)
        for kind in kinds
        for state in typing.get_args(fields_of(kind)["state"][0])
    }


@cache
def fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Key -> (type, whether it must be there) of a TypedDict."""
    fields = {}
    for key, hint in typing.get_type_hints(kind, include_extras=True).items():
        if typing.get_origin(hint) is typing.NotRequired:
            fields[key] = (typing.get_args(hint)[0], False)
        else:
            fields[key] = (hint, True)
    return fields


def limit_of(kind: Any, key: str) -> Limit | None:
    """The row of LIMITS for a key of this TypedDict, or of one that it takes its keys from."""
    for name in (kind.__name__, *(base.__name__ for base in getattr(kind, "__orig_bases__", ()))):
        limit = LIMITS.get(f"{name}.{key}")
        if limit is not None:
            return limit
    return LIMITS.get(key)


@cache
def _check_of_dict(kind: Any) -> Check:
    """The check of a TypedDict: its own keys alone are kept."""
    checks = {
        key: (_check_of(hint, limit_of(kind, key)), required)
        for key, (hint, required) in fields_of(kind).items()
    }

    def check(value: object, where: str) -> object:
        if not isinstance(value, dict):
            raise NotValid(f"{where} is no object")
        read: dict[str, object] = {}
        for key, (check_field, required) in checks.items():
            if key in value:
                read[key] = check_field(value[key], f"{where}.{key}" if where else key)
            elif required:
                raise NotValid(f"{where}.{key} is missing" if where else f"{key} is missing")
        return read

    if kind in ENDS:
        return _check_of_end(kind, check, checks)
    if kind is wire.HarvestRecord:
        return _check_of_harvest(check)
    if kind is wire.RefusedReply:
        return _check_of_refusal(check)
    return check


def _check_of(hint: Any, limit: Limit | None) -> Check:
    """The check of a type as wire.py writes it."""
    origin = typing.get_origin(hint)
    args = typing.get_args(hint)
    if typing.is_typeddict(hint):
        return _check_of_dict(hint)
    if origin in (typing.Union, types.UnionType):
        (other,) = (arg for arg in args if arg is not types.NoneType)
        return _or_none(_check_of(other, limit))
    if origin is typing.Literal:
        return _one_of(args)
    if origin is list:
        return _list_of(_check_of(args[0], limit))
    if origin in (dict, collections.abc.Mapping):
        return _dict_of(_check_of(args[1], limit), with_files=isinstance(limit, Encoded))
    if hint is bool:
        return _bool
    if hint is object:
        return _unread
    if isinstance(limit, Number) and hint in (int, float):
        return _number(limit, whole=hint is int)
    if isinstance(limit, Encoded) and hint is str:
        return _encoded(limit)
    if isinstance(limit, Text) and hint is str:
        return _text(limit)
    raise TypeError(f"no check for {hint} with {limit}")


def _or_none(check_other: Check) -> Check:
    def check(value: object, where: str) -> object:
        return None if value is None else check_other(value, where)

    return check


def _one_of(words: tuple[object, ...]) -> Check:
    def check(value: object, where: str) -> object:
        if not isinstance(value, str) or value not in words:
            raise NotValid(f"{where} is {_shown(value)}")
        return value

    return check


def _bool(value: object, where: str) -> object:
    if not isinstance(value, bool):
        raise NotValid(f"{where} is not true or false")
    return value


def _unread(value: object, _where: str) -> object:
    """A reply within a frame: whoever knows what it answers reads it."""
    return value


def _number(limit: Number, whole: bool) -> Check:
    def check(value: object, where: str) -> object:
        # True is an int for Python alone.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NotValid(f"{where} is no number")
        if whole and not isinstance(value, int):
            raise NotValid(f"{where} is no whole number")
        if isinstance(value, float) and not math.isfinite(value):
            raise NotValid(f"{where} is no finite number")
        if not limit.least <= value <= limit.most:
            raise NotValid(f"{where} is out of its range")
        return value

    return check


def _text(limit: Text) -> Check:
    clean = clean_line
    if limit.lines:
        clean = clean_lines
    elif limit.escaped:
        clean = escape_line

    def check(value: object, where: str) -> object:
        if not isinstance(value, str):
            raise NotValid(f"{where} is no text")
        if len(value) > limit.most and not limit.cut:
            raise NotValid(f"{where} is longer than {limit.most} characters")
        text = value[: limit.most]
        if limit.form is not None and not limit.form.fullmatch(text):
            raise NotValid(f"{where} is {_shown(text)}, which has not its form")
        return clean(text)

    return check


def _encoded(limit: Encoded) -> Check:
    def check(value: object, where: str) -> object:
        if not isinstance(value, str) or len(value) > limit.most:
            raise NotValid(f"{where} is no text of at most {limit.most} characters")
        try:
            base64.b64decode(value, validate=True)
        except ValueError:
            raise NotValid(f"{where} is no base64") from None
        return value

    return check


def _list_of(check_item: Check) -> Check:
    def check(value: object, where: str) -> object:
        if not isinstance(value, list):
            raise NotValid(f"{where} is no list")
        return [check_item(item, where) for item in value[:ITEMS_MOST]]

    return check


def _dict_of(check_item: Check, with_files: bool) -> Check:
    """with_files: its keys are names of files, and it is taken whole or not at all."""
    check_key = _text(ID if with_files else KEY)

    def check(value: object, where: str) -> object:
        if not isinstance(value, dict):
            raise NotValid(f"{where} is no object")
        if with_files and len(value) > FILES_MOST:
            raise NotValid(f"{where} has more than {FILES_MOST} files")
        items = list(value.items())[:ITEMS_MOST]
        return {check_key(key, where): check_item(item, where) for key, item in items}

    return check


# -- what is mended


def _check_of_refusal(check_plain: Check) -> Check:
    """Whose fault a refusal is the node says; what it can't say is its own."""

    def check(value: object, where: str) -> object:
        if isinstance(value, dict) and value.get("blame") not in ("node", "input", "ours"):
            value = {**value, "blame": "node"}
        return check_plain(value, where)

    return check


def _check_of_harvest(check_plain: Check) -> Check:
    """What is more than is kept stands as a count among what was left out."""

    def check(value: object, where: str) -> object:
        read = cast(wire.HarvestRecord, check_plain(value, where))
        for key, items in cast(dict[str, Any], value).items():
            if key in read and isinstance(items, list | dict) and len(items) > ITEMS_MOST:
                why = f"{len(items) - ITEMS_MOST} more of {key}"
                read["left_out"].append({"path": "", "why": why})
        return read

    return check


def _check_of_end(kind: Any, check_plain: Check, checks: Mapping[str, tuple[Check, bool]]) -> Check:
    """An end in odd words is an end nevertheless: a plain failure, whose sentence tells of them.

    Whose end it is must be said properly.
    """

    def check(value: object, where: str) -> object:
        if not isinstance(value, dict):
            value = {}
        about = {
            key: check_field(value.get(key), key)
            for key, (check_field, required) in checks.items()
            if key in ABOUT and (required or key in value)
        }
        try:
            return check_plain(_with_known_class(value), where)
        except NotValid as exc:
            message = f"the node's word on how it ended is not valid: {exc}"

        end = {**about, "class": PLAIN_FAILURE, "message": message, "proof": None}
        if "files" in checks:
            end["files"] = None
        return end

    return check


def _with_known_class(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with a class that we know, and what the node called it in its sentence."""
    failure = value.get("class")
    if not isinstance(failure, str) or failure in FAILURES:
        return value
    message = f"its node calls it {_shown(failure)}"
    if isinstance(value.get("message"), str) and value["message"]:
        message = f"{value['message'][: SENTENCE.most // 2]} ({message})"
    return {**value, "class": PLAIN_FAILURE, "message": message}
