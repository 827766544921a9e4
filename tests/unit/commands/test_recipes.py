"""How an agent is installed on a node: what is run, or why nothing can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import recipes
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.install import assess
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.tools import Tools
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import (
    INSTALL_SETTINGS,
    Recipe,
    Source,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.keys import (
    JOB_KEYS,
    TOP_KEYS,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import install_text

NOTHING = Recipe()
SOURCE = Source("https://github.com/WillyV3/gummy-agent", "0123456789abcdef" * 2 + "01234567")
BIN = "/usr/bin"


def tools(*programs: str, **more: object) -> Tools:
    values = {
        "os": "linux",
        "is_root": False,
        "home": "/home/me",
        "path": (BIN, "/bin"),
        "programs": {name: f"{BIN}/{name}" for name in programs},
        "node_version": 22 if "node" in programs else None,
    }
    return Tools(**{**values, **more})


def found(agent: str, on: Tools, recipe: Recipe = NOTHING, way: str | None = None):
    return recipes.find_installation(agent, way, recipe, on)


def why_not(agent: str, on: Tools, recipe: Recipe = NOTHING, way: str | None = None) -> str:
    with pytest.raises(recipes.CantInstall) as caught:
        found(agent, on, recipe, way)
    return str(caught.value)


def test_the_tables_speak_of_the_same_agents() -> None:
    assert set(recipes.NEEDS) == set(JOB_KEYS["agent"].choices) - {"shell"}
    assert ("auto", *recipes.WAYS) == TOP_KEYS["install_way"].choices
    assert {agent for agent, names in INSTALL_SETTINGS.items() if "source" in names} == set(
        recipes.SOURCES
    )
    assert {agent for agent, names in INSTALL_SETTINGS.items() if "version" in names} == set(
        recipes.PACKAGES
    )


def test_the_ways_are_tried_in_their_order() -> None:
    everything = tools("brew", "git", "go", "npm", "node")
    own = Recipe(source=SOURCE, install="make it")
    assert found("gummy", everything, own).commands == (("/bin/sh", "-c", "make it"),)
    pinned = Recipe(source=SOURCE)
    brew = found("gummy", everything, pinned)
    assert brew.commands == (("/usr/bin/brew", "install", "WillyV3/tap/gummy-agent"),)
    assert found("gummy", tools("git", "go"), pinned).way == "source"
    assert found("gummy", everything, pinned, "source").way == "source"
    assert found("claude", everything).way == "npm"


def test_a_source_is_built_as_the_formula_builds_it() -> None:
    built = found("gummy", tools("git", "go"), Recipe(source=SOURCE))
    folder = "/home/me/.local/share/distributed-gummy/agents/gummy"
    assert (built.source, built.folder) == (SOURCE, folder)
    assert built.lines() == [
        f"git clone https://github.com/WillyV3/gummy-agent {folder}",
        f"git -C {folder} checkout {SOURCE.commit}",
        f"cd {folder}",
        "/usr/bin/go build -o gummy-watch gummy-watch.go",
        "mkdir -p /home/me/.local/bin",
        "install -m 755 gummy gummy-watch /home/me/.local/bin/",
    ]


def test_npm_puts_one_version_into_the_home() -> None:
    words = ("install", "--global", "--prefix", "/home/me/.local", "--no-audit", "--no-fund")
    wanted = {None: "latest", "2.1.332": "2.1.332"}
    for version, tag in wanted.items():
        made = found("claude", tools("npm", "node"), Recipe(version=version))
        package = f"@anthropic-ai/claude-code@{tag}"
        assert made.commands == (("/usr/bin/npm", *words, package),)


def test_ones_own_command_is_shown_as_it_stands() -> None:
    made = found("claude", tools(), Recipe(install="one $HOME\ntwo '{{ x }}'"))
    assert made.lines() == ["one $HOME", "two '{{ x }}'"]


def test_without_any_way_each_is_named_with_what_to_do() -> None:
    why = why_not("gummy", tools("git", "go"))
    assert why.startswith("nothing there can install gummy: install brew there (https://brew.sh), ")
    assert "`git ls-remote https://github.com/WillyV3/gummy-agent` lists" in why
    assert why.endswith("`agents: {gummy: {install: LINE}}`")
    # No hash is made up.
    assert 'commit: "HASH"' in why
    assert "pin a source" not in why_not("gummy", tools(), way="brew")
    assert why_not("claude", tools(), way="brew") == (
        "claude can't be installed by brew: take another way"
    )


@pytest.mark.parametrize(
    ("on", "sentence"),
    [
        (tools("apt-get"), "type there `sudo apt-get install golang-go`"),
        (tools("dnf"), "type there `sudo dnf install golang`"),
        (tools("brew", "apt-get"), "type there `brew install go`"),
        (tools(os="macos"), "install brew there (https://brew.sh), then `brew install go`"),
        (tools(), "install the package of go there"),
    ],
)
def test_what_is_missing_is_named_with_a_command(on: Tools, sentence: str) -> None:
    why = why_not("gummy", on, Recipe(source=SOURCE), "source")
    assert why.startswith("git is missing, which gummy needs: ")
    assert f"; go is missing, which gummy needs: {sentence}" in why


def test_macos_has_a_way_of_its_own_to_git() -> None:
    why = why_not("gummy", tools("go", os="macos"), Recipe(source=SOURCE))
    assert why == "git is missing, which gummy needs: type there `xcode-select --install`"


@pytest.mark.parametrize(("version", "word"), [(21, "21"), (None, "unknown")])
def test_a_node_that_is_too_old_is_told_before(version: int | None, word: str) -> None:
    why = why_not("claude", replace(tools("npm", "node"), node_version=version))
    assert f"Node.js is too old for claude: its version is {word}, and 22 or newer" in why
    assert why_not("claude", tools("apt-get")) == (
        "npm is missing, which claude needs: type there `sudo apt-get install npm`; "
        "Node.js is missing, which claude needs: type there `sudo apt-get install nodejs`"
    )


def assessed(agent: str, on: Tools, usable: bool = False, recipe: Recipe = NOTHING):
    return assess("n", agent, on, usable=usable, way=None, recipe=recipe, command="ap -i x")


def test_a_node_that_can_use_it_is_left_alone() -> None:
    # As root in a sandbox too.
    row = assessed("gummy", tools("gummy", is_root=True), usable=True)
    assert (row["state"], row["reasons"], row["path"]) == ("usable", [], "/usr/bin/gummy")
    assert row["commands"] == row["lines"] == []


def test_nothing_is_installed_for_root_or_where_the_login_shell_hangs() -> None:
    row = assessed("gummy", tools("brew", is_root=True))
    assert row["state"] == "refused" and "set ansible_user to it" in row["reasons"][0]
    row = assessed("gummy", tools("brew", path=()))
    assert row["state"] == "refused" and "gave no PATH within 2 s" in row["reasons"][0]
    assert row["commands"] == []


def test_what_is_there_and_can_not_be_used_is_not_installed_again() -> None:
    row = assessed("gummy", tools("gummy", "brew", "apt-get"))
    assert row["state"] == "unusable" and row["commands"] == []
    assert row["reasons"] == [
        (
            "gummy needs claude, which is missing: type `ap -i x distributed.gummy.install "
            "-e gummy_agent=claude`"
        ),
        "gummy needs jq, which is missing: type there `brew install jq`",
    ]
    off = tools(programs={"claude": "/home/me/.nvm/v1/bin/claude"})
    (reason,) = assessed("claude", off)["reasons"]
    assert reason == (
        "claude lies in /home/me/.nvm/v1/bin, which is not on the PATH of the login shell: "
        'add the line `export PATH="$HOME/.nvm/v1/bin:$PATH"` to ~/.profile there'
    )
    off = tools(programs={"gummy": "/opt/homebrew/bin/gummy"}, os="macos")
    assert (
        'the line `export PATH="/opt/homebrew/bin:$PATH"` to ~/.zprofile'
        in (assessed("gummy", off)["reasons"][0])
    )
    # Where there is another start-up file, bash reads no ~/.profile.
    off = tools(programs={"claude": "/home/me/bin/claude"}, profile=".bash_profile")
    assert assessed("claude", off)["reasons"][0].endswith("to ~/.bash_profile there")
    odd = assessed("claude", tools("claude"))
    assert odd["reasons"] == ["/usr/bin/claude is there, and the node says that it can't be used"]


def test_what_is_run_finds_what_was_found() -> None:
    brew = tools(programs={"brew": "/opt/homebrew/bin/brew", "git": "/usr/bin/git"})
    row = assessed("gummy", brew)
    assert (row["state"], row["way"]) == ("missing", "brew")
    assert row["search"] == "/usr/bin:/bin:/opt/homebrew/bin"


def test_people_get_a_line_for_each_node_and_what_is_run() -> None:
    rows = [
        assessed("gummy", tools("gummy"), usable=True),
        assessed("gummy", tools("brew", "claude", "jq")),
        assessed("gummy", tools("brew", is_root=True)),
    ]
    for row, name in zip(rows, ("a", "b", "d"), strict=True):
        row["name"] = name
    rows.insert(2, {**rows[1], "name": "c"})
    lines = install_text({"agent": "gummy", "nodes": rows})
    assert lines[:5] == [
        "install: 1 of 4 nodes can use gummy",
        "✓ a  /usr/bin/gummy",
        "… b, c  to be installed by brew:",
        "    /usr/bin/brew install WillyV3/tap/gummy-agent",
        "✗ d  can't be given it:",
    ]
    assert lines[5].startswith("    its login is root")
