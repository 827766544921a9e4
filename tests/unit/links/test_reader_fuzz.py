"""A node may say anything: every field of every reply in every odd way, walked from the contract.

The reader returns a reply that is valid, or raises NotValid, and nothing else, in linear time.
"""

from __future__ import annotations

import json
import random
import time
import typing

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import reader
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import wire
from test_wire import CONTRACT, problems

SEED = 13
COMMIT = "a1" * 20
# A valid value of each text and number; of the others the type tells one.
SAMPLES = {
    "attempt": "u-1",
    "base": COMMIT,
    "begun_at": 1700000000.25,
    "commits": {"HEAD": COMMIT},
    "ended_at": 1700000001.5,
    "PollEndedReply.files": {"log": "eA=="},
    "head": COMMIT,
    "patch": "changes.patch",
    "class": "agent",
}


def nested(depth):
    value = []
    for _level in range(depth):
        value = [value]
    return value


def deep_dict(depth):
    value = {}
    for _level in range(depth):
        value = {"harvest": value, "ended": value} if depth < 3 else {"harvest": value}
    return value


# What stands in a field's place.
ODD = [
    None,
    True,
    0,
    -1,
    7,
    2**63,
    -(2**63),
    10**400,
    1.5,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    "x",
    "../../etc/passwd",
    "a/../../b",
    "..",
    "-rf",
    "--help",
    "\x1b]0;owned\x07\x1b[2J\u202e\u2066",
    "line\nline\r\ttab\x00\x85\u2028",
    "\ud800\udfff\udc80",
    "x" * 200_000,
    [],
    [1],
    ["x"],
    [[]],
    [{}],
    [None, True, "x"],
    {},
    {"a": 1},
    {"../x": "eA=="},
    {"log": "no base64!"},
    {"\x1b": "\x1b"},
    nested(700),
    deep_dict(700),
    ["x"] * 50_000,
    {str(number): number for number in range(20_000)},
]


def sample(hint, kind, key):
    """A valid value of a field."""
    for name in (f"{kind.__name__}.{key}", key):
        if name in SAMPLES:
            return SAMPLES[name]
    return sample_of(hint, kind, key)


def sample_of(hint, kind, key):
    origin = typing.get_origin(hint)
    args = typing.get_args(hint)
    if typing.is_typeddict(hint):
        return sample_reply(hint)
    if type(None) in args:
        return sample_of(args[0], kind, key)
    if origin is typing.Literal:
        return args[0]
    if origin is list:
        return [sample_of(args[0], kind, key)]
    if origin is dict:
        return {"x": sample_of(args[1], kind, key)}
    return {bool: True, int: 3, float: 1.5, str: "x"}[hint]


def sample_reply(kind):
    """A valid dict of this type with all of its keys."""
    fields = reader.fields_of(kind)
    return {key: sample(hint, kind, key) for key, (hint, _required) in fields.items()}


# (verb, type of a reply), by how the contract in Link names them.
KINDS = [(verb, kind) for verb, (_request, kinds) in sorted(CONTRACT.items()) for kind in kinds]


def read(verb, value):
    """What the reader makes of a reply as it comes from a node; None if it is not valid."""
    line = b"\x1e" + json.dumps(value).encode()
    try:
        reply = reader.read(verb, {}, line)
    except reader.NotValid as error:
        assert str(error) == reader.clean_line(str(error))
        assert 0 < len(str(error)) < 300
        return None
    assert_valid(verb, reply)
    return reply


def assert_valid(verb, reply):
    kinds = [
        kind
        for kind in CONTRACT[verb][1]
        if reply["state"] in typing.get_args(reader.fields_of(kind)["state"][0])
    ]
    assert problems(reply, kinds[0]) == []
    # A terminal obeys nothing of it, whatever it is printed as.
    for text in texts_in(reply):
        assert not [char for char in text if char not in "\n\t" and ord(char) in reader.OBEYED]
        text.encode()
    json.dumps(reply, allow_nan=False)
    assert len(json.dumps(reply)) < 4_000_000
    for key in ("attempt", "store"):
        assert "/" not in str(reply.get(key)) and str(reply.get(key))[0] != "."


def texts_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def paths_in(value, path=()):
    """Where each field of a reply is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from paths_in(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield (*path, index)
            yield from paths_in(item, (*path, index))


def changed(value, path, change):
    """A copy with another value there; with no value, if it is `absent`."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copy[path[0]] = changed(copy[path[0]], path[1:], change)
    elif change is absent:
        del copy[path[0]]
    else:
        copy[path[0]] = change
    return copy


absent = object()


def test_the_table_of_replies_is_that_of_the_links():
    table = {verb: set(typing.get_args(union)) for verb, union in reader.REPLIES.items()}
    assert table.pop("receive") == set(typing.get_args(wire.ReceiveReply))
    assert table.pop("session") == set(typing.get_args(wire.SessionReply))
    assert table == {verb: set(kinds) for verb, (_request, kinds) in CONTRACT.items()}


