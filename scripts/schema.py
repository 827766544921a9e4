"""Writes docs/documents.schema.json from the types of the documents and the comments there:

`PYTHONPATH=.collections .venv/bin/python scripts/schema.py`. A test compares them.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.cancel import (
    CancelDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.clean import CleanDocument
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.doctor import (
    DoctorDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.find_attempts import (
    PRIVATE,
    AttemptsDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.fleet_info import (
    InfoDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.install import (
    InstallDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.logs import LogsDocument
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.specialists import (
    SpecialistsDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.status import (
    StatusDocument,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.sync import SyncDocument
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.watch import WatchDocument
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.ask import AttemptRow
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.run import (
    PlanDocument,
    RunDocument,
)

FILE = Path(__file__).resolve().parents[1] / "docs" / "documents.schema.json"

# Kind of a document -> its type.
DOCUMENTS: Mapping[str, Any] = {
    "cancel": CancelDocument,
    "clean": CleanDocument,
    "doctor": DoctorDocument,
    "harvest": AttemptsDocument,
    "info": InfoDocument,
    "install": InstallDocument,
    "logs": LogsDocument,
    "plan": PlanDocument,
    "run": RunDocument,
    "specialists": SpecialistsDocument,
    "status": StatusDocument,
    "sync": SyncDocument,
    "watch": WatchDocument,
}

Schema = dict[str, Any]

PLAIN: Mapping[Any, Schema] = {
    Any: {},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    int: {"type": "integer"},
    object: {},
    str: {"type": "string"},
    type(None): {"type": "null"},
}


def text() -> str:
    """The text of the file."""
    definitions: dict[str, Schema] = {}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands of distributed.gummy tell",
        "description": "A result's document, gummy_output_file, and a run's run.json.",
        "oneOf": [
            {
                "properties": {"kind": {"const": kind}},
                "required": ["kind"],
                "allOf": [_of(document, definitions)],
            }
            for kind, document in DOCUMENTS.items()
        ],
    }
    return json.dumps({**schema, "$defs": dict(sorted(definitions.items()))}, indent=2) + "\n"


def _of(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a type; those that have fields are put among the definitions."""
    if hint in PLAIN:
        return dict(PLAIN[hint])
    origin = get_origin(hint)
    arguments = get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is NotRequired:
        return _of(arguments[0], definitions)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(each, definitions) for each in arguments]}
    if hint is dict or origin in (dict, Mapping):
        values = _of(arguments[1], definitions) if arguments else {}
        return {"type": "object", "additionalProperties": values or True}
    if hint is list or origin in (list, Sequence):
        return {"type": "array", "items": _of(arguments[0], definitions) if arguments else {}}
    return _reference(hint, definitions)


def _reference(hint: Any, definitions: dict[str, Schema]) -> Schema:
    name = f"{hint.__module__.rpartition('.')[2]}.{hint.__name__}"
    if name not in definitions:
        definitions[name] = {}
        told = _comments(hint)
        # What of an attempt never leaves the process.
        private = PRIVATE if hint is AttemptRow else frozenset[str]()
        definitions[name] = {
            "type": "object",
            "description": inspect.cleandoc(hint.__doc__ or ""),
            "properties": {
                field: {**_of(each, definitions), **told.get(field, {})}
                for field, each in get_type_hints(hint).items()
                if field not in private
            },
            "required": sorted(_required(hint) - private),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _required(hint: Any) -> set[str]:
    """The fields that are always there: Python itself does not see NotRequired in a text."""
    hints = get_type_hints(hint, include_extras=True)
    return {
        field for field in hint.__required_keys__ if get_origin(hints[field]) is not NotRequired
    }


def _comments(hint: Any) -> dict[str, Schema]:
    """What stands above the fields of a class, as descriptions, its parents' too."""
    told: dict[str, Schema] = {}
    try:
        source = inspect.getsource(hint)
    except (OSError, TypeError):
        # What is made by a call has no fields with comments.
        return told

    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    for base in getattr(tree, "bases", ()):
        # (Python 3.11 does not tell the parents of such a class.)
        parent: Any = sys.modules[hint.__module__]
        for word in ast.unparse(base).split("."):
            parent = getattr(parent, word)
        if hasattr(parent, "__required_keys__"):
            told |= _comments(parent)
    for statement in getattr(tree, "body", ()):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            words: list[str] = []
            number = statement.lineno - 2
            while lines[number].strip().startswith("#"):
                words.insert(0, lines[number].strip().removeprefix("#").strip())
                number -= 1
            if words:
                told[statement.target.id] = {"description": " ".join(words)}
    return told


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
