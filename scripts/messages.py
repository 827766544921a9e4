"""Keeps docs/troubleshooting.md complete: every message by which the code says that something can't
be done has its place there.

    python3 scripts/messages.py

reads the messages from the code, and writes the page anew. What people wrote there stays: the text
around the blocks, and what to do about a message. One that was merely reworded keeps that, too, so
read what has changed. A message that is new comes with a question mark, which
tests/unit/test_troubleshooting.py refuses, and one that is gone goes.
"""

from __future__ import annotations

import ast
import difflib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
CODE = ("plugins/**/*.py", "roles/*/files/*.py")
# What stands for a part of a message that is known only when it is printed.
HOLE = "…"
# A text with fewer letters than this passes on what somebody else says.
LEAST_LETTERS = 6
UNWRITTEN = "?"
# How much two texts have in common if one is the other in new words: from 0 to 1.
ALIKE_LEAST = 0.8

# Ansible's and argparse's errors and warnings, beside the errors that the code defines.
OTHER_ERRORS = frozenset(
    {
        "AnsibleFilterError",
        "AnsibleParserError",
        "AnsibleActionFail",
        "ArgumentTypeError",
        "warning",
    }
)
# Errors that are no message for anybody: they are caught where they are raised, or say in which way
# the code contradicts itself.
NOT_SHOWN = frozenset({"ProtocolError", "BadFrame", "_Cancelled", "_Stopped"})
# Functions whose answer is a message: why something can't be done.
ANSWERS = re.compile(
    r"_?(why_\w+|reason|refusal|leak|missing|obstacle|fault|hollow|refused_words|remedy|\w*sentence)"
)
# Lists of messages that are told later.
LISTS = frozenset({"problems", "notes"})
# Functions whose arguments are messages.
TELLERS = frozenset(
    ("_wait", "_fail", "_fail_without_changes", "_with_reason", "warning")
    # Events and commands of the scheduler.
    + ("Note", "Misplaced", "Unknown", "Refused", "Failed", "LinkDown", "Quarantine", "Finish")
)
# Constants that other modules tell.
TOLD_ELSEWHERE = frozenset({"WRONG", "UNSIGNED"})
# Names, arguments and keys that hold a message.
HOLDERS = frozenset(
    {"message", "reason", "why", "problem", "note", "msg", "fault", "complaint", "trouble"}
)
# Which argument of a row of a table is a message.
ROWS = {"Failure": 2}

# What is told without anything being wrong, or is half a sentence that another message goes on
# with.
NO_COMPLAINT = re.compile(
    r"[,;:(].*"
    r"|.*\b(would be fetched|its branch would be made|would send .*|it has not answered yet)"
    r"|(taken over|asked for|filtered files in plain text|more than is kept|the disk is needed)"
    r"|only in part: …|io wait|can take it|and … more|and says: …|for …, and one of them .*"
    r"|back in contact|a node answers again|status …|(is|was) (unproven|lost|running|waiting)"
    r"|was (skipped|cancelled)|all nodes are asked whether they answer"
    r"|.*(slots taken|round robin|said: …|left as it is|brought home|called again \(…\))"
    r"|(first choice|did not fail: left alone|a slot of …|the jobs before it|began before).*"
    r"|(best_node|plan_jobs|rank_nodes) - …|not among the hosts of this play"
)

# The parts of the page, and the files whose messages stand in each; the first that fits counts.
PARTS = {
    "settings": (
        *("_input/keys", "_input/request", "_input/each", "_input/pass_env", "_input/pricing"),
        *("_input/routing", "_ansible/options", "_ansible/arguments", "_ansible/typed"),
        *("_ansible/manners", "plugins/action/"),
    ),
    "config": ("_input/config", "_input/notify", "_input/nodes"),
    "filters": ("_input/filters", "plugins/filter/"),
    "inventory": ("plugins/inventory/", "_tailnet/", "_ansible/candidates"),
    "agents": (
        *(f"_node/{name}" for name in ("agents", "claude", "gummy", "gemini", "qwen", "opencode")),
        *("_node/streamed", "_node/own", "_node/launch", "_node/logins", "_links/signatures"),
    ),
    "replies": ("_links/reader", "_links/session", "_run/watch"),
    "reach": ("_ansible/connect", "_links/", "_fleet/", "_load/", "_doctor/", "_commands/tools"),
    "nowhere": ("_schedule/",),
    "home": (
        *("_project/branch", "_project/harvest", "_project/home_patch", "_project/scratch"),
        *("_project/stored", "_project/self_running", "_node/harvest", "_node/baseline"),
        *("_node/beside", "_node/git", "_files/junit_files"),
    ),
    "project": ("_project/",),
    "nodes": ("_node/",),
    "install": ("_commands/install", "_commands/recipes"),
    "runs": ("_commands/", "_run/", "_files/", "_show/"),
    "local_fleet": ("roles/",),
}


