"""Finding jobs by what people see, and typing the commands short, on real nodes."""

from __future__ import annotations

import hashlib
import pathlib
import re
import shutil
import sys

import pytest
from real_nodes import ROOT, Controller, Counter, Fleet, Playing

SHORT = ROOT / "playbooks" / "shell" / "gummy.sh"
TEXT = (
    "  optimize the \"database\"'s queries, don't {{ lookup('pipe', 'touch MARK') }} {{ stop\n\n"
    "one \\n two \\ three \\\\ größe ☃ 𝔘 $(touch MARK) `touch MARK` %s {% raw %} a=b "
)
# The interpreter of a node that tells half of a log and is gone.
LEAVING = """#!/bin/sh
case "$*" in *logs)
    printf '\\036{"state": "log", "text": "first line\\\\nhalf a li"}\\n'
    WAY
esac
exec python3 "$@"
"""
WAYS = {
    # Its program alone ends.
    "ends": ("exit 137", "the answer of node-1 is cut short: try again"),
    # What serves the connection ends.
    "gone": ("sleep 0.2; kill -9 $PPID; sleep 5; exit 0", "ssh ended without a message"),
}


@pytest.mark.once
def test_a_job_is_found_by_its_name_and_one_that_several_runs_have_is_refused(
    controller: Controller, counter: Counter
) -> None:
    held = counter.command("-go")
    one = controller.jobs({"name": "unit", "command": held}, {"name": "quiet", "command": "true"})
    started = controller.begin("run", "-e", one, "-e", "gummy_run_id=by-name")
    started.wait_for(counter.starts, "the start")
    started.wait_for(lambda: "success" in started.said(), "the end of the other job")

    quiet = controller.play("logs", "-e", "gummy_job=quiet")
    assert quiet.status == 0 and re.search(
        r"^== by-name/quiet on node-\d, attempt \S+, success\n\(its log is empty\)$",
        quiet.output,
        re.MULTILINE,
    ), quiet
    so_far = controller.play("logs", "-e", "gummy_job=unit")
    assert "its log is empty so far" in so_far.output, so_far
    unknown = controller.play("cancel", "-e", "gummy_job=units")
    said = " ".join(unknown.output.split())
    assert unknown.status == 2 and counter.starts(), unknown
    assert re.search(
        r"no attempt of units is .* nearest: by-name/unit \(running on node-\d\)", said
    )
    cancelled = controller.play("cancel", "-e", "gummy_job=unit")
    assert cancelled.status == 0 and "by-name/unit" in cancelled.output, cancelled
    assert started.end().jobs["unit"]["status"] == "cancelled"

    again = controller.run("-e", controller.jobs({"name": "unit", "command": "true"}))
    assert again.status == 0, again
    several = controller.play("harvest", "-e", "gummy_job=unit")
    said = " ".join(several.output.split())
    assert several.status == 2 and re.search(
        r"gummy_job=unit fits 2: .*by-name/unit \(cancelled on node-\d, attempt \S+\)", said
    ), several


@pytest.mark.once
@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_goes_away_in_the_middle_of_a_log_ends_as_a_sentence(
    controller: Controller, fleet: Fleet, way: str
) -> None:
    how, why = WAYS[way]
    inventory = controller.static({"node-1": fleet.login("node-1")})
    run_id = f"leaving-{way}"
    done = controller.shell("echo x", "-e", f"gummy_run_id={run_id}", inventory=inventory)
    assert done.status == 0, done

    fleet.put("node-1", "leaving", LEAVING.replace("WAY", how), 0o755)
    home = fleet.ssh("node-1", 'printf %s "$HOME"')
    python = {"ansible_python_interpreter": f"{home}/leaving"}
    inventory = controller.static({"node-1": {**fleet.login("node-1"), **python}})
    played = controller.play("logs", "-e", f"gummy_run_id={run_id}", inventory=inventory)
    assert played.status == 2 and "Traceback" not in played.output, played
    assert re.search(
        rf"^first line\nhalf a li\n\(the log stops here: .*{why}", played.output, re.MULTILINE
    ), played


@pytest.mark.once
@pytest.mark.parametrize("source", ["ANSIBLE_INVENTORY", "ansible.cfg"])
@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(
            shell,
            marks=pytest.mark.skipif(
                shutil.which(shell) is None, reason=f"{shell} is not on this machine"
            ),
        )
        for shell in ("bash", "zsh")
    ],
)
def test_a_text_typed_short_reaches_the_agent_byte_for_byte(
    controller: Controller, with_doubles: Fleet, shell: str, source: str, tmp_path: pathlib.Path
) -> None:
    mark = controller.folder / "templated"
    text = TEXT.replace("MARK", str(mark)) + f"{shell} {source}"
    env = {"PATH": f"{pathlib.Path(sys.executable).parent}:{controller.env['PATH']}"}
    if source == "ANSIBLE_INVENTORY":
        env[source] = with_doubles.inventory
    else:
        # Of another folder than the project, where an ansible.cfg may be anybody's.
        config = tmp_path / "ansible.cfg"
        setting = f"[defaults]\ninventory = {with_doubles.inventory}\n"
        config.write_text(setting, encoding="utf-8")
        env["ANSIBLE_CONFIG"] = str(config)

    typed = [shell, "-c", '. "$0"; "$@"', str(SHORT), "gummy-run", text]
    played = Playing(
        [*typed, "-e", "gummy_project=none"],
        controller.project,
        {**controller.env, **env},
        controller.folder / "typed",
    ).end()
    assert played.status == 0, played
    assert with_doubles.count("claude-starts.log", hashlib.sha256(text.encode()).hexdigest()) == 1
    assert not mark.exists()
