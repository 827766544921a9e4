"""The modules in a play of one's own: their documented examples, and options before settings."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from real_nodes import ROOT, Controller, Fleet, Played

# Those of run_jobs need more around them: test_examples_of_run_jobs.py plays them.
MODULES = [
    path for path in sorted((ROOT / "plugins" / "modules").glob("*.py")) if path.stem != "run_jobs"
]
# What the examples take for granted: a document to show.
BEFORE = {
    "distributed.gummy.fleet_info": {"gather": ["status"]},
    "timeout": 0,
    "register": "gummy_shown",
}


def play(
    controller: Controller, tasks: list[dict[str, object]], *words: str, hosts: str = "all"
) -> Played:
    book = controller.folder / "play.yml"
    # Once for all of the hosts, as the documentation says.
    tasks = [{"run_once": True, **task} for task in tasks]
    plays = [{"hosts": hosts, "gather_facts": False, "tasks": tasks}]
    book.write_text(json.dumps(plays), encoding="utf-8")
    return controller.play(str(book), *words)


@pytest.fixture
def release(controller: Controller) -> Controller:
    """A controller whose run release-42 has ended and is not fetched."""
    job = {"name": "notes", "command": "echo said by the job; echo new > new.txt"}
    words = ("-e", "gummy_run_id=release-42", "-e", "gummy_detach=true")
    assert controller.run("-e", controller.jobs(job), *words).status == 0
    return controller


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_examples_of_a_module_do_what_they_say(release: Controller, path: pathlib.Path) -> None:
    text = path.read_text(encoding="utf-8")
    examples = yaml.safe_load(text.partition('EXAMPLES = r"""')[2].partition('"""')[0])
    assert any(f"distributed.gummy.{path.stem}" in task for task in examples)
    words = ("-e", '{"gummy_agent": "shell", "gummy_command": "echo more > more.txt"}')
    played = play(release, [BEFORE, *examples], *words)
    assert played.status == 0 and "failed=0" in played.output, played
    # Nobody else's tests find an unfetched job of this one.
    release.play("harvest", "-e", "gummy_run_id=release-42")


def test_an_option_counts_before_the_setting_and_results_have_what_was_gathered(
    release: Controller, fleet: Fleet
) -> None:
    shown = release.folder / "shown.json"
    tasks = [
        {
            "distributed.gummy.harvest_jobs": {"run_id": "release-42"},
            "timeout": 0,
            "register": "harvested",
        },
        {
            "distributed.gummy.fleet_info": {
                "gather": ["logs", "status"],
                "run_id": "release-42",
            },
            "timeout": 0,
            "register": "gathered",
        },
        {"distributed.gummy.show": {"of": "gathered"}},
        {
            "ansible.builtin.assert": {
                "that": [
                    "harvested is changed and gathered is not changed",
                    "harvested.document.attempts[0].job == 'notes'",
                    "'said by the job' in gathered.logs.attempts[0].log",
                    "gathered.status.nodes | length == 3",
                    "gathered.specialists is not defined",
                ]
            }
        },
    ]
    words = ("-e", "gummy_run_id=of-nobody", "-e", f"gummy_output_file={shown}")
    played = play(release, tasks, *words)
    assert played.status == 0, played
    assert "said by the job" in played.output and "node-1" in played.output, played
    assert "gummy_run_id does not count: the task has the option run_id" in played.output, played
    document = json.loads(shown.read_text(encoding="utf-8"))
    assert [each["kind"] for each in document["documents"]] == ["status", "logs"]

    # Without the option the setting counts, and a wrong value names the option.
    other = play(release, [{"distributed.gummy.cancel_jobs": {}, "timeout": 0}], *words[:2])
    assert other.status == 2 and "no attempt of of-nobody" in other.output, other
    wrong = {"run_id": "release-42", "harvest_limit": "much"}
    odd = play(release, [{"distributed.gummy.harvest_jobs": wrong, "timeout": 0}])
    assert odd.status == 2 and "harvest_limit: 'much' is no size" in odd.output, odd
    unknown = play(release, [{"distributed.gummy.fleet_info": {"gather": ["cancel"]}}])
    assert unknown.status == 2 and "must be one or more of" in unknown.output, unknown


def test_in_a_play_of_localhost_the_option_nodes_says_which_nodes_are_meant(
    release: Controller,
) -> None:
    tasks: list[dict[str, object]] = [
        {"distributed.gummy.fleet_info": {"nodes": "all"}, "register": "info"},
        {"distributed.gummy.sync_project": {"nodes": ["node-1"]}, "register": "sent"},
        {
            "distributed.gummy.cancel_jobs": {"nodes": "all", "run_id": "release-42"},
            "register": "cancelled",
        },
        {
            "distributed.gummy.harvest_jobs": {"nodes": "all", "run_id": "release-42"},
            "register": "harvested",
        },
        {"distributed.gummy.clean_nodes": {"nodes": "all"}, "register": "cleaned"},
        {
            "ansible.builtin.assert": {
                "that": [
                    "info.document.nodes | length == 3",
                    "sent.document.nodes | map(attribute='node') | list == ['node-1']",
                    # Others have run what is called so, too.
                    "cancelled.document.attempts | rejectattr('told') | length == 1",
                    "harvested is changed",
                    "cleaned.document.nodes | length == 3",
                ]
            }
        },
    ]
    played = play(release, tasks, hosts="localhost")
    assert played.status == 0, played

    # Without it the play has no node, and the message says what to give.
    task = {"distributed.gummy.harvest_jobs": {"run_id": "release-42"}}
    alone = play(release, [task], hosts="localhost")
    assert alone.status == 2 and "the module's option nodes" in alone.output, alone
