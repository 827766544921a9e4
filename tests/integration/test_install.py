"""`install`: nodes that lack an agent get it, by doubles of what installs it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from real_nodes import NODES, ROOT, Controller, Fleet, Played

pytestmark = pytest.mark.once

DOUBLES = ROOT / "tests" / "fixtures" / "installers"
PROGRAM = "#!/bin/sh\nexit 0\n"
NODE = "#!/bin/sh\necho v22.4.1\n"
BREW = "<install><WillyV3/tap/gummy-agent>"
NOTE = ".local/share/distributed-gummy/agents"
# What a test of this file may leave in a home.
LEFT = ("bin", ".local/bin", ".local/share", ".profile", "source", "own-calls.log")


def clean(fleet: Fleet) -> None:
    for node in NODES:
        home = fleet.home(node)
        for path in (*(home / name for name in LEFT), *home.glob("*-calls.log")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (home / "brew-fails").unlink(missing_ok=True)


@pytest.fixture
def bare(fleet: Fleet, controller: Controller) -> Iterator[Fleet]:
    """Nodes without any agent, whose login shell looks into ~/bin and ~/.local/bin."""
    clean(fleet)
    # Ansible's own modules go over Ansible's own master, whose socket can't lie as deep as a test.
    sockets = tempfile.mkdtemp(prefix="gummy-cp-")
    controller.env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = sockets
    path = fleet.ssh("node-1", 'printf %s "$PATH"')
    for node in NODES:
        fleet.put(node, ".profile", f'PATH="$HOME/bin:$HOME/.local/bin:{path}"\n')
        give(fleet, node, **{"nothing-yet": PROGRAM})
    yield fleet
    clean(fleet)
    shutil.rmtree(sockets)


def give(fleet: Fleet, where: str, /, *doubles: str, **programs: str) -> None:
    """Programs for this node's ~/bin: doubles of ours by name, and others by their text."""
    texts = {name: (DOUBLES / f"{name}.sh").read_text(encoding="utf-8") for name in doubles}
    for name, text in {**texts, **programs}.items():
        fleet.put(where, f"bin/{name}", text, 0o755)
    # The node's login writes there too.
    if os.geteuid() == 0:
        owner = fleet.home(where).stat()
        os.chown(fleet.home(where) / "bin", owner.st_uid, owner.st_gid)


def home_of(fleet: Fleet, node: str) -> str:
    """The home as the node itself sees it."""
    return fleet.ssh(node, 'printf %s "$HOME"')


def calls(fleet: Fleet, program: str) -> dict[str, list[str]]:
    return fleet.lines(f"{program}-calls.log")


def counts(played: Played) -> dict[str, dict[str, int]]:
    """The recap: host -> what is counted of it."""
    return {
        row[1]: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", row[2])}
        for row in re.finditer(r"^(\S+)\s+: (ok=.*)$", played.output, re.MULTILINE)
    }


def one_line(played: Played) -> str:
    return " ".join(played.output.split())


def test_nodes_that_lack_it_get_it_at_once_and_a_second_time_nothing_is_done(
    controller: Controller, bare: Fleet
) -> None:
    for node in ("node-1", "node-2"):
        give(bare, node, "brew", claude=PROGRAM, jq=PROGRAM)
    give(bare, "node-3", claude=PROGRAM, jq=PROGRAM, gummy=PROGRAM)
    output = controller.folder / "install.json"
    words = ("-e", f"gummy_output_file={output}")

    before = bare.files()
    foreseen = controller.play("install", "--check", "--diff", *words)
    assert foreseen.status == 0, foreseen
    brew = f"{home_of(bare, 'node-1')}/bin/brew install WillyV3/tap/gummy-agent"
    assert "install: 1 of 3 nodes can use gummy" in foreseen.output, foreseen
    assert f"… node-1, node-2  to be installed by brew:\n    {brew}\n" in foreseen.output, foreseen
    assert f"\n+{brew}\n" in foreseen.output, foreseen
    assert counts(foreseen)["node-1"]["changed"] == 2, foreseen
    assert counts(foreseen)["node-3"]["changed"] == 0, foreseen
    assert calls(bare, "brew") == {}
    new = {path for path in bare.files() - before if ".ansible" not in path.parts}
    assert {path for path in new if NOTE in str(path) or path.name == "gummy"} == set()
    rows = {row["name"]: row for row in json.loads(output.read_text(encoding="utf-8"))["nodes"]}
    assert rows["node-1"]["lines"] == [brew] and rows["node-3"]["state"] == "usable"

    done = controller.play("install", *words)
    assert done.status == 0, done
    assert calls(bare, "brew") == {"node-1": [BREW], "node-2": [BREW]}
    assert brew in done.output and counts(done)["node-2"]["changed"] == 3, done
    assert counts(done)["node-3"]["changed"] == 0, done
    note = bare.home("node-2") / NOTE / "gummy.txt"
    assert "bin/brew install WillyV3/tap/gummy-agent\n" in note.read_text(encoding="utf-8")

    again = controller.play("install", *words)
    assert again.status == 0 and "3 of 3 nodes can use gummy" in again.output, again
    assert {row["changed"] for row in counts(again).values()} == {0}, again
    assert calls(bare, "brew") == {"node-1": [BREW], "node-2": [BREW]}
    # What the nodes said a moment ago does not count any more, for other commands either.
    status = controller.play("status", *words)
    agents = json.loads(output.read_text(encoding="utf-8"))["nodes"]
    assert status.status == 0 and {row["name"] for row in agents if row["usable"]} >= {*NODES}


