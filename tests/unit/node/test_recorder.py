"""Neither claude nor its caller can tell whether the recorder is between, which notes it all.

So each test compares it with the same `claude` without it.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from node_case import ZIP, NodeCase, alive, recorder, wait_for

# Says what it sees in the file $SAW, then does what the words say; `%` and a number become that
# byte.
CLAUDE = """
import json, os, signal, stat, sys, time
def write(fd, text):
    data = b""
    for number, part in enumerate(text.split("%")):
        data += bytes([int(part)]) if number % 2 else part.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(fd, data):]
def tell(**what):
    with open(os.environ["SAW"], "a") as file:
        file.write(json.dumps(what) + "\\n")
signals = []
def seen(number, frame):
    signals.append(number)
    tell(signal=number)
env = sorted(map(repr, os.environb.items()))
if os.path.exists("/proc/self/environ"):
    env = sorted(map(repr, open("/proc/self/environ", "rb").read().split(b"\\0")))
ignored = [n for n in range(1, 32) if n not in (9, 19) and signal.getsignal(n) == signal.SIG_IGN]
tell(argv=[os.fsencode(word).hex() for word in sys.argv[1:]], env=env, cwd=os.getcwd(),
     group=os.getpgrp(), session=os.getsid(0), umask=os.umask(0o77),
     stdin=stat.S_IFMT(os.fstat(0).st_mode), ignored=ignored,
     mask=sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
words = iter(sys.argv[1:])
for word in words:
    if word == "out": write(1, next(words))
    elif word == "err": write(2, next(words))
    elif word == "read": tell(read=sys.stdin.buffer.read().hex())
    elif word == "flood":
        while True: write(1, "x"), time.sleep(0.01)
    elif word == "touch": open(next(words), "w").write(str(os.getpid()))
    elif word == "wait":
        path = next(words)
        while not os.path.exists(path): time.sleep(0.01)
    elif word == "trap":
        for number in (1, 2, 3, 10, 12, 15): signal.signal(number, seen)
    elif word == "signals":
        count = int(next(words))
        while len(signals) < count: time.sleep(0.01)
    elif word == "die":
        number = int(next(words))
        signal.signal(number, signal.SIG_DFL) if number != 9 else None
        os.kill(os.getpid(), number)
    elif word == "big":
        for _piece in range(int(next(words))):
            write(1, '{"type":"noise","text":"%92%%34%' + "x" * 1000000 + '"},')
    elif word == "behind":
        path = next(words)
        if os.fork(): continue
        while not os.path.exists(path): time.sleep(0.01)
        write(1, "late")
        os._exit(0)
    elif word == "exit": os._exit(int(next(words)))
"""


def little_memory() -> None:
    """ru_maxrss would be that of the tests themselves, from which the recorder is forked."""
    resource.setrlimit(resource.RLIMIT_DATA, (48 << 20, 48 << 20))


class RecorderTest(NodeCase):
    def setUp(self) -> None:
        super().setUp()
        self.attempt = self.home / "attempt"
        self.saw = self.home / "saw"
        self.attempt.mkdir()
        self.words = "our own $(words)\n"
        (self.attempt / "spec.json").write_text(json.dumps({"prompt": self.words}))
        self.real = self.home / "real bin" / "claude"
        self.real.parent.mkdir()
        self.real.write_text(
            f"#!/bin/sh\n''':'\nexec '{sys.executable}' -IS \"$0\" \"$@\"\n'''\n{CLAUDE}"
        )
        self.real.chmod(0o755)
        self.folder = recorder.install(str(self.attempt), ZIP)
        self.started: list[subprocess.Popen] = []

    def begin(self, recorded: bool, *argv: str | bytes, **options: object) -> subprocess.Popen:
        """claude as a program finds it on PATH.

        It is in the group and session of the test unless the options say otherwise.
        """
        self.saw.write_text("")
        path = f"{self.real.parent}:/usr/bin:/bin"
        env = {
            "HOME": str(self.home),
            "PATH": f"{self.folder}:{path}" if recorded else path,
            "SAW": str(self.saw),
            "odd": "\udcff=\n",
            "PWD": str(self.home),
        }
        given = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": self.home,
            **options,
        }
        process = subprocess.Popen(
            ["claude", *argv],
            executable=f"{self.folder}/claude" if recorded else str(self.real),
            env=env,
            **given,
        )
        self.addCleanup(self.finish, process)
        return process

    def finish(self, process: subprocess.Popen) -> None:
        for path in self.home.glob("go*"):
            path.touch()
        if process.returncode is None:
            process.kill()
        process.communicate()

    def seen(self) -> list[dict]:
        """What claude told, with names for its group and session."""
        rows = [json.loads(line) for line in self.saw.read_text().splitlines()]
        for row in rows[:1]:
            row["group"] = (
                "the caller's"
                if row["group"] == os.getpgrp()
                else "the session's"
                if row["group"] == row["session"]
                else "its own"
            )
            row["session"] = "the caller's" if row["session"] == os.getsid(0) else "its own"
        return rows

    def both(self, *argv: str | bytes, **options: object) -> list[tuple]:
        """(status, stdout, stderr, what claude saw) without and with the recorder.

        stdin may be a function that opens one for each.
        """
        ends = []
        for recorded in (False, True):
            fresh = {"stdin": options["stdin"]()} if "stdin" in options else {}
            process = self.begin(recorded, *argv, **{**options, **fresh})
            out, err = process.communicate(timeout=60)
            ends.append((process.returncode, out, err, self.seen()))
        return ends

    def same(self, *argv: str | bytes, **options: object) -> tuple:
        without, recorded = self.both(*argv, **options)
        self.assertEqual(without, recorded)
        return recorded

    def calls(self) -> list[dict]:
        return recorder.calls(str(self.attempt))

    def test_arguments_environment_umask_streams_and_status_are_the_same(self) -> None:
        odd = [b"-p", b"", b"--x=\xff\xfe", "ünï 🚀\n".encode(), b"'\"`$(id)` \\", b"y" * 100_000]
        status, out, err, seen = self.same(
            *odd, "out", "a%0%b%255%c", "err", "e%10%%0%", "exit", "3", umask=0o027
        )
        self.assertEqual(
            (3, b"a\0b\xffc", b"e\n\0", "the caller's"), (status, out, err, seen[0]["group"])
        )
        self.assertEqual([b.hex() for b in odd], seen[0]["argv"][: len(odd)])
        self.assertEqual(
            ("the session's", "its own"),
            tuple(
                self.same("exit", "255", start_new_session=True)[3][0][key]
                for key in ("group", "session")
            ),
        )
        self.same(
            "exit",
            "0",
            preexec_fn=lambda: [
                signal.signal(number, signal.SIG_IGN)
                for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
            ],
        )

    def test_stdin_is_the_same_whether_it_is_nothing_a_file_or_a_pipe(self) -> None:
        data = os.urandom(300_000)
        (self.home / "file").write_bytes(b"skipped" + data)

        def file() -> int:
            stream = os.open(self.home / "file", os.O_RDONLY)
            self.addCleanup(os.close, stream)
            os.lseek(stream, 7, os.SEEK_SET)
            return stream

        self.assertEqual("", self.same("read")[3][1]["read"])
        self.assertEqual(data.hex(), self.same("read", stdin=file)[3][1]["read"])
        for recorded in (False, True):
            process = self.begin(recorded, "read", stdin=subprocess.PIPE)
            process.communicate(data, timeout=60)
            self.assertEqual(data.hex(), self.seen()[1]["read"])
            # Though nobody closes it.
            self.assertEqual(0, self.begin(recorded, "exit", "0", stdin=subprocess.PIPE).wait(60))

    def test_both_streams_come_as_they_are_written_and_keep_their_order_in_one_file(self) -> None:
        for recorded in (False, True):
            process = self.begin(
                recorded,
                "out",
                "no newline",
                "err",
                "E",
                "wait",
                f"{self.home}/go{recorded}",
                "out",
                "!",
            )
            self.assertEqual(
                (b"no newline", b"E"), (process.stdout.read(10), process.stderr.read(1))
            )
            (self.home / f"go{recorded}").touch()
            self.assertEqual((b"!", b""), process.communicate(timeout=60))
        order = [word for number in range(200) for word in ("out", f"{number},", "err", "e;")]
        self.assertEqual(
            "".join(f"{number},e;" for number in range(200)).encode(),
            self.same(*order, stderr=subprocess.STDOUT)[1],
        )

    def test_signals_reach_claude_once_and_it_dies_as_it_would(self) -> None:
        numbers = (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGQUIT,
            signal.SIGUSR1,
            signal.SIGUSR2,
        )
        # A shell's `&`.
        background = {
            "preexec_fn": lambda: [
                signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)
            ]
        }
        for recorded, options in ((False, {}), (True, {}), (False, background), (True, background)):
            ready = self.home / f"ready{recorded}{len(options)}"
            process = self.begin(
                recorded,
                "trap",
                "touch",
                str(ready),
                "signals",
                str(len(numbers)),
                "exit",
                "7",
                **options,
            )
            wait_for(ready.exists)
            for count, number in enumerate(numbers, 2):
                process.send_signal(number)
                wait_for(lambda count=count: len(self.seen()) == count)
            self.assertEqual(7, process.wait(60))
            self.assertEqual([{"signal": number} for number in numbers], self.seen()[1:])
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE):
            self.assertEqual(
                -number,
                self.same(
                    "die",
                    str(int(number)),
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
                )[0],
            )
        self.assertEqual([-15, -9, -11, -13], [call["exit_status"] for call in self.calls()[2:]])

    def test_a_signal_for_the_group_comes_once_and_sigkill_takes_claude_along(self) -> None:
        sh = [
            "/bin/sh",
            "-c",
            'claude trap touch "$0" wait "$1"; echo $?',
            f"{self.home}/ready",
            f"{self.home}/go",
        ]
        env = {
            "PATH": f"{self.folder}:{self.real.parent}:/usr/bin:/bin",
            "SAW": str(self.saw),
            "HOME": str(self.home),
        }
        caller = subprocess.Popen(
            sh, env=env, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.addCleanup(self.finish, caller)
        wait_for((self.home / "ready").exists)
        os.killpg(caller.pid, signal.SIGUSR1)
        wait_for(lambda: len(self.seen()) > 1)
        (self.home / "go").touch()
        caller.communicate(timeout=60)
        self.assertEqual([{"signal": signal.SIGUSR1}], self.seen()[1:])
        if sys.platform == "linux":
            process = self.begin(True, "touch", f"{self.home}/pid", "wait", f"{self.home}/never")
            pid = int(
                wait_for(lambda: (self.home / "pid").exists() and (self.home / "pid").read_text())
            )
            process.kill()
            wait_for(lambda: not alive(pid))

    def test_who_reads_no_more_is_noticed_and_who_still_writes_is_heard(self) -> None:
        for recorded in (False, True):
            process = self.begin(recorded, "flood")
            process.stdout.read(1)
            process.stdout.close()
            process.stdout = None
            # Python's own BrokenPipeError.
            self.assertEqual(1, process.wait(60))
            process = self.begin(
                recorded, "behind", f"{self.home}/go-on{recorded}", "out", "now", "exit", "5"
            )
            self.assertEqual(5, process.wait(60))
            (self.home / f"go-on{recorded}").touch()
            self.assertEqual(b"nowlate", process.stdout.read())

    def test_sixty_megabytes_pass_and_are_not_kept(self) -> None:
        result = (
            '{"type":"result","subtype":"success","is_error":false,"num_turns":3,'
            '"total_cost_usd":0.5,"result":"%34%done","session_id":"s"}]%10%'
        )
        for head in ("[", "["):
            process = self.begin(
                True,
                "out",
                head,
                "big",
                "60",
                "out",
                result.replace("%34%", "%92%%34%"),
                preexec_fn=little_memory,
            )
            size = sum(map(len, iter(functools.partial(process.stdout.read, 1 << 20), b"")))
            self.assertEqual(0, process.wait(60))
            self.assertGreater(size, 60_000_000)
        self.assertEqual(['"done'] * 2, [call["verdict"]["message"] for call in self.calls()])

    def test_it_notes_what_claude_was_given_said_and_returned_in_order(self) -> None:
        event = '{"type":"result","is_error":true,"result":"no"}%10%'
        process = self.begin(
            True, "read", "out", "noise%10%" + event, "exit", "1", stdin=subprocess.PIPE
        )
        process.communicate(f"before\n{self.words}after".encode(), timeout=60)
        self.begin(
            True, "--resume", "x", "-p", "somebody else's words" + "y" * 300, "out", "[]"
        ).communicate(timeout=60)
        self.begin(True, f"<{self.words}>").communicate(timeout=60)
        first, second, third = self.calls()
        self.assertEqual(
            (1, True, "agent", "claude reports an error: no"),
            (
                first["exit_status"],
                first["prompt"]["ours"],
                first["verdict"]["failure"],
                first["verdict"]["message"],
            ),
        )
        self.assertEqual(
            (0, False, 321, "claude did not end properly: it printed no result event"),
            (
                second["exit_status"],
                second["prompt"]["ours"],
                second["prompt"]["bytes"],
                second["verdict"]["message"],
            ),
        )
        self.assertEqual(["--resume", "x", "-p"], second["argv"][:3])
        self.assertNotIn("somebody", (self.attempt / recorder.NOTES).read_text())
        self.assertTrue(third["prompt"]["ours"])
        notes = self.attempt / recorder.NOTES
        notes.write_bytes(notes.read_bytes()[:-20])
        self.assertEqual([1, 0, None], [call.get("exit_status") for call in self.calls()])
        self.begin(True, "exit", "4").communicate(timeout=60)
        self.assertEqual([1, 0, None, 4], [call.get("exit_status") for call in self.calls()])

    def test_another_recorder_is_no_claude_and_without_a_claude_it_says_so(self) -> None:
        other = self.home / "other"
        other.mkdir()
        self.real.rename(self.real.parent / "hidden")
        (self.real.parent / "claude").symlink_to(Path(recorder.install(str(other), ZIP), "claude"))
        process = self.begin(True, "out", "x")
        self.assertEqual((b"", b"claude: command not found\n"), process.communicate(timeout=60))
        self.assertEqual(
            (127, [127], []),
            (
                process.returncode,
                [call["exit_status"] for call in self.calls()],
                recorder.calls(str(other)),
            ),
        )
        self.assertFalse(self.saw.read_text())

    def test_json_is_asked_for_with_all_events_and_nothing_else_is_changed(self) -> None:
        for given, wanted in (
            (["--output-format", "json", "x"], ["--verbose", "--output-format", "json", "x"]),
            (["-p", "--output-format=json"], ["--verbose", "-p", "--output-format=json"]),
            (["--verbose", "--output-format", "json"], ["--verbose", "--output-format", "json"]),
            (["--output-format", "text"], ["--output-format", "text"]),
            (["-p", "json"], ["-p", "json"]),
        ):
            with self.subTest(given):
                self.begin(True, *given).communicate(timeout=60)
                saw = json.loads(self.saw.read_text().splitlines()[0])
                self.assertEqual(wanted, [bytes.fromhex(word).decode() for word in saw["argv"]])
                # What gummy itself asked for is noted.
                self.assertEqual(given, self.calls()[-1]["argv"])

    def test_a_claude_that_goes_on_after_its_result_counts_as_what_it_said(
        self,
    ) -> None:
        for is_error, wanted in (("false", 0), ("true", 1)):
            event = f'{{"type":"result","is_error":{is_error},"result":"x"}}%10%'
            process = self.begin(True, "trap", "out", event, "wait", f"{self.home}/never")
            out, _err = process.communicate(timeout=60)
            self.assertEqual((wanted, True), (process.returncode, b'"result"' in out))
            self.assertIn("x", self.calls()[-1]["verdict"]["message"])
