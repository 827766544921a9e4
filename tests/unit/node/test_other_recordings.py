"""The rows beside claude's read what their real agents printed.

What each recording shows stands in a table here.
"""

from __future__ import annotations

import json
import time
import unittest

from node_case import ROOT, agents, row

RECORDED = ROOT / "tests" / "recorded"
SLICES = (1 << 16, 701)
VERSIONS = {"codex": "0.171.0", "opencode": "1.18.33", "qwen": "0.24.4", "gemini": "0.61.0"}

GOOD = (None, None)
LOGIN = ("login", None)
BUSY = ("quota", "busy")
CREDIT = ("quota", "credit")
RESET = ("quota", "reset")
AGENT = ("agent", None)
KILLED = ("killed", None)
TIMEOUT = ("timeout", None)
# Agent -> recording -> (class, kind), and words of its message. "no result event" are also those
# that their recorder ended while they waited; what such a wait means stands below.
TABLE = {
    "codex": {
        "bash": (GOOD, "Done."),
        "bash-default": (GOOD, "Done."),
        "bash-fails": (GOOD, "It failed."),
        "bash-readonly": (GOOD, "Done."),
        "commit": (GOOD, "Done."),
        "empty": (GOOD, ""),
        "good": (GOOD, "Done."),
        "net": (GOOD, "Done."),
        "nokey-openai": (GOOD, "hello"),
        "odd-at": (GOOD, "ok: 31 characters, sha25"),
        "odd-slash": (GOOD, "ok: 7 characters, sha256"),
        "resume-id-otherboth": (GOOD, "second"),
        "resume-id-otherdir": (GOOD, "second"),
        "resume-otherdir": (GOOD, "second"),
        "resume2": (GOOD, "second"),
        "root": (GOOD, "Done."),
        "text": (GOOD, "hello"),
        "write-default": (GOOD, "Done."),
        "401": (LOGIN, "Incorrect API key"),
        "nokey": (LOGIN, "FAKE_KEY"),
        "nokey-openai-401": (LOGIN, "Incorrect API key"),
        "429": (BUSY, "429 Too Many Requests"),
        "429-after-3": (BUSY, "429 Too Many Requests"),
        "429-after-60-max0": (BUSY, "429 Too Many Requests"),
        "429-twice": (BUSY, "429 Too Many Requests"),
        "500": (BUSY, "high demand"),
        "529": (BUSY, "not ready yet"),
        "cut": (BUSY, "stream disconnected"),
        "stall-20": (BUSY, "stream disconnected"),
        "credit": (CREDIT, "Quota exceeded"),
        "limit": (RESET, "usage limit"),
        "limit-openai": (RESET, "usage limit"),
        "400": (AGENT, "Invalid request"),
        "429-after-5h": (AGENT, "no result event"),
        "429-after-60": (AGENT, "no result event"),
        "429-after-60-openai-max0": (AGENT, "model_providers"),
        "down": (AGENT, "no result event"),
        "down-max0": (AGENT, "no result event"),
        "int-bash": (AGENT, "exit status 1"),
        "int-model": (AGENT, "exit status 1"),
        "nokey-nonet": (AGENT, "no result event"),
        "odd-empty": (AGENT, "No prompt provided"),
        "odd-latin1": (AGENT, "not valid UTF-8"),
        "resume-unknown": (AGENT, "no rollout found"),
        "stall": (AGENT, "no result event"),
        "term-bash": (KILLED, "SIGTERM"),
        "term-model": (KILLED, "SIGTERM"),
    },
    "gemini": {
        "429-twice": (GOOD, "Good after 2 refusals."),
        "autoedit-bash": (GOOD, "A title."),
        "bash": (GOOD, "Done."),
        "bash-default": (GOOD, "A title."),
        "bash-fails": (GOOD, "It failed."),
        "commit": (GOOD, "Done."),
        "good": (GOOD, "Done."),
        "int-bash": (GOOD, "Done."),
        "int-model": (GOOD, "After a hang."),
        "odd-at": (GOOD, "ok: 23 characters, sha25"),
        "odd-slash": (GOOD, "ok: 7 characters, sha256"),
        "resume-otherboth": (GOOD, "second"),
        "resume-otherdir": (GOOD, "second"),
        "resume2": (GOOD, "second"),
        "root": (GOOD, "Done."),
        "term-bash": (GOOD, "Done."),
        "term-model": (GOOD, "After a hang."),
        "text": (GOOD, "hello"),
        "write-default": (GOOD, "A title."),
        "401": (LOGIN, "invalid authentication"),
        "badkey": (LOGIN, "API key not valid"),
        "nokey": (LOGIN, "GEMINI_API_KEY"),
        "429": (BUSY, "has been exhausted"),
        "429-after-5h": (BUSY, "has been exhausted"),
        "429-after-60-max1": (BUSY, "has been exhausted"),
        "429-max1": (BUSY, "has been exhausted"),
        "500": (BUSY, "internal error"),
        "529": (BUSY, "model is overloaded"),
        "cut": (BUSY, "terminated"),
        "down": (BUSY, "fetch failed"),
        "credit": (RESET, "exhausted your daily quota"),
        "limit": (RESET, "exhausted your daily quota"),
        "400": (AGENT, "Invalid request"),
        "429-after-60": (AGENT, "no result event"),
        "empty": (AGENT, "empty response"),
        "max-turns": (AGENT, "max session turns"),
        "notrust": (AGENT, "trusted directory"),
        "odd-empty": (AGENT, "No input provided"),
        "resume-unknown": (AGENT, "No previous sessions"),
        "stall": (AGENT, "no result event"),
        "term-model-group": (AGENT, "no result event"),
    },
    "opencode": {
        "429-twice": (GOOD, "Good after 3 refusals."),
        "argument": (GOOD, "ok: 11 characters, sha25"),
        "bash": (GOOD, "Done."),
        "bash-ask-auto": (GOOD, "after"),
        "bash-deny-auto": (GOOD, "A title."),
        "bash-fails": (GOOD, "It failed."),
        "commit": (GOOD, "Done."),
        "empty": (GOOD, ""),
        "good": (GOOD, "Done."),
        "int-bash": (GOOD, "Done."),
        "int-model": (GOOD, "After a hang."),
        "no-auto": (GOOD, "after"),
        "odd-slash": (GOOD, "ok: 7 characters, sha256"),
        "resume-otherdir": (GOOD, "second"),
        "resume2": (GOOD, "second"),
        "root": (GOOD, "Done."),
        "stdin-and-argument": (GOOD, "ok: 22 characters, sha25"),
        "text": (GOOD, "hello"),
        "write-default": (GOOD, "Done."),
        "401": (LOGIN, "Incorrect API key"),
        "429": (BUSY, "Rate limit reached"),
        "500": (BUSY, "had an error"),
        "529": (BUSY, "not ready yet"),
        "cut": (BUSY, "socket connection was closed"),
        "down": (BUSY, "Unable to connect"),
        "nokey": (BUSY, "Unable to connect"),
        "credit": (CREDIT, "exceeded your current quota"),
        "400": (AGENT, "Invalid request"),
        "badmodel": (AGENT, "Unexpected server error"),
        "bash-ask": (AGENT, "was refused"),
        "bash-default": (AGENT, "no result event"),
        "odd-empty": (AGENT, "must provide a message"),
        "outside-default": (AGENT, "was refused"),
        "resume-unknown": (AGENT, "Session not found"),
        "stall": (AGENT, "no result event"),
        "term-bash": (KILLED, "SIGTERM"),
    },
    "qwen": {
        "429-twice": (GOOD, "Good after 2 refusals."),
        "autoedit-bash": (GOOD, "A title."),
        "bash": (GOOD, "Done."),
        "bash-default": (GOOD, "A title."),
        "bash-fails": (GOOD, "It failed."),
        "commit": (GOOD, "Done."),
        "good": (GOOD, "Done."),
        "odd-at": (GOOD, "ok: 23 characters, sha25"),
        "odd-slash": (GOOD, "ok: 390012 characters, s"),
        "resume2": (GOOD, "second"),
        "root": (GOOD, "Done."),
        "text": (GOOD, "hello"),
        "write-default": (GOOD, "A title."),
        "401": (LOGIN, "Incorrect API key"),
        "nokey": (LOGIN, "No auth type"),
        "429-max1": (BUSY, "Rate limit reached"),
        "500": (BUSY, "had an error"),
        "529": (BUSY, "not ready yet"),
        "cut": (BUSY, "terminated"),
        "down": (BUSY, "ECONNREFUSED"),
        "400": (AGENT, "Invalid request"),
        "429": (AGENT, "no result event"),
        "429-after-5h": (AGENT, "no result event"),
        "429-after-60": (AGENT, "no result event"),
        "429-env0": (AGENT, "no result event"),
        "429-unattended": (AGENT, "no result event"),
        "credit": (AGENT, "no result event"),
        "empty": (AGENT, "empty response"),
        "limit": (AGENT, "no result event"),
        "max-tools": (AGENT, "tool-call budget"),
        "max-turns": (AGENT, "max session turns"),
        "odd-empty": (AGENT, "No input provided"),
        "resume-otherboth": (AGENT, "No saved session"),
        "resume-otherdir": (AGENT, "No saved session"),
        "resume-unknown": (AGENT, "No saved session"),
        "stall": (AGENT, "no result event"),
        "int-bash": (KILLED, "SIGINT"),
        "int-model": (KILLED, "SIGINT"),
        "term-bash": (KILLED, "SIGTERM"),
        "term-model": (KILLED, "SIGTERM"),
        "term-model-group": (KILLED, "SIGTERM"),
        "429-max-wall": (TIMEOUT, "wall-clock budget"),
        "max-wall": (TIMEOUT, "wall-clock budget"),
    },
}
# What is no success without a change, and words of the reason.
HOLLOW = {
    "codex": {
        "bash-readonly": "its sandbox lets it write in the project alone",
        "commit": "its sandbox lets it write in the project alone",
        "net": "without the network",
        "empty": "gave no answer",
    },
    "opencode": {"empty": "gave no answer"},
    "qwen": {},
    "gemini": {},
}
# Agent -> recording of one that waits -> what that means when it has waited for too long, and words
# of what people are told.
WAITS = {
    "codex": {
        "down": (BUSY, "waiting for network"),
        "down-max0": (BUSY, "waiting for network"),
        "429-after-5h": (BUSY, "429 Too Many Requests), try 1 of 5"),
        "429-after-60": (BUSY, "429 Too Many Requests), try 5 of 5"),
        "stall": (BUSY, "stream disconnected"),
        "nokey-nonet": (BUSY, "stream disconnected"),
    },
    "qwen": {
        "429": (BUSY, "try 2 of 10, for 2 min"),
        "credit": (CREDIT, "try 2 of 10, for 2 min"),
        "stall": (BUSY, "waits for its service"),
    },
}
# Agent -> what its good run tells of itself: dollars, tokens, turns, version.
TOLD = {
    "codex": (None, {"input": 2400, "output": 68}, None, None),
    "opencode": (0.00308, {"input": 2400, "output": 68}, 2, None),
    "qwen": (None, {"input": 2400, "output": 68}, 2, "0.24.4"),
    "gemini": (None, {"input": 2400, "output": 68}, None, None),
}