def test_a_brew_that_fails_is_a_sentence_and_the_other_node_goes_on(
    controller: Controller, bare: Fleet
) -> None:
    for node in ("node-1", "node-2"):
        give(bare, node, "brew", claude=PROGRAM, jq=PROGRAM)
    bare.put("node-1", "brew-fails", "")
    played = controller.play("install", "-e", "gummy_nodes=node-1:node-2")
    assert played.status == 2, played
    said = one_line(played)
    assert re.search(
        r"node-1: `\S+/brew install WillyV3/tap/gummy-agent` ended with exit status 1: "
        r'Error: No available formula with the name "WillyV3/tap/gummy-agent". '
        r"\{\{ 7 \* 6 \}\}\[31m",
        said,
    ), played
    assert "\x1b[31m" not in played.output
    assert (bare.home("node-2") / "bin/gummy").exists(), played
    assert counts(played)["node-1"]["failed"] == 1 and counts(played)["node-2"]["failed"] == 0
    assert not (bare.home("node-1") / NOTE / "gummy.txt").exists()

    (bare.home("node-1") / "brew-fails").unlink()
    again = controller.play("install", "-e", "gummy_nodes=node-1:node-2")
    assert again.status == 0 and calls(bare, "brew") == {"node-1": [BREW] * 2, "node-2": [BREW]}


def source_on(fleet: Fleet, node: str, *, script: str = PROGRAM) -> tuple[str, str]:
    """A repository in the node's home, as gummy's is: its URL there, and its commit."""
    git = "git -c user.name=t -c user.email=t@t"
    commit = fleet.ssh(
        node,
        "set -e; mkdir ~/source; cd ~/source; git init -q; "
        f"printf %s {shlex.quote(script)} > gummy; chmod 755 gummy; echo 'package main' > "
        f"gummy-watch.go; git add .; {git} commit -qm one; git rev-parse HEAD; "
        f"echo newer >> gummy; {git} commit -qam two",
    ).split()[0]
    return f"file://{home_of(fleet, node)}/source", commit


def test_without_brew_a_pinned_source_is_built(controller: Controller, bare: Fleet) -> None:
    give(bare, "node-1", "go", claude=PROGRAM, jq=PROGRAM)
    url, commit = source_on(bare, "node-1")
    controller.configure(
        json.dumps({"agents": {"gummy": {"source": {"url": url, "commit": commit}}}})
    )
    words = ("-e", "gummy_nodes=node-1")

    foreseen = controller.play("install", "--check", "--diff", *words)
    assert foreseen.status == 0 and calls(bare, "go") == {}, foreseen
    assert f"checkout {commit}" in foreseen.output and "build -o gummy-watch" in foreseen.output
    assert not (bare.home("node-1") / ".local/share/distributed-gummy").exists()

    done = controller.play("install", *words)
    assert done.status == 0, done
    assert calls(bare, "go") == {"node-1": ["<build><-o><gummy-watch><gummy-watch.go>"]}
    # The commit that is pinned, not the newest one.
    assert (bare.home("node-1") / ".local/bin/gummy").read_text(encoding="utf-8") == PROGRAM
    assert (bare.home("node-1") / ".local/bin/gummy-watch").exists()
    again = controller.play("install", *words)
    assert again.status == 0 and counts(again)["node-1"]["changed"] == 0, again


