"""Sessions: many requests over one call, ones that end anywhere, and nodes that say odd things."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.programs import Programs
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import channel as _channel
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import session as _session
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import (
    InvalidReply,
    Link,
    LinkError,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import build

# No wait of a test is longer, in seconds.
AT_MOST = 30.0
# Holds the lock that it is given until its stdin ends.
HOLDER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Where the node has its state; the controller keeps what it knows elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No thread of a session, and no descriptor, outlives its test."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(AT_MOST)
        assert not thread.is_alive(), thread.name


@pytest.fixture
def linked(home):
    """Makes links to this machine whose ssh is its sh, and counts what they call."""
    made = []

    def make(before=""):
        count = f"echo $$ >> {home}/calls"
        ssh = ["/bin/sh", "-c", f'{count}\n{before}\nexec /bin/sh -c "$3"', "sh"]
        made.append(Link("node", "host", ssh, build(), known=Programs()))
        return made[-1]

    yield make
    for link in made:
        link.session.close()


def calls(home):
    """The processes that were called, in their order; a session is the last one of its start."""
    return [int(pid) for pid in (home / "calls").read_text().split()]


def claim(link, number, slots=99, seconds=AT_MOST):
    request = {"attempt": f"u-{number}", "key": "key", "slots": slots}
    return link.session.call("claim", request, seconds)


# -- what it does


def test_many_requests_take_one_call(home, linked):
    linked().call("release", {"attempt": "u-0"})
    (home / "calls").unlink()
    link = linked()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: claim(link, number), range(40)))
    assert sorted(reply["slot"] for reply in replies) == list(range(40))
    assert [reply["state"] for reply in replies] == ["claimed"] * 40
    assert len(calls(home)) == 1


def test_a_node_that_has_nothing_is_looked_at_and_gets_the_program(home, linked):
    assert claim(linked(), 1)["state"] == "claimed"
    # The master, the look, the installation, the session.
    assert len(calls(home)) == 4


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_guess_in_vain_is_followed_by_a_look(home, linked, change):
    linked().call("release", {"attempt": "u-0"})
    (program,) = (home / "state/distributed-gummy/bin").iterdir()
    program.unlink()
    if change == "changed":
        program.write_text("nonsense")
    link = linked()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda number: claim(link, number), range(4)))
    assert {reply["state"] for reply in replies} == {"claimed"}
    assert program.stat().st_size > 1000


def test_what_a_login_shell_prints_hides_no_reply_and_breaks_rsync_alone(home, linked):
    link = linked("echo welcome; printf 'no newline'")
    assert claim(link, 1)["state"] == "claimed"
    with pytest.raises(LinkError, match="login shell of node prints something"):
        link.rsync_words("send", "a")


def test_a_large_request_is_sent_whole_while_others_go_on(home, linked):
    link = linked()
    request = {"attempt": "u-1", "key": "k" * 3_000_000, "slots": 1}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(link.session.call, "claim", request, AT_MOST) for _time in range(2)]
        assert claim(link, 2)["state"] == "claimed"
    assert {each.result()["class"] for each in asked} == {"input"}


def test_a_request_that_is_answered_late_holds_up_no_other(home, linked):
    link = linked()
    claim(link, 1)
    (lock,) = (home / "state/distributed-gummy").glob("*/claims.lock")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            lock,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    with pytest.raises(LinkError, match="node did not answer within 0.3 s") as failed:
        claim(link, 2, seconds=0.3)
    assert failed.value.kind == "timeout"
    assert link.session.call("ack", {"attempts": [], "controller": "me"})["state"] == "acknowledged"
    holder.communicate()
    # What nobody waited for was done all the same, and its reply is dropped.
    assert claim(link, 2)["state"] == "claimed"
    # The master, the look, the installation, and one session.
    assert len(calls(home)) == 4


# -- sessions that end


def cut(home):
    os.killpg(calls(home)[-1], signal.SIGKILL)


def test_a_session_that_was_cut_is_opened_anew_and_asked_again(home, linked):
    link = linked()
    first = claim(link, 1)
    cut(home)
    assert claim(link, 1) == first
    assert len(calls(home)) == 5


def test_what_is_on_its_way_when_a_session_is_cut_is_asked_again(home, linked):
    link = linked()
    claim(link, 0)
    (lock,) = (home / "state/distributed-gummy").glob("*/claims.lock")
    with open(lock) as file, ThreadPoolExecutor(8) as pool:
        fcntl.flock(file, fcntl.LOCK_EX)
        asked = [pool.submit(claim, link, number) for number in range(1, 5)]
        time.sleep(0.3)
        cut(home)
        time.sleep(0.3)
        fcntl.flock(file, fcntl.LOCK_UN)
        assert {each.result()["state"] for each in asked} == {"claimed"}
    assert len(calls(home)) == 5


def test_what_is_cut_twice_is_an_error(home, linked):
    link = linked()
    claim(link, 0)
    link._ssh = linked("echo x >&2; exit 255")._ssh
    cut(home)
    with pytest.raises(LinkError) as failed:
        claim(link, 1)
    assert failed.value.kind == "unreachable" and "x" in str(failed.value)


def test_a_call_that_is_cut_between_its_reply_and_its_end_is_asked_again(home):
    """The node is played: once it goes away after a reply, and then it says the whole."""
    link = played(
        f"""
