"""docs/troubleshooting.md has every message of the code, and what to do about it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "messages.py"
    spec = importlib.util.spec_from_file_location("messages_of_the_code", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look there for what their annotations mean.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts(script: ModuleType) -> set[str]:
    return {message.text for message in script.messages()}


def test_the_page_has_every_message_and_none_that_is_gone(script: ModuleType) -> None:
    assert script.page() == PAGE, "type: .venv/bin/python scripts/messages.py"


def test_somebody_wrote_what_to_do_about_each(script: ModuleType) -> None:
    unwritten = re.findall(rf"^.* \| {re.escape(script.UNWRITTEN)} \|$", PAGE, re.MULTILINE)
    assert not unwritten, "write what to do, or move the message to the list of those that say it"


# Messages of every kind, each found in a way of its own; the script that finds no more of them
# would find the page complete.
@pytest.mark.parametrize(
    "message",
    [
        "… is no duration; write 90s, 30m, 4h or a number of seconds, more than 0 and at most 365d",
        "nodes: … matches no host of the inventory: see `ansible-inventory --graph`",
        "connection refused: no sshd listens there",
        "the login waits for a person, then try again: …",
        "only … MB are free at …: make room (256 MB stay reserved for the harvest)",
        "it has cost $… by now, and may cost $… (budget_usd): it was ended",
        "no node answers: is this machine offline?",
        "disk nearly full (… MB free, … MB needed)",
        "no branch could be made (…); the work is in …",
        "rsync exit status …",
        "gummy_job=… is …: call again when it answers",
        "unsigned: this controller has no key of the attempt, so its node's word stands",
        "node-… lives elsewhere than in …@…: take the fleet down first",
    ],
)
def test_the_script_finds_messages_however_they_are_told(message: str, texts: set[str]) -> None:
    assert message in texts


def test_what_people_wrote_stays_and_a_message_that_is_new_asks_for_words(
    script: ModuleType,
) -> None:
    written = "| `it is … too late` | Come sooner |\n* `it is late; come sooner`\n"
    remedies = script.remedies_of(written)
    texts = ["it is … too late", "it is late; come sooner", "it uses `x|y`"]
    assert script.block(texts, remedies).splitlines() == [
        "| message | what to do |",
        "|---|---|",
        "| `it is … too late` | Come sooner |",
        r"| `` it uses `x\|y` `` | ? |",
        "",
        "The others say it themselves:",
        "",
        "* `it is late; come sooner`",
    ]


def test_a_message_in_new_words_keeps_what_people_wrote_of_it(script: ModuleType) -> None:
    written = {"`no answer from … for … s; it may still run`": "Wait", "`it stays`": ""}
    texts = ["no answer from … for …; it may still run", "it stays", "all is well here"]
    assert script.carried_over(texts, written) == {
        **written,
        "`no answer from … for …; it may still run`": "Wait",
    }