def folder(agent: str):
    return RECORDED / f"{agent}-{VERSIONS[agent]}"


def exits(agent: str) -> dict:
    return json.loads((folder(agent) / "exits.json").read_text())


def streams(agent: str, name: str) -> tuple[bytes, bytes]:
    paths = [folder(agent) / f"{name}{suffix}" for suffix in (".jsonl", ".err")]
    out, err = (path.read_bytes() if path.exists() else b"" for path in paths)
    return out, err


def fed(agent: str, out: bytes, err: bytes = b"", piece: int = 1 << 16) -> row.Reader:
    reader = agents.AGENTS[agent].reader()
    for stream, data in (("err", err), ("out", out)):
        for begin in range(0, len(data), piece):
            reader.feed(stream, data[begin : begin + piece])
    reader.end()
    return reader


def verdict(agent: str, name: str, piece: int = 1 << 16) -> row.Result:
    entry = exits(agent)[name]
    status = None if entry.get("hung") else entry["exit"]
    ran = row.Ran(status, fed(agent, *streams(agent, name), piece))
    return agents.result_of(agents.AGENTS[agent], ran)


class OtherRecordingsTest(unittest.TestCase):
    def test_every_row_with_events_of_its_own_has_recordings(self) -> None:
        self.assertEqual(set(agents.AGENTS), {*TABLE, "claude", "gummy", "shell"})
        self.assertEqual(set(VERSIONS), set(TABLE))

    def test_the_tables_have_every_recording(self) -> None:
        for agent, table in TABLE.items():
            recorded = {path.stem for path in folder(agent).iterdir() if path.suffix != ".json"}
            self.assertEqual(recorded, set(table), agent)
            self.assertEqual(recorded, set(exits(agent)), agent)

    def test_how_it_ended_is_read_however_the_output_is_cut(self) -> None:
        for agent, table in TABLE.items():
            for name, ((failure, kind), words) in table.items():
                for piece in SLICES:
                    with self.subTest(agent, name=name, piece=piece):
                        said = verdict(agent, name, piece)
                        self.assertEqual((failure, kind), (said.failure, said.kind), said)
                        self.assertIn(words, said.message)
                        self.assertEqual(failure is None, said.proof is not None)

    def test_a_success_that_did_nothing_is_in_doubt_and_no_other_is(self) -> None:
        for agent, table in TABLE.items():
            for name, ((failure, _kind), _words) in table.items():
                if failure is None:
                    with self.subTest(agent, name=name):
                        hollow = verdict(agent, name).hollow
                        self.assertEqual(name in HOLLOW[agent], hollow is not None, hollow)
                        self.assertIn(HOLLOW[agent].get(name, ""), hollow or "")

    def test_a_wait_says_why_and_what_it_would_mean_if_it_went_on(self) -> None:
        for agent, table in WAITS.items():
            self.assertIsNotNone(agents.AGENTS[agent].wait_most)
            for name, ((failure, kind), words) in table.items():
                with self.subTest(agent, name=name):
                    reader = fed(agent, *streams(agent, name))
                    self.assertIn(words, reader.said()["waits"])
                    refused = reader.refused_by_service()
                    # One that says nothing of it has too much to do.
                    if refused.failure not in ("quota", "login"):
                        self.assertEqual(BUSY, (failure, kind))
                        continue
                    self.assertEqual((failure, kind), (refused.failure, refused.kind))

    def test_who_answers_again_waits_no_more(self) -> None:
        reader = fed("codex", streams("codex", "429-after-60")[0])
        self.assertNotEqual("", reader.said()["waits"])
        answer = {"type": "item.completed", "item": {"type": "agent_message", "text": "hello"}}
        reader.feed("out", json.dumps(answer).encode() + b"\n")
        self.assertEqual("", reader.said()["waits"])
        self.assertEqual("", verdict("opencode", "429-twice").hollow or "")

    def test_what_a_good_run_tells_of_itself(self) -> None:
        for agent, (cost, tokens, turns, version) in TOLD.items():
            with self.subTest(agent):
                said = verdict(agent, "good")
                self.assertEqual(
                    (cost, tokens, turns, version, "SESSION"),
                    (said.cost_usd, said.tokens, said.turns, said.agent_version, said.session_id),
                )
                reader = fed(agent, *streams(agent, "good"))
                self.assertTrue(reader.said()["finished"])
                self.assertEqual("Done.", reader.said()["words"])
                # Its last event is its result.
                out = streams(agent, "good")[0].splitlines(keepends=True)
                self.assertFalse(fed(agent, b"".join(out[:-1])).said()["finished"])

    def test_a_limit_says_till_when_if_the_agent_does(self) -> None:
        self.assertIsNotNone(verdict("codex", "limit").reset_at)
        self.assertIsNone(verdict("gemini", "limit").reset_at)

    def test_opencode_hands_on_when_its_service_says_that_there_is_quota_again(self) -> None:
        for more, reset_at in (
            ({"resets_at": 1795919405, "resets_in_seconds": 60}, 1795919405),
            ({"resets_in_seconds": 60}, int(time.time()) + 60),
            ({"resets_at": "tomorrow"}, None),
            (None, None),
        ):
            body = "no JSON" if more is None else json.dumps({"error": more})
            data = {"message": "The usage limit has been reached", "statusCode": 429}
            data["responseBody"] = body
            event = {"type": "error", "error": {"name": "APIError", "data": data}}
            ran = row.Ran(1, fed("opencode", json.dumps(event).encode() + b"\n"))
            said = agents.result_of(agents.AGENTS["opencode"], ran)
            self.assertEqual(RESET, (said.failure, said.kind), said)
            if reset_at is None:
                self.assertIsNone(said.reset_at)
            else:
                self.assertAlmostEqual(reset_at, said.reset_at, delta=5)

    def test_noise_before_between_behind_and_on_the_line_of_events_hides_nothing(self) -> None:
        for agent, name in (("codex", "limit"), ("opencode", "good"), ("gemini", "429")):
            plain = verdict(agent, name)
            events = streams(agent, name)[0].splitlines()
            for noise in (b"Downloading 98%", b"[INFO] {x} ", b'{"half" ', b"\xff\xfe ", b"1%\r2%"):
                loud = b"\n" + noise + b"\n" + b"\n".join(noise + b" " + event for event in events)
                loud += b"\n" + noise
                with self.subTest(agent, noise=noise):
                    status = exits(agent)[name]["exit"]
                    ran = row.Ran(status, fed(agent, loud, streams(agent, name)[1], 701))
                    said = agents.result_of(agents.AGENTS[agent], ran)
                    self.assertEqual(plain[:9], said[:9])

    def test_odd_events_break_no_reader(self) -> None:
        odd = [
            {"type": "error", "message": ["x"], "error": 5},
            {"type": "item.completed", "item": []},
            {"type": "item.completed", "item": {"type": "command_execution", "status": "failed"}},
            {"type": "turn.completed", "usage": {"input_tokens": True, "output_tokens": -1}},
            {"type": "step_finish", "part": {"cost": float("nan"), "tokens": {"cache": 7}}},
            {"type": "tool_use", "part": {"state": {"status": "error", "error": {"a": 1}}}},
            {"type": "message", "role": "assistant", "content": {"a": [1]}, "delta": "x"},
            {"type": "system", "subtype": "retry", "data": {"delayMs": "long"}},
            {"type": "system", "subtype": "init", "qwen_code_version": 7},
            {"type": "result", "status": ["success"], "stats": [], "error": "x", "usage": []},
            {"type": ["result"]},
        ]
        out = b"\n".join(json.dumps(event).encode() for event in odd)
        for agent in TABLE:
            with self.subTest(agent):
                reader = fed(agent, out)
                json.dumps(reader.said())
                for status in (None, 0, 1, 41, 173):
                    json.dumps(agents.result_of(agents.AGENTS[agent], row.Ran(status, reader)))


