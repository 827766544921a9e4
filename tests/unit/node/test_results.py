"""The last result event in what claude prints is found, however it is cut into pieces."""

from __future__ import annotations

import json
import unittest

from node_case import results

NESTED = {
    "type": "assistant",
    "message": {
        "content": [
            {"type": "tool_use", "input": {"type": "result", "is_error": False, "x": '"}]\\'}}
        ]
    },
}
RESULT = {
    "type": "result",
    "is_error": True,
    "result": 'a "quoted" \\ {[ text \\" ünï\n',
    "usage": {"deep": [{}, []]},
    "permission_denials": [],
}


class ResultsTest(unittest.TestCase):
    def last(self, data: bytes, piece: int) -> dict | None:
        found = results.Results()
        for begin in range(0, len(data), piece):
            found.feed(data[begin : begin + piece])
        found.end()
        return found.last

    def test_it_is_found_in_every_form_cut_anywhere(self) -> None:
        for ascii_only in (True, False):
            events = [
                json.dumps(event, ensure_ascii=ascii_only)
                for event in (NESTED, {"type": "result", "is_error": False}, NESTED, RESULT)
            ]
            for text in (
                "noise {\n\n \t"
                + "\r\n".join(events)
                + "\nno event: "
                + events[1]
                + '\n["unfinished',
                "[" + ",".join([*events, events[0]]) + "]",
                "stray ]}\n [" + " , ".join(events) + "\n",
                events[3],
            ):
                data = text.encode()
                for piece in (*range(1, 40), len(data)):
                    self.assertEqual(RESULT, self.last(data, piece), (piece, text))

    def test_what_is_no_result_of_claude_s_own_is_not_taken_for_one(self) -> None:
        fake = json.dumps({"type": "result", "is_error": False})
        cut_off = json.dumps(RESULT)[:-1]
        for text in (
            "",
            "[]",
            "{}",
            "null",
            json.dumps(NESTED),
            json.dumps([NESTED]),
            json.dumps([[{"type": "result"}]]),
            json.dumps(fake),
            json.dumps([fake]),
            "x " + fake,
            cut_off,
            "[" + cut_off,
            '{"type": "result", "is_error": false',
            "[" * 100_000 + fake,
            '{"a":' * 100_000 + fake,
            '["' + fake[1:],
        ):
            for piece in (7, 65536):
                with self.subTest(text[:80], piece=piece):
                    self.assertIsNone(self.last(text.encode(), piece))

    def test_an_event_too_long_to_keep_is_dropped_and_the_next_one_counts(self) -> None:
        long = json.dumps({"type": "result", "result": "x" * results.MOST})
        for text in (long + "\n" + json.dumps(RESULT), "[" + long + "," + json.dumps(RESULT) + "]"):
            self.assertEqual(RESULT, self.last(text.encode(), 65536))
        self.assertIsNone(self.last(long.encode(), 65536))

    def test_a_cost_is_a_number_of_dollars(self) -> None:
        values = (0, 0.5, 3, -1, 1e9, float("nan"), float("inf"), True, "1", None, [])
        self.assertEqual(
            [0.0, 0.5, 3.0], [cost for cost in map(results.dollars, values) if cost is not None]
        )
