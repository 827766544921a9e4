"""An agent is held to its budget: by its own cap, by the recorder's word, or by being ended."""

from __future__ import annotations

import json
import unittest

from agent_case import AgentCase
from node_case import A

# A claude that knows no cap and tells what it costs while it works.
SPENDER = """#!/bin/sh
cat > /dev/null
echo x > made
echo '{"type":"system","subtype":"init","session_id":"s-1-2-3-4-5"}'
echo '{"type":"result","is_error":false,"result":"x","total_cost_usd":%s,"num_turns":1}'
echo '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"on"}]}}'
%s
"""
# Says with which words it was called.
TELLER = """#!/bin/sh
printf '%s\\n' "$@" >> "$HOME/words"
echo '[{"type":"result","is_error":false,"result":"x","total_cost_usd":0.25,"num_turns":1}]'
"""


class BudgetTest(AgentCase):
    def claude(self, attempt: str = A + "1", **spec: object) -> dict:
        return self.run_job(attempt, agent="claude", command=None, **spec)

    def test_claude_and_gummy_stop_at_the_budget_and_below_it_go_on(self) -> None:
        for number, agent in enumerate(("claude", "gummy")):
            for cost, failure in ((0.2, None), (0.6, "budget")):
                with self.subTest(agent, cost=cost):
                    prompt = f"write made {agent}-{cost} ;; cost {cost}"
                    attempt = f"{A}{number}{int(10 * cost)}"
                    ended = self.run_agent(agent, attempt, prompt, budget_usd=0.5)
                    self.assertEqual((failure, cost), (ended["class"], ended["cost_usd"]), ended)
                    self.assertEqual(1, ended["harvest"]["files"])

    def test_each_call_of_claude_under_gummy_gets_what_the_earlier_ones_left(self) -> None:
        self.program("claude", TELLER)
        call = 'claude -p --output-format json "$2"; '
        self.program(
            "gummy", f"#!/bin/sh\n{call * 3}claude --version; claude -p --max-budget-usd 9 x\n"
        )
        self.gummy(prompt="x", budget_usd=0.6)
        words = (self.home / "words").read_text().splitlines()
        caps = [words[at + 1] for at, word in enumerate(words) if word == "--max-budget-usd"]
        # What is left of nothing is the least that claude takes; its caller's own word stays.
        self.assertEqual(["0.6", "0.35", "0.1", "9"], caps)

    def test_without_a_budget_no_word_is_added(self) -> None:
        self.program("claude", TELLER)
        self.program("gummy", '#!/bin/sh\nclaude -p "$2"\n')
        self.gummy(prompt="x")
        self.assertEqual(["-p", "x"], (self.home / "words").read_text().splitlines())

    def test_what_tells_its_cost_while_it_works_is_ended_and_its_work_comes_home(self) -> None:
        self.program("claude", SPENDER % (0.75, "exec sleep 600"))
        ended = self.claude(prompt="x", budget_usd=0.5, timeout=300)
        self.assertEqual(("budget", 0.75), (ended["class"], ended["cost_usd"]), ended)
        message = "it has cost $0.75 by now, and may cost $0.5 (budget_usd): it was ended"
        self.assertEqual(message, ended["message"])
        self.assertEqual(1, ended["harvest"]["files"])
        self.assertLess(ended["seconds"], 200)

    def test_what_has_told_its_result_keeps_it_whatever_it_cost(self) -> None:
        script = SPENDER.replace('echo \'{"type":"assistant"', ': \'{"type":"assistant"')
        self.program("claude", script % (0.75, "sleep 6"))
        ended = self.claude(prompt="x", budget_usd=0.5, timeout=300)
        self.assertEqual((None, 0.75), (ended["class"], ended["cost_usd"]), ended)

    def test_a_budget_is_written_as_claude_reads_it(self) -> None:
        self.program("claude", TELLER)
        for number, (budget, word) in enumerate(((5.0, "5"), (0.1, "0.1"), (1e-9, "0.000001"))):
            self.claude(f"{A}{number}", prompt="x", budget_usd=budget)
            words = (self.home / "words").read_text().splitlines()
            self.assertEqual(word, words[-1], json.dumps(words))


if __name__ == "__main__":
    unittest.main()
