"""What really goes over the wire is what `_node/wire.py` says.

The real node program goes through the life of some attempts, and every request and reply of every
verb is held against the types that Link's overloads name.
"""

from __future__ import annotations

import base64
import collections.abc
import json
import os
import pathlib
import signal
import sys
import types
import typing
import zlib

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import reader
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import build
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.session import NodeSession
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import wire
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.belongs import pack
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.verbs import VERBS

# -- the checker


def fields(kind):
    """key -> (type, whether it must be there) of a TypedDict."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        key: (typing.get_args(hint)[0], False)
        if typing.get_origin(hint) is typing.NotRequired
        else (hint, True)
        for key, hint in hints.items()
    }


def problems(value, kind, where="it"):
    """What of a value from JSON is not as the type says, a sentence each."""
    origin = typing.get_origin(kind)
    args = typing.get_args(kind)
    if typing.is_typeddict(kind):
        return problems_of_dict(value, kind, where)
    if origin in (typing.Union, types.UnionType):
        tries = [problems(value, each, where) for each in args]
        return min(tries, key=len)
    if origin is typing.Literal:
        return [] if value in args else [f"{where} is {value!r}, not one of {args}"]
    if origin in (list, tuple):
        if not isinstance(value, list):
            return [f"{where} is {value!r}, no list"]
        return [p for n, each in enumerate(value) for p in problems(each, args[0], f"{where}[{n}]")]
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            return [f"{where} is {value!r}, no dict"]
        return [p for k, each in value.items() for p in problems(each, args[1], f"{where}[{k}]")]
    # JSON has one kind of number, and True is an int for Python alone.
    kinds = (float, int) if kind is float else kind
    if isinstance(value, kinds) and (kind is bool or not isinstance(value, bool)):
        return []
    return [f"{where} is {value!r}, no {kind.__name__}"]


def problems_of_dict(value, kind, where):
    if not isinstance(value, dict):
        return [f"{where} is {value!r}, no {kind.__name__}"]
    known = fields(kind)
    found = [f"{where} has {key}, which {kind.__name__} has not" for key in value.keys() - known]
    for key, (hint, required) in known.items():
        if key in value:
            found += problems(value[key], hint, f"{where}.{key}")
        elif required:
            found.append(f"{where} lacks {key} of {kind.__name__}")
    return found


def contract():
    """verb -> (type of its request, types of its replies), as those who ask say."""
    hints = typing.get_type_hints(NodeSession.poll)
    (replies,) = typing.get_args(hints["return"])
    table = {"poll": (hints["request"], typing.get_args(replies))}
    for method in (Link.call, Link.stream):
        for overload in typing.get_overloads(method):
            hints = typing.get_type_hints(overload)
            replies = hints["return"]
            if typing.get_origin(replies) is collections.abc.Iterator:
                (replies,) = typing.get_args(replies)
            for verb in typing.get_args(hints["verb"]):
                table[verb] = (hints["request"], typing.get_args(replies))
    return table


CONTRACT = contract()


def problems_of_reply(verb, reply):
    """A reply is the one of its verb's that has its state."""
    kinds = [
        kind
        for kind in CONTRACT[verb][1]
        if reply.get("state") in typing.get_args(fields(kind)["state"][0])
    ]
    if not kinds:
        return [f"no reply of {verb} has the state {reply.get('state')!r}"]
    # A verb's own function need not name the store, but what it says goes out with it.
    unsigned = [f"{verb} names no store"] if "store" not in reply else []
    return problems(reply, kinds[0]) + ([] if kinds[0] is wire.RefusedReply else unsigned)


# -- the real program


