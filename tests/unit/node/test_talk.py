"""What agents print, told as it grows: whole lines, each once, and of too much the end."""

from __future__ import annotations

import json
import unittest
from pathlib import Path

from agent_case import AgentCase
from node_case import A, talk


class TalkTest(AgentCase):
    def setUp(self) -> None:
        super().setUp()
        self.attempt = self.store.attempt(A + "1")
        self.attempt.create()
        self.attempt.mark("spec.json", json.dumps({"agent": "shell"}).encode())
        self.log = Path(self.attempt.log)
        self.log.parent.mkdir(exist_ok=True)

    def add(self, data: bytes) -> None:
        with self.log.open("ab") as file:
            file.write(data)

    def test_whole_lines_are_told_once(self) -> None:
        heard = talk.Talk({})
        self.assertEqual("", heard.news(self.attempt)[0])
        for data, told in ((b"a\nb", "a\n"), (b"c", ""), (b"\nd\n", "bc\nd\n"), (b"", "")):
            self.add(data)
            self.assertEqual(told, heard.news(self.attempt)[0])
        # Who asks anew is told what he has not heard.
        self.add(b"e\n")
        self.assertEqual(("e\n", 9), talk.Talk({A + "1": 7}).news(self.attempt))

    def test_of_too_much_the_end_is_told_and_no_half_line(self) -> None:
        self.add(b"x" * 79 + b"\n")
        for _line in range(2000):
            self.add(b"y" * 79 + b"\n")
        for heard in (talk.Talk({}), talk.Talk({A + "1": 80})):
            text, size = heard.news(self.attempt)
            self.assertEqual({"y" * 79}, set(text.splitlines()))
            self.assertLess(len(text), talk.PIECE)
            self.assertLessEqual(size, self.log.stat().st_size)
            self.assertEqual("", heard.news(self.attempt)[0])

    def test_a_line_without_end_is_told_in_pieces(self) -> None:
        heard = talk.Talk({A + "1": 0})
        self.add(b"z" * talk.PIECE)
        self.assertEqual(talk.PIECE, len(heard.news(self.attempt)[0]))

    def test_what_is_no_text_is_told_all_the_same(self) -> None:
        self.add(b"\xff\x00\n")
        self.assertEqual("\\xff\x00\n", talk.Talk({}).news(self.attempt)[0])

    def test_a_recorder_keeps_the_events_and_gummys_own_words_are_not_told(self) -> None:
        prompt = "say hello ;; write made x ;; big 1"
        self.gummy(A + "2", prompt=prompt)
        attempt = self.store.attempt(A + "2")
        text, _size = talk.Talk({}).news(attempt)
        events = [json.loads(line) for line in text.splitlines()]
        kinds = [event["type"] for event in events]
        self.assertEqual("system", kinds[0])
        self.assertEqual("result", kinds[-1])
        self.assertNotIn("Task Mode", text)
        self.assertLess(max(map(len, text.splitlines())), talk.EVENT_MOST)

    def test_a_full_disk_and_a_full_file_disturb_nobody(self) -> None:
        talk.keep("/nowhere/at/all", {"type": "x"})
        path = Path(self.attempt.path(talk.FILE))
        path.write_bytes(b"x" * talk.FILE_MOST)
        talk.keep(self.attempt.folder, {"type": "x"})
        self.assertEqual(talk.FILE_MOST, path.stat().st_size)


if __name__ == "__main__":
    unittest.main()
