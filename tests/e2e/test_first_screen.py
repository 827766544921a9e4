"""The README's first screen, typed by somebody new on a real tailnet, leads to a first job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import documented
from newcomer import Newcomer
from real_nodes import ROOT
from real_tailnet import HOSTS, Tailnet, inside

# Ansible is there, and is the one to be tested with.
LEFT_OUT = "python3 -m pip install ansible-core"


def test_the_steps_for_a_tailnet_lead_to_a_job_whose_work_is_taken_over(
    tailnet: Tailnet, tmp_path: Path, make_environment: Callable[[Path], dict[str, str]]
) -> None:
    home = tmp_path / "home"
    env = make_environment(home)
    new = Newcomer(home, env, tailnet, tailnet.cli("controller"), inside("controller"))
    lines = documented.commands_of(ROOT / "README.md", "A first job on your tailnet")
    assert LEFT_OUT in lines and len(lines) > 5

    said = ""
    for line in lines:
        if line == LEFT_OUT:
            continue
        status, output = new.type(line, documented.folder_of_job(said))
        assert status == 0, f"{line}\n{output}"
        said += output

    assert all(f"\n{host}  " in said or f"\n{host} " in said for host in HOSTS[1:]), said
    assert (new.project / "where.txt").read_text(encoding="utf-8").startswith("Linux")
