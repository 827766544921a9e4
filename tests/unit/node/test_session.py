"""A session: many requests over one call, each answered by a child that holds nothing but its own.

The session is the node program's real zip. What makes a request stay where it is, is patched in.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from node_case import ZIP, A, NodeCase, end, is_locked, try_lock, wait_for

# A session in which a lock, once it is taken, is kept while the file HOME/hold-NAME is there. NAME
# is what the lock's file lies in, or its own name; HOME/held-NAME says that it is kept.
HOLDING = """
import os, sys, time
sys.path.insert(0, {program!r})
sys.argv[0] = {program!r}
from _node import session, store, supervisor
def holding(path, patience=0.0, take=store.try_lock):
    lock = take(path, patience)
    for name in (os.path.basename(path), os.path.basename(os.path.dirname(path))):
        hold = os.path.join({home!r}, "hold-" + name)
        if lock is not None and os.path.exists(hold):
            open(os.path.join({home!r}, "held-" + name), "w").close()
            while os.path.exists(hold):
                time.sleep(0.01)
    return lock
store.try_lock = supervisor.try_lock = holding
sys.exit(session.serve())
"""
# An agent that says whose it is, and waits.
WAITS = 'echo "$GUMMY_ATTEMPT" > whose; until [ -e "$HOME/go" ]; do sleep 0.02; done'


class Talk:
    """A session that is talked with."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self._ids = itertools.count(1)
        self._frames = {}

    def say(self, **frame: object) -> None:
        self.process.stdin.write(json.dumps(frame).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, verb: str, **request: object) -> int:
        """Ask, and return the request's id."""
        number = next(self._ids)
        self.say(id=number, verb=verb, request=request)
        return number

    def frame(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the session has ended: {self.process.stderr.read()}")
        return json.loads(line.rpartition(b"\x1e")[2])

    def replies(self, number: int) -> list[dict]:
        """All replies to a request, once it is over; those to others are kept for who asks."""
        while {"state": "over", "id": number} not in self._frames.setdefault(number, []):
            frame = self.frame()
            self._frames.setdefault(frame.get("id"), []).append(frame)
        return [frame["reply"] for frame in self._frames.pop(number)[:-1]]

    def next_reply(self, number: int) -> dict:
        """The next reply to a request, whatever comes after it."""
        while not self._frames.setdefault(number, []):
            frame = self.frame()
            self._frames.setdefault(frame.get("id"), []).append(frame)
        return self._frames[number].pop(0)["reply"]

    def call(self, verb: str, **request: object) -> dict:
        (reply,) = self.replies(self.ask(verb, **request))
        return reply


class SessionTest(NodeCase):
    def talk(self, *before: str) -> Talk:
        """A session; before: the command line up to its verb, if it is another one."""
        process = subprocess.Popen(
            [*(before or self.argv()), "session"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
        )
        self.addCleanup(self._close, process)
        talk = Talk(process)
        self.assertEqual({"state": "ready"}, talk.frame())
        return talk

    @staticmethod
    def _close(process: subprocess.Popen) -> None:
        end(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def holding_talk(self) -> Talk:
        program = HOLDING.format(program=ZIP, home=str(self.home))
        return self.talk(sys.executable, "-I", "-S", "-c", program)

    def hold(self, name: str) -> None:
        (self.home / f"hold-{name}").touch()

    def wait_held(self, name: str) -> None:
        wait_for((self.home / f"held-{name}").exists)

    def let_go(self, name: str) -> None:
        (self.home / f"hold-{name}").unlink()

    def start_over(self, talk: Talk, attempt: str, key: str = "project", **spec: object) -> int:
        """Claim, and ask for the start; returns the id of that request."""
        claimed = talk.call("claim", attempt=attempt, key=key, slots=9)
        self.assertEqual("claimed", claimed["state"], claimed)
        return talk.ask(
            "start", attempt=attempt, generation=claimed["generation"], spec=self.spec(**spec)
        )

    # -- what it does

    def test_a_job_goes_its_way_over_one_session(self) -> None:
        talk = self.talk()
        (started,) = talk.replies(self.start_over(talk, A + "1", command="echo done > done.txt"))
        self.assertEqual("started", started["state"], started)
        poll = talk.ask("poll", prefix=A, told=[], slots=2)
        self.assertEqual("watching", talk.next_reply(poll)["state"])
        ended = talk.next_reply(poll)
        self.assertEqual(
            ("ended", A + "1", None, "exit status 0"),
            tuple(ended[key] for key in ("state", "attempt", "class", "proof")),
        )
        self.assertEqual(
            "acknowledged", talk.call("ack", attempts=[A + "1"], controller="c")["state"]
        )

    def test_what_a_verb_tells_is_what_it_tells_as_a_call(self) -> None:
        talk = self.talk()
        self.assertEqual("refused", talk.call("start", attempt="../x")["state"])
        refused = talk.call("no such verb")
        self.assertEqual(("program", "ours"), (refused["class"], refused["blame"]))
        self.run_job(A + "1")
        *rows, last = talk.replies(talk.ask("list", prefix=A))
        self.assertEqual(self.listed(A), rows)
        self.assertEqual("listed", last["state"])

    def test_a_slow_request_holds_up_no_other(self) -> None:
        talk = self.talk()
        self.assertEqual("claimed", talk.call("claim", attempt=A + "1", key="k", slots=9)["state"])
        lock = try_lock(os.path.join(self.store.root, "claims.lock"))
        slow = talk.ask("claim", attempt=A + "2", key="k", slots=9)
        poll = talk.ask("poll", prefix=A, told=[], slots=2)
        self.assertEqual("watching", talk.next_reply(poll)["state"])
        self.assertEqual("listed", talk.replies(talk.ask("list", prefix=A))[-1]["state"])
        os.close(lock)
        self.assertEqual("claimed", talk.replies(slow)[0]["state"])

    def test_it_answers_a_ping_itself_and_more_requests_than_it_answers_at_once(self) -> None:
        talk = self.talk()
        lock = try_lock(os.path.join(self.store.root, "claims.lock"))
        asked = [talk.ask("claim", attempt=f"{A}{n}", key="k", slots=99) for n in range(60)]
        talk.say(id=1000, verb="ping")
        self.assertEqual({"state": "pong", "id": 1000}, talk.frame())
        asked += [talk.ask("claim", attempt=f"{A}{n}", key="k", slots=99) for n in range(60, 90)]
        os.close(lock)
        states = [talk.replies(number)[0]["state"] for number in asked]
        self.assertEqual(["claimed"] * 90, states)

    def test_a_poll_listens_to_words_and_ends_when_it_is_told_to(self) -> None:
        talk = self.talk()
        poll = talk.ask("poll", prefix=A, told=[], slots=1)
        self.assertEqual("watching", talk.next_reply(poll)["state"])
        talk.say(id=poll, word="+")
        self.assertEqual("turn", talk.next_reply(poll)["state"])
        talk.say(id=poll)
        self.assertEqual([], talk.replies(poll))
        # Nobody is there any more to hear it.
        talk.say(id=poll, word="-")
        self.assertEqual("listed", talk.call("list")["state"])

    def test_who_reads_late_gets_all_of_a_long_reply(self) -> None:
        attempt = self.store.attempt(A + "1")
        attempt.create()
        Path(attempt.log).write_bytes(b"0123456789\n" * 400_000)
        talk = self.talk()
        logs = talk.ask("logs", attempt=A + "1")
        time.sleep(0.5)
        *pieces, last = talk.replies(logs)
        self.assertEqual(("read", 4_400_000), (last["state"], last["size"]))
        self.assertEqual(4_400_000, sum(len(piece["text"]) for piece in pieces))

    # -- how it ends

    def test_what_is_asked_when_the_caller_goes_is_done_all_the_same(self) -> None:
        talk = self.holding_talk()
        self.hold(A + "1")
        self.start_over(talk, A + "1", command=WAITS)
        self.wait_held(A + "1")
        talk.process.stdin.close()
        self.assertEqual(0, talk.process.wait(30))
        self.let_go(A + "1")
        wait_for(lambda: self.store.attempt(A + "1").has("agent"))
        (self.home / "go").touch()
        self.assertIsNone(self.end(A + "1")["class"])

    def test_a_poll_ends_with_its_session_however_that_ends(self) -> None:
        for kill in (True, False):
            talk = self.talk()
            # Of two children none may keep the other's stdin open.
            polls = [talk.ask("poll", prefix=A, told=[], slots=1) for _time in range(2)]
            for poll in polls:
                talk.next_reply(poll)
            children = self.children(talk.process.pid)
            self.assertEqual(2, len(children))
            if kill:
                end(talk.process.pid)
            else:
                talk.process.stdin.close()
            wait_for(lambda pids=children: not any(map(_runs, pids)))

    def test_what_is_no_request_ends_it_with_a_word(self) -> None:
        for line in (
            b"{\n",
            b"[]\n",
            b'{"verb": "list"}\n',
            b'{"id": "x"}\n',
            b"[" * 99999 + b"\n",
        ):
            talk = self.talk()
            talk.process.stdin.write(line)
            talk.process.stdin.flush()
            frame = talk.frame()
            self.assertEqual(("refused", "ours"), (frame["state"], frame["blame"]))
            self.assertEqual(1, talk.process.wait(30))

    def test_a_line_without_end_ends_it(self) -> None:
        short = (
            f"import sys; sys.path.insert(0, {ZIP!r}); from _node import session;"
            " session.LINE_MOST = 100_000; sys.exit(session.serve())"
        )
        talk = self.talk(sys.executable, "-I", "-S", "-c", short)
        with contextlib.suppress(BrokenPipeError):
            talk.process.stdin.write(b"x" * 1_000_000)
            talk.process.stdin.flush()
        self.assertEqual("refused", talk.frame()["state"])

    def test_an_asker_who_says_nothing_for_long_is_taken_for_dead(self) -> None:
        short = (
            f"import sys; sys.path.insert(0, {ZIP!r}); from _node import session;"
            " session.SILENCE_MOST = 0.5; sys.exit(session.serve())"
        )
        talk = self.talk(sys.executable, "-I", "-S", "-c", short)
        poll = talk.ask("poll", prefix=A, told=[], slots=1)
        talk.next_reply(poll)
        children = self.children(talk.process.pid)
        for number in range(10):
            talk.say(id=1000 + number, verb="ping")
            time.sleep(0.1)
        self.assertIsNone(talk.process.poll())
        self.assertEqual(0, talk.process.wait(30))
        wait_for(lambda: not any(map(_runs, children)))

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "only /proc tells descriptors")
    def test_it_keeps_its_program_from_being_cleaned_away(self) -> None:
        talk = self.talk()
        self.assertIsNone(try_lock(ZIP))
        talk.process.stdin.close()
        self.assertEqual(0, talk.process.wait(30))
        lock = wait_for(lambda: try_lock(ZIP))
        os.close(lock)

    # -- what belongs to whom

    @staticmethod
    def children(pid: int) -> list[int]:
        listing = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split() for line in listing.splitlines()]
        return [int(row[0]) for row in rows if row[1] == str(pid) and row[2][0] != "Z"]

    def awake_holders(self, supervisor: int) -> list[int]:
        """Its children that keep the node awake, where the system grants it."""
        found = []
        for pid in self.children(supervisor):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"distributed.gummy" in command or b"caffeinate" in command:
                    found.append(pid)
        return found

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "only /proc tells descriptors")
    def test_a_supervisor_holds_nothing_of_the_requests_beside_it(self) -> None:
        talk = self.holding_talk()

        # One request holds an attempt's lock, one that of a slot and a workspace as well.
        self.hold(A + "fenced")
        fence = talk.ask("fence", attempt=A + "fenced")
        self.wait_held(A + "fenced")
        # It has its attempt's lock, its slot's, and now its workspace's.
        self.hold("lock")
        others = self.start_over(talk, A + "other", key="another", command=WAITS)
        self.wait_held("lock")
        # A claim holds the store's, while the start in question is forked and waits for it.
        mine = talk.call("claim", attempt=A + "mine", key="project", slots=9)
        (self.home / "held-lock").unlink()
        self.let_go("lock")
        (started,) = talk.replies(others)
        self.assertEqual("started", started["state"], started)
        self.hold("claims.lock")
        claim = talk.ask("claim", attempt=A + "third", key="project", slots=9)
        self.wait_held("claims.lock")
        poll = talk.ask("poll", prefix=A, told=[], slots=9)
        talk.next_reply(poll)
        start = talk.ask(
            "start",
            attempt=A + "mine",
            generation=mine["generation"],
            spec=self.spec(command=WAITS),
        )
        wait_for(lambda: is_locked(self.store.attempt(A + "mine").lock))
        self.let_go("claims.lock")
        self.assertEqual("claimed", talk.replies(claim)[0]["state"])
        (started,) = talk.replies(start)
        self.assertEqual("started", started["state"], started)

        supervisor = self.supervisor(A + "mine")
        wait_for((Path(mine["workspace"]) / "tree" / "whose").exists)
        attempt = self.store.attempt(A + "mine")
        own = {
            os.devnull,
            ZIP,
            attempt.lock,
            attempt.log,
            self.store.slot(mine["slot"]),
            os.path.join(mine["workspace"], "lock"),
        }
        wanted = {os.path.realpath(path) for path in own}

        def held() -> set[str]:
            folder = f"/proc/{supervisor}/fd"
            links = set()
            # One may be closed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                links = {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
                for holder in self.awake_holders(supervisor):
                    pipes = f"/proc/{holder}/fd"
                    links -= {os.readlink(f"{pipes}/{name}") for name in ("0", "1")}
            return links

        # For a moment it has a pipe to the agent that it starts, and some seconds to what was asked
        # to keep the node awake and is not allowed to.
        until = time.monotonic() + 40
        while held() != wanted and time.monotonic() < until:
            time.sleep(0.02)
        self.assertEqual(wanted, held())

        # The agent holds none of them.
        (agent,) = set(self.children(supervisor)) - set(self.awake_holders(supervisor))
        names = os.listdir(f"/proc/{agent}/fd")
        self.assertEqual(
            {os.devnull, os.path.realpath(attempt.log)},
            {os.readlink(f"/proc/{agent}/fd/{name}") for name in names if int(name) < 3},
        )
        self.let_go(A + "fenced")
        self.assertEqual("void", talk.replies(fence)[0]["state"])
        (self.home / "go").touch()

    def test_a_heal_beside_a_start_marks_each_attempt_right(self) -> None:
        talk = self.talk()
        stubborn = 'trap "" TERM; echo "$GUMMY_ATTEMPT" > whose; while :; do sleep 0.05; done'
        talk.replies(self.start_over(talk, A + "dead", key="one", command=stubborn))
        wait_for((self.tree(key="one") / "whose").exists)
        end(self.supervisor(A + "dead"))
        heal = talk.ask("fence", attempt=A + "dead")
        # It takes five seconds, for the agent does not end by a TERM.
        start = self.start_over(talk, A + "new", key="two", command=WAITS)
        self.assertEqual("started", talk.replies(start)[0]["state"])
        wait_for((self.tree(key="two") / "whose").exists)
        self.assertFalse(self.store.attempt(A + "dead").has("ended.json"))
        (healed,) = talk.replies(heal)
        self.assertEqual(("ended", "lost"), (healed["state"], healed["class"]))
        self.assertEqual([], healed["survivors"])
        (self.home / "go").touch()
        self.assertIsNone(self.end(A + "new")["class"])
        for key, name in (("one", "dead"), ("two", "new")):
            self.assertEqual(A + name + "\n", (self.tree(key=key) / "whose").read_text())

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "only /proc tells of a process")
    def test_nothing_of_the_session_itself_is_changed(self) -> None:
        talk = self.talk()

        def facts() -> tuple[str, ...]:
            folder = Path(f"/proc/{talk.process.pid}")
            status = (folder / "status").read_text()
            (umask,) = (line for line in status.splitlines() if line.startswith("Umask"))
            descriptors = sorted(os.listdir(folder / "fd"))
            return umask, os.readlink(folder / "cwd"), *descriptors

        def settled() -> tuple[str, ...] | None:
            """The facts when it loads nothing and collects nobody."""
            first = facts()
            time.sleep(0.3)
            return first if facts() == first else None

        before = wait_for(settled)
        umask = "umask > umask.txt; env > env.txt"
        (started,) = talk.replies(self.start_over(talk, A + "1", command=umask))
        self.assertEqual("started", started["state"])
        self.assertIsNone(self.end(A + "1")["class"])
        talk.call("fence", attempt=A + "1")
        self.assertEqual("listed", talk.replies(talk.ask("list"))[-1]["state"])
        self.assertEqual(before, wait_for(settled))
        # The agent has the umask of its login.
        login = os.umask(0o022)
        os.umask(login)
        self.assertEqual(login, int((self.tree() / "umask.txt").read_text(), 8))

    def test_its_children_are_collected(self) -> None:
        talk = self.talk()
        for number in range(3):
            talk.call("claim", attempt=f"{A}{number}", key="k", slots=9)

        def zombies() -> list[str]:
            listing = subprocess.run(
                ["ps", "-axo", "ppid=,stat="], capture_output=True, text=True, check=True
            ).stdout
            return [
                line
                for line in listing.splitlines()
                if line.split()[0] == str(talk.process.pid) and "Z" in line
            ]

        # The last one may only be seen when the next word comes.
        talk.say(id=99, verb="ping")
        talk.frame()
        talk.say(id=99, verb="ping")
        talk.frame()
        wait_for(lambda: len(zombies()) <= 1)


def _runs(pid: int) -> bool:
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")
