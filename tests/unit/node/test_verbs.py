"""The verbs: replies, refusals, polls, logs, and the node program as rsync's remote side."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from node_case import (
    ROOT,
    STARTER,
    ZIP,
    A,
    NodeCase,
    alive,
    belongs,
    end,
    is_locked,
    replies,
    wait_for,
    write_durably,
)

# As a link does where there is no ssh.
LOCAL = "/bin/sh -c 'shift; exec /bin/sh -c \"$*\"' sh"

# What a poll tells of an agent's output.
SAID = ("state", "text", "size")


class VerbsTest(NodeCase):
    def rsync(self, remote: list[str], *words: str) -> tuple[int, list[dict]]:
        argv = ["rsync", "-rlpt", "-e", LOCAL, "--rsync-path=" + shlex.join(remote), *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=60, check=False)
        return done.returncode, replies(done.stderr)

    def fake_rsync(self, script: str) -> None:
        folder = self.home / "fake"
        folder.mkdir()
        (folder / "rsync").write_text("#!/bin/sh\n" + script)
        (folder / "rsync").chmod(0o755)
        self.env["PATH"] = f"{folder}:{self.env['PATH']}"

    # -- replies

    def test_whatever_comes_in_the_answer_is_json_and_the_status_never_255(self) -> None:
        bad = {
            "attempt": "../../x",
            "attempts": ["../x"],
            "key": "k",
            "slots": 1,
            "generation": 1,
            "spec": {},
            "controller": "c",
        }
        good = json.dumps({"attempt": A + "1"}).encode() + b"\n"
        cases = [
            (verb, bad, "input")
            for verb in ("claim", "release", "start", "fence", "cancel", "logs", "ack")
        ]
        cases += [("adopt", {"uid": "../x", "run_id": "r", "controller": "c"}, "input")]
        cases += [
            (verb, data, None)
            for verb in ("claim", "poll", "list", "specialists")
            for data in (b"", b"no json\n", b"[1]\n", b"\xff\n")
        ]
        cases += [
            ("claim", {**bad, "attempt": A + "1", "key": "-e"}, "input"),
            ("no-such-verb", good, "program"),
            ("logs", good, None),
        ]
        for verb, request, kind in cases:
            with self.subTest(verb=verb, request=request):
                process = self.begin(verb, request)
                reply = replies(process.communicate(timeout=60)[0])[-1]
                self.assertEqual("refused", reply["state"])
                self.assertIn(reply["class"], {kind} if kind else {"program"})
                self.assertTrue(reply["message"] and reply["blame"] in ("node", "ours"))
                self.assertIn(process.returncode, (0, 1))
        self.assertEqual([], os.listdir(os.path.join(self.store.root, "attempts")))

    def test_a_python_that_is_too_old_is_told_in_json(self) -> None:
        old = [
            path
            for version in ("2.7", "3.6", "3.7", "3.8")
            for path in Path.home().glob(f".pyenv/versions/{version}*/bin/python")
        ]
        if not old:
            self.skipTest("no Python older than 3.9 on this machine")
        for python in old:
            for argv in (
                ["-c", STARTER, ZIP],
                [ZIP],
                [str(ROOT / "plugins/plugin_utils/_node/__main__.py")],
            ):
                with self.subTest(python=python, argv=argv):
                    done = subprocess.run(
                        [str(python), *argv, "claim"],
                        input=b"{}\n",
                        capture_output=True,
                        timeout=60,
                        check=False,
                    )
                    (reply,) = replies(done.stdout)
                    self.assertEqual(
                        ("refused", "python", "node", 1),
                        (reply["state"], reply["class"], reply["blame"], done.returncode),
                    )
                    self.assertIn("too old", reply["message"])

    # -- poll, list, logs, ack

    def test_a_poll_tells_each_end_of_its_run_once_and_stops_when_its_caller_is_gone(self) -> None:
        self.run_job("other" + A + "1")
        self.run_job(A + "1", command="exit 1")
        self.start(A + "2", command="while ! [ -e go ]; do sleep 0.02; done")
        poll = self.begin("poll", {"prefix": A, "told": [A + "1"]})
        self.assertEqual("watching", replies(poll.stdout.readline())[0]["state"])
        (self.tree() / "go").touch()
        told = replies(poll.stdout.readline())[0]
        self.assertEqual(
            ("ended", A + "2", "exit status 0", self.store.id),
            tuple(told[key] for key in ("state", "attempt", "proof", "store")),
        )
        # A poll nobody ends takes 25 s.
        out, _errors = poll.communicate(timeout=15)
        self.assertEqual([], replies(out))

    def test_a_poll_tells_of_signs_of_life_what_is_news(self) -> None:
        self.start(A + "1", command="while ! [ -e go ]; do sleep 0.02; done")
        signs = {"quiet": 0.0, "at": 1.5e9, "waits": "", "words": ""}
        signs = {**signs, "cost_usd": None, "turns": None, "tokens": None}
        path = Path(self.store.attempt(A + "1").path("signs.json"))
        poll = self.begin("poll", {"prefix": A, "told": []})
        self.assertEqual("watching", replies(poll.stdout.readline())[0]["state"])
        for news in ({}, {"quiet": 65.0}, {"quiet": 66.0}, {"waits": "waits for x, try 1 of 9"}):
            write_durably(str(path), json.dumps({**signs, **news}).encode())
            if news and news != {"quiet": 66.0}:
                told = replies(poll.stdout.readline())[0]
                self.assertEqual(("signs", A + "1"), (told["state"], told["attempt"]))
                self.assertEqual({**signs, **news}, told["signs"])
            else:
                time.sleep(0.6)
        (self.tree() / "go").touch()
        self.assertEqual("ended", replies(poll.stdout.readline())[0]["state"])
        poll.communicate(timeout=60)

    def test_a_lively_poll_tells_of_words_and_cost_that_are_new(self) -> None:
        self.start(A + "1", command="while ! [ -e go ]; do sleep 0.02; done")
        signs = {"quiet": 0.0, "at": 1.5e9, "waits": "", "words": ""}
        signs = {**signs, "cost_usd": None, "turns": None, "tokens": None}
        path = Path(self.store.attempt(A + "1").path("signs.json"))
        poll = self.begin("poll", {"prefix": A, "told": [], "lively": True})
        self.assertEqual("watching", replies(poll.stdout.readline())[0]["state"])
        for number, news in enumerate(({"words": "a"}, {"words": "a"}, {"cost_usd": 0.5})):
            write_durably(str(path), json.dumps({**signs, **news, "turns": number}).encode())
            if number != 1:
                self.assertEqual(number, replies(poll.stdout.readline())[0]["signs"]["turns"])
            else:
                time.sleep(0.6)
        (self.tree() / "go").touch()
        self.assertEqual("ended", replies(poll.stdout.readline())[0]["state"])
        poll.communicate(timeout=60)

    def test_a_poll_that_is_asked_for_it_tells_what_an_agent_prints_to_its_end(self) -> None:
        command = "echo one; while ! [ -e go ]; do sleep 0.02; done; echo two; printf half"
        self.start(A + "1", command=command)
        poll = self.begin("poll", {"prefix": A, "told": [], "said": {}})
        self.assertEqual("watching", replies(poll.stdout.readline())[0]["state"])
        told = replies(poll.stdout.readline())[0]
        self.assertEqual(("said", "one\n", 4), tuple(told[key] for key in SAID))
        (self.tree() / "go").touch()
        told = replies(poll.stdout.readline())[0]
        self.assertEqual(("said", "two\n", 8), tuple(told[key] for key in SAID))
        self.assertEqual("ended", replies(poll.stdout.readline())[0]["state"])
        poll.communicate(timeout=60)

    def test_the_list_says_what_is_there_and_in_which_state(self) -> None:
        self.run_job(A + "1")
        self.ask("fence", attempt=A + "3")
        self.start(A + "2", command="while ! [ -e go ]; do sleep 0.02; done", run_id="another")
        self.assertEqual(
            [(A + "1", "ended"), (A + "2", "running")],
            [(row["attempt"], row["state"]) for row in self.listed(A)],
        )
        self.assertEqual(
            [(A + "2", "job-1", False)],
            [
                (row["attempt"], row["job"], row["acknowledged"])
                for row in self.listed(run_id="another")
            ],
        )
        self.assertEqual([], self.listed("nothing"))
        for word, ids in ((A + "2", [A + "2"]), ("job-1", [A + "1", A + "2"]), ("job", [])):
            self.assertEqual(ids, [row["attempt"] for row in self.listed(word=word)])
        (self.tree() / "go").touch()

    def test_the_list_says_when_attempts_began_and_ended_and_may_leave_out_what_ended_long_ago(
        self,
    ) -> None:
        self.run_job(A + "1", command="exit 3")
        self.start(A + "2", command="while ! [ -e go ]; do sleep 0.02; done")
        wait_for(lambda: self.store.attempt(A + "2").has("agent"))
        ended, running = self.listed(A)
        self.assertEqual(
            (ended["ended"]["seconds"], "agent"), (ended["seconds"], ended["ended"]["class"])
        )
        self.assertTrue(
            ended["begun_at"]
            <= ended["ended_at"]
            <= running["begun_at"]
            <= running["begun_at"] + running["seconds"]
            <= time.time() + 0.001
        )
        self.assertEqual((None, None), (running["ended_at"], running["ended"]))
        mark = self.store.attempt(A + "1").path("ended.json")
        os.utime(mark, (time.time() - 3600,) * 2)
        self.assertEqual(
            [[A + "2"], [A + "1", A + "2"]],
            [[row["attempt"] for row in self.listed(A, within=within)] for within in (1800, 7200)],
        )
        (self.tree() / "go").touch()

    def test_an_ack_counts_for_what_ended_and_may_come_twice(self) -> None:
        self.run_job(A + "1")
        self.start(A + "2", command="while ! [ -e go ]; do sleep 0.02; done")
        for _time in range(2):
            self.assertEqual(
                "acknowledged",
                self.ask("ack", attempts=[A + "1", A + "2", A + "9"], controller="c")["state"],
            )
        self.assertEqual([True, False], [row["acknowledged"] for row in self.listed(A)])
        (self.tree() / "go").touch()

    def test_of_a_big_log_the_end_is_read_and_no_character_is_cut(self) -> None:
        attempt = self.store.attempt(A + "1")
        attempt.create()
        Path(attempt.log).write_bytes("ä€".encode() * 3_500_000 + b"\xff last\n")
        out, _errors = self.begin("logs", {"attempt": A + "1"}).communicate(timeout=60)
        *pieces, last = replies(out)
        text = "".join(piece["text"] for piece in pieces)
        self.assertEqual(("read", 17_500_007), (last["state"], last["size"]))
        self.assertTrue(text.endswith("ä€\\xff last\n"))
        self.assertLess(len(text), 7_000_000)
        self.assertEqual({"ä", "€"}, set(text[8:-10]))

    # -- receive and send

    def test_a_project_goes_out_and_the_harvest_comes_home(self) -> None:
        project = self.home / "my project"
        home = self.home / "harvest"
        project.mkdir()
        (project / "a file").write_text("one\n")
        (project / "tool").write_text("#!/bin/sh\n")
        (project / "tool").chmod(0o755)
        generation = self.claim()["generation"]
        (self.tree() / "old").touch()
        for _time in range(2):
            status, refused = self.rsync(
                self.argv("receive", A + "1", str(generation)),
                "--delete",
                str(project) + "/",
                "node:x/",
            )
            self.assertEqual(0, status)
            self.assertEqual(["made"], [reply["state"] for reply in refused])
        self.assertEqual(["a file", "tool"], sorted(os.listdir(self.tree())))
        self.assertTrue(os.access(self.tree() / "tool", os.X_OK))
        self.ask(
            "start",
            attempt=A + "1",
            generation=generation,
            spec=self.spec(command="echo two >> 'a file'; echo said"),
        )
        self.end()
        self.assertEqual(
            (0, []), self.rsync(self.argv("send", A + "1"), "node:x/", str(home) + "/")
        )
        self.assertEqual(["changes.patch", "log", "result.json"], sorted(os.listdir(home)))
        subprocess.run(["git", "apply", str(home / "changes.patch")], cwd=project, check=True)
        self.assertEqual("one\ntwo\n", (project / "a file").read_text())

    def listing(self) -> dict[str, tuple[int, int]]:
        """Mode and time of all that the state folder has, but for the programs."""
        paths = list(Path(self.store.root).rglob("*"))
        return {str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in paths}

    def preview(self, slots: int, *words: str) -> tuple[int, list[str], list[dict]]:
        source = self.home / "source"
        remote = self.argv("preview", "project", str(slots))
        argv = ["rsync", "-rlpt", "--delete", "--out-format=%i %n", "-e", LOCAL]
        argv += ["--rsync-path=" + shlex.join(remote), *words, str(source) + "/", "node:x/"]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout.decode().splitlines(), replies(done.stderr)

    def test_the_first_workspace_gets_the_mirror_and_others_are_made_when_they_need_it(
        self,
    ) -> None:
        source = self.home / "source"
        (source / "d").mkdir(parents=True)
        # The last one appeared when the list was made.
        for name in ("a", "d/b", "d/late"):
            (source / name).write_text(name)
        header = {"repositories": [], "plain": [], "patterns": ["*.o"]}
        (source / os.fsdecode(belongs.LIST)).write_bytes(belongs.pack(header, [b"a", b"d/b"]))
        trees = {}
        asked: dict[str, dict[str, object]] = {}
        for number in "123":
            claimed = self.ask("claim", attempt=A + number, key="project", slots=3)
            trees[number] = Path(claimed["workspace"]) / "tree"
            asked[number] = {
                "attempt": A + number,
                "generation": claimed["generation"],
                "digest": "d",
            }
        mirror = trees["1"].parent.parent / "mirror"

        def sync(number: str) -> object:
            words = (A + number, str(asked[number]["generation"]))
            _status, (reply,) = self.rsync(
                self.argv("receive", *words), str(source) + "/", "node:x/"
            )
            return reply["changes"]

        self.assertEqual(3, sync("1"))
        inode = (trees["1"] / "a").stat().st_ino
        self.assertFalse((mirror / "tree").exists())
        self.assertEqual(["a", "d"], sorted(os.listdir(trees["1"])))
        self.assertEqual(["b"], os.listdir(trees["1"] / "d"))
        # Nobody has said yet that it is the project's state.
        self.assertEqual("stale", self.ask("remake", **asked["2"])["state"])
        self.ask("mirrored", **asked["1"])
        (trees["1"] / "new").touch()
        (trees["1"] / "made.o").touch()
        made = self.ask("remake", **asked["1"])
        self.assertEqual((1, 1), (made["changes"], made["deleted"]))
        self.assertEqual(["a", "d", "made.o"], sorted(os.listdir(trees["1"])))
        self.assertFalse((mirror / "tree").exists())

        # Another one needs it.
        self.assertEqual(3, self.ask("remake", **asked["2"])["changes"])
        self.assertEqual("d/b", (trees["2"] / "d/b").read_text())
        self.assertTrue((mirror / "tree" / "a").exists())
        others = {(tree / "a").stat().st_ino for tree in (trees["2"], mirror / "tree")}
        self.assertEqual(3, len(others | {inode}))

    def test_what_an_agent_changed_in_the_first_workspace_comes_from_home_again(self) -> None:
        source = self.home / "source"
        source.mkdir()
        for name in ("a", "b"):
            (source / name).write_text(name)
        header = {"repositories": [], "plain": [], "patterns": []}
        (source / os.fsdecode(belongs.LIST)).write_bytes(belongs.pack(header, [b"a", b"b"]))
        generation = self.claim()["generation"]
        request = {"attempt": A + "1", "generation": generation, "digest": "d"}
        words = (self.argv("receive", A + "1", str(generation)), str(source) + "/", "node:x/")
        self.rsync(*words)
        self.ask("mirrored", **request)
        before = (self.tree() / "a").stat()
        (self.tree() / "a").write_text("A")
        os.utime(self.tree() / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertEqual("stale", self.ask("remake", **request)["state"])
        self.assertEqual("stale", self.ask("remake", **request)["state"])
        self.rsync(*words)
        mirror = self.tree().parent.parent / "mirror" / "tree"
        self.assertEqual("a", (mirror / "a").read_text())

    def test_a_preview_tells_what_a_sync_would_send_and_makes_nothing(self) -> None:
        source = self.home / "source"
        source.mkdir()
        (source / "new").write_text("x")
        # The store is there; it has no workspace yet.
        self.ask("list")
        before = self.listing()
        status, lines, refused = self.preview(1, "--dry-run")
        self.assertEqual((0, []), (status, refused))
        self.assertIn("<f+++++++++ new", lines)
        self.assertEqual(before, self.listing())

        # Then it is compared with what the next claim would be given.
        generation = self.ask("claim", attempt=A + "1", key="project", slots=1)["generation"]
        (self.home / "source" / "old").touch()
        words = ("--delete", str(source) + "/", "node:x/")
        self.rsync(self.argv("receive", A + "1", str(generation)), *words)
        (source / "old").unlink()
        status, lines, refused = self.preview(1, "--dry-run")
        self.assertEqual("refused", refused[0]["state"])
        self.ask("release", attempt=A + "1")
        before = self.listing()
        status, lines, refused = self.preview(1, "--dry-run")
        self.assertEqual((0, []), (status, refused))
        self.assertEqual(["*deleting   old"], [line for line in lines if " ./" not in line])
        self.assertEqual(before, self.listing())

    def test_a_preview_that_would_change_files_is_refused(self) -> None:
        (self.home / "source").mkdir()
        (self.home / "source" / "new").touch()
        self.ask("list")
        before = self.listing()
        status, _lines, (reply,) = self.preview(1)
        self.assertNotIn(status, (0, 255))
        self.assertEqual("refused", reply["state"])
        self.assertEqual(before, self.listing())

    def test_a_sync_without_a_claim_is_refused_in_json_and_changes_nothing(self) -> None:
        generation = self.claim()["generation"]
        source = self.home / "source"
        source.mkdir()
        (source / "new").touch()
        for words in (
            (A + "1", str(generation + 1)),
            (A + "2", str(generation)),
            ("../x", "1"),
            (A + "1", "x"),
            (A + "1",),
        ):
            with self.subTest(words):
                status, (reply,) = self.rsync(
                    self.argv("receive", *words), str(source) + "/", "node:x/"
                )
                self.assertNotIn(status, (0, 255))
                self.assertEqual("refused", reply["state"])
        self.assertEqual([], os.listdir(self.tree()))

    def test_while_a_sync_goes_on_its_workspace_is_locked_and_its_lease_renewed(self) -> None:
        self.fake_rsync(
            f"while [ -d '{self.home}' ] && ! [ -e '{self.home}/go' ]; do sleep 0.02; done\n"
        )
        generation = self.claim()["generation"]
        short = (
            f"import sys; sys.path.insert(0, {ZIP!r}); from _node import claim, verbs;"
            " claim.RENEW = 0.05; sys.exit(verbs.main(sys.argv[1:]))"
        )
        argv = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            short,
            "receive",
            A + "1",
            str(generation),
            "--server",
            "x/",
        ]
        sync = subprocess.Popen(argv, env=self.env)
        claims = Path(self.store.root, "claims.json")
        seen = set()

        def renewed() -> bool:
            seen.update(row["expires"] for row in json.loads(claims.read_text())["rows"])
            return len(seen) > 5

        wait_for(renewed)
        self.assertTrue(is_locked(str(self.tree().parent / "lock")))
        (self.home / "go").touch()
        self.assertEqual(0, sync.wait(timeout=60))
        self.assertFalse(is_locked(str(self.tree().parent / "lock")))

    def test_a_sync_that_slept_before_it_had_the_lock_does_not_write_into_what_is_another_ones(
        self,
    ) -> None:
        self.fake_rsync(f"touch '{self.home}/wrote'\n")
        generation = self.claim(slots=9)["generation"]
        slow = f"""if True:
            import os, sys, time
            sys.path.insert(0, {ZIP!r})
            from _node import verbs
            lock = verbs.try_lock
            def sleepy(*words, **more):
                open({str(self.home / "asleep")!r}, "w").close()
                while not os.path.exists({str(self.home / "go")!r}):
                    time.sleep(0.01)
                return lock(*words, **more)
            verbs.try_lock = sleepy
            sys.exit(verbs.main(sys.argv[1:]))"""
        argv = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            slow,
            "receive",
            A + "1",
            str(generation),
            "--server",
            "x/",
        ]
        sync = subprocess.Popen(argv, env=self.env, stderr=subprocess.PIPE)
        wait_for((self.home / "asleep").exists)
        claims = Path(self.store.root, "claims.json")
        # Its lease ran out meanwhile.
        claims.write_text(json.dumps({**json.loads(claims.read_text()), "rows": []}))
        self.assertEqual(str(self.tree().parent), self.claim(A + "2", slots=9)["workspace"])
        (self.home / "go").touch()
        (reply,) = replies(sync.communicate(timeout=60)[1])
        self.assertEqual(("refused", "lease"), (reply["state"], reply["class"]))
        self.assertFalse((self.home / "wrote").exists())

    def test_a_small_harvest_comes_with_the_word_that_its_attempt_ended_and_a_big_one_does_not(
        self,
    ) -> None:
        self.run_job(A + "1", command="echo said; echo x > new.txt")
        harvest = Path(self.store.attempt(A + "1").harvest)
        self.assertEqual({"log", "changes.patch", "result.json"}, set(self.files))
        self.assertEqual(
            {path.name: path.read_bytes() for path in harvest.iterdir()},
            {n: base64.b64decode(t) for n, t in self.files.items()},
        )
        self.run_job(A + "2", command="head -c 40000 /dev/zero")
        self.assertIsNone(self.files)

    def test_rsyncs_own_end_never_looks_like_sshs(self) -> None:
        # Under nohup it is ignored.
        hang_up = "import os, signal; signal.signal(1, signal.SIG_DFL); os.kill(os.getpid(), 1)"
        self.fake_rsync(
            f'shift $(($# - 2)); case "$1" in 1) exec {sys.executable} -c "{hang_up}";;'
            ' *) exit "$1";; esac\n'
        )
        generation = self.claim()["generation"]
        for said, wanted in (("255", 1), ("1", 1), ("23", 23), ("0", 0)):
            done = subprocess.run(
                self.argv("receive", A + "1", str(generation), "--server", said, "x/"),
                env=self.env,
                timeout=60,
                check=False,
            )
            self.assertEqual(wanted, done.returncode)

    def test_a_start_ends_an_rsync_whose_client_vanished(self) -> None:
        self.fake_rsync(f"echo $$ > '{self.home}/pid'; exec sleep 600\n")
        generation = self.claim()["generation"]
        sync = subprocess.Popen(
            self.argv("receive", A + "1", str(generation), "--server", "x/"), env=self.env
        )
        rsync = int(
            wait_for(lambda: (self.home / "pid").exists() and (self.home / "pid").read_text())
        )
        self.addCleanup(end, rsync)
        end(sync.pid)
        sync.wait()
        self.assertTrue(alive(rsync))
        self.assertEqual(
            "started",
            self.ask("start", attempt=A + "1", generation=generation, spec=self.spec())["state"],
        )
        self.assertFalse(alive(rsync))
        self.assertIsNone(self.end()["class"])
