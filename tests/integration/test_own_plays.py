"""`run_jobs` inside plays of people's own: its options, and its manners."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from real_nodes import NODES, ROOT, Controller, Counter, Fleet, Played

RUN = "distributed.gummy.run_jobs"
SHOW = {"distributed.gummy.show": {"of": "r"}, "run_once": True}


def own_play(controller: Controller, *tasks: Any, name: str = "own", **keywords: Any) -> str:
    """The path of a playbook of one play, over localhost if nothing else is said."""
    path = controller.folder / f"{name}.yml"
    play = {"hosts": "localhost", "gather_facts": False, "tasks": list(tasks), **keywords}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return str(path)


def said(played: Played) -> str:
    """The output with its messages as they were before somebody put them in JSON."""
    texts = re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', played.output)
    plain = " ".join(json.loads(f'"{text}"') for text in texts)
    return " ".join((plain + played.output).split())


def recap(played: Played, host: str = "localhost") -> dict[str, int]:
    (line,) = re.findall(rf"^{host} +: (.*)$", played.output, re.MULTILINE)
    return {name: int(number) for name, number in (word.split("=") for word in line.split())}


def shell(**options: Any) -> dict[str, Any]:
    return {"nodes": "all", "agent": "shell", **options}


# -- options


def test_what_a_template_yields_is_not_a_template_again(
    controller: Controller, fleet: Fleet
) -> None:
    mark = controller.folder / "templated"
    text = f'printf %s \'{{{{ lookup("pipe", "touch {mark}") }}}}\' > got'
    (controller.folder / "command.sh").write_text(text, encoding="utf-8")
    looked_up = "{{ lookup('ansible.builtin.file', '" + str(controller.folder) + "/command.sh') }}"
    tasks = [
        {"set_fact": {"of_fact": looked_up}},
        {
            RUN: shell(
                jobs=[
                    {"name": "lookup", "command": looked_up},
                    {"name": "fact", "command": "{{ of_fact }}"},
                    {"name": "filled", "command": "echo {{ 40 + 2 }} > got"},
                ]
            ),
            "register": "r",
        },
        SHOW,
    ]
    played = controller.play(own_play(controller, *tasks))
    assert played.status == 0 and not mark.exists(), played
    for name in ("lookup", "fact"):
        patch = pathlib.Path(played.jobs[name]["patch"]).read_text(encoding="utf-8")
        assert '+{{ lookup("pipe", "touch' in patch
    assert "+42\n" in pathlib.Path(played.jobs["filled"]["patch"]).read_text(encoding="utf-8")


def test_loop_and_vault_work(controller: Controller, fleet: Fleet) -> None:
    password = controller.folder / "password"
    password.write_text("secret", encoding="utf-8")
    encrypt = ["-m", "ansible", "vault", "encrypt_string", "--vault-password-file", str(password)]
    encrypted = subprocess.run(
        [sys.executable, *encrypt, "echo kept > got"],
        env=controller.env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    path = controller.folder / "own.yml"
    path.write_text(
        f"""\
- hosts: localhost
  gather_facts: false
  vars:
    vaulted: {encrypted.rstrip()}
  tasks:
    - {RUN}:
        nodes: all
        agent: shell
        run_id: "loop-{{{{ item }}}}"
        command: "echo {{{{ item }}}} > got"
      loop: [a, b]
    - {RUN}: {{nodes: all, agent: shell, command: "{{{{ vaulted }}}}"}}
      register: r
    - distributed.gummy.show: {{of: r}}
