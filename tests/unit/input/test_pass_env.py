"""pass_env: values are read on this controller, when they are sent."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.pass_env import (
    require_values,
    values_for,
)
from job_builder import shell_job

JOB = shell_job()
GIVEN = dataclasses.replace(JOB, pass_env=("TOKEN", "OTHER"))


def test_values_are_those_of_the_controller(monkeypatch):
    monkeypatch.setenv("TOKEN", "a b\n{{ c }}")
    monkeypatch.setenv("OTHER", "")
    assert values_for(GIVEN) == {"TOKEN": "a b\n{{ c }}", "OTHER": ""} and values_for(JOB) == {}


def test_what_is_not_set_is_bad_input_by_name_and_without_a_value(monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret")
    monkeypatch.delenv("OTHER", raising=False)
    for ask in (lambda: values_for(GIVEN), lambda: require_values([JOB, GIVEN])):
        with pytest.raises(InputError) as error:
            ask()
        assert error.value.problems == [
            "pass_env of a: OTHER is not set here; export it, or take it out"
        ]


def test_values_are_in_nothing_that_is_kept_of_a_job(monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret")
    monkeypatch.setenv("OTHER", "s3cret")
    digest = GIVEN.digest()
    monkeypatch.setenv("TOKEN", "another")
    assert "s3cret" not in repr(GIVEN) and GIVEN.digest() == digest