@dataclass(frozen=True)
class Message:
    """A message and the file that it stands in."""

    file: str
    text: str


class Module:
    """A module of the code, in which messages are looked for."""

    def __init__(self, tree: ast.Module, errors: frozenset[str]) -> None:
        self._errors = errors
        self._tree = tree
        self._functions = {
            node.name: node
            for node in ast.walk(self._tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        self._scopes: dict[ast.AST, ast.AST] = {}
        self._note_scopes(self._tree, self._tree)

    def messages(self) -> Iterator[str]:
        """The texts of all messages, with holes."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                for expression in self._told_by(node):
                    yield from self._texts(expression, frozenset())
            elif isinstance(node, ast.FunctionDef) and ANSWERS.fullmatch(node.name):
                for expression in results_of(node):
                    if node.name == "obstacle" and isinstance(expression, ast.Tuple):
                        # Beside it stands what would change that.
                        expression = expression.elts[0]
                    yield from self._texts(expression, frozenset({node.name}))
            else:
                for expression in held_by(node):
                    yield from self._texts(expression, frozenset())

    def _note_scopes(self, node: ast.AST, scope: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self._scopes[child] = scope
            inner = child if isinstance(child, ast.FunctionDef) else scope
            self._note_scopes(child, inner)

    def _told_by(self, call: ast.Call) -> list[ast.expr]:
        """The arguments of a call that are messages."""
        name = name_of(call.func)
        if name in self._errors or name in TELLERS:
            return [*call.args, *(keyword.value for keyword in call.keywords)]
        if name in ("append", "extend") and isinstance(call.func, ast.Attribute):
            if name_of(call.func.value).lstrip("_") in LISTS:
                return call.args
            return []
        if name in ROWS:
            return call.args[ROWS[name] :][:1]
        return [keyword.value for keyword in call.keywords if keyword.arg in HOLDERS]

    def _texts(self, node: ast.expr, seen: frozenset[str]) -> Iterator[str]:
        """The texts that an expression may have."""
        text = template(node)
        if text is not None:
            yield text
            if letters_of(text) >= LEAST_LETTERS:
                return
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and text is None:
            for form in self._texts(node.left, seen):
                yield filled(form)
            return
        for part in self._parts(node):
            yield from self._texts(part, seen)
        if isinstance(node, ast.Name):
            scope = self._scopes.get(node, self._tree)
            for place in dict.fromkeys([scope, self._tree]):
                key = f"{getattr(place, 'name', '')}.{node.id}"
                if key not in seen:
                    for value in values_of(node.id, place):
                        yield from self._texts(value, seen | {key})
        elif isinstance(node, ast.Call):
            name = name_of(node.func)
            if name in self._functions and name not in seen:
                for value in results_of(self._functions[name]):
                    yield from self._texts(value, seen | {name})

    @staticmethod
    def _parts(node: ast.expr) -> list[ast.expr]:
        """The expressions of which one may be the text."""
        if isinstance(node, ast.IfExp):
            return [node.body, node.orelse]
        if isinstance(node, ast.BoolOp):
            return node.values
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return node.elts
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            return [node.elt, *(each.iter for each in node.generators)]
        if isinstance(node, ast.Starred):
            return [node.value]
        if isinstance(node, ast.BinOp):
            return [node.left, node.right]
        if isinstance(node, ast.Subscript):
            return [node.value]
        if isinstance(node, ast.Dict):
            return node.values
        if isinstance(node, ast.JoinedStr):
            return [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("fromkeys", "join"):
                return node.args[:1]
            if node.func.attr == "get":
                return [node.func.value, *node.args[1:]]
        return []


def letters_of(text: str) -> int:
    return len(re.findall(r"[A-Za-z]", text))


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return ""


def template(node: ast.expr) -> str | None:
    """The text of an expression with a hole for each part that is not known; None: it is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or HOLE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = template(node.left)
        return left and filled(left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        if left is not None or right is not None:
            return (left or HOLE) + (right or HOLE)
    return None


def filled(form: str) -> str:
    """A form of `%` with holes."""
    return re.sub(r"%[-+0#]*[\d.]*[sdrfgx]", HOLE, form).replace("%%", "%")


def held_by(node: ast.AST) -> list[ast.expr]:
    """What is put under a name or a key that holds messages."""
    if isinstance(node, ast.Dict):
        return [
            value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and key.value in HOLDERS
        ]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {name_of(target) for target in targets}
        if names & TOLD_ELSEWHERE or {name.lstrip("_") for name in names} & HOLDERS:
            return [node.value]
    return []


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function, but not in the functions inside of it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield from own_nodes(child)


def results_of(function: ast.AST) -> list[ast.expr]:
    return [
        node.value
        for node in own_nodes(function)
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value is not None
    ]


def values_of(name: str, scope: ast.AST) -> list[ast.expr]:
    """What a name of a scope may be: what is assigned to it, or put into it."""
    values: list[ast.expr] = []
    for node in own_nodes(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and name in map(name_of, targets):
                values.append(node.value)
        elif isinstance(node, ast.For | ast.comprehension) and name_of(node.target) == name:
            values.append(node.iter)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("append", "extend")
            and name_of(node.func.value) == name
        ):
            values += node.args
    return values


def error_classes(trees: list[ast.Module]) -> frozenset[str]:
    """The names of the errors that the code defines or takes from others."""
    bases = {
        node.name: {name_of(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"Exception", "ValueError"}
    while new := {name for name, of in bases.items() if of & found} - found:
        found |= new
    return frozenset(found - {"Exception", "ValueError"} - NOT_SHOWN | OTHER_ERRORS)


@functools.cache
def messages() -> tuple[Message, ...]:
    """All messages of the code, each once."""
    paths = sorted({path for pattern in CODE for path in ROOT.glob(pattern)})
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    errors = error_classes([*trees.values()])
    found: dict[str, str] = {}
    for path, tree in trees.items():
        for text in Module(tree, errors).messages():
            # A form of the node program may be filled elsewhere than where it stands.
            line = " ".join((filled(text) if "_node" in path.parts else text).split())
            if letters_of(line) < LEAST_LETTERS or " " not in line:
                continue
            if not NO_COMPLAINT.fullmatch(line):
                found.setdefault(line, str(path.relative_to(ROOT)))
    return tuple(Message(file, text) for text, file in found.items())


# -- the page


def part_of(file: str) -> str:
    name = file.removeprefix("plugins/plugin_utils/")
    for part, beginnings in PARTS.items():
        if name.startswith(beginnings):
            return part
    raise ValueError(f"{file}: no part of PARTS in {__file__} has it")


def code(text: str) -> str:
    """A message as a code span that a table can hold."""
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def block(texts: list[str], remedies: dict[str, str]) -> str:
    """The messages of a part: a table of those with a remedy, and a list of the others."""
    order = sorted(texts, key=lambda text: re.sub(r"[^a-z]", "", text.lower()))
    rows = [text for text in order if remedies.get(code(text), UNWRITTEN)]
    rest = [text for text in order if text not in rows]
    lines = []
    if rows:
        lines += ["| message | what to do |", "|---|---|"]
        lines += [f"| {code(text)} | {remedies.get(code(text), UNWRITTEN)} |" for text in rows]
    if rest:
        lines += ["", "The others say it themselves:", ""] if rows else []
        lines += [f"* {code(text)}" for text in rest]
    return "\n".join(lines)


def remedies_of(text: str) -> dict[str, str]:
    """What people wrote: a message as it stands on the page -> what to do, blank: it says it."""
    span = r"(`` .+? ``|`[^`]+`)"
    found = dict(re.findall(rf"^\| {span} \| (.+) \|$", text, re.MULTILINE))
    return found | dict.fromkeys(re.findall(rf"^\* {span}$", text, re.MULTILINE), "")


def carried_over(texts: list[str], remedies: dict[str, str]) -> dict[str, str]:
    """The remedies, and those of messages that are gone for new ones that are most like them."""
    now = {code(text) for text in texts}
    gone = [message for message in remedies if message not in now]
    found = dict(remedies)
    for message in sorted(now - remedies.keys()):
        alike = difflib.get_close_matches(message, gone, n=1, cutoff=ALIKE_LEAST)
        if alike:
            found[message] = remedies[alike[0]]
    return found


def page() -> str:
    """The page as it has to be."""
    text = PAGE.read_text(encoding="utf-8")
    remedies = remedies_of(text)
    texts: dict[str, list[str]] = {part: [] for part in PARTS}
    for message in messages():
        texts[part_of(message.file)].append(message.text)
    remedies = carried_over([text for of_part in texts.values() for text in of_part], remedies)
    for part, of_part in texts.items():
        begin, end = f"<!-- messages: {part} -->\n", "<!-- end -->"
        before, found, after = text.partition(begin)
        if not found:
            raise ValueError(f"{PAGE} has no block {begin.strip()}")
        text = f"{before}{begin}\n{block(of_part, remedies)}\n\n{end}{after.partition(end)[2]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
