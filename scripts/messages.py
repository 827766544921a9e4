"""Keeps docs/troubleshooting.md complete: every message by which the code says that something can't
be done has its place there.

    python3 scripts/messages.py

reads the messages from the code, and writes the page anew. What people wrote there stays: the text
around the blocks, and what to do about a message. A message that is new comes with a question mark,
which tests/unit/test_troubleshooting.py refuses, and one that is gone goes.
"""

from __future__ import annotations

import ast
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

# Ansible's own errors, beside those that the code defines.
ANSIBLE_ERRORS = frozenset({"AnsibleFilterError", "AnsibleParserError", "AnsibleActionFail"})
# Errors that are no message for anybody: they are caught where they are raised, or say in which way
# the code contradicts itself.
NOT_SHOWN = frozenset({"ProtocolError", "BadFrame", "_Cancelled", "_Stopped"})
# Functions whose answer is a message: why something can't be done.
ANSWERS = re.compile(r"_?(why_\w+|reason|refusal|leak|missing|unseen_\w+)")
# Lists of messages that are told later, and calls that add one.
LISTS = ("problems",)


@dataclass(frozen=True)
class Message:
    """A message and the file that it stands in."""

    file: str
    text: str


class Module:
    """A module of the code, in which messages are looked for."""

    def __init__(self, path: Path, errors: frozenset[str]) -> None:
        self._errors = errors
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
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
                    yield from self._texts(expression, frozenset({node.name}))

    def _note_scopes(self, node: ast.AST, scope: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self._scopes[child] = scope
            inner = child if isinstance(child, ast.FunctionDef) else scope
            self._note_scopes(child, inner)

    def _told_by(self, call: ast.Call) -> list[ast.expr]:
        """The arguments of a call that are messages."""
        name = name_of(call.func)
        if name in self._errors:
            return [*call.args[:1], *(k.value for k in call.keywords if k.arg == "message")]
        if name in ("append", "extend") and isinstance(call.func, ast.Attribute):
            if name_of(call.func.value) in LISTS:
                return call.args
        if name == "fail_json":
            return [k.value for k in call.keywords if k.arg == "msg"]
        return []

    def _texts(self, node: ast.expr, seen: frozenset[str]) -> Iterator[str]:
        """The texts that an expression may have."""
        text = template(node)
        if text is not None:
            yield text
            return
        for part in self._parts(node):
            yield from self._texts(part, seen)
        if isinstance(node, ast.Name):
            scope = self._scopes.get(node, self._tree)
            key = f"{getattr(scope, 'name', '')}.{node.id}"
            if key not in seen:
                for value in values_of(node.id, scope):
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
        if isinstance(node, ast.Call) and name_of(node.func) == "fromkeys":
            return node.args[:1]
        return []


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
        return left and re.sub(r"%[-+ 0#]*[\d.]*[sdrfgx]", HOLE, left).replace("%%", "%")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left), template(node.right)
        if left is not None or right is not None:
            return (left or HOLE) + (right or HOLE)
    return None


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
    """The names of the errors that the code defines or takes from Ansible."""
    bases = {
        node.name: {name_of(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"Exception", "ValueError"}
    while new := {name for name, of in bases.items() if of & found} - found:
        found |= new
    return frozenset(found - {"Exception", "ValueError"} - NOT_SHOWN | ANSIBLE_ERRORS)


def messages() -> list[Message]:
    """All messages of the code, each once."""
    paths = sorted({path for pattern in CODE for path in ROOT.glob(pattern)})
    errors = error_classes([ast.parse(path.read_text(encoding="utf-8")) for path in paths])
    found = {}
    for path in paths:
        for text in Module(path, errors).messages():
            if len(re.findall(r"[A-Za-z]", text)) >= LEAST_LETTERS and " " in text:
                found.setdefault(" ".join(text.split()), str(path.relative_to(ROOT)))
    return [Message(file, text) for text, file in found.items()]


if __name__ == "__main__":
    for each in messages():
        print(each.file.replace("plugins/plugin_utils/", ""), repr(each.text))
