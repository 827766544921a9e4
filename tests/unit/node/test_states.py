"""The table of an attempt's states is the only way to move it."""

from __future__ import annotations

from pathlib import Path

from node_case import NodeCase, Refusal, states

WAYS = {
    "new": (),
    "starting": ("start",),
    "running": ("start", "run"),
    "void": ("fence",),
    "ended": ("start", "run", "end"),
}
WAYS["acknowledged"] = (*WAYS["ended"], "acknowledge")


class StatesTest(NodeCase):
    def attempt_in(self, state: str, name: str):
        attempt = self.store.attempt(name)
        attempt.create()
        for event in WAYS[state]:
            states.move(attempt, event)
        self.assertEqual(state, states.state_of(attempt))
        return attempt

    def test_every_event_in_every_state_does_what_the_table_says_and_all_else_is_an_error(
        self,
    ) -> None:
        self.assertEqual(set(WAYS), set(states.TABLE))
        for before, row in states.TABLE.items():
            for event in states.EVENTS:
                with self.subTest(before=before, event=event):
                    attempt = self.attempt_in(before, f"{before}-{event}")
                    marks = sorted(path.name for path in Path(attempt.folder).iterdir())
                    if event in row:
                        self.assertEqual(row[event], states.move(attempt, event))
                        self.assertEqual(row[event], states.state_of(attempt))
                    else:
                        with self.assertRaises(Refusal) as refused:
                            states.move(attempt, event)
                        self.assertEqual(
                            ("state", "ours"), (refused.exception.kind, refused.exception.blame)
                        )
                        self.assertEqual(
                            marks, sorted(path.name for path in Path(attempt.folder).iterdir())
                        )

    def test_the_table_knows_only_its_own_states_and_events(self) -> None:
        self.assertEqual(
            set(states.EVENTS), {event for row in states.TABLE.values() for event in row}
        )
        self.assertEqual(
            set(states.TABLE) - {"new"},
            {after for row in states.TABLE.values() for after in row.values()},
        )
        self.assertEqual(set(states.TABLE) - {"new"}, set(states.MARKS))