def test_a_commit_that_is_not_there_fails_and_without_a_full_hash_nothing_begins(
    controller: Controller, bare: Fleet
) -> None:
    give(bare, "node-1", "go", claude=PROGRAM, jq=PROGRAM)
    url, commit = source_on(bare, "node-1")
    words = ("-e", "gummy_nodes=node-1")
    source = {"url": url, "commit": "0" * 40}
    controller.configure(json.dumps({"agents": {"gummy": {"source": source}}}))
    wrong = controller.play("install", *words)
    assert wrong.status == 2 and calls(bare, "go") == {}, wrong
    assert not (bare.home("node-1") / ".local/bin/gummy").exists()

    # A branch that is called like the hash of another commit is no pin either.
    bare.ssh("node-1", f"git -C ~/source update-ref refs/heads/{'a' * 40} HEAD")
    controller.configure(
        json.dumps({"agents": {"gummy": {"source": {**source, "commit": "a" * 40}}}})
    )
    lied = controller.play("install", *words)
    assert lied.status == 2 and "gave another commit than the one" in one_line(lied), lied
    assert calls(bare, "go") == {}

    for short in (commit[:12], "master"):
        controller.configure(
            json.dumps({"agents": {"gummy": {"source": {**source, "commit": short}}}})
        )
        refused = controller.play("install", *words)
        assert refused.status == 2 and "is no full hash of a commit" in one_line(refused), refused

    controller.configure("")
    unpinned = controller.play("install", *words)
    said = one_line(unpinned)
    assert unpinned.status == 2 and "nothing there can install gummy: install brew there" in said
    assert "`git ls-remote https://github.com/WillyV3/gummy-agent` lists" in said, unpinned


def test_claude_comes_from_npm_into_the_home(controller: Controller, bare: Fleet) -> None:
    give(bare, "node-1", "npm", node=NODE)
    give(bare, "node-2", "npm", node=NODE.replace("22", "18"))
    controller.configure('agents: {claude: {version: "2.1.332"}}')
    words = ("-e", "gummy_agent=claude", "-e", "gummy_nodes=node-1:node-2")
    played = controller.play("install", *words)
    said = one_line(played)
    home = home_of(bare, "node-1")
    assert calls(bare, "npm") == {
        "node-1": [
            (
                f"<install><--global><--prefix><{home}/.local><--no-audit><--no-fund>"
                "<@anthropic-ai/claude-code@2.1.332>"
            )
        ]
    }
    assert played.status == 2 and "node-2: Node.js is too old for claude: its version is 18" in said
    assert counts(played)["node-1"]["failed"] == 0, played


def test_what_is_still_missing_is_named_with_a_command(controller: Controller, bare: Fleet) -> None:
    give(bare, "node-1", "brew", jq=PROGRAM)
    give(bare, "node-2", gummy=PROGRAM, jq=PROGRAM)
    words = ("-e", "gummy_nodes=node-1:node-2")
    played = controller.play("install", *words)
    said = one_line(played)
    assert played.status == 2 and calls(bare, "brew") == {"node-1": [BREW]}, played
    for node in ("node-1", "node-2"):
        assert re.search(
            rf"{node}: gummy needs claude, which is missing: type `ansible-playbook -i \S+ "
            r"distributed.gummy.install -e gummy_agent=claude`",
            said,
        ), played
    again = controller.play("install", *words)
    assert again.status == 2 and {row["changed"] for row in counts(again).values()} == {0}, again
    assert calls(bare, "brew") == {"node-1": [BREW]}


def test_what_lies_where_installers_put_it_is_found_and_not_installed_again(
    controller: Controller, bare: Fleet
) -> None:
    give(bare, "node-1", "npm", node=NODE)
    path = bare.ssh("node-1", 'printf %s "$PATH"')
    bare.put("node-1", ".profile", f'PATH="$HOME/bin:{path}"\n')
    words = ("-e", "gummy_agent=claude", "-e", "gummy_nodes=node-1")
    for _time in range(2):
        played = controller.play("install", *words)
        assert played.status == 0, played
    assert len(calls(bare, "npm")["node-1"]) == 1


def test_the_users_own_command_goes_first_and_is_read_raw(
    controller: Controller, bare: Fleet
) -> None:
    give(bare, "node-1", "brew", claude=PROGRAM, jq=PROGRAM)
    own = (
        "echo '{{ 7 * 6 }} $HOME' >> ~/own-calls.log\n"
        'printf "#!/bin/sh\\n" > ~/bin/gummy; chmod 755 ~/bin/gummy'
    )
    controller.configure(json.dumps({"agents": {"gummy": {"install": own}}}))
    played = controller.play("install", "-e", "gummy_nodes=node-1")
    assert played.status == 0 and calls(bare, "brew") == {}, played
    assert calls(bare, "own") == {"node-1": ["{{ 7 * 6 }} $HOME"]}
    note = (bare.home("node-1") / NOTE / "gummy.txt").read_text(encoding="utf-8")
    assert note == f"{own}\n" and own.splitlines()[0] in played.output, played

    (bare.home("node-1") / "bin/gummy").unlink()
    other = controller.play("install", "-e", "gummy_nodes=node-1", "-e", "gummy_install_way=brew")
    assert other.status == 0 and calls(bare, "brew") == {"node-1": [BREW]}, other


