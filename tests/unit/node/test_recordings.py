"""Every row reads what its real agent printed; what each recording shows stands in a table here."""

from __future__ import annotations

import json
import unittest

from node_case import ROOT, agents, claude, row

RECORDED = ROOT / "tests" / "recorded"
SLICES = (1 << 16, 701)
# 2026-11-29 02:30 and 2026-12-03 15:06, UTC.
FIVE_HOURS = 1795919405
WEEK = 1796310365


def lines(name: str, version: str = "2.1.332") -> bytes:
    return (RECORDED / f"claude-{version}" / f"{name}.jsonl").read_bytes()


def exit_of(name: str, version: str) -> int | None:
    """Its exit status; None for one that went on, and was ended by its recorder."""
    entry = json.loads((RECORDED / f"claude-{version}" / "exits.json").read_text())[name]
    return None if entry.get("hung") else entry["exit"]


def fed(out: bytes, err: bytes = b"", piece: int = 1 << 16) -> claude.ClaudeReader:
    reader = agents.AGENTS["claude"].reader()
    for stream, data in (("err", err), ("out", out)):
        for begin in range(0, len(data), piece):
            reader.feed(stream, data[begin : begin + piece])
    reader.end()
    return reader


def verdict(name: str, version: str = "2.1.332", piece: int = 1 << 16) -> row.Result:
    folder = RECORDED / f"claude-{version}"
    out = folder / f"{name}.jsonl"
    err = folder / f"{name}.err"
    reader = fed(
        out.read_bytes() if out.exists() else b"",
        err.read_bytes() if err.exists() else b"",
        piece,
    )
    ran = row.Ran(exit_of(name, version), reader)
    return agents.result_of(agents.AGENTS["claude"], ran)