""",
        encoding="utf-8",
    )
    played = controller.play(str(path), "--vault-password-file", str(password))
    assert played.status == 0, played
    assert "+kept\n" in pathlib.Path(played.job["patch"]).read_text(encoding="utf-8")
    for item in "ab":
        patches = [*(controller.state / "runs" / f"loop-{item}").rglob("changes.patch")]
        assert [f"+{item}\n" in patch.read_text(encoding="utf-8") for patch in patches] == [True]


def test_a_run_is_called_again_by_the_same_task(controller: Controller, counter: Counter) -> None:
    # The first calls fail; what a loop or `retries` calls again is the same process.
    tries = f"$HOME/{counter.name}-tries"
    command = f'{counter.command()}; echo x >> "{tries}"; test "$(wc -l < "{tries}")" -gt 1'
    job = shell(run_id="again", command=command, node=NODES[0], only="{{ item }}", fail_on=[])
    task = {RUN: job, "loop": ["", "failed"], "register": "r"}
    played = controller.play(own_play(controller, task))
    assert played.status == 0 and counter.starts() == ["job-1", "job-1"], played


def test_a_wrong_type_in_the_third_job_names_job_and_key(controller: Controller) -> None:
    jobs = [{"command": "x"}, {"command": "y"}, {"command": "z", "attempts": "many"}]
    played = controller.play(own_play(controller, {RUN: shell(jobs=jobs)}))
    assert played.status != 0 and re.search(r"job 3: .*attempts", said(played)), played
    jobs = [{"command": True}, {"command": "y", "timeout": "soon"}, {"comand": "z"}]
    played = controller.play(own_play(controller, {RUN: shell(jobs=jobs[:2])}))
    assert "job 1: command: True is no text" in said(played), played
    assert "job 2: timeout: 'soon' is no duration" in said(played), played
    assert not (controller.state / "runs").exists()


def test_an_open_template_in_the_vars_of_a_play_or_group_names_the_option(
    controller: Controller, fleet: Fleet
) -> None:
    task = {RUN: shell(fail_on=[])}
    text = "echo {{ word }} > got"
    played = controller.play(own_play(controller, task, vars={"gummy_command": text}))
    assert played.status != 0 and "give it as the option command of" in said(played), played

    hosts = {node: fleet.login(node) for node in NODES}
    inventory = controller.static(hosts, vars={"gummy_jobs": [{"command": text}]})
    played = controller.play(own_play(controller, task), inventory=inventory)
    assert "gummy_jobs: 1: command: it has an open '{{'" in said(played), played
    assert not (controller.state / "runs").exists()

    # What -e says, and what set_fact yielded, is taken as it is.
    fact = {"set_fact": {"gummy_command": '{{ "echo \'{" ~ "{\' > got" }}'}}
    book = own_play(controller, fact, {**task, "register": "r"}, SHOW, name="fact")
    assert controller.play(book).status == 0
    given = ("-e", json.dumps({"gummy_command": "echo '{{ word }}' > got"}))
    played = controller.play(own_play(controller, {**task, "register": "r"}, SHOW), *given)
    assert "+{{ word }}\n" in pathlib.Path(played.job["patch"]).read_text(encoding="utf-8"), played


def test_of_two_sources_the_option_wins_and_a_note_says_so(
    controller: Controller, fleet: Fleet
) -> None:
    task = {RUN: shell(command="echo option > got", timeout="5m"), "register": "r"}
    given = {"gummy_timeout": "soon", "gummy_jobs": [{"command": "echo variable > got"}]}
    played = controller.play(own_play(controller, task, SHOW), "-e", json.dumps(given))
    assert played.status == 0, played
    assert "+option\n" in pathlib.Path(played.job["patch"]).read_text(encoding="utf-8")
    assert "gummy_timeout does not count: the task has the option timeout" in played.output
    assert "gummy_jobs does not count: the task says what to do (command)" in played.output


def test_a_playbook_of_ours_hands_nothing_of_the_command_line_on_as_an_option() -> None:
    for path in (ROOT / "playbooks").glob("*.yml"):
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            assert "{{" not in json.dumps(play.get("tasks", [])), path


# -- nodes


def test_a_play_of_localhost_takes_nodes_of_the_inventory_with_their_own_variables(
    controller: Controller, fleet: Fleet
) -> None:
    hosts = {node: fleet.login(node) for node in NODES}
    two: dict[str, Any] = {node: {} for node in NODES[:2]}
    inventory = controller.static(hosts, children={"two": {"hosts": two}})
    task = {RUN: shell(nodes=["two"], each="node", command='pwd >> "$HOME/own-variables"')}
    task["register"] = "r"
    # Such plays are local, and their nodes must not be for that.
    book = own_play(controller, task, SHOW, connection="local")
    played = controller.play(book, inventory=inventory)
    assert played.status == 0, played
    assert {row["node"] for row in played.run["jobs"]} == set(NODES[:2])
    assert {node for node, lines in fleet.lines("own-variables").items() if lines} == {
        "node-1",
        "node-2",
    }

    played = controller.play(book, "--limit", "localhost:node-2:node-3", inventory=inventory)
    assert [row["node"] for row in played.run["jobs"]] == ["node-2"], played

    played = controller.play(book, "--limit", "localhost:node-3", inventory=inventory)
    assert played.status == 2, played
    assert "as in --limit localhost:node-3:node-1" in said(played), played


def test_a_list_of_nodes_in_a_file_of_minus_e_is_a_pattern(
    controller: Controller, fleet: Fleet
) -> None:
    words = controller.jobs({"command": "true"}, gummy_nodes=["node-3"])
    played = controller.run("-e", words)
    assert played.status == 0 and played.job["node"] == "node-3", played
    assert "run" in played.output and ": 1 job, 1 node\n" in played.output, played
    assert "1 of 1 job succeeded" in played.output, played


# -- manners


def test_a_failed_job_fails_the_task_and_is_named_and_nothing_anew_is_ok(
    controller: Controller, counter: Counter
) -> None:
    jobs: list[dict[str, Any]] = [
        {"name": f"job-{number}", "command": counter.command()} for number in range(2)
    ]
    jobs.append({"name": "lint", "command": "exit 4"})
    options = shell(jobs=jobs, run_id="again")
    later = {"debug": {"msg": "the play goes on"}}
    book = own_play(controller, {RUN: options}, later)

    played = controller.play(book)
    assert played.status == 2 and "the play goes on" not in played.output, played
    assert "1 of 3 jobs did not succeed: lint failed (agent): exit status 4" in said(played)
    assert len(counter.starts()) == 2

    calm = own_play(controller, {RUN: {**options, "fail_on": []}}, later, name="calm")
    played = controller.play(calm)
    assert played.status == 0 and "the play goes on" in played.output, played
    assert recap(played)["changed"] == 0 and len(counter.starts()) == 2
    only_lost = own_play(controller, {RUN: {**options, "fail_on": ["lost"]}}, name="lost")
    assert controller.play(only_lost).status == 0

    fresh = own_play(controller, {RUN: {**options, "run_id": "new", "fail_on": []}}, name="new")
    assert recap(controller.play(fresh))["changed"] == 1


def test_the_run_playbook_fails_in_one_line_as_the_user_says(
    controller: Controller, fleet: Fleet
) -> None:
    given = controller.jobs({"name": "lint", "command": "exit 4"}, {"command": "true"})
    played = controller.run("-e", given)
    assert played.status == 2, played
    assert "1 of 2 jobs did not succeed: lint failed (agent): exit status 4" in said(played)
    assert "does not count" not in played.output
    assert controller.run("-e", given, "-e", "gummy_fail_on=lost").status == 0


KEYWORDS: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    # Keywords of the play, of the task, and what is said; None: it works.
    "run_once": ({"hosts": "all"}, {"run_once": True}, None),
    "no run_once": ({"hosts": "all"}, {}, "this play has 3 hosts.*add `run_once: true`"),
    "one host": ({"hosts": "node-1"}, {}, None),
    "here": ({"hosts": "all"}, {"run_once": True, "delegate_to": "localhost"}, None),
    "elsewhere": (
        {"hosts": "all"},
        {"run_once": True, "delegate_to": "node-2"},
        "delegate_to: node-2: the nodes are reached from this controller",
    ),
    "become": ({"hosts": "node-1"}, {"become": True}, "set to become another user"),
    "become of the play": ({"hosts": "node-1", "become": True}, {}, "set to become another user"),
    "serial": ({"hosts": "all", "serial": 1}, {"run_once": True}, "remove serial"),
    "serial of all": ({"hosts": "all", "serial": "100%"}, {"run_once": True}, None),
    "free": ({"hosts": "all", "strategy": "free"}, {"run_once": True}, "free strategy"),
    "host_pinned": (
        {"hosts": "all", "strategy": "host_pinned"},
        {"run_once": True},
        "(free|host_pinned) strategy",
    ),
    "async": ({"hosts": "node-1"}, {"async": 60, "poll": 5}, "does not support async"),
}


@pytest.fixture(scope="module")
def behaved(make_controller: Any, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Any:
    top = tmp_path_factory.mktemp("keywords")

    def play(name: str) -> Played:
        of_play, of_task, _sentence = KEYWORDS[name]
        one = make_controller(top / name.replace(" ", "-"))
        options = {"agent": "shell", "command": f'echo x >> "$HOME/{_mark(name)}"'}
        book = own_play(one, {RUN: options, **of_task}, **of_play)
        played = one.play(book)
        one.close()
        return played

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(KEYWORDS, pool.map(play, KEYWORDS), strict=True))


def _mark(name: str) -> str:
    return f"keyword-{name.replace(' ', '-')}"


@pytest.mark.parametrize("name", KEYWORDS)
def test_a_keyword_works_or_is_refused_with_a_true_sentence(
    behaved: dict[str, Played], fleet: Fleet, name: str
) -> None:
    played = behaved[name]
    sentence = KEYWORDS[name][2]
    if sentence is None:
        assert played.status == 0 and fleet.count(_mark(name)) == 1, played
    else:
        assert played.status != 0 and re.search(sentence, said(played)), played
        assert fleet.count(_mark(name)) == 0 and "Traceback" not in played.output


def test_a_host_that_failed_earlier_is_no_candidate_and_no_reason_to_refuse(
    controller: Controller, fleet: Fleet
) -> None:
    fails = {"fail": {"msg": "broken"}, "when": "inventory_hostname == 'node-1'"}
    options = {"agent": "shell", "command": "true", "each": "node"}
    task = {RUN: options, "run_once": True, "register": "r"}
    played = controller.play(own_play(controller, fails, task, SHOW, hosts="all"))
    assert {row["node"] for row in played.run["jobs"]} == {"node-2", "node-3"}, played
    # Every host has what was registered.
    seen = {"debug": {"msg": "{{ inventory_hostname }} has {{ r.document.status }}"}}
    played = controller.play(own_play(controller, task, seen, hosts="all"))
    assert all(f"{node} has success" in played.output for node in NODES), played


# -- nothing to show


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (None, "there is no variable r"),
        ({"rc": 0}, "r has no document of this collection"),
        ("text", "it is a text"),
        ({"document": {"kind": "odd", "status": "x"}}, "one of the kind 'odd' is not known here"),
    ],
)
def test_show_of_something_odd_is_a_sentence(
    controller: Controller, result: Any, sentence: str
) -> None:
    book = own_play(controller, SHOW, vars={} if result is None else {"r": result})
    played = controller.play(book)
    assert played.status == 2 and sentence in said(played), played
    assert "Traceback" not in played.output and "KeyError" not in played.output


@pytest.mark.parametrize(
    ("playbook", "words"),
    [
        ("run", ("--tags", "deploy")),
        ("status", ("--tags", "deploy")),
        ("cancel", ("--skip-tags", "untagged")),
        ("run", ("--start-at-task", "Show how the jobs ended")),
        ("plan", ("--start-at-task", "Show the plan")),
        ("local_fleet", ("--tags", "deploy")),
    ],
)
def test_words_that_leave_nothing_to_do_are_no_success(
    controller: Controller, playbook: str, words: tuple[str, ...]
) -> None:
    played = controller.play(playbook, "-e", "gummy_job=x", *words)
    assert played.status == 2 and f"nothing was done: {words[0]}" in said(played), played


def test_a_site_that_imports_our_playbook_may_leave_it_out(
    controller: Controller, fleet: Fleet
) -> None:
    site = controller.folder / "site.yml"
    web = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"debug": {"msg": "the web"}, "tags": ["web"]}],
    }
    ours = {"import_playbook": "distributed.gummy.status", "tags": ["gummy"]}
    site.write_text(json.dumps([web, ours]), encoding="utf-8")
    played = controller.play(str(site), "--tags", "web")
    assert played.status == 0 and "the web" in played.output, played
    played = controller.play(str(site), "--tags", "gummy")
    assert played.status == 0 and "nodes answer" in played.output, played


def test_starting_in_the_middle_of_a_run_still_checks_the_input(
    controller: Controller, fleet: Fleet
) -> None:
    # Ansible gathers facts then, whatever the play says, and the path of its socket is too long.
    env = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}
    words = ("--start-at-task", "Place, claim, sync, start, wait, fetch")
    played = controller.run("-e", "gummy_agent=shell", *words, env=env)
    assert played.status == 2 and "there is no prompt and no command" in said(played), played
    assert controller.shell("true", *words, env=env).status == 0