class CallTest(unittest.TestCase):
    """How they are called."""

    def spec(self, **settings: str) -> dict:
        return {"prompt": "do it", "settings": settings, "timeout": 90.0}

    def test_each_gets_the_least_mode_in_which_it_can_work_unless_the_config_says_more(
        self,
    ) -> None:
        for agent, settings, words in (
            ("codex", {}, "codex exec --json --skip-git-repo-check -s workspace-write -c"),
            ("codex", {"permission_mode": "danger-full-access"}, "-s danger-full-access"),
            ("codex", {"model": "gpt-5"}, "-m gpt-5 -"),
            ("opencode", {"model": "a/b"}, "opencode run --format json -m a/b"),
            ("opencode", {"model": "a/b", "permission_mode": "auto"}, "-m a/b --auto"),
            ("qwen", {}, "qwen -o stream-json --approval-mode auto-edit --max-wall-time 90s"),
            ("qwen", {"permission_mode": "yolo", "model": "m"}, "yolo --max-wall-time 90s -m m"),
            ("gemini", {}, "gemini -o stream-json --skip-trust --approval-mode auto_edit"),
        ):
            with self.subTest(agent, settings=settings):
                argv = " ".join(agents.AGENTS[agent].argv(self.spec(**settings)))
                self.assertIn(words, argv)
                self.assertEqual("do it", agents.AGENTS[agent].stdin(self.spec(**settings)))
                self.assertNotIn("do it", argv)
        self.assertNotIn("--auto", agents.AGENTS["opencode"].argv(self.spec(model="a/b")))
        self.assertEqual(" /review", agents.AGENTS["qwen"].stdin({"prompt": "/review"}))

    def test_opencode_is_never_called_without_a_model_of_the_users(self) -> None:
        opencode = agents.AGENTS["opencode"]
        for settings in ({}, {"model": ""}, {"model": "gpt-5"}, {"model": "/"}, {"model": "a/"}):
            self.assertIn("service of its own", opencode.refusal(self.spec(**settings)) or "")
            if not settings.get("model"):
                with self.assertRaises((KeyError, AssertionError)):
                    argv = opencode.argv(self.spec(**settings))
                    assert argv[-1], "without a model it must not be called"
        self.assertIsNone(opencode.refusal(self.spec(model="openai/gpt-5")))

    def test_nothing_of_opencode_goes_to_its_maker_s_service_unless_the_model_is_there(
        self,
    ) -> None:
        opencode = agents.AGENTS["opencode"]
        for own in ("", "damaged{", "[]", '{"disabled_providers": ["x"], "theme": "y"}'):
            given = {"OPENCODE_CONFIG_CONTENT": own}
            forced = opencode.forced(self.spec(model="ollama/q"), given)
            config = json.loads(forced["OPENCODE_CONFIG_CONTENT"])
            self.assertIn("opencode", config["disabled_providers"])
            self.assertEqual(("ollama/q", "ollama/q"), (config["model"], config["small_model"]))
            self.assertEqual("disabled", config["share"])
        self.assertEqual(("y", ["opencode", "x"]), (config["theme"], config["disabled_providers"]))
        forced = opencode.forced(self.spec(model="opencode/big"), {})
        self.assertNotIn("disabled_providers", json.loads(forced["OPENCODE_CONFIG_CONTENT"]))


if __name__ == "__main__":
    unittest.main()