first = ask()
if os.path.exists({str(home / "cut")!r}):
    void(first)
    ask()
open({str(home / "cut")!r}, "w").close()
say(state="reply", id=first, reply={{"state": "void", "store": "cut"}})
"""
    )
    assert fence(link)["store"] == "s"
    link.session.close()


def test_a_poll_that_has_told_something_is_not_asked_again_by_itself(home, linked):
    link = linked()
    request = {"prefix": "u-", "told": [], "watchable": [], "slots": 1}
    told = link.session.poll(request, lambda _replies: None)
    assert next(told)["state"] == "watching"
    cut(home)
    with pytest.raises(LinkError):
        next(told)


def test_nothing_is_asked_of_a_session_that_was_closed(home, linked):
    link = linked()
    claim(link, 0)
    pid = calls(home)[-1]
    link.session.close()
    with pytest.raises(LinkError, match="nothing more is asked of node"):
        claim(link, 1)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
    assert len(calls(home)) == 4


def test_who_waits_when_it_is_closed_is_told(home, linked):
    link = linked()
    request = {"prefix": "u-", "told": [], "watchable": [], "slots": 1}
    told = link.session.poll(request, lambda _replies: None)
    assert next(told)["state"] == "watching"
    link.session.close()
    with pytest.raises(LinkError):
        next(told)


def test_who_stops_a_poll_ends_it_there_too(home, linked):
    link = linked()
    request = {"prefix": "u-", "told": [], "watchable": [], "slots": 1}
    opened = []
    told = link.session.poll(request, opened.append)
    assert next(told)["state"] == "watching"
    opened[0].say("+")
    assert next(told)["state"] == "turn"
    opened[0].stop()
    assert list(told) == []
    assert claim(link, 1)["state"] == "claimed"


# -- nodes that say odd things

# A node that is played by a program: `ask` reads a request, `say` writes what it is given.
PLAYED = """
import json, os, sys, time
def ask(verb=None):
    while True:
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        frame = json.loads(line)
        if frame.get("verb") == verb or verb is None:
            return frame["id"]
def say(**frame):
    sys.stdout.write("\\x1e" + json.dumps(frame) + "\\n")
    sys.stdout.flush()
def void(number):
    say(state="reply", id=number, reply={"state": "void", "store": "s"})
    say(state="over", id=number)
say(state="ready")
"""


def played(script, **more):
    """A link to a node that does what the script does, whatever it is asked."""
    ssh = [sys.executable, "-c", PLAYED + script]
    odd = Link("node", "host", ssh, build(), known=Programs(), **more)
    odd._known.keep(odd.key, build().digest, "0" * 64)
    odd.connected = True
    return odd


def fence(link, number=1, seconds=AT_MOST):
    return link.session.call("fence", {"attempt": f"u-{number}"}, seconds)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("ask(); say(state='reply', id=99, reply={})", "a request that was not made"),
        ("ask(); say(state='over', id=99)", "a request that was not made"),
        ("ask(); say(state='over', id=10**400)", "id is out of its range"),
        ("ask(); say(state='reply', reply={})", "id is missing"),
        ("ask(); say(state='weather')", "state is 'weather'"),
        ("ask(); print(chr(30) + '{', flush=True)", "it is no JSON"),
        ("ask(); print(chr(30) + '[' * 100000, flush=True)", "nested too deep"),
        ("ask(); sys.stdout.write('x' * 9_000_000); time.sleep(60)", "a line of more than 8 MB"),
        ("ask()\nwhile True: print('x' * 99, flush=True)", "too much that nobody asked for"),
        ("ask()\nwhile True: print(flush=True)", "too much that nobody asked for"),
        ("ask()\nwhile True: say(state='pong', id=1)", "too much that nobody asked for"),
        ("ask()\nwhile True: say(state='ready')", "too much that nobody asked for"),
        ("ask()\nwhile True: sys.stderr.write('x' * 99999)", "more than 4 MB of errors"),
    ],
)
def test_what_is_no_frame_of_a_session_ends_it_for_all_who_ask(script, sentence):
    link = played(script)
    with pytest.raises(InvalidReply) as failed:
        fence(link)
    assert "node" in str(failed.value) and sentence in str(failed.value)
    link.session.close()


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ({"state": "claimed"}, "state is 'claimed'"),
        ({"state": "void", "store": ["s"]}, "store is no text"),
        ([], "it is no JSON object"),
        (None, "it is no JSON object"),
    ],
)
def test_a_reply_that_is_not_valid_is_the_error_of_its_request_alone(reply, sentence):
    script = f"""
first = ask()
say(state="reply", id=first, reply={reply!r})
void(ask("fence"))
say(state="reply", id=first, reply={{"state": "void", "store": "late"}})
say(state="over", id=first)
void(ask("fence"))
ask()
"""
    link = played(script)
    with pytest.raises(InvalidReply, match="the reply of node to fence is not valid") as failed:
        fence(link)
    assert sentence in str(failed.value)
    assert [fence(link, number)["state"] for number in (2, 3)] == ["void", "void"]
    link.session.close()


def test_replies_go_to_who_asked_in_whatever_order_they_come():
    script = """
