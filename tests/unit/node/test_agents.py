"""The agents on a node: what is run, and how their ends are read."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path
from unittest import mock

from agent_case import OTHERS, SETTINGS, AgentCase
from node_case import A, agents, awake, flow, launch, processes, replies, row, states, supervisor

# What an agent never tells: it waits for that to pass, or says something else.
NEVER = {
    "opencode": ("limit",),
    "qwen": ("limit", "credit"),
    "gemini": ("credit",),
}
# Agent and outcome -> words of the message, where they are not those of claude.
WORDS = {
    ("codex", "limit"): "usage limit",
    ("codex", "credit"): "Quota exceeded",
    ("codex", "busy"): "overloaded",
    ("codex", "logged out"): "401 Unauthorized",
    ("opencode", "credit"): "exceeded your current quota",
    ("opencode", "busy"): "overloaded",
    ("opencode", "logged out"): "Incorrect API key",
    ("qwen", "busy"): "overloaded",
    ("qwen", "logged out"): "Incorrect API key",
    ("gemini", "limit"): "exhausted your daily quota",
    ("gemini", "busy"): "overloaded",
    ("gemini", "logged out"): "not logged in",
}

WORDS_OF_QWEN = ["-o", "stream-json", "--approval-mode", "auto-edit"]


class AgentsTest(AgentCase):
    def test_a_good_run_has_a_proof_a_cost_a_report_and_a_patch(self) -> None:
        report = (
            "run for f in ~/.claude/logs/gummy/*-task.log; do echo fine >"
            ' ~/.claude/agent_comms/gummy/$(basename "$f" .log)-report.md; done'
        )
        ended = self.gummy(prompt="write new.txt hello\n" + report + "\ncost 0.25\nsay All good")
        self.assertEqual(
            (None, "claude's result event", 0.25, "All good"),
            tuple(ended[key] for key in ("class", "proof", "cost_usd", "message")),
            ended,
        )
        self.assertRegex(ended["watch"], "^gummy-watch gummy-[0-9]+$")
        harvest = Path(self.store.attempt(A + "1").harvest)
        self.assertEqual("fine\n", (harvest / "report.md").read_text())
        self.assertIn("+hello", (harvest / "changes.patch").read_text())

    def test_a_running_job_says_how_to_watch_it_once(self) -> None:
        self.start(A + "1", agent="gummy", prompt=f"wait {self.home}/go", command=None)
        poll = self.begin("poll", {"prefix": A, "told": [], "watchable": []})
        seen = [replies(poll.stdout.readline())[0], replies(poll.stdout.readline())[0]]
        self.assertEqual(["watching", "progress"], [reply["state"] for reply in seen])
        self.assertRegex(seen[1]["watch"], r"^gummy-watch gummy-[0-9]+$")
        (self.home / "go").touch()
        self.assertEqual("ended", replies(poll.stdout.readline())[0]["state"])
        poll.communicate(timeout=60)

    def prepare(self, way: str) -> None:
        """The ways in which gummy works, and the one row of each other agent."""
        if way == "gummy of the home":
            self.specialists_at(self.home)
        elif way == "gummy by GUMMY_DIR":
            self.specialists_at(self.home / "elsewhere")
            self.env["GUMMY_DIR"] = str(self.home / "elsewhere/.gummy")
        elif way == "gummy resuming":
            self.store.make_workspace("project", 0)
            self.specialists_at(self.tree())
            self.assertEqual(
                "claude's result event", self.run_agent(way, A + "first", "say hello")["proof"]
            )
            self.assertTrue(
                (self.tree() / ".gummy/specialists/general-specialist/session.txt").exists()
            )

    def test_how_every_agent_ends_is_read_from_its_own_word(self) -> None:
        scripts = {
            "success": (
                "write made hello ;; cost 0.25 ;; turns 4 ;; say All good",
                "echo hello > made",
            ),
            "is_error": ("write made half ;; is_error The model is confused", None),
            "no result": ("no_result", None),
            "exit status": ("fail 3", "exit 3"),
            "limit": ("limit", None),
            "credit": ("credit", None),
            "busy": ("busy", None),
            "term": ("run kill -15 $PPID; sleep 5", "exit 143"),
            "signal": ("run kill -9 $PPID", "kill -9 $$"),
            # The last one: the node remembers it.
            "logged out": ("logged_out", None),
        }
        ends = {
            "success": (None, ""),
            "limit": ("quota", "You've hit your 5-hour limit"),
            "credit": ("quota", "Credit balance is too low"),
            "busy": ("quota", "Overloaded"),
            "logged out": ("login", "Not logged in"),
            "term": ("killed", "SIGTERM"),
            "signal": ("killed", "SIGKILL"),
        }
        ends |= {
            "is_error": ("agent", "The model is confused"),
            "no result": ("agent", "no result event"),
            "exit status": ("agent", "exit status 3"),
        }
        ways = (
            "shell",
            "claude",
            "gummy",
            "gummy of the home",
            "gummy resuming",
            "gummy by GUMMY_DIR",
        )
        ways += OTHERS
        self.assertEqual(set(agents.AGENTS), {way.partition(" ")[0] for way in ways})
        for way in ways:
            self.doCleanups()
            # A home of its own.
            self.setUp()
            self.prepare(way)
            for number, (outcome, (prompt, command)) in enumerate(scripts.items()):
                text = command if way == "shell" else prompt
                if text is None or outcome in NEVER.get(way, ()):
                    continue
                if way == "gummy by GUMMY_DIR" and outcome not in ("success", "is_error"):
                    continue
                with self.subTest(way, outcome=outcome):
                    ended = self.run_agent(way, f"{A}{number}", text)
                    failure, words = ends[outcome]
                    words = WORDS.get((way, outcome), words)
                    self.assertEqual(
                        (failure, failure is None),
                        (ended["class"], ended["proof"] is not None),
                        ended,
                    )
                    self.assertIn(words, ended["message"])
                    kinds = {"limit": "reset", "credit": "credit", "busy": "busy"}
                    self.assertEqual(kinds.get(outcome), ended["kind"])
                    has_reset = outcome == "limit" and way != "gemini"
                    self.assertEqual(has_reset, ended["reset_at"] is not None)
                    if way in OTHERS and outcome == "success":
                        self.check_what_is_told(way, ended)
                    elif way != "shell" and outcome == "success":
                        told = {
                            key: ended[key] for key in ("proof", "message", "cost_usd", "turns")
                        }
                        self.assertEqual(
                            {
                                "proof": "claude's result event",
                                "message": "All good",
                                "cost_usd": 0.25,
                                "turns": 4,
                            },
                            told,
                        )
                        self.assertRegex(ended["session_id"], "^[0-9a-f-]{36}$")
                        self.assertEqual("hello\n", (self.tree() / "made").read_text())

    def check_what_is_told(self, agent: str, ended: dict) -> None:
        """What a good run of one that is not claude tells of itself."""
        dollars = 0.25 if agent == "opencode" else None
        self.assertEqual((dollars, "All good"), (ended["cost_usd"], ended["message"]), ended)
        self.assertIn(agent, ended["proof"])
        self.assertEqual({"input": 2400, "output": 68}, ended["tokens"])
        self.assertTrue(ended["session_id"])
        self.assertEqual("hello\n", (self.tree() / "made").read_text())

    def test_a_specialist_works_though_gummy_does_not_ask_claude_for_all_events(self) -> None:
        self.specialists_at(self.home)
        ended = self.gummy(prompt="write made x ;; cost 0.25")
        self.assertEqual((None, 0.25), (ended["class"], ended["cost_usd"]), ended)
        folder = self.home / ".gummy/specialists/general-specialist"
        self.assertIn("status: dormant", (folder / "meta.yaml").read_text())
        # The second call goes on with the session, whose total is of both.
        ended = self.gummy(A + "2", prompt="write more y ;; cost 0.5")
        self.assertEqual((None, 0.5), (ended["class"], ended["cost_usd"]), ended)

    def test_jq_s_error_in_specialist_mode_is_a_failure_and_says_what_was_not_read(self) -> None:
        self.specialists_at(self.home)
        ended = self.gummy(prompt="object")
        self.assertEqual(("agent", 0.01), (ended["class"], ended["cost_usd"]))
        self.assertEqual(
            "gummy ended with exit status 5: it could not read what claude printed (jq: error"
            ' (at <stdin>:1): Cannot index number with string "type")',
            ended["message"],
        )

    def test_a_prompt_arrives_as_text_whatever_it_begins_with(self) -> None:
        for number, prompt in enumerate(("/clear", "/review it", "-x --help", " -y", "--")):
            with self.subTest(prompt):
                ended = self.run_agent("claude", f"{A}{number}", prompt)
                self.assertEqual((None, 1), (ended["class"], ended["turns"]), ended)
                argument = agents.AGENTS["gummy"].argv({"prompt": prompt})
                self.assertEqual(["gummy", "task"], argument[:2])
                self.assertFalse(argument[2].startswith("-"))
                self.assertEqual(prompt.strip(), argument[2].strip())
        lines = (self.home / "claude-starts.log").read_text().splitlines()
        wanted = [" /clear", " /review it", "-x --help", " -y", "--"]
        self.assertEqual(
            [hashlib.sha256(text.encode()).hexdigest() for text in wanted],
            [line.split()[1] for line in lines],
        )

    def test_gummy_takes_no_more_than_one_word_and_says_so(self) -> None:
        refused = self.start(agent="gummy", prompt="x" * (128 << 10), command=None)
        self.assertEqual(
            ("refused", "input", "input"), (refused["state"], refused["class"], refused["blame"])
        )
        self.assertIn("one word of a command line", refused["message"])
        self.assertIsNone(agents.AGENTS["gummy"].refusal({"prompt": "x" * ((128 << 10) - 1)}))

    def test_what_was_refused_and_nothing_done_is_no_success(self) -> None:
        ended = self.run_agent("claude", A + "1", "run git commit -m x")
        self.assertEqual(("agent", None), (ended["class"], ended["proof"]), ended)
        self.assertEqual(["Bash: git commit -m x"], ended["denied"])
        self.assertIn("it can't commit", ended["message"])
        self.assertIn("allowed_tools: 'Bash(git *)'", ended["message"])
        self.assertNotIn("doubt", ended)
        # With a change it is one, and says it.
        ended = self.run_agent("claude", A + "2", "write made x ;; run git commit -m x ;; say Made")
        self.assertEqual((None, "claude's result event"), (ended["class"], ended["proof"]))
        self.assertRegex(ended["message"], "^Made; claude was refused Bash: git commit -m x")
        # The setting lets it.
        allowed = {"allowed_tools": "Bash(git *)"}
        ended = self.run_agent("claude", A + "3", "run git --version", settings=allowed)
        self.assertEqual((None, []), (ended["class"], ended["denied"]), ended)

    def test_a_success_that_did_nothing_is_none(self) -> None:
        ended = self.run_agent("claude", A + "1", "empty")
        self.assertEqual(("agent", None), (ended["class"], ended["proof"]), ended)
        self.assertIn("gave no answer", ended["message"])
        ended = self.run_agent("claude", A + "2", "write made x ;; empty")
        self.assertEqual((None, "claude's result event"), (ended["class"], ended["proof"]), ended)

    def test_a_result_counts_though_its_agent_never_ends(self) -> None:
        for way, text in (
            ("claude", "write made x ;; cost 1.25 ;; hang"),
            ("gummy", "write made x ;; cost 1.25 ;; hang"),
            ("claude", "write made x ;; cost 0.75 ;; again ;; cost 0.5 ;; hang"),
        ):
            with self.subTest(way, text=text):
                ended = self.run_agent(way, A + os.urandom(4).hex(), text)
                self.assertEqual((None, 1.25), (ended["class"], ended["cost_usd"]), ended)
                self.assertIn("did not end after its result", ended["message"])
                self.assertEqual([], ended["survivors"])
                self.assertLess(ended["seconds"], 40)

    def test_at_the_time_limit_a_result_counts_and_without_one_what_was_told(self) -> None:
        ended = self.run_agent("claude", A + "1", "cost 1.25 ;; write made x ;; hang", timeout=4)
        self.assertEqual((None, 1.25), (ended["class"], ended["cost_usd"]), ended)
        for way in ("claude", "gummy"):
            text = "cost 1.25 ;; again ;; sleep 60"
            ended = self.run_agent(way, A + way, text, timeout=6)
            self.assertEqual(("timeout", 1.25), (ended["class"], ended["cost_usd"]), ended)

    def test_noise_without_an_end_of_line_and_lines_of_megabytes_hide_nothing(self) -> None:
        text = "write made x ;; mutter Downloading 98% ;; big 20 ;; cost 0.5 ;; say All good"
        for way in ("claude", "gummy"):
            with self.subTest(way):
                ended = self.run_agent(way, A + way, text)
                self.assertEqual((None, 0.5), (ended["class"], ended["cost_usd"]), ended)
                self.assertTrue(ended["message"].endswith("All good"), ended)

    def test_the_bounds_of_the_row_are_set_and_the_user_goes_first(self) -> None:
        show = "run env | grep CLAUDE_CODE | sort > made"
        bypass = {"permission_mode": "bypassPermissions"}
        self.run_agent("claude", A + "1", show, settings=bypass)
        self.assertEqual(
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1\nCLAUDE_CODE_MAX_RETRIES=7\n",
            (self.tree() / "made").read_text(),
        )

    def test_a_node_remembers_that_an_agent_is_not_logged_in(self) -> None:
        # Whether a shell script brings a login along nobody knows, and this double is one.
        self.assertEqual("login", self.run_agent("claude", A + "1", "logged_out")["class"])
        refused = self.start(A + "2", agent="claude", prompt="say hi", command=None)
        self.ask("release", attempt=A + "2")
        self.assertEqual(("login", "node"), (refused["class"], refused["blame"]))
        self.assertIn("log in there", refused["message"])
        # gummy has the same login.
        refused = self.start(A + "3", agent="gummy", prompt="say hi", command=None)
        self.ask("release", attempt=A + "3")
        self.assertEqual("login", refused["class"])
        (listed, *_rest) = self.ask("list", agents=True)["agents"]
        self.assertEqual(
            {"name": "claude", "version": "2.1.332", "logged_in": "no"},
            listed,
        )
        # A person who names the node, or who logs in, is believed.
        self.assertIsNone(self.run_agent("claude", A + "4", "say hi", pinned=True)["class"])
        self.assertEqual("login", self.run_agent("claude", A + "5", "logged_out")["class"])
        (self.home / ".claude/.credentials.json").write_text('{"claudeAiOauth": {}}')
        self.assertIsNone(self.run_agent("claude", A + "6", "say hi")["class"])
        self.assertEqual("yes", self.ask("list", agents=True)["agents"][0]["logged_in"])

    def test_no_login_is_told_by_files_alone_only_where_it_is_certain(self) -> None:
        claude_row = agents.AGENTS["claude"]
        home = str(self.home)
        with mock.patch("sys.platform", "linux"), mock.patch("os.path.isdir", return_value=False):
            self.assertEqual("unknown", claude_row.logged_in(home, {}))
            (self.home / ".claude.json").write_text('{"numStartups": 3}')
            self.assertEqual("no", claude_row.logged_in(home, {}))
            for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_VERTEX"):
                self.assertEqual("unknown", claude_row.logged_in(home, {name: "x"}))
            (self.home / ".claude").mkdir()
            settings = self.home / ".claude/settings.json"
            for text in ('{"apiKeyHelper": "/x"}', '{"env": {"A": "b"}}', "{ damaged"):
                settings.write_text(text)
                self.assertEqual("unknown", claude_row.logged_in(home, {}))
            settings.write_text("{}")
            self.assertEqual("no", claude_row.logged_in(home, {}))
            with mock.patch("sys.platform", "darwin"):
                self.assertEqual("unknown", claude_row.logged_in(home, {}))
            (self.home / ".claude/.credentials.json").write_text('{"claudeAiOauth": {"x": 1}}')
            self.assertEqual("yes", claude_row.logged_in(home, {}))

    def test_what_a_sandbox_or_a_permission_forbids_is_no_success_unless_something_was_done(
        self,
    ) -> None:
        for agent, command in (("codex", "git commit -m x"), ("opencode", "curl http://x")):
            with self.subTest(agent):
                ended = self.run_agent(agent, f"{A}{agent}1", f"run {command}")
                self.assertEqual(("agent", None), (ended["class"], ended["proof"]), ended)
                self.assertIn(command, ended["denied"][0])
                self.assertIn("config.yaml", ended["message"])
        # With a change it is one, and says it; opencode ends there.
        ended = self.run_agent("codex", A + "2", "write made x ;; run git commit -m x ;; say Made")
        self.assertEqual((None, "codex's turn.completed"), (ended["class"], ended["proof"]), ended)
        self.assertRegex(ended["message"], "^Made; codex was refused")
        # More is for the config to say.
        for agent, mode in (("codex", "danger-full-access"), ("opencode", "auto")):
            settings = {**SETTINGS.get(agent, {}), "permission_mode": mode}
            ended = self.run_agent(agent, f"{A}{agent}3", "run : curl x", settings=settings)
            self.assertEqual((None, []), (ended["class"], ended["denied"]), ended)

    def test_what_codex_leaves_in_its_workspace_is_no_work(self) -> None:
        ended = self.run_agent("codex", A + "1", "write made x", project=True)
        self.assertEqual(["made"], [row["path"] for row in ended["harvest"]["changed"]], ended)
        self.assertEqual(([], []), (ended["harvest"]["nested"], ended["harvest"]["left_out"]))
        self.assertEqual(["made"], sorted(os.listdir(self.tree())))
        # What has something in it stays.
        ended = self.run_agent(
            "codex", A + "2", "write .agents/a x ;; run rmdir .git", project=True
        )
        self.assertIn(".agents/a", [row["path"] for row in ended["harvest"]["changed"]], ended)

    def test_opencode_without_a_model_is_refused_and_nothing_is_asked(self) -> None:
        refused = self.start(agent="opencode", prompt="x", command=None, settings={})
        self.assertEqual(
            ("refused", "input", "input"), (refused["state"], refused["class"], refused["blame"])
        )
        self.assertIn("agents: {opencode: {model:", refused["message"])
        self.run_agent("opencode", A + "2", "say hi")
        self.assertFalse((self.home / "opencode-leaked").exists())

    def test_who_waits_for_its_service_for_too_long_is_ended_and_told_why(self) -> None:
        """In this process, for the wait of a row is none of the job's to say."""
        before = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        for name, end in (("codex", ("quota", "busy")), ("qwen", ("quota", "credit"))):
            attempt = self.store.attempt(f"{A}{name}")
            attempt.create()
            spec = {"agent": name, "timeout": 60.0, "settings": {}, "workspace": str(self.home)}
            (self.home / "tree").mkdir(exist_ok=True)
            attempt.mark("spec.json", json.dumps(spec).encode())
            states.move(attempt, "start")

            def begin(
                attempt: object = attempt, program: str = str(self.home / "my bin" / name)
            ) -> subprocess.Popen:
                options = {"codex": ["exec", "--json", "-"], "qwen": WORDS_OF_QWEN}
                marked = {**os.environ, "HOME": str(self.home), processes.MARKER: attempt.id}
                child = subprocess.Popen(
                    [program, *options[Path(program).name]],
                    cwd=self.home / "tree",
                    env=marked,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
                self.addCleanup(child.__exit__, None, None, None)
                child.stdin.write(b"write made x ;; waits")
                child.stdin.close()
                return child

            agent = agents.AGENTS[name]
            prepared = launch.Prepared(begin, agent.reader())
            with (
                self.subTest(name),
                mock.patch.object(agent, "wait_most", 0.0, create=True),
                mock.patch.object(flow, "LOG", os.open(os.devnull, os.O_WRONLY)),
                mock.patch.object(processes, "become_subreaper"),
            ):
                ended = supervisor._watch(attempt, spec, prepared, None, awake.Awake())
                self.assertEqual(end, (ended["class"], ended["kind"]), ended)
                self.assertIn("waited for its service", ended["message"])
                self.assertEqual([], ended["survivors"])

    def test_a_wait_that_ends_counts_from_anew(self) -> None:
        spec = {"agent": "codex"}
        attempt = self.store.attempt(A + "1")
        watch = supervisor._Watch(attempt, spec, row.Reader(), 0.0, awake.Awake())
        for now, waits in ((0, True), (599, True), (600, False), (601, True), (1200, True)):
            watch._look_how_long_it_waits(now, waits)
        with self.assertRaises(supervisor._Waited):
            watch._look_how_long_it_waits(1201, True)
        # Who has no such bound may wait for as long as it says.
        watch = supervisor._Watch(attempt, {"agent": "claude"}, row.Reader(), 0.0, awake.Awake())
        for now in (0, 10**6):
            watch._look_how_long_it_waits(now, True)

    def test_an_agent_of_the_config_is_read_as_it_says(self) -> None:
        self.program("mine", '#!/bin/sh\ncat "$1"; cp "$1" seen; exit 0\n')
        stdin = {"argv": ["~/my bin/codex", "exec", "--json", "-"], "prompt": "stdin"}
        for name, own, text, proof in (
            ("reader", {**stdin, "reads": "codex"}, "say hello", "reader's turn.completed"),
            (
                "filer",
                {"argv": ["mine", "{file}"], "prompt": "file", "reads": "exit"},
                "say hello",
                "exit status 0 of filer",
            ),
        ):
            with self.subTest(name):
                given = {"command": None, "prompt": text, "own": own, "project": True}
                ended = self.run_job(A + name, agent=name, **given)
                self.assertEqual((None, proof), (ended["class"], ended["proof"]), ended)
        self.assertEqual("say hello", (self.tree() / "seen").read_text())
        # Who is not there, or not logged in, is so by its own row.
        own = {"argv": ["not-there"], "prompt": "stdin", "reads": "exit"}
        refused = self.start(A + "x", agent="gone", prompt="x", command=None, own=own)
        self.assertEqual(("agent", "node"), (refused["class"], refused["blame"]), refused)
        self.ask("release", attempt=A + "x")
        own = {"argv": ["mine"], "prompt": "stdin", "reads": "exit", "login_file": ".mine/key"}
        listed = self.ask("list", agents=True, own={"own-1": own, "claude": own})
        rows = {row["name"]: row for row in listed["agents"]}
        # Its file shows it, although the program is a shell's script, which might bring a login.
        self.assertEqual("no", rows["own-1"]["logged_in"])
        refused = self.start(A + "y", agent="own-1", prompt="x", command=None, own=own)
        self.assertEqual(("login", "node"), (refused["class"], refused["blame"]), refused)
        self.ask("release", attempt=A + "y")
        (self.home / ".mine").mkdir()
        (self.home / ".mine/key").write_text("x")
        listed = self.ask("list", agents=True, own={"own-1": own})
        rows = {row["name"]: row for row in listed["agents"]}
        self.assertEqual("yes", rows["own-1"]["logged_in"])

    def test_an_agent_that_believes_the_variable_for_where_it_is_works_in_the_project(self) -> None:
        text = "import os; open(os.environ['PWD'] + '/made', 'w').write('x')"
        self.program("mine", f"#!/usr/bin/env python3\n{text}\n")
        own = {"argv": ["mine"], "prompt": "stdin", "reads": "exit"}
        given = {"command": None, "prompt": "x", "own": own, "project": True}
        ended = self.run_job(A + "1", agent="mine", **given)
        self.assertEqual(["made"], [row["path"] for row in ended["harvest"]["changed"]], ended)

    def test_the_version_of_an_agent_is_read_from_files(self) -> None:
        package = self.home / "lib/node_modules/@anthropic-ai/claude-code"
        package.mkdir(parents=True)
        (package / "cli.js").write_text("x")
        (package / "cli.js").chmod(0o755)
        words = '{"name": "claude-code", "version": "2.1.332", "bin": {"claude": "cli.js"}}'
        (package / "package.json").write_text(words)
        native = self.home / "share/claude/versions/2.1.197"
        native.mkdir(parents=True)
        (native / "claude").write_text("x")
        (native / "claude").chmod(0o755)
        for real, wanted in ((package / "cli.js", "2.1.332"), (native / "claude", "2.1.197")):
            link = self.home / "bin" / "claude"
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(real)
            self.assertEqual(wanted, agents.version_of("claude", str(link.parent)))
        self.assertIsNone(agents.version_of("claude", "/nonexistent"))

    def test_a_gummy_that_gives_claude_another_job_s_prompt_or_none_has_not_succeeded(self) -> None:
        stream = "-p --output-format stream-json --verbose --dangerously-skip-permissions"
        for number, (script, failure, words) in enumerate(
            (
                (
                    f"echo write made x | claude {stream}",
                    "agent",
                    "another text than this job's prompt",
                ),
                ("claude --version", "agent", "another text than this job's prompt"),
                ("echo TASK COMPLETED", None, "never called the claude on its PATH"),
                (
                    f'echo write made x | claude {stream}; claude {stream} "$2" < /dev/null',
                    None,
                    "Done.",
                ),
            )
        ):
            self.program("gummy", f"#!/bin/sh\n{script}\n")
            with self.subTest(script):
                ended = self.gummy(f"{A}{number}", prompt="write ours x ;; cost 0.5")
                self.assertEqual(failure, ended["class"], ended)
                self.assertEqual(words == "Done.", ended["proof"] is not None, ended)
                self.assertIn(words, ended["message"])
        # Of both calls.
        self.assertEqual((0.51, 2), (ended["cost_usd"], ended["turns"]))

    def test_verify_proves_what_nothing_else_shows(self) -> None:
        self.program("gummy", "#!/bin/sh\necho x > made\n")
        ended = self.gummy(prompt="x", verify="grep -q x made")
        self.assertEqual((None, "verify"), (ended["class"], ended["proof"]), ended)

    def test_what_claude_says_of_itself_outweighs_an_exit_status_of_0(self) -> None:
        for event, failure in (
            ({"subtype": "success", "is_error": False, "result": "x"}, None),
            ({"subtype": "error_max_turns", "is_error": False}, "agent"),
            ({"subtype": "success", "is_error": True, "result": "You've hit your limit"}, "quota"),
            (
                {
                    "subtype": "success",
                    "total_cost_usd": float("nan"),
                    "num_turns": "many",
                    "session_id": 5,
                    "result": ["x"],
                    "permission_denials": {"a": 1},
                    "usage": [],
                    "model_usage_since_last_result": "much",
                },
                None,
            ),
        ):
            reader = agents.AGENTS["claude"].reader()
            reader.feed("out", json.dumps({"type": "result", **event}).encode())
            reader.end()
            verdict = json.loads(json.dumps(reader.verdict(0)._asdict()))
            call = {"call": "2", "exit_status": 0, "prompt": {"ours": True}, "verdict": verdict}
            for calls in ([call], [{"call": "1", "exit_status": 3}, call]):
                with self.subTest(event), self.subTest(calls):
                    ran = row.Ran(0, row.Reader(), calls=calls)
                    said = agents.result_of(agents.AGENTS["gummy"], ran)
                    self.assertEqual(
                        (failure, None, None), (said.failure, said.cost_usd, said.turns)
                    )
        cut_off = row.Ran(0, row.Reader(), calls=[{"call": "1", "argv": []}])
        self.assertEqual("agent", agents.result_of(agents.AGENTS["gummy"], cut_off).failure)
        self.assertEqual(
            "killed", agents.result_of(agents.AGENTS["gummy"], cut_off._replace(status=-9)).failure
        )

    def test_a_used_up_quota_says_when_it_is_there_again_if_claude_does(self) -> None:
        for text, failure, reset_at in (
            ("Claude AI usage limit reached|1735689600", "quota", 1735689600),
            # Some versions tell it in milliseconds.
            ("Claude AI usage limit reached|1735689600123", "quota", 1735689600),
            ("You've hit your limit, come back later", "quota", None),
            ("Invalid table a|1735689600", "agent", None),
        ):
            for agent in ("gummy", "claude"):
                with self.subTest(text, agent=agent):
                    ended = self.run_agent(agent, A + os.urandom(4).hex(), "is_error " + text)
                    self.assertEqual(
                        (failure, reset_at), (ended["class"], ended["reset_at"]), ended
                    )

    def test_claude_gets_the_prompt_on_stdin_and_the_permission_mode_of_the_settings(self) -> None:
        prompt = '-rf "it\'s" $(touch ran)\n' + "x" * 200_000
        for settings, mode in (({}, "acceptEdits"), ({"permission_mode": "plan"}, "plan")):
            spec = {"prompt": prompt, "settings": settings}
            self.assertEqual(
                [
                    "claude",
                    "-p",
                    "--verbose",
                    "--output-format",
                    "stream-json",
                    "--permission-mode",
                    mode,
                ],
                agents.AGENTS["claude"].argv(spec),
            )
            self.assertEqual(prompt, agents.AGENTS["claude"].stdin(spec))
        self.assertIsNone(self.run_agent("claude", A + "1", prompt)["class"])
        self.assertEqual(
            hashlib.sha256(prompt.encode()).hexdigest(),
            (self.home / "claude-starts.log").read_text().split()[1],
        )
        self.assertIn('"type": "result"', Path(self.store.attempt(A + "1").log).read_text())
        refused = self.run_agent(
            "claude", A + "2", "write made x", settings={"permission_mode": "plan"}
        )
        self.assertIn("claude was refused Write: made (permission mode plan)", refused["message"])
        self.assertFalse((self.tree() / "made").exists())
        self.assertFalse(
            [
                path
                for attempt in self.store.attempts()
                for path in Path(attempt.folder).glob("stdin*")
            ]
        )

    # -- expect_changes

    # -- starts

    def test_the_prompt_reaches_claude_byte_for_byte(self) -> None:
        prompt = (
            "-rf \"it's\" $(touch ran) `id` {{ lookup('pipe', 'id') }}\n\ttab \\ ünï 🚀\n%s"
            % ("x" * 50_000)
        )
        self.assertIsNone(self.gummy(prompt=prompt)["class"])
        (line,) = (self.home / "claude-starts.log").read_text().splitlines()
        # With a dash at its begin it would be an option of gummy's.
        arrived = f" {prompt}".encode()
        self.assertEqual(hashlib.sha256(arrived).hexdigest(), line.split()[1])
        self.assertFalse((self.tree() / "ran").exists())

    def test_a_node_without_the_agent_or_with_root_only_says_so_and_starts_nothing(self) -> None:
        (self.home / "my bin" / "gummy").unlink()
        (self.home / ".profile").write_text('PATH="$HOME/my bin:/usr/bin:/bin"\n')
        refused = self.start(agent="gummy", prompt="x")
        self.assertEqual(
            ("refused", "agent", "node"), (refused["state"], refused["class"], refused["blame"])
        )
        self.assertIn("gummy is not found on this node", refused["message"])
        self.program("gummy", "#!/bin/sh\n")
        path = f"{self.home}/my bin:{os.environ['PATH']}"
        with mock.patch("os.geteuid", return_value=0), mock.patch.dict(os.environ):
            os.environ.pop("IS_SANDBOX", None)
            self.assertIn("refuses to run as root", agents.unusable("gummy", path) or "")
            self.assertIsNone(agents.unusable("shell", path))
            # claude itself refuses root only where it would bypass all permissions.
            self.assertIsNone(agents.unusable("claude", path, {"permission_mode": "acceptEdits"}))
            bypass = {"permission_mode": "bypassPermissions"}
            self.assertIn("refuses to run as root", agents.unusable("claude", path, bypass) or "")
        with mock.patch("os.geteuid", return_value=1000):
            self.assertIsNone(agents.unusable("gummy", path))
        self.assertIn("not known", agents.unusable("no-such", path) or "")
