"""The commands that README and docs tell people to type, as the test of them reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# That of the architecture is for those who change the code.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.stem != "architecture"),
]
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# In a sentence a command is one that begins with these words, and has more behind them.
IN_A_SENTENCE = re.compile(
    r"(ansible-(playbook|galaxy|inventory|doc)|make|gummy-(run|play)|claude plugin"
    r"|git (apply|fetch|-C)) \S.*"
)
# A form to be filled in is no command.
FORM = re.compile(r"…|\bNAME\b|\bNODES?\b|\bREASON\b|\bJOB\b|\bID\b|\bFILE\b|\bDIR\b")
# A table in which a cell that begins with a playbook's name is what is typed behind this word.
TABLE = re.compile(
    r"^\|[^\n]* `ansible-playbook distributed\.gummy\.…` \|.*?\n\n", re.MULTILINE | re.DOTALL
)


def commands_of(page: Path, heading: str = "") -> list[str]:
    """The commands of a page, or of the part below a heading, in their order, each once."""
    text = page.read_text(encoding="utf-8")
    if heading:
        text = re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]
    return list(dict.fromkeys(_commands(text)))


def _commands(text: str) -> Iterator[str]:
    end = 0
    for block in [*BLOCK.finditer(text), None]:
        begin = block.start() if block else len(text)
        yield from _in_sentences(text[end:begin])
        if block is None:
            return
        end = block.end()
        for line in block[2].splitlines():
            if block[1] == "console" and line.startswith("$ "):
                yield line.removeprefix("$ ").partition("    # ")[0]
            elif block[1] == "bash":
                yield line


def _in_sentences(text: str) -> Iterator[str]:
    tables = [match.span() for match in TABLE.finditer(f"{text}\n\n")]
    for span in re.finditer(r"`([^`\n]+)`", text):
        words = span[1]
        if FORM.search(words):
            continue
        if IN_A_SENTENCE.fullmatch(words):
            yield words
        elif words.partition(" ")[0] in PLAYBOOKS and any(a < span.start() < b for a, b in tables):
            yield f"ansible-playbook distributed.gummy.{words}"


def files() -> dict[str, str]:
    """Files that pages show: a block of YAML whose first line is a comment with its name."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            name = re.match(r"# ([\w.-]+\.yml)\b", block[2])
            if block[1] == "yaml" and name:
                # Of two pages that show the same file, the one with more of it.
                found[name[1]] = max(block[2], found.get(name[1], ""), key=len)
    return found


def folder_of_job(output: str) -> str:
    """The folder of the job that an output names first; blank if it names none."""
    found = re.search(r"(/\S+)/changes\.patch\b", output)
    return found[1] if found else ""
