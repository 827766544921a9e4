"""The README's first screen, typed by somebody new on a real tailnet, leads to a first job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import documented
from newcomer import Newcomer
from real_nodes import ROOT
from real_tailnet import NODES, Tailnet, inside

# Ansible is there, and is the one to be tested with.
LEFT_OUT = "python3 -m pip install ansible-core"


def test_the_steps_for_a_tailnet_lead_to_a_job_whose_work_is_taken_over(
    tailnet: Tailnet, tmp_path: Path, make_environment: Callable[[Path], dict[str, str]]
) -> None:
    home = tmp_path / "home"
    env = make_environment(home)
    # He has been on the nodes before, at their addresses in the tailnet.
    text = Path(tailnet.ssh_config).read_text(encoding="utf-8")
    for node in NODES:
        address = tailnet.peer(node)["TailscaleIPs"][0]
        text = text.replace(f"Host {node}\n", f"Host {node} {address}\n")
    ssh_config = tmp_path / "ssh_config"
    ssh_config.write_text(text, encoding="utf-8")

    new = Newcomer(
        home,
        env,
        tailnet,
        tailnet.cli("controller"),
        ssh_config=str(ssh_config),
        within=inside("controller"),
    )
    lines = documented.commands_of(ROOT / "README.md", "A first job on your tailnet")
    assert LEFT_OUT in lines and len(lines) > 5

    said = ""
    for line in lines:
        if line == LEFT_OUT:
            continue
        status, output = new.type(line, documented.folder_of_job(said))
        assert status == 0, f"{line}\n{output}"
        said += output

    assert all(f"\n{node}  " in said for node in NODES), said
    assert (new.project / "where.txt").read_text(encoding="utf-8").startswith("Linux")
