"""Whom a run may tell how it ended, and who may say that."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue, InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.notify import (
    Notify,
    read_notify,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.origins import setting_rows
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import (
    unknown_settings,
)

SECRET = "T0K3N"
ADDRESS = f"https://hooks.example.org/services/{SECRET}"


@pytest.mark.parametrize(
    ("raw", "notify"),
    [
        (ADDRESS, Notify(address=ADDRESS)),
        ("http://localhost:8080/x", Notify(address="http://localhost:8080/x")),
        ("http://127.0.0.3/x", Notify(address="http://127.0.0.3/x")),
        ("http://[::1]:80/", Notify(address="http://[::1]:80/")),
        (["notify-send", "gummy"], Notify(command=("notify-send", "gummy"))),
        (
            {"to": ["x"], "include": ["paths", "log"]},
            Notify(command=("x",), include=frozenset({"paths", "log"})),
        ),
        ({"to": ADDRESS, "include": "prompts"}, Notify((), ADDRESS, frozenset({"prompts"}))),
        ({"to": ADDRESS, "include": None}, Notify(address=ADDRESS)),
    ],
)
def test_what_may_be_told(raw: object, notify: Notify) -> None:
    assert read_notify(raw) == notify


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (f"ftp://example.org/{SECRET}", "'ftp' is no scheme that is known"),
        (f"file:///{SECRET}", "'file' is no scheme that is known"),
        (f"hooks.example.org/{SECRET}", "'a text' is no scheme that is known"),
        ("https://", "is no scheme that is known"),
        (f"http://example.org/{SECRET}", "for all to read; write https://"),
        (f"http://localhost.example.org/{SECRET}", "for all to read"),
        (f"http://127.0.0.1.example.org/{SECRET}", "for all to read"),
        (f"https://me:{SECRET}@example.org/", "has a login in it"),
        (f"https://example.org:x{SECRET}/", "its host or its port is none"),
        (f"https://[{SECRET}/", "its host or its port is none"),
        (f"https://example.org/{SECRET} x", "blanks or odd characters"),
        (f"https://example.org/{SECRET}\r\nX: y", "blanks or odd characters"),
        (f"notify-send {SECRET}", "blanks or odd characters"),
        ("", "no command and no address"),
        (7, "no command and no address"),
        ([], "a list of texts"),
        (["x", 1], "a list of texts"),
        (["x", "a\0b"], "a list of texts"),
        ([" "], "the first word of the command is blank"),
        ({"include": ["log"]}, "does not say whom to tell"),
        ({"to": ADDRESS, "includ": []}, "unknown key 'includ'"),
        ({"to": ADDRESS, "include": ["prompt"]}, "did you mean 'prompts'"),
        ({"to": ADDRESS, "include": 7}, "is no list"),
    ],
)
def test_what_may_not_is_told_without_the_secret(raw: object, problem: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_notify(raw)
    assert problem in str(caught.value) and SECRET not in str(caught.value)


def test_an_address_is_shown_by_its_host_alone() -> None:
    notify = Notify(address=ADDRESS)
    assert notify.name == "https://hooks.example.org/…" and SECRET not in repr(notify)
    assert Notify(command=("notify-send", SECRET)).name == "notify-send"


def test_the_config_file_says_it_and_plan_does_not_show_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "config.yaml"
    path.write_text(f"notify: {ADDRESS}\n")
    read = config.load_config(str(path))
    assert read.notify == Notify(address=ADDRESS)
    rows = [row for row in setting_rows({}, {}, read) if row["name"] == "notify"]
    assert [(row["source"], row["value"]) for row in rows] == [("config file", None)]
    assert SECRET not in repr(read)

    path.write_text(f"notify: ftp://example.org/{SECRET}\n")
    with pytest.raises(InputError) as caught:
        config.load_config(str(path))
    assert "notify: 'ftp' is no scheme" in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["gummy_notify", "GUMMY_NOTIFY"])
def test_a_variable_that_would_say_it_is_an_error_that_names_the_config(name: str) -> None:
    (problem,) = unknown_settings([name])
    assert problem.startswith(f"{name}: notifications are set in the config file, as notify")