GOOD = (None, None)
LOGIN = ("login", None)
BUSY = ("quota", "busy")
AGENT = ("agent", None)
KILLED = ("killed", None)
# Recording -> (class, kind), the cost in dollars, and words of its message.
TABLE = {
    "good": (GOOD, 0.01096, "Done."),
    "text": (GOOD, 0.00548, "hello"),
    "bash": (GOOD, 0.01096, "Done."),
    "429-twice": (GOOD, 0.00548, "Good after 2 refusals."),
    "cut": (GOOD, 0.01096, "word word"),
    "stall": (GOOD, 0.01096, "word word"),
    "root": (GOOD, 0.01096, "Done."),
    "root-sandbox": (GOOD, 0.00548, "hello"),
    "odd-at": (GOOD, 0.00548, "ok: 31 characters"),
    "odd-slash-space": (GOOD, 0.00548, "ok: 7 characters"),
    "odd-slash-words-first": (GOOD, 0.00548, "ok: 12 characters"),
    # A session that was gone on with tells what all its runs cost; told is what this one did.
    "resume2": (GOOD, 0.00548, "second"),
    "resume-fork": (GOOD, 0.00548, "second"),
    "resume-otherdir": (GOOD, 0.00548, "second"),
    "resume-otherboth": (GOOD, 0.00548, "second"),
    # Two results: the second one's cost is of both.
    "background": (GOOD, 0.01644, "started"),
    # It went on after its result.
    "background-long": (GOOD, 0.01096, "did not end after its result"),
    "background-ceiling": (GOOD, 0.01096, "did not end after its result"),
    # The permission for what it was to do was refused.
    "bash-accept": (GOOD, 0.01096, "after"),
    "bash-default": (GOOD, 0.01096, "Done."),
    "bash-none": (GOOD, 0.01096, "after"),
    "bash-fails": (GOOD, 0.01096, "It failed."),
    "write-default": (GOOD, 0.01096, "Done."),
    "auto": (GOOD, 0.01096, "after"),
    "commit": (GOOD, 0.01096, "Done."),
    # It did nothing.
    "empty": (GOOD, 0.0, ""),
    "odd-slash": (GOOD, 0.00548, "ok: 6341"),
    "odd-slash-clear": (GOOD, 0.0, ""),
    "odd-slash-off": (GOOD, 0.0, "isn't available"),
    # Not logged in.
    "nokey": (LOGIN, 0.0, "Not logged in"),
    "nokey-json": (LOGIN, 0.0, "Not logged in"),
    "401": (LOGIN, 0.0, "Invalid API key"),
    "401-max1": (LOGIN, 0.0, "Invalid API key"),
    "401-oauth": (LOGIN, 0.0, "Not logged in"),
    # Limits.
    "limit-oauth": (("quota", "reset"), 0.0, "5-hour limit"),
    "limit-oauth-week": (("quota", "reset"), 0.0, "weekly limit"),
    "credit": (("quota", "credit"), 0.0, "Credit balance is too low"),
    "429": (BUSY, 0.0, "per-minute rate limit"),
    "429-after-5h": (BUSY, 0.0, "per-minute rate limit"),
    "limit": (BUSY, 0.0, "rate limit"),
    "500": (BUSY, 0.0, "Internal server error"),
    "529": (BUSY, 0.0, "Overloaded"),
    "529-fallback": (BUSY, 0.0, "Overloaded"),
    "down": (BUSY, 0.0, "ECONNREFUSED"),
    "hang-short": (BUSY, 0.0, "timed out"),
    # Plain failures, with their reason.
    "400": (AGENT, 0.0, "at least one message"),
    "badmodel": (AGENT, 0.0, "no-such-model"),
    "budget": (("budget", None), 0.00548, "Reached maximum budget ($0.0001)"),
    "max-turns": (AGENT, 0.00548, "Reached maximum number of turns (1)"),
    "resume-unknown": (AGENT, 0.0, "No conversation found"),
    "int-bash": (AGENT, 0.00548, "ede_diagnostic"),
    "int-model": (AGENT, None, "printed no result event"),
    "root-skip": (AGENT, None, "cannot be used with root"),
    "same-id": (AGENT, None, "already in use"),
    "odd-empty": (AGENT, None, "Input must be provided"),
    # Ended by a signal.
    "term-bash": (KILLED, None, "SIGTERM"),
    "term-model": (KILLED, None, "SIGTERM"),
    # Their recorder ended them without a result.
    "429-after-60": (AGENT, None, "no result event"),
    "background-off": (AGENT, None, "no result event"),
}
# The same of the version that npm installs under an older node.
OLDER = {
    "good": (GOOD, 0.0137, "Done."),
    "resume2": (GOOD, 0.00685, "second"),
    "resume-fork": (GOOD, 0.00685, "second"),
    "bash-accept": (GOOD, 0.0137, "after"),
    "odd-slash": (GOOD, 0.00685, "ok: 108 characters"),
    "empty": (GOOD, 0.0, ""),
    "nokey": (LOGIN, 0.0, "Not logged in"),
    "401-max1": (LOGIN, 0.0, ""),
    "limit-oauth": (("quota", "reset"), 0.0, "session limit"),
    "credit": (("quota", "credit"), 0.0, "Credit balance is too low"),
    "budget": (("budget", None), 0.00685, "Reached maximum budget ($0.0001)"),
    "resume-unknown": (AGENT, 0.0, "No conversation found"),
    "resume-otherdir": (AGENT, 0.0, "No conversation found"),
    "resume-otherboth": (AGENT, 0.0, "No conversation found"),
    "same-id": (AGENT, None, "already in use"),
    "int-model": (AGENT, None, "printed no result event"),
    "term-model": (KILLED, None, "SIGTERM"),
}
# What is no success without a change, and words of the reason.
HOLLOW = {
    "bash-accept": "Bash: curl",
    "bash-default": "Bash",
    "bash-none": "Bash",
    "bash-fails": "Bash",
    "write-default": "Write",
    "auto": "Bash: curl",
    "commit": "it can't commit",
    "empty": "gave no answer",
    "odd-slash": "command of its own",
    "odd-slash-clear": "command of its own",
    "odd-slash-off": "command of its own",
}


