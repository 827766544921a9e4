"""The documents of all commands are what docs/documents.schema.json says."""

from __future__ import annotations

import ast
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from real_nodes import ROOT, Controller, Fleet

SCHEMA = json.loads((ROOT / "docs" / "documents.schema.json").read_text(encoding="utf-8"))
TYPES: Mapping[str, Any] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}
KNOWN = {
    *("$ref", "additionalProperties", "allOf", "anyOf", "const", "description", "enum", "items"),
    *("oneOf", "properties", "required", "type", "$schema", "$defs", "title"),
}
MODULES = {
    path: path.read_text(encoding="utf-8") for path in (ROOT / "plugins" / "modules").glob("*.py")
}


def problems(value: Any, schema: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """What a value has that its schema forbids; of JSON Schema, the words that ours uses."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        yield from problems(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    for each in schema.get("allOf", ()):
        yield from problems(value, each, where)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            found = [[*problems(value, each, where)] for each in schema[word]]
            if all(found):
                yield from min(found, key=len)
    if "type" in schema:
        is_bool = isinstance(value, bool) and schema["type"] != "boolean"
        if is_bool or not isinstance(value, TYPES[schema["type"]]):
            yield f"{where} is {value!r}, no {schema['type']}"
            return
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        yield from (
            f"{where}.{name} lacks" for name in schema.get("required", ()) if name not in value
        )
        for name, item in value.items():
            inner = properties.get(name, schema.get("additionalProperties", True))
            if inner is False:
                yield f"{where}.{name} is not known"
            elif inner is not True:
                yield from problems(item, inner, f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from problems(item, schema["items"], f"{where}.{number}")


def of_kind(kind: str) -> Mapping[str, Any]:
    (found,) = (each for each in SCHEMA["oneOf"] if each["properties"]["kind"]["const"] == kind)
    return SCHEMA["$defs"][found["allOf"][0]["$ref"].rpartition("/")[2]]


@pytest.mark.once
def test_the_schema_is_the_one_that_the_types_say() -> None:
    make = "import schema; print(schema.text(), end='')"
    made = subprocess.run(
        [sys.executable, "-c", make],
        cwd=ROOT / "scripts",
        env={"PYTHONPATH": str(ROOT / ".collections")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(made) == SCHEMA, "see scripts/schema.py"


@pytest.mark.once
def test_what_is_no_document_of_ours_is_seen() -> None:
    plan = {
        "schema_version": 1,
        "kind": "plan",
        "status": "plan",
        "jobs": [],
        "left_out": [],
        "settings": [],
        "config": {"path": None, "exists": False},
    }
    assert [*problems(plan, SCHEMA)] == [".notes lacks"]
    assert [*problems({**plan, "notes": []}, SCHEMA)] == []
    assert [*problems({**plan, "notes": [1], "x": 2}, SCHEMA)] == [
        ".notes.0 is 1, no string",
        ".x is not known",
    ]
    assert [*problems({**plan, "notes": [], "kind": "odd"}, SCHEMA)]


@pytest.mark.once
@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.stem))
def test_what_a_module_says_that_it_returns_is_in_the_schema(path: pathlib.Path) -> None:
    texts = {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in ast.parse(MODULES[path]).body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
    document = yaml.safe_load(texts["RETURN"]).get("document", {}).get("contains", {})
    known: set[str] = set()
    for each in SCHEMA["oneOf"]:
        known |= of_kind(each["properties"]["kind"]["const"])["properties"].keys()
    assert document.keys() <= known
    if path.stem == "run_jobs":
        both = of_kind("run")["properties"].keys() | of_kind("plan")["properties"].keys()
        assert document.keys() == both


def test_every_command_tells_what_the_schema_says(controller: Controller, fleet: Fleet) -> None:
    jobs = controller.jobs(
        {"name": "good", "command": "echo x > new", "deliver": "branch"},
        {"name": "bad", "command": "exit 3"},
        gummy_run_id="told",
    )
    given = {
        "plan": ("-e", jobs),
        "run": ("-e", jobs),
        "sync": (),
        "status": (),
        "specialists": (),
        "watch": (),
        "logs": ("-e", "gummy_run_id=told"),
        "harvest": ("-e", "gummy_run_id=told"),
        "cancel": ("-e", "gummy_run_id=told"),
        "clean": (),
        "doctor": (),
        "install": ("--check",),
    }
    # What fleet_info tells of several things has no playbook; test_modules.py plays it.
    known = {each["properties"]["kind"]["const"] for each in SCHEMA["oneOf"]}
    assert given.keys() == known - {"info"}
    for kind, words in given.items():
        path = controller.folder / f"{kind}.json"
        played = controller.play(kind, *words, "-e", f"gummy_output_file={path}")
        assert path.exists(), played
        document = json.loads(path.read_text(encoding="utf-8"))
        assert document["kind"] == kind and [*problems(document, SCHEMA)] == [], kind
    record = controller.state / "runs" / "told" / "run.json"
    assert [*problems(json.loads(record.read_text(encoding="utf-8")), SCHEMA)] == []