asked = [ask() for _time in range(8)]
for number in reversed(asked):
    reply = {"state": "running", "store": str(number)}
    say(state="reply", id=number, reply=reply)
    say(state="over", id=number)
ask()
"""
    link = played(script)
    with ThreadPoolExecutor(8) as pool:
        stores = [each["store"] for each in pool.map(lambda n: fence(link, n), range(8))]
    assert sorted(stores) == [str(number) for number in range(1, 9)]
    link.session.close()


def test_a_reply_of_another_attempt_than_was_asked_for_is_not_valid():
    ended = {"state": "ended", "attempt": "other-1", "class": None, "message": "", "files": None}
    link = played(f"number = ask()\nsay(state='reply', id=number, reply={ended!r})\nask('x')")
    ended = ended.copy()
    request = {"prefix": "u-", "told": [], "watchable": [], "slots": 1}
    with pytest.raises(InvalidReply, match="attempt other-1 was not asked for"):
        next(link.session.poll(request, lambda _replies: None))
    link.session.close()


def test_a_flood_waits_for_its_reader_and_ends_at_its_cap(monkeypatch):
    monkeypatch.setattr(_session, "OUTPUT_CAP", 1_000_000)
    script = """
number = ask()
while True:
    say(state="reply", id=number, reply={"state": "watching", "store": "s" * 100})
"""
    link = played(script)
    opened = []
    request = {"prefix": "u-", "told": [], "watchable": [], "slots": 1}
    told = link.session.poll(request, opened.append)
    next(told)
    time.sleep(0.5)
    # What waits here is bounded, for the node waits for the reader.
    assert opened[0].size < 20_000
    with pytest.raises(InvalidReply, match="cut off"):
        for _reply in told:
            pass
    link.session.close()


def test_a_call_that_brings_replies_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(_session, "REPLIES_MOST", 50)
    script = """
number = ask()
while True:
    say(state="reply", id=number, reply={"state": "void", "store": "s"})
"""
    link = played(script)
    with pytest.raises(InvalidReply, match="more than 50 replies to fence"):
        fence(link)
    link.session.close()


def test_what_was_worth_it_does_not_count_towards_the_cap(monkeypatch):
    monkeypatch.setattr(_session, "OUTPUT_CAP", 100_000)
    script = """
number = ask()
for _time in range(2000):
    say(state="reply", id=number, reply={"state": "watching", "store": "s" * 100})
say(state="over", id=number)
ask()
"""
    link = played(script)
    opened = []
    request = {"prefix": "u-", "told": [], "watchable": [], "slots": 1}
    count = 0
    for _reply in link.session.poll(request, opened.append):
        opened[0].renew()
        count += 1
    assert count == 2000
    link.session.close()


@pytest.fixture
def soon(monkeypatch):
    """What takes long for a person takes none here."""
    monkeypatch.setattr(_session, "READY_SECONDS", 0.3)
    monkeypatch.setattr(_session, "PING_EVERY", 0.3)
    monkeypatch.setattr(_session, "PONG_SECONDS", 0.3)


@pytest.mark.parametrize(
    "script",
    [
        "ask('never')",
        # It drips, and no line ever ends.
        "while True:\n sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.05)",
    ],
)
def test_a_node_that_answers_no_ping_is_not_waited_for(soon, script):
    link = played(script)
    dropped = []
    link.drop = lambda: dropped.append(True)
    begun = time.monotonic()
    with pytest.raises(LinkError, match="did not answer within") as failed:
        fence(link)
    assert failed.value.kind == "timeout" and dropped == [True]
    assert time.monotonic() - begun < 10
    link.session.close()


def test_a_node_that_answers_pings_is_waited_for(soon):
    script = """
number = ask("fence")
for _time in range(4):
    say(state="pong", id=ask("ping"))
void(number)
ask()
"""
    link = played(script)
    assert fence(link)["state"] == "void"
    link.session.close()


@pytest.mark.parametrize("says", ["", "print('welcome', flush=True)"])
def test_a_session_that_never_gets_ready_is_given_up(soon, says):
    drip = f"import time\nwhile True:\n {says or 'pass'}\n time.sleep(0.05)\n"
    link = played("")
    link._ssh = [sys.executable, "-c", drip]
    link.drop = lambda: None
    with pytest.raises(LinkError, match="did not answer") as failed:
        fence(link)
    assert failed.value.kind == "timeout"
    link.session.close()


def test_a_node_that_takes_nothing_gets_no_more_than_a_limit(monkeypatch):
    monkeypatch.setattr(_channel, "UNSENT_MOST", 1_000_000)
    link = played("time.sleep(60)")
    request = {"attempt": "u-1", "key": "k" * 500_000, "slots": 1}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(link.session.call, "claim", request, 1.0) for _time in range(8)]
        for each in asked:
            with pytest.raises(LinkError, match="did not answer"):
                each.result()
    link.session.close()