class RecordingsTest(unittest.TestCase):
    def test_the_tables_have_every_recording(self) -> None:
        for version, table in (("2.1.332", TABLE), ("2.1.197", OLDER)):
            folder = RECORDED / f"claude-{version}"
            recorded = {path.stem for path in folder.iterdir() if path.suffix != ".json"}
            self.assertEqual(recorded, set(table), version)

    def test_how_it_ended_is_read_however_the_output_is_cut(self) -> None:
        for version, table in (("2.1.332", TABLE), ("2.1.197", OLDER)):
            for name, ((failure, kind), cost, words) in table.items():
                for piece in SLICES:
                    with self.subTest(name, version=version, piece=piece):
                        said = verdict(name, version, piece)
                        self.assertEqual((failure, kind), (said.failure, said.kind), said)
                        self.assertEqual(cost, said.cost_usd and round(said.cost_usd, 8))
                        self.assertIn(words, said.message)
                        self.assertEqual(failure is None, said.proof is not None)

    def test_a_success_that_did_nothing_is_in_doubt_and_no_other_is(self) -> None:
        for name, ((failure, _kind), _cost, _words) in TABLE.items():
            if failure is None:
                with self.subTest(name):
                    hollow = verdict(name).hollow
                    self.assertEqual(name in HOLLOW, hollow is not None, hollow)
                    self.assertIn(HOLLOW.get(name, ""), hollow or "")
        self.assertIn("curl", verdict("bash-accept", "2.1.197").hollow or "")

    def test_a_limit_says_till_when_by_its_fields(self) -> None:
        self.assertEqual(FIVE_HOURS, verdict("limit-oauth").reset_at)
        week = json.loads(lines("limit-oauth-week").split(b"\n")[1])["rate_limit_info"]["resetsAt"]
        self.assertEqual(week, verdict("limit-oauth-week").reset_at)
        self.assertIsNotNone(verdict("limit-oauth", "2.1.197").reset_at)
        self.assertIsNone(verdict("429").reset_at)

    def test_version_session_turns_and_tokens_are_known(self) -> None:
        said = verdict("good")
        self.assertEqual(
            ("2.1.332", "SESSION", 2, {"input": 2400, "output": 68}),
            (said.agent_version, said.session_id, said.turns, said.tokens),
        )
        self.assertEqual("2.1.197", verdict("good", "2.1.197").agent_version)
        # The results of one run are its parts.
        self.assertEqual(3, verdict("background").turns)

    def test_what_is_known_while_it_runs(self) -> None:
        reader = fed(lines("429-after-60"))
        self.assertRegex(
            reader.said()["waits"], r"^waits for its service \(429 rate_limit\), try 4"
        )
        reader = fed(lines("good").split(b'{"duration_api_ms"')[0])
        said = reader.said()
        self.assertEqual(("Done.", False, ""), (said["words"], said["finished"], said["waits"]))
        self.assertEqual({"input": 2400, "output": 68}, said["tokens"])
        (denied,) = fed(lines("commit")).said()["denied"]
        self.assertIn("Bash: echo x > c.txt && git add c.txt", denied)
        self.assertTrue(fed(lines("background-long")).said()["finished"])
        # A part of it went on.
        begun = lines("background").splitlines(keepends=True)
        self.assertFalse(fed(b"".join(begun[:-1])).said()["finished"])

    def test_noise_before_between_behind_and_on_the_line_of_events_hides_nothing(self) -> None:
        for name in ("good", "limit-oauth", "commit", "budget"):
            plain = verdict(name)
            events = lines(name).splitlines()
            for noise in (b"Downloading 98%", b"[INFO] {x} ", b'{"half" ', b"\xff\xfe ", b"1%\r2%"):
                loud = b"\n" + noise + b"\n" + b"\n".join(noise + b" " + event for event in events)
                loud += b"\n" + noise
                for piece in SLICES:
                    with self.subTest(name, noise=noise, piece=piece):
                        ran = row.Ran(exit_of(name, "2.1.332"), fed(loud, noise, piece))
                        said = agents.result_of(agents.AGENTS["claude"], ran)
                        self.assertEqual(plain[:9], said[:9])

    def test_lines_of_twenty_megabytes_between_and_as_events_fill_no_memory(self) -> None:
        import tracemalloc

        events = lines("good").splitlines()
        big = json.dumps({"type": "user", "x": [{"text": 'a "b" \\ ' * 2_500_000}]}).encode()
        result = json.loads(events[-1])
        result["result"] = "Done. " + "x" * 20_000_000
        out = [*events[:-1], big, b"y" * 20_000_000, json.dumps(result).encode()]
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        reader = agents.AGENTS["claude"].reader()
        for line in out:
            for begin in range(0, len(line), 1 << 16):
                reader.feed("out", line[begin : begin + (1 << 16)])
            reader.feed("out", b"\n")
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        self.assertLess(peak, 8 << 20)
        said = reader.verdict(0)
        self.assertEqual((None, 0.01096), (said.failure, said.cost_usd))
        self.assertEqual("Done. xx", said.message[:8])


class ProseTest(unittest.TestCase):
    """What has no machine words, as older versions and relatives of claude print it."""

    def event(self, text: str, **more: object) -> row.Result:
        event = {"type": "result", "is_error": True, "result": text, **more}
        return fed(json.dumps(event).encode()).verdict(1)

    def test_words_count_where_there_are_no_fields(self) -> None:
        for text, wanted in (
            ("You're out of extra usage · resets 9pm (UTC)", ("quota", "reset")),
            (
                "You've hit your weekly limit · resets Aug 3, 7am (Europe/Zurich)",
                ("quota", "reset"),
            ),
            ("Claude AI usage limit reached|1735689600", ("quota", "reset")),
            ("Credit balance is too low", ("quota", "credit")),
            ("Invalid API key · Please run /login", ("login", None)),
            ("I broke the rate limit test", ("agent", None)),
        ):
            with self.subTest(text):
                said = self.event(text)
                self.assertEqual(wanted, (said.failure, said.kind))
        said = self.event("API Error: Too many requests, please slow down", api_error_status=429)
        self.assertEqual(("quota", "busy"), (said.failure, said.kind))


if __name__ == "__main__":
    unittest.main()
