"""The load of a node: what the script prints, how it is read, and how nodes that give no answer are
told apart.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.at_once import (
    CompletedCommand,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import probe
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.probe import facts_of, parse
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import store
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
)

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "probe"
LINUX = (FIXTURES / "linux.txt").read_text(encoding="utf-8")
MACOS = (FIXTURES / "macos_made_by_hand.txt").read_text(encoding="utf-8")


def line(words):
    return f"@gummy-probe {words} @end\n"


def facts(text, slots=None, now=0.0, trouble=None):
    return facts_of(
        CompletedCommand(None if trouble else 0, text, trouble=trouble), slots, DEFAULT_WEIGHTS, now
    )


def test_linux_is_read():
    seen = parse(LINUX)
    assert seen.load == {"cpu": 0.5, "memory": 0.0181, "load_average": 0.65, "io_wait": 0.0}
    assert (seen.cpus, seen.busy, seen.agents, seen.free, seen.python) == (
        2,
        0,
        (),
        83103268 * 1024,
        "3.11.7",
    )
    assert seen.python_path == "/usr/bin/python3" and seen.done


def test_macos_is_read_and_what_it_can_not_say_is_not_known():
    seen = parse(MACOS)
    assert seen.load == {"cpu": 0.1537, "memory": 0.75, "load_average": 0.25, "io_wait": None}
    assert (seen.cpus, seen.busy, seen.agents, seen.free) == (
        8,
        1,
        ("gummy", "claude"),
        104857600 * 1024,
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "Welcome!\ncpus 99\n" + text.lstrip("\n"),
        lambda text: "\x1b[1mno newline at the end" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(
            line("begin"), line("begin") + "cpu  1 1 1 1\n@gummy-probe cpus 7\n" * 3
        ),
        lambda text: text.replace("1.30 1.01", "1,30 1,01"),
    ],
)
def test_noise_changes_nothing(change):
    assert parse(change(LINUX)) == parse(LINUX)


def test_a_cut_answer_keeps_what_is_whole():
    whole = parse(LINUX)
    for length in range(len(LINUX)):
        seen = parse(LINUX[:length])
        assert all(value in (None, whole.load[part]) for part, value in seen.load.items())
        assert seen.free in (None, whole.free) and seen.cpus in (None, whole.cpus)
    record = facts(LINUX[: LINUX.index("@gummy-probe disk")], trouble="no answer within 5 s")
    assert (record["state"], record["reason"], record["agents"]) == (
        "measured",
        "only in part: no answer within 5 s",
        None,
    )


@pytest.mark.parametrize("value", ["", "-1", "nan", "1e9", "9" * 30, "x", "{{ 7*7 }}", "0"])
def test_values_that_are_no_numbers_are_not_known(value):
    text = "".join(
        line(f"{key} {value}")
        for key in (
            "cpus",
            "loadavg",
            "MemTotal:",
            "MemAvailable:",
            "memsize",
            "top",
            "disk",
            "python",
            "stat",
            "stat",
        )
    )
    seen = parse(text)
    assert (
        seen.cpus is None
        and set(seen.load.values()) == {None}
        and seen.free is None
        and seen.python is None
    )


@pytest.mark.parametrize(
    ("samples", "cpu", "io_wait"),
    [
        (("cpu 0 0 0 0 0 0 0 0 0 0", "cpu 10 10 10 50 10 5 3 2 99 99"), 0.4, 0.1),
        (("cpu 5 5 5 5", "cpu 10 5 5 10"), 0.5, None),
        (("cpu 9 9 9 9 9 9 9 9", "cpu 9 9 9 9 9 9 9 9"), None, None),
        (("cpu 9 9 9 9 9 9 9 9", "cpu 9 9 9 19 8 9 9 9"), 0.0, 0.0),
        (("cpu 9 9 9 9 9 9 9 9",), None, None),
        (("cpu 9 9 9 9 9", "cpu 9 9 9"), None, None),
    ],
)
def test_cpu_is_what_was_spent_between_two_samples(samples, cpu, io_wait):
    load = parse("".join(line(f"stat {sample}") for sample in samples)).load
    assert (load["cpu"], load["io_wait"]) == (cpu, io_wait)


def test_a_later_answer_about_the_load_alone_counts_and_its_cpu_is_that_since_the_sample_before():
    words = (
        "begin",
        "busy 1",
        "cpus 2",
        "stat cpu 9000 9 9 109000 9 9 9 9",
        "loadavg 0.20 1 1 1/9 9",
        "MemTotal: 100",
        "MemAvailable: 25",
        "done",
    )
    later = "".join(map(line, words))
    before = (
        LINUX[: LINUX.index("@gummy-probe loadavg")]
        + line("stat cpu 8000 9 9 100000 9 9 9 9")
        + line("done")
    )
    seen = parse(before + later)
    assert seen.load == {"cpu": 0.1, "memory": 0.75, "load_average": 0.1, "io_wait": 0.0} and (
        seen.busy,
        seen.done,
    ) == (1, True)
    cut = parse(LINUX + later[: later.index("@gummy-probe loadavg")])
    assert not cut.done and cut.load["load_average"] == 0.65 and cut.python == "3.11.7"


@pytest.mark.parametrize(
    ("programs", "agents"),
    [
        ("gummy claude jq", ("gummy", "claude")),
        ("claude jq", ("claude",)),
        ("gummy jq", ()),
        ("gummy claude", ("claude",)),
        # claude refuses root only where it would bypass its permissions, as gummy asks it to.
        ("gummy claude jq is-root", ("claude",)),
        ("gummy jq is-root", ()),
        ("", ()),
    ],
)
def test_an_agent_is_usable_if_all_it_needs_is_there(programs, agents):
    assert parse(line(f"programs {programs}")).agents == agents


def test_slots_are_half_the_cpus_unless_configured():
    assert [facts(MACOS, slots)["slots"]["total"] for slots in (None, 1)] == [4, 1]
    assert facts(line("cpus 1") + line("loadavg 0.1"))["slots"] == {"total": 1, "busy": 0}


def test_a_measured_record_has_its_score_and_time():
    record = facts(MACOS, now=12.5)
    assert (record["source"], record["measured_at"], record["reason"]) == ("probe", 12.5, None)
    assert record["score"] == pytest.approx(0.4 * 0.1537 + 0.3 * 0.75 + 0.3 * 0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (
            CompletedCommand(255, err="ssh: connect to host a port 22: Connection refused"),
            "unreachable",
            "connection refused",
        ),
        (
            CompletedCommand(255, err="ssh: connect to host a port 22: Connection timed out"),
            "unreachable",
            "timed out",
        ),
        (
            CompletedCommand(
                255,
                err=(
                    "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n"
                    "Host key verification failed."
                ),
            ),
            "unreachable",
            "has changed",
        ),
        (
            CompletedCommand(255, err="Host key verification failed."),
            "unreachable",
            "its host key is not known: log in once",
        ),
        (
            CompletedCommand(255, err="a@b: Permission denied (publickey,password)."),
            "unreachable",
            "it asks for a password",
        ),
        (
            CompletedCommand(255, err="a@b: Permission denied (publickey)."),
            "unreachable",
            "it refuses the login",
        ),
        (
            CompletedCommand(
                255, err="ssh: Could not resolve hostname a: Name or service not known"
            ),
            "unreachable",
            "not known here",
        ),
        (
            CompletedCommand(255, err="kex_exchange: some\x1b new message\n"),
            "unreachable",
            "kex_exchange: some new message",
        ),
        (CompletedCommand(255), "unreachable", "without a message"),
        (
            CompletedCommand(None, trouble="no answer within 5 s"),
            "unreachable",
            "no answer within 5 s",
        ),
        (CompletedCommand(None, trouble="no turn within 5 s", tried=False), "unknown", "no turn"),
        (
            CompletedCommand(1, out="This account is currently not available.\n"),
            "unknown",
            "(exit status 1): This account",
        ),
        (CompletedCommand(127, err="sh: not found"), "unknown", "(exit status 127): sh: not found"),
        (CompletedCommand(0), "unknown", "it printed nothing"),
        (
            CompletedCommand(0, out=line("begin") + line("cpus 4") + line("done")),
            "unknown",
            "nothing can be measured",
        ),
        (
            CompletedCommand(None, out=line("begin"), trouble="no answer within 5 s"),
            "unknown",
            "no answer within 5 s",
        ),
    ],
)
def test_unknown_and_unreachable_are_not_mixed_up(outcome, state, reason):
    record = facts_of(outcome, 3, DEFAULT_WEIGHTS, 0.0)
    assert record["state"] == state and reason in record["reason"]
    assert (record["score"], record["source"], record["measured_at"], record["slots"]["busy"]) == (
        None,
        None,
        None,
        0,
    )


@pytest.fixture
def home(tmp_path):
    """A home with agents that only the login shell finds, and a start-up file that prints and
    reads.
    """
    for name in ("gummy", "claude", "jq"):
        program = tmp_path / "agents here" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
    (tmp_path / ".profile").write_text(
        f'echo "PATH=/nowhere"; read swallowed; PATH="$PATH:{tmp_path}/agents here"\n',
        encoding="utf-8",
    )
    return tmp_path


def run_script(shell, home, script=probe.SCRIPT, **env):
    settings = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "IS_SANDBOX": "1",
        "SHELL": "/bin/sh",
        **env,
    }
    return subprocess.run(
        [*shell, "-s"],
        input=script,
        env=settings,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


# What may be a /bin/sh; zsh, called by that name, behaves as one.
SHELLS = {"sh": (), "dash": (), "bash": (), "zsh": ("--emulate", "sh")}


@pytest.mark.parametrize("shell", list(filter(shutil.which, SHELLS)))
def test_the_script_measures_this_machine(shell, home):
    words = (shutil.which(shell), *SHELLS[shell])
    seen = parse(run_script(words, home, LC_ALL="de_DE.UTF-8"))
    assert seen.begun and seen.done and seen.agents == ("gummy", "claude")
    assert seen.cpus and all(
        0 <= seen.load[part] <= 1 for part in ("cpu", "memory", "load_average")
    )
    assert seen.free and re.match(r"3\.\d+\.\d+", seen.python or "")


def test_the_load_alone_is_measured_without_starting_a_program(home):
    seen = parse(run_script(["/bin/sh"], home, probe.LOAD_SCRIPT, PATH=str(home)))
    assert seen.begun and seen.done and seen.agents is None
    if os.path.exists("/proc/stat"):
        assert seen.cpus == os.cpu_count() and None not in (
            seen.load["memory"],
            seen.load["load_average"],
        )


def test_only_slots_of_living_processes_are_busy(home):
    slots = home / "state" / "distributed-gummy" / store.machine_id() / "slots"
    slots.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name, text in {
        "0": f"{os.getpid()}\n",
        "1": f"{ended.pid}\n",
        "2": "",
        "3": "0\n",
        "4": "-1\n",
        "5": "x",
        "6.12.tmp": f"{os.getpid()}\n",
    }.items():
        (slots / name).write_text(text, encoding="utf-8")
    assert parse(run_script(["/bin/sh"], home, XDG_STATE_HOME=str(home / "state"))).busy == 1
    assert parse(run_script(["/bin/sh"], home)).busy == 0


def test_the_script_and_the_node_program_name_the_machine_alike():
    script = probe.LOAD_FUNCTIONS + "LC_ALL=C; export LC_ALL; machine_id; printf %s $id"
    assert (
        subprocess.run(
            ["/bin/sh", "-s"], input=script, capture_output=True, text=True, check=True
        ).stdout
        == store.machine_id()
    )


def test_a_python_that_does_not_run_is_passed_over(home):
    bin_folder = home / "a bin"
    bin_folder.mkdir()
    for name, text in {
        "python3": "exit 127",
        "python3.14": "echo Python 3.8.1",
        "python3.13": "echo Python 3.13.0rc2",
    }.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (bin_folder / name).chmod(0o755)
    seen = parse(run_script(["/bin/sh"], home, PATH=f"{bin_folder}:{os.environ['PATH']}"))
    assert (seen.python, seen.python_path) == ("3.13.0", f"{bin_folder}/python3.13")
