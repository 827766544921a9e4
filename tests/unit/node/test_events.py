"""The events in what an agent prints are found, however it is cut into pieces."""

from __future__ import annotations

import json
import unittest

from node_case import events

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


class EventsTest(unittest.TestCase):
    def last(self, data: bytes, piece: int) -> dict | None:
        """The last result event."""
        found: list[dict] = []
        reader = events.Events(found.append)
        for begin in range(0, len(data), piece):
            reader.feed(data[begin : begin + piece])
        reader.end()
        results = [event for event in found if event.get("type") == "result"]
        return results[-1] if results else None

    def test_it_is_found_in_every_form_cut_anywhere(self) -> None:
        for ascii_only in (True, False):
            texts = [
                json.dumps(event, ensure_ascii=ascii_only)
                for event in (NESTED, {"type": "result", "is_error": False}, NESTED, RESULT)
            ]
            # A line is short or long.
            for padding in ("", "x" * events.SHORT):
                for text in (
                    "noise {\n\n \t" + "\r\n".join(texts) + '\n["unfinished',
                    "[" + ",".join([*texts, texts[0]]) + "]",
                    "stray ]}\n [" + " , ".join(texts) + "\n",
                    texts[3],
                    "Downloading 98%" + texts[3] + " done",
                    texts[1] + texts[3] + "\n" + texts[0] + padding,
                    "[INFO] [1] " + padding + texts[3],
                    json.dumps({"type": "user", "x": padding}) + texts[3],
                ):
                    data = text.encode()
                    pieces = (797, len(data)) if padding else (*range(1, 40), len(data))
                    for piece in pieces:
                        self.assertEqual(RESULT, self.last(data, piece), (piece, text[:300]))

    def test_what_is_no_event_of_its_own_is_not_taken_for_one(self) -> None:
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
            cut_off,
            "[" + cut_off,
            '{"type": "result", "is_error": false',
            # What is inside of an event that was torn.
            json.dumps(NESTED)[10:],
            json.dumps(NESTED)[: -len('"}]}}')] + "\n",
            '{"torn": ' + fake,
            fake + "}]",
            "[" * 100_000 + fake,
            '{"a":' * 100_000 + fake,
            '["' + fake[1:],
        ):
            for piece in (7, 65536):
                with self.subTest(text[:80], piece=piece):
                    self.assertIsNone(self.last(text.encode(), piece))

    def test_of_a_long_event_the_long_texts_are_cut_and_it_counts(self) -> None:
        for text in ("x" * 5_000_000, '"\\ \n' * 300_000, "ü🚀" * 300_000, "\\" * 70_001):
            long = json.dumps({"type": "result", "result": text, "is_error": True})
            for form in (long, "[" + json.dumps(NESTED) + "," + long + "]", long + long):
                for piece in (65536, 9999):
                    found = self.last(form.encode(), piece)
                    assert found is not None
                    self.assertTrue(found["is_error"])
                    self.assertTrue(text.startswith(found["result"]), found["result"][-10:])
                    self.assertGreater(len(found["result"]), 1000)

    def test_an_event_too_long_to_keep_is_dropped_and_the_next_one_counts(self) -> None:
        long = json.dumps({"type": "result", "result": ["xxxx"] * (events.MOST // 6)})
        for text in (long + "\n" + json.dumps(RESULT), "[" + long + "," + json.dumps(RESULT) + "]"):
            self.assertEqual(RESULT, self.last(text.encode(), 65536))
        self.assertIsNone(self.last(long.encode(), 65536))

    def test_no_line_takes_more_than_linear_time(self) -> None:
        import time

        begun = time.monotonic()
        for text in ('{"a":[' * 50_000, '{" ' * 100_000, "[{" * 100_000, '"\\' * 100_000):
            self.last((text + "\n").encode() * 2, 65536)
            self.last("\n".join(text[:60_000] for _time in range(10)).encode(), 65536)
        self.assertLess(time.monotonic() - begun, 20)

    def test_a_cost_is_a_number_of_dollars(self) -> None:
        values = (0, 0.5, 3, -1, 1e9, float("nan"), float("inf"), True, "1", None, [])
        self.assertEqual(
            [0.0, 0.5, 3.0], [cost for cost in map(events.dollars, values) if cost is not None]
        )
