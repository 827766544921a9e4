"""What a node says that it has to install agents with: the script, and its reader."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import tools
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError

PROGRAM = "#!/bin/sh\nexit 0\n"


def said(**facts: str) -> str:
    values = {"os": "Linux", "uid": "1000", "home": "/home/me", "path": "/usr/bin:/bin", **facts}
    return "".join(f"noise\x1e{key}={value}\n" for key, value in {**values, "end": "yes"}.items())


def ask(home: pathlib.Path, *, profile: str = "", rc: str = "", **programs: str) -> tools.Tools:
    (home / "bin").mkdir()
    for name, text in programs.items():
        path = home / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
    (home / ".profile").write_text(profile)
    (home / ".bashrc").write_text(rc)
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=tools.SCRIPT,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/bash"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return tools.read_tools(done.stdout, "n")


def test_programs_are_found_by_the_login_shell_by_a_typed_one_and_in_usual_folders(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "nvm").mkdir()
    (tmp_path / "nvm" / "claude").write_text(PROGRAM)
    (tmp_path / "nvm" / "claude").chmod(0o755)
    (tmp_path / "brew").mkdir()
    (tmp_path / "brew" / "brew").write_text(PROGRAM)
    (tmp_path / "brew" / "brew").chmod(0o755)
    found = ask(
        tmp_path,
        profile='echo hello; PATH="$HOME/brew:$PATH"\n',
        rc='echo hello; PATH="$HOME/nvm:$PATH"\n',
        node="#!/bin/sh\necho v20.1.2\n",
    )
    assert found.home == str(tmp_path) and found.path[0] == f"{tmp_path}/brew"
    assert found.programs["brew"] == f"{tmp_path}/brew/brew" and found.is_on_path("brew")
    assert found.programs["claude"] == f"{tmp_path}/nvm/claude"
    assert not found.is_on_path("claude")
    # ~/bin is looked into although no start-up file names it; what the system has comes before.
    assert "node" in found.programs and found.node_version is not None


def test_a_login_shell_that_hangs_says_no_path(tmp_path: pathlib.Path) -> None:
    found = ask(tmp_path, profile="sleep 50\n", gummy=PROGRAM)
    assert found.path == ()
    assert found.programs["gummy"] == f"{tmp_path}/bin/gummy"


def test_a_typed_shell_that_hangs_and_hears_no_signal_is_ended_and_costs_what_it_knows_alone(
    tmp_path: pathlib.Path,
) -> None:
    found = ask(tmp_path, rc="trap '' TERM\nwhile :; do :; done\n", gummy=PROGRAM)
    assert "/usr/bin" in found.path
    assert found.programs["gummy"] == f"{tmp_path}/bin/gummy"


@pytest.mark.parametrize(
    ("facts", "profile"),
    [
        ({"shell": "/bin/bash", "profile": ".bash_profile"}, ".bash_profile"),
        ({"shell": "/usr/bin/zsh", "profile": ".profile"}, ".zprofile"),
        ({"shell": "/usr/bin/fish", "profile": ".profile"}, ""),
        ({"shell": "/bin/bash", "profile": "../x; rm -rf /"}, ""),
        ({}, ""),
    ],
)
def test_the_start_up_file_of_a_login_is_the_one_that_its_shell_reads(
    facts: dict[str, str], profile: str
) -> None:
    assert tools.read_tools(said(**facts), "n").profile == profile


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello\n",
        said(home="relative"),
        said(home="/home/\x1b[31m"),
        said(uid="0x1"),
        said(uid="9" * 50),
        said().replace("end=yes", "end=no"),
    ],
)
def test_an_answer_that_is_none_is_an_error_of_the_link(text: str) -> None:
    with pytest.raises(LinkError, match="n does not say which programs it has"):
        tools.read_tools(text, "n")


def test_what_a_node_makes_up_is_not_taken() -> None:
    found = tools.read_tools(
        said(
            os="Plan 9",
            path="/a:b:/c\x07d:/e/:" + ":",
            brew="brew; rm -rf /",
            npm="/x\x1b[0m",
            git="/usr/bin/" + "g" * 5000,
            go="/usr/bin/go\r",
            node_version="v" + "9" * 30 + ".",
            evil="/bin/evil",
        ),
        "n",
    )
    assert found == tools.Tools(
        os="",
        is_root=False,
        home="/home/me",
        path=("/a", "/e"),
        programs={"go": "/usr/bin/go"},
        node_version=None,
    )
    assert tools.read_tools(said(path="/a:" * 9000), "n").path == ()
    assert tools.read_tools(said(uid="0", os="Darwin"), "n").is_root
