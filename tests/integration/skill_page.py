"""The skill as its tests read it.

That is its front matter, its commands, and the keys that it says documents have.
"""

from __future__ import annotations

import json
import pathlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKILL = ROOT / "skills" / "distributed-gummy"
PAGE = SKILL / "SKILL.md"
REFERENCES = sorted(SKILL.glob("references/*.md"))

# What people ask for; the skill has a line for each.
REQUESTS = (
    "Run database optimization on the least loaded host",
    "Which host should handle this database work?",
    "Execute API specialist on optimal node",
    "Sync codebase and run gummy on node-2",
    "Distribute tests across all machines",
    "Run tests on all platforms simultaneously",
    "I have database work and API work, distribute optimally",
    "Show all specialists across network",
    "What gummy tasks are active on my network?",
    "Run parallel gummy tasks across cluster",
    "Balance gummy tasks across cluster",
    "Status of distributed specialists",
)

PLAYBOOKS = frozenset(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
SCHEMA = json.loads((ROOT / "docs" / "documents.schema.json").read_text(encoding="utf-8"))
# A key of a document, as the skill writes it: `jobs[].node`, or `status` at the top.
KEY = re.compile(r"`([a-z_]+(?:\[\])?(?:\.[a-z_]+(?:\[\])?)*)`")


@dataclass(frozen=True)
class Command:
    """A command of the skill: the line as it is typed, and the requests that it is for."""

    line: str
    requests: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)

    @property
    def playbook(self) -> str:
        return self.words[1].removeprefix("distributed.gummy.")

    @property
    def variables(self) -> dict[str, Any]:
        """What is behind -e as JSON."""
        found: dict[str, Any] = {}
        for flag, value in zip(self.words, self.words[1:], strict=False):
            if flag == "-e" and value.startswith("{"):
                found |= json.loads(value)
        return found


def front_matter() -> Mapping[str, Any]:
    start, head, _body = PAGE.read_text(encoding="utf-8").split("---\n", 2)
    assert start == ""
    found: Mapping[str, Any] = yaml.safe_load(head)
    return found


def body() -> str:
    return PAGE.read_text(encoding="utf-8").split("---\n", 2)[2]


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each block of shell commands, with the text since the last one before it."""
    parts = re.split(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    for before, block in zip(parts[0::2], parts[1::2], strict=False):
        yield before, block.splitlines()


def head_lines() -> list[str]:
    """The commands that are no playbook: what is asked first, and the line before each call."""
    return [
        line
        for _before, lines in blocks(body())
        for line in lines
        if not line.startswith("ansible-playbook ")
    ]


def commands() -> list[Command]:
    found = []
    requests: tuple[str, ...] = ()
    for before, lines in blocks(body()):
        # A request holds for the blocks below it, up to the next request or heading.
        for part in re.split(r"^(?=#)|\n\n", before, flags=re.MULTILINE):
            if part.startswith("#"):
                requests = ()
            bold = tuple(re.findall(r'\*\*"([^*]+)"\*\*', part))
            requests = bold or requests
        found += [Command(line, requests) for line in lines if line.startswith("ansible-playbook ")]
    return found


def keys_in_tables(text: str) -> Iterator[tuple[str, str]]:
    """The kind of a document and a key that it is said to have.

    A table has the kind in its first column or, in the references, in the heading above it.
    """
    kind = ""
    for line in text.splitlines():
        if line.startswith("## "):
            kind = line.removeprefix("## ")
        row = re.fullmatch(r"\| (.+?) \| (.+) \|", line)
        if row is None:
            continue
        of_kind = re.fullmatch(r"`(\w+)`", row[1])
        if of_kind and of_kind[1] in kinds():
            yield from ((of_kind[1], key) for key in KEY.findall(row[2]) if is_path(key))
        elif kind in kinds():
            yield from ((kind, key) for key in KEY.findall(row[1]))


def is_path(key: str) -> bool:
    """Whether it is a key for sure; a bare word in a sentence may be a value."""
    return "." in key or "[]" in key


def kinds() -> Mapping[str, Any]:
    """What the schema says of each document that a playbook writes, by its kind."""
    found = {}
    for each in SCHEMA["oneOf"]:
        found[each["properties"]["kind"]["const"]] = each["allOf"][0]
    found.pop("info")
    return found


def in_schema(schema: Mapping[str, Any], steps: Sequence[str]) -> bool:
    """Whether a document of this schema can have the key: `jobs[].node` as its steps."""
    if "$ref" in schema:
        return in_schema(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], steps)
    if "anyOf" in schema:
        return any(in_schema(each, steps) for each in schema["anyOf"])
    if not steps:
        return True
    step, rest = steps[0], steps[1:]
    if step == "[]":
        return in_schema(schema["items"], rest) if "items" in schema else False
    properties = schema.get("properties", {})
    return step in properties and in_schema(properties[step], rest)


def steps_of(key: str) -> list[str]:
    return re.findall(r"[a-z_]+|\[\]", key)


def values_at(document: Any, steps: Sequence[str]) -> Iterator[Any]:
    """The values that a document has under this key."""
    if not steps:
        yield document
    elif steps[0] == "[]":
        for item in document or ():
            yield from values_at(item, steps[1:])
    elif isinstance(document, Mapping) and steps[0] in document:
        yield from values_at(document[steps[0]], steps[1:])