class Recorder(Link):
    """A link to this machine that keeps what goes over the wire."""

    def __init__(self):
        super().__init__("here", "here", None, build(), sys.executable)
        self.requests = []
        # What the session said, of which most carries replies.
        self.frames = []
        # Replies as the node printed them, and as the reader let them pass.
        self.replies = []
        self.read = []

    def _replies(self, verb, request, seconds):
        yield from self._kept(verb, request, super()._replies(verb, request, seconds))

    def poll(self, request, opened):
        yield from self._kept("poll", request, self.session.poll(request, opened))

    def _kept(self, verb, request, replies):
        # Some requests are wrong on purpose, which the replies to them say.
        sent = json.loads(json.dumps(request))
        refused = False
        for reply in replies:
            refused = refused or reply["state"] == "refused"
            self.read.append((verb, reply))
            yield reply
        if not refused:
            self.requests.append((verb, sent))

    def tap(self, verb, request, value):
        """The reader, in whose place a test puts this."""
        (self.frames if verb == "session" else self.replies).append((verb, value))
        return READ(verb, request, value)


READ = reader.read_asked


class Life:
    """The attempts of one run on this machine."""

    def __init__(self, link, state):
        self.link = link
        self.uid = "u" + os.urandom(4).hex()
        self.state = state

    def id(self, name):
        return f"{self.uid}-{name}"

    def store(self):
        (store,) = (
            path for path in (self.state / "distributed-gummy").iterdir() if path.name != "bin"
        )
        return store

    def folder(self, name):
        return self.store() / "attempts" / self.id(name)

    def tree(self):
        return self.store() / "workspaces" / "key" / "0" / "tree"

    def claim(self, name):
        request = {"attempt": self.id(name), "key": "key", "slots": 1}
        return self.link.call("claim", {**request, "run_id": "run", "controller": "me"})

    def start(self, name, generation=1, **changes):
        spec = {
            "schema": 1,
            "digest": "d",
            "agent": "shell",
            "prompt": None,
            "command": "true",
            "verify": None,
            "timeout": 60,
            "job": "job-1",
            "run_id": "run",
            "controller": "me",
            "project": True,
            "project_path": "/p",
            "deliver": "branch",
            "artifacts": (),
            "base": None,
            "title": "job-1: true",
            "exclude": [],
            "settings": {},
            "expect_changes": "auto",
        }
        return self.link.call(
            "start",
            {
                "attempt": self.id(name),
                "generation": generation,
                "spec": {**spec, **changes},
                "env": {"TOKEN": "x"},
                "key": "00" * 32,
            },
        )

    def run(self, name, **changes):
        """Claim and start, and wait for the end."""
        self.start(name, self.claim(name)["generation"], **changes)
        self.poll(lambda reply, poll: poll.leave() if "attempt" in reply else None, name)

    def poll(self, act, name="", **more):
        opened = []
        request = {"prefix": self.id(name), "told": [], "watchable": [], "slots": 1, **more}
        for reply in self.link.poll(request, opened.append):
            act(reply, opened[-1])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """All that goes over the wire in the lives of some attempts."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("SHELL", "/bin/sh")
        link = Recorder()
        patch.setattr(reader, "read_asked", link.tap)
        live(Life(link, home / "state"))
        link.session.close()
    return link


HEADER = {"repositories": [], "plain": [], "patterns": []}
SIGNS: wire.Signs = {
    "quiet": 75.0,
    "at": 1.5e9,
    "waits": "",
    "words": "hm",
    "cost_usd": 0.5,
    "turns": 2,
    "tokens": {"input": 5, "output": 6},
}


def live(life):
    link = life.link
    link.call("adopt", {"uid": life.uid, "run_id": "run", "controller": "me"})
    long_life(life)
    other_ends(life)
    views(life)


def long_life(life):
    """One that is claimed, started, watched and ended, while others find the node busy."""
    link = life.link
    waits = "echo it waits; while ! [ -e go ]; do sleep 0.02; done; rm go; echo x > new"
    generation = life.claim("1")["generation"]
    life.claim("2")
    life.start("1", generation, command=waits, verify="true", artifacts=["new", "none"])
    life.start("1", generation)
    for verb in ("fence", "harvest"):
        link.call(verb, {"attempt": life.id("1")})

    def act(reply, poll):
        if reply["state"] == "watching":
            (life.folder("1") / "signs.json").write_text(json.dumps(SIGNS))
            (life.folder("1") / "watch").write_text("gummy-watch 1")
        elif reply["state"] == "progress":
            (life.tree() / "go").touch()
        elif reply["state"] == "ended":
            poll.say("+")
        elif reply["state"] == "turn":
            poll.leave()

    life.poll(act, lively=True, said={})
    life.start("1", generation)
    for verb in ("fence", "cancel", "harvest"):
        link.call(verb, {"attempt": life.id("1")})


def other_ends(life):
    """Fenced, released, refused, failed, without a harvest, begun by nobody, and left alone."""
    link = life.link
    link.call("fence", {"attempt": life.id("2")})
    link.call("claim", {"attempt": life.id("3"), "key": "key", "slots": 1})
    link.call("release", {"attempt": life.id("3")})
    link.call("claim", {"attempt": "../3", "key": "key", "slots": 1})
    life.run("4", command="exit 3")
    life.run("5", verify="exit 3")
    life.run("6", command="rm -r ../baseline.git")

    (life.folder("7") / "harvest").mkdir(parents=True)
    (life.folder("7") / "starting").touch()
    life.start("7")

    # Its workspace is kept, so this one is another's.
    life.start("8", life.claim("8")["generation"], command="sleep 600")

    def kill(reply, poll):
        if reply["state"] == "watching":
            os.kill(int((life.folder("8") / "lock").read_text()), signal.SIGKILL)
        elif reply["state"] == "unknown":
            poll.leave()

    list(link.stream("follow", {"offsets": {life.id("8"): 0}, "seconds": 0.1}, 60))
    life.poll(kill, "8")
    list(link.stream("list", {"run_id": "run", "prefix": life.id("")}, 60))
    link.call("cancel", {"attempt": life.id("8")})


def views(life):
    """What is seen of it all, and what goes in the end."""
    link = life.link
    list(link.stream("logs", {"attempt": life.id("1")}, 60))
    list(link.stream("follow", {"offsets": {life.id("1"): -1}, "seconds": 5.0}, 60))
    list(link.stream("list", {"within": 3600.0, "agents": True}, 60))
    specialist = life.tree() / ".gummy" / "specialists" / "api"
    specialist.mkdir(parents=True)
    (specialist / "meta.yaml").write_text("turns: 3\n")
    list(link.stream("specialists", {"within": 3600.0}, 60))
    list(link.stream("board", {"within": 3600.0, "paths": ["~/code/*"], "load": "echo x"}, 60))
    listed = base64.b64encode(zlib.compress(pack(HEADER, [b"kept"]))).decode()
    (life.tree() / "stale").touch()
    link.call("foresee", {"key": "key", "slots": 1, "listed": listed})
    mirrors(life)
    link.call("ack", {"attempts": [life.id("1"), life.id("4")], "controller": "me"})
    clean = {"days": 0.0, "most": 1e9, "free": 0.0, "check": False}
    list(link.stream("clean", {**clean, "check": True}, 60))
    list(link.stream("clean", clean, 60))


def mirrors(life):
    """A workspace that is made of what is there, once its state is known."""
    link = life.link
    generation = life.claim("9")["generation"]
    workspace = pathlib.Path(life.claim("9")["workspace"])
    mirror = workspace.parent / "mirror"
    (mirror / "tree").mkdir(parents=True)
    (mirror / "lock").touch()
    (mirror / "tree" / "a").touch()
    (mirror / "sync.json").write_text(json.dumps({"attempt": life.id("9"), "group": 0}))
    request = {"attempt": life.id("9"), "generation": generation, "digest": "d"}
    assert link.call("remake", request)["state"] == "stale"
    link.call("mirrored", request)
    assert link.call("remake", request)["changes"] == 1
    assert (workspace / "tree" / "a").exists()
    link.call("release", {"attempt": life.id("9")})


# -- the tests


def test_the_contract_has_every_verb():
    assert set(CONTRACT) == set(VERBS)


def test_every_verb_is_asked_here(recorded):
    assert {verb for verb, _request in recorded.requests} == set(VERBS)


def test_every_kind_of_reply_is_seen_here(recorded):
    seen = {(CONTRACT[verb][1], reply["state"]) for verb, reply in recorded.replies}
    for _request, kinds in CONTRACT.values():
        for kind in kinds:
            states = typing.get_args(fields(kind)["state"][0])
            if kind is not wire.RefusedReply:
                assert any((kinds, state) in seen for state in states), kind.__name__
    assert any(state == "refused" for _kinds, state in seen)


def test_requests_are_as_the_contract_says(recorded):
    wrong = [
        (verb, each)
        for verb, request in recorded.requests
        for each in problems(request, CONTRACT[verb][0])
    ]
    assert wrong == []


def test_replies_are_as_the_contract_says(recorded):
    wrong = [
        (verb, each) for verb, reply in recorded.replies for each in problems_of_reply(verb, reply)
    ]
    assert wrong == []


def test_what_a_session_says_is_as_the_contract_says(recorded):
    kinds = {
        state: kind
        for kind in typing.get_args(wire.SessionReply)
        for state in typing.get_args(fields(kind)["state"][0])
    }
    frames = [frame for _verb, frame in recorded.frames]
    # A reply is held to its own verb above; object says nothing of it.
    rest = [{key: value for key, value in frame.items() if key != "reply"} for frame in frames]
    assert {frame["state"] for frame in frames} == {"ready", "reply", "over"}
    for frame in rest:
        kind = kinds[frame["state"]]
        lacks = ["it lacks reply of ReplyFrame"] if frame["state"] == "reply" else []
        assert problems(frame, kind) == lacks


def test_the_reader_changes_nothing_of_what_an_honest_node_says(recorded):
    assert recorded.read == recorded.replies


def test_the_keys_of_a_record_that_need_not_be_there_all_are_there_some_time(recorded):
    seen = {key for _verb, reply in recorded.replies for key in reply if "class" in reply}
    assert set(fields(wire.EndedRecord)) <= seen


def test_a_misspelt_key_is_found_wherever_it_stands(recorded):
    """The tests above can fail."""
    checked = 0
    for verb, reply in recorded.replies:
        for key in reply.keys() - {"state"}:
            others = {name: value for name, value in reply.items() if name != key}
            assert problems_of_reply(verb, {**others, key + "s": reply[key]}), (verb, key)
            checked += 1
        assert problems_of_reply(verb, {**reply, "state": "strange"})
    for verb, request in recorded.requests:
        for key in request:
            others = {name: value for name, value in request.items() if name != key}
            assert problems({**others, key + "s": request[key]}, CONTRACT[verb][0]), (verb, key)
            checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"slots": "1"}, "it.slots is '1', no int"),
        ({"slots": True}, "it.slots is True, no int"),
        ({"run_id": None}, "it.run_id is None, no str"),
        ({"slot": 1}, "it has slot, which ClaimRequest has not"),
    ],
)
def test_a_wrong_value_is_found(change, sentence):
    request = {"attempt": "u-1", "key": "key", "slots": 1, "run_id": "run", "controller": "me"}
    assert problems(request, wire.ClaimRequest) == []
    assert problems({**request, **change}, wire.ClaimRequest) == [sentence]


def test_what_is_wrong_deep_inside_is_found():
    change = {"path": "a", "status": "added", "added": 1, "deleted": None}
    harvest = {
        "patch": None,
        "files": 1,
        "added": 1,
        "deleted": 0,
        "changed": [change],
        "left_out": [],
        "nested": [],
        "head": None,
        "commits": {"HEAD": "abc"},
        "artifacts": 0,
    }
    record = {"class": None, "message": "", "harvest": harvest}
    assert problems(record, wire.EndedRecord) == []
    harvest["changed"] = [{**change, "added": "1"}]
    harvest["commits"] = {"HEAD": None}
    assert len(problems(record, wire.EndedRecord)) > 0