def test_a_command_that_does_not_end_costs_no_more_than_it_may(
    controller: Controller, bare: Fleet
) -> None:
    controller.configure(json.dumps({"agents": {"claude": {"install": "sleep 20"}}}))
    words = ("-e", "gummy_agent=claude", "-e", "gummy_nodes=node-1", "-e", "agent_seconds=2")
    played = controller.play("install", *words)
    said = one_line(played)
    assert played.status == 2 and "Timed out after 2 second(s)" in said, played
    assert "(item=/bin/sh -c sleep 20)" in said, played

    # What ends well and installs nothing is no success either.
    controller.configure(json.dumps({"agents": {"claude": {"install": "true"}}}))
    nothing = controller.play("install", *words[:4])
    assert nothing.status == 2 and "claude is still not to be found" in one_line(nothing), nothing


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a login that is root")
def test_nothing_is_installed_for_root(controller: Controller, bare: Fleet) -> None:
    home = pathlib.Path(controller.env["HOME"])
    (home / "bin").mkdir(parents=True)
    for name in ("brew", "npm"):
        shutil.copy(DOUBLES / f"{name}.sh", home / "bin" / name)
    (home / ".profile").write_text('PATH="$HOME/bin:$PATH"\n', encoding="utf-8")
    give(bare, "node-1", "brew", claude=PROGRAM, jq=PROGRAM)
    hosts = {"node-1": bare.login("node-1"), "rooted": {"ansible_connection": "local"}}
    played = controller.play("install", inventory=controller.static(hosts))
    said = one_line(played)
    assert played.status == 2 and "rooted: its login is root, and no agent is installed" in said
    assert not (home / "brew-calls.log").exists()
    assert calls(bare, "brew") == {"node-1": [BREW]}, played

    become = controller.play("install", "--become", inventory=controller.static(hosts))
    assert become.status == 2 and "unset become" in one_line(become), become


def test_what_can_not_be_done_is_said_before_anything_begins(
    controller: Controller, repaired: Fleet, bare: Fleet
) -> None:
    shell = controller.play("install", "-e", "gummy_agent=shell")
    assert shell.status == 2 and "shell is on every node already" in one_line(shell), shell
    way = controller.play("install", "-e", "gummy_install_way=bew")
    assert way.status == 2 and "gummy_install_way: unknown value 'bew'" in one_line(way), way
    misspelt = controller.play("install", "-e", "gummy_agnet=claude")
    assert misspelt.status == 2 and "'gummy_agent'?" in one_line(misspelt), misspelt
    nobody = controller.play("install", inventory="localhost,")
    assert nobody.status == 2 and "no node is among the hosts" in one_line(nobody), nobody

    give(bare, "node-2", "brew", claude=PROGRAM, jq=PROGRAM)
    repaired.stop("node-1")
    words = ("-e", "gummy_nodes=node-1:node-2")
    dead = controller.play("install", *words)
    assert dead.status == 2 and calls(bare, "brew") == {"node-2": [BREW]}, dead
    assert re.search(r"✗ node-1  gave no answer:\n    \S", dead.output), dead


def test_the_role_works_in_a_play_of_ones_own(controller: Controller, bare: Fleet) -> None:
    give(bare, "node-1", "npm", node=NODE)
    play = controller.folder / "own.yml"
    roles = [{"role": "distributed.gummy.agent", "agent_name": "claude"}]
    play.write_text(
        json.dumps([{"hosts": "node-1", "gather_facts": False, "roles": roles}]), encoding="utf-8"
    )
    played = controller.play(str(play))
    assert played.status == 0 and len(calls(bare, "npm")["node-1"]) == 1, played
    roles[0]["agent_name"] = "aider"
    play.write_text(
        json.dumps([{"hosts": "node-1", "gather_facts": False, "roles": roles}]), encoding="utf-8"
    )
    wrong = controller.play(str(play))
    assert wrong.status == 2 and "must be one of: gummy, claude" in one_line(wrong), wrong