@pytest.mark.parametrize(("verb", "kind"), KINDS)
def test_what_an_honest_node_says_is_left_as_it_is(verb, kind):
    reply = sample_reply(kind)
    assert read(verb, reply) == reply
    assert read(verb, {**reply, "unknown": nested(9), "x": 1}) == reply


@pytest.mark.parametrize(("verb", "kind"), KINDS)
def test_each_field_in_each_odd_way_is_read_or_refused(verb, kind):
    reply = sample_reply(kind)
    begun = time.process_time()
    for path in paths_in(reply):
        for odd in (absent, *ODD):
            read(verb, changed(reply, path, odd))
    # It takes a second or two, most of it for making JSON.
    assert time.process_time() - begun < 60


def test_many_odd_fields_at_once():
    chance = random.Random(SEED)
    for _round in range(2000):
        verb, kind = chance.choice(KINDS)
        reply = sample_reply(kind)
        paths = sorted(paths_in(reply), key=len)
        for path in chance.sample(paths, min(3, len(paths))):
            try:
                reply = changed(reply, path, chance.choice((absent, *ODD[:30])))
            except (KeyError, IndexError, TypeError, ValueError):
                # Another change took away what this one is in.
                continue
        read(verb, reply)


ENDED = {**sample_reply(wire.PollEndedReply), "class": None, "message": "", "proof": "verify"}


@pytest.mark.parametrize("path", [path for path in paths_in(ENDED) if path[0] not in reader.ABOUT])
def test_an_end_in_odd_words_is_a_failed_one_and_no_success(path):
    """A list of lists of nothing is no value of any field."""
    reply = read("poll", changed(ENDED, path, [[]] * 3))
    assert reply["class"] == "agent" and not reply["proof"]
    assert "is not valid" in reply["message"] and reply["files"] is None
    assert (reply["attempt"], reply["store"]) == (ENDED["attempt"], ENDED["store"])


@pytest.mark.parametrize("field", ["attempt", "store"])
def test_whose_end_it_is_must_be_said_properly(field):
    for odd in (["x"], 5, "../x", "", None):
        assert read("poll", {**ENDED, field: odd}) is None


def test_a_class_that_is_not_known_becomes_a_plain_failure_that_says_so():
    reply = read("poll", {**ENDED, "class": "nonsense\x1b", "message": "why"})
    assert reply["class"] == "agent"
    assert reply["message"] == "why (its node calls it 'nonsense\N{REPLACEMENT CHARACTER}')"


def test_of_long_lists_a_harvest_keeps_the_beginning_and_a_count():
    harvest = {**ENDED["harvest"], "nested": [f"n{number}" for number in range(12_345)]}
    reply = read("poll", {**ENDED, "harvest": harvest})["harvest"]
    assert len(reply["nested"]) == 10_000
    assert reply["left_out"][-1] == {"path": "", "why": "2345 more of nested"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\tb\nc\r\nd\re\x0cf", "a\tb\nc\nd\ne\nf"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("größe 日本 🎉", "größe 日本 🎉"),
    ],
)
def test_a_log_keeps_its_lines_and_tabs(text, kept):
    assert read("logs", {"state": "log", "text": text})["text"] == kept


def test_what_was_not_asked_for_is_not_valid():
    row = sample_reply(wire.AttemptRow)
    line = b"\x1e" + json.dumps(row).encode()
    assert reader.read("list", {"run_id": "x", "prefix": "u-"}, line) == row
    assert reader.read("list", {"run_id": None, "prefix": ""}, line) == row
    assert reader.read("list", {"word": row["job"]}, line) == row
    assert reader.read("list", {"word": row["attempt"][:2]}, line) == row
    for request in ({"run_id": "other"}, {"prefix": "v-"}, {"word": "v-"}):
        with pytest.raises(reader.NotValid, match="was not asked for"):
            reader.read("list", request, line)


def test_reading_takes_linear_time():
    def seconds(size):
        value = {**ENDED, "message": "\x1b" * size, "unknown": [["x"]] * (size // 10)}
        line = b"\x1e" + json.dumps(value).encode()
        begun = time.process_time()
        reader.read("poll", {}, line)
        return time.process_time() - begun

    # Linear is a factor of 8; the rest is for a busy machine.
    assert seconds(800_000) < 8 * 6 * max(seconds(100_000), 0.002)


def test_what_a_terminal_obeys_in_a_path_is_told_so_that_the_file_can_be_found():
    row = {"path": "d\x1b[2J\n\u202ee\u00e9 f", "why": "a\x1bb"}
    reply = read("poll", {**ENDED, "harvest": {**ENDED["harvest"], "left_out": [row]}})
    (told,) = reply["harvest"]["left_out"]
    assert told["path"] == "d\\x1b[2J\\x0a\\u202ee\u00e9 f"
    assert told["why"] == "a\N{REPLACEMENT CHARACTER}b"
