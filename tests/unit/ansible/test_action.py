"""What all actions share: arguments are checked, and what a user did wrong is no traceback."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

from ansible.playbook.task import Task
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.action import FleetAction
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError


class Echo(FleetAction):
    spec: ClassVar = {"word": {"choices": ["a", "b"], "default": "a"}}

    def act(self, args, variables):
        if "wrong" in variables:
            raise InputError(["one thing", "another"])
        return {"said": args["word"], "by": variables.get("who")}


def run(variables=None, **args):
    task = Task()
    task.args = args
    task.action = "echo"
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    action = Echo(task, connection, None, None, None, None)
    return action.run(task_vars=variables)


def test_an_action_gets_its_arguments_with_their_defaults_and_the_play_s_variables():
    assert run({"who": "me"}, word="b") == {"said": "b", "by": "me"}
    assert run() == {"said": "a", "by": None}


def test_an_argument_that_is_none_of_the_choices_is_an_error():
    refused = run(word="c")
    assert refused["failed"] and "word must be one of: a, b" in refused["msg"]


def test_what_is_wrong_with_the_input_fails_the_task_with_all_of_it():
    assert run({"wrong": True}) == {"failed": True, "msg": "one thing\nanother"}
