"""`doctor` on real nodes: each finding is provoked, what mends it is typed, and it is gone.

What a machine of tests can't have is played by programs of the same name on the node's PATH.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from real_nodes import NODES, ROOT, Controller, Fleet, Played, free_port
from test_check_mode import everything

Found = set[tuple[str, str]]
pytestmark = pytest.mark.once

STATUS_FILES = ROOT / "tests" / "fixtures" / "tailscale"

CLAUDE = """\
#!/bin/sh
case $1 in
  --version) echo "VERSION (Claude Code)" ;;
  /login) mkdir -p ~/.claude && echo '{"a": 1}' > ~/.claude/.credentials.json ;;
esac
"""
# Programs that a node's session finds first, each with a flag of its name that mends it.
INSTALLS = '#!/bin/sh\nfor name; do :; done\ntouch "$HOME/installed-$name"\n'
PLAYED: Mapping[str, str] = {
    "sudo": '#!/bin/sh\nexec "$@"\n',
    "apt-get": INSTALLS,
    "loginctl": """\
#!/bin/sh
case "$*" in
  enable-linger) touch ~/lingers ;;
  *KillUserProcesses*) echo KillUserProcesses=yes; echo IdleAction=suspend ;;
  *Linger*) if [ -e ~/lingers ]; then echo yes; else echo no; fi ;;
esac
""",
    "systemctl": """\
#!/bin/sh
case "$*" in
  mask*) touch ~/masked ;;
  is-enabled*) if [ -e ~/masked ]; then echo masked; else echo static; fi ;;
esac
""",
    "timedatectl": "#!/bin/sh\ntouch ~/clock-is-set\n",
    "date": """\
#!/bin/sh
ahead=3600
[ ! -e ~/clock-is-set ] || ahead=0
echo $(($(/bin/date +%s) + ahead))
""",
    "df": """\
#!/bin/sh
/bin/df "$@" | sed '2s/\\([^ ]*  *[0-9]*  *[0-9]*  *\\)[0-9]*/\\11000000/'
""",
}


def put(fleet: Fleet, node: str, name: str, text: str | bytes, mode: int = 0o644) -> None:
    """A file in a node's home, which is its user's like the folder that it may need."""
    fleet.put(node, name, text, mode)
    home = fleet.home(node)
    owner = home.stat()
    path = home / name
    while path != home:
        os.chown(path, owner.st_uid, owner.st_gid)
        path = path.parent


@pytest.fixture(scope="module")
def healthy(fleet: Fleet) -> Iterator[Fleet]:
    """Nodes on which all is well, as far as anybody can tell."""
    if not fleet.ssh("node-1", "echo $SHELL").strip().endswith("/bash"):
        pytest.skip("the start-up files that are made here are bash's")
    for node in NODES:
        session_path = fleet.ssh(node, 'printf %s "$PATH"')
        put(fleet, node, "bin/claude", CLAUDE.replace("VERSION", "2.1.332"), 0o755)
        put(fleet, node, "bin/gummy", "#!/bin/sh\nexit 9\n", 0o755)
        put(fleet, node, "bin/jq", "#!/bin/sh\n", 0o755)
        put(fleet, node, ".profile", f'PATH="$HOME/bin:{session_path}"\n')
        put(fleet, node, ".gitconfig", "[user]\n\tname = n\n\temail = n@n\n")
        fleet.ssh(node, 'claude() { sh ~/bin/claude "$@"; }; claude /login')
    yield fleet
    for node in NODES:
        for name in (".profile", ".gitconfig", ".bashrc"):
            fleet.home(node).joinpath(name).unlink(missing_ok=True)
        shutil.rmtree(fleet.home(node) / ".claude", ignore_errors=True)


@pytest.fixture
def cured(healthy: Fleet) -> Iterator[Fleet]:
    """The same for a test that makes nodes ill: afterwards what it put there is gone."""
    kept = {node: everything(healthy.home(node)) for node in NODES}
    texts = {
        path: pathlib.Path(path).read_bytes()
        for paths in kept.values()
        for path in paths
        if pathlib.Path(path).is_file() and pathlib.Path(path).stat().st_size < 4096
    }
    yield healthy
    for node in NODES:
        for path in sorted(everything(healthy.home(node)), reverse=True):
            if path not in kept[node]:
                one = pathlib.Path(path)
                if one.is_dir() and not one.is_symlink():
                    shutil.rmtree(one)
                else:
                    one.unlink()
    for node in NODES:
        for path, (mode, *_others) in kept[node].items():
            one = pathlib.Path(path)
            if path in texts and (not one.exists() or one.read_bytes() != texts[path]):
                name = str(one.relative_to(healthy.home(node)))
                put(healthy, node, name, texts[path], stat.S_IMODE(int(str(mode))))


def look(controller: Controller, *words: str, **more: Any) -> tuple[Played, dict[str, Any]]:
    """What `doctor` showed, and its document."""
    path = controller.folder / "doctor.json"
    path.unlink(missing_ok=True)
    played = controller.play("doctor", *words, "-e", f"gummy_output_file={path}", **more)
    assert path.exists(), played
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    broken = document["overall"] == "broken"
    assert (played.status, document["status"]) == ((2, "failed") if broken else (0, "success")), (
        played
    )
    assert "changed=0" in played.output
    for name, check in findings(document):
        row = document["machines"][name]["checks"][check]
        # Each finding says what, why and what to do, in the output too.
        assert row["summary"] in played.output and row["details"]["why"] in played.output
        assert row["remedy"] and row["remedy"] in played.output, (name, check, played)
    return played, document


def findings(document: Mapping[str, Any]) -> Found:
    return {
        (name, check)
        for name, machine in document["machines"].items()
        for check, row in machine["checks"].items()
        if row["status"] == "failed"
    }


def only(document: Mapping[str, Any], wrong: Found) -> bool:
    """Whether these are the findings; says which others there are."""
    found = findings(document)
    for name, check in found ^ wrong:
        print(name, check, row(document, name, check))
    return found == wrong


def row(document: Mapping[str, Any], name: str, check: str) -> dict[str, Any]:
    found: dict[str, Any] = document["machines"][name]["checks"][check]
    return found


def type_remedies(
    controller: Controller, document: Mapping[str, Any], *whose: tuple[str, str]
) -> None:
    """Type what mends these findings, as a person would."""
    for name, check in whose:
        command = row(document, name, check)["remedy"]
        done = subprocess.run(
            command,
            shell=True,
            cwd=controller.project,
            env=controller.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (name, check, command, done)


def test_a_healthy_fleet_is_one_line_and_nothing_is_left_on_a_node(
    controller: Controller, healthy: Fleet
) -> None:
    homes = [healthy.home(node) for node in NODES]
    files = healthy.files()
    before = everything(*homes, controller.project)
    played, document = look(controller)
    assert only(document, set()), played
    assert document["overall"] == "ok" and document["message"] is None
    assert list(document["machines"]) == ["localhost", *NODES]
    lines = [line for line in played.output.splitlines() if line.startswith("doctor")]
    assert len(lines) == 1 and lines[0].startswith(
        "doctor: all is well: this machine and 3 nodes, "
    ), played
    assert "✗" not in played.output and "!" not in played.output and "→" not in played.output
    assert everything(*homes, controller.project) == before
    assert healthy.files() == files
    assert not controller.state.exists()

    # What each agent is, and what can't be seen.
    claude = row(document, "node-1", "agent_claude")
    assert claude["details"]["version"] == "2.1.332"
    assert claude["details"]["path"].endswith("/bin/claude")
    assert row(document, "node-1", "login_claude")["details"]["by"] == "file"
    assert row(document, "node-1", "max_sessions")["status"] == "unknown"
    for machine in document["machines"].values():
        for check in machine["checks"].values():
            assert set(check) == {
                "category",
                "status",
                "summary",
                "details",
                "remedy",
                "seconds",
            }
            assert (check["remedy"] is not None) == (check["status"] == "failed")


def test_what_is_wrong_on_a_node_is_found_and_what_is_typed_mends_it(
    controller: Controller, cured: Fleet
) -> None:
    home = cured.home("node-1")
    # node-1: an agent's settings, and what systemd, the clock and the disk would say.
    for name, text in PLAYED.items():
        put(cured, "node-1", f"played/{name}", text, 0o755)
    put(cured, "node-1", ".bashrc", 'PATH="$HOME/played:$PATH"\n')
    (home / ".gitconfig").unlink()
    (home / ".claude/.credentials.json").unlink()
    cured.ssh("node-1", "mkdir -p ~/.gummy/specialists/api")
    cured.ssh("node-1", "mkdir -p ~/.local/bin && mv ~/bin/gummy ~/.local/bin/")
    machine = cured.ssh("node-1", "cat /etc/machine-id").strip()
    store = f"~/.local/state/distributed-gummy/{machine}"
    cured.ssh("node-1", f"mkdir -p {store} && chmod 500 {store}")

    # node-2: programs that are old, missing, or where nobody looks for them.
    hidden = ("touch", "cat", "rm", "env", "timeout")
    for name in ("sudo", "apt-get"):
        put(cured, "node-2", f"farm/{name}", PLAYED[name], 0o755)
    put(
        cured,
        "node-2",
        "farm/git",
        '#!/bin/sh\nif [ -e ~/installed-git ]; then exec /usr/bin/git "$@"; fi\n'
        "echo git version 2.17.1\n",
        0o755,
    )
    for name in hidden:
        (cured.home("node-2") / "farm" / name).symlink_to(shutil.which(name) or "")
    session_path = cured.ssh("node-2", 'printf %s "$PATH"')
    put(cured, "node-2", ".bashrc", f'PATH="$HOME/farm:${{PATH#{session_path}}}"\nexport PATH\n')
    put(cured, "node-2", "bin/claude", CLAUDE.replace("VERSION", "2.1.197"), 0o755)
    (cured.home("node-2") / "bin/jq").unlink()
    put(cured, "node-2", ".profile", 'PATH="$HOME/bin:$HOME/nothing"\n')

    # node-3: a shell that prints.
    put(cured, "node-3", ".bashrc", "echo Welcome to node-3\nPATH=$PATH\n")

    wrong: Found = {
        *(("node-1", check) for check in ("git_identity", "login_claude", "claude_verbose")),
        *(("node-1", check) for check in ("store", "linger", "sleep")),
        *(("node-1", check) for check in ("clock", "disk_low")),
        ("node-2", "git"),
        ("node-3", "shell"),
        ("localhost", "agent_versions"),
    }
    played, document = look(controller)
    assert only(document, wrong), played
    assert document["overall"] == "broken"
    assert "2.1.197: node-2" in row(document, "localhost", "agent_versions")["summary"]
    assert row(document, "node-3", "shell")["details"]["printed"] == "Welcome to node-3"
    # Where installers put it, it is found.
    assert "/.local/bin/gummy" in row(document, "node-1", "agent_gummy")["details"]["path"]
    assert row(document, "node-2", "git")["remedy"].endswith(" 'sudo apt-get install -y git'")
    assert 3590 < row(document, "node-1", "clock")["details"]["seconds_ahead"] < 3610

    # What is critical anywhere stands before all that is less.
    marks = re.findall(r"^ *([✗!-]) (?:node-\d  )?\w+: ", played.output, re.MULTILINE)
    assert marks == sorted(marks, key=lambda mark: mark != "✗") and marks[0] == "✗", played

    typed = wrong - {("localhost", "agent_versions"), ("node-1", "disk_low")}
    type_remedies(controller, document, *sorted(typed))
    assert "disk_low" in str(findings(document))
    type_remedies(controller, document, ("node-1", "disk_low"))
    (home / "played/df").unlink()
    put(cured, "node-2", "bin/claude", CLAUDE.replace("VERSION", "2.1.332"), 0o755)
    # This machine may have one, on a PATH that is not the login shell's.
    put(cured, "node-2", "bin/jq", "#!/bin/sh\n", 0o755)

    played, document = look(controller)
    assert only(document, set()), played
    assert json.loads((home / ".claude/settings.json").read_text(encoding="utf-8")) == {
        "verbose": True
    }


def test_a_home_that_is_far_a_full_disk_another_store_and_a_login_of_root(
    controller: Controller, cured: Fleet
) -> None:
    # node-1: the home of all its machines is another one's, as df would tell.
    put(
        cured,
        "node-1",
        "played/df",
        '#!/bin/sh\ncase "$2" in\n'
        "  \"$HOME\"*) echo head; echo 'nas:/home 100000000 1 90000000 1% /home' ;;\n"
        '  *) /bin/df "$@" ;;\nesac\n',
        0o755,
    )
    # node-2: a newer version's store on a full disk, and no agent.
    cured.ssh("node-2", "rm ~/bin/gummy ~/bin/claude")
    put(
        cured,
        "node-2",
        "played/df",
        "#!/bin/sh\n/bin/df \"$@\" | sed '2s/\\([^ ]*  *[0-9]*  *[0-9]*  *\\)[0-9]*/\\11000/'\n",
        0o755,
    )
    machine = cured.ssh("node-2", "cat /etc/machine-id").strip()
    store = cured.home("node-2") / f".local/state/distributed-gummy/{machine}/store.json"
    old_text = store.read_text(encoding="utf-8") if store.exists() else None
    folder = f"~/.local/state/distributed-gummy/{machine}"
    cured.ssh("node-2", f"mkdir -p {folder} && echo '{{\"format\": 2}}' > {folder}/store.json")
    # node-3: root, and an sshd that allows few sessions; its login shell waits.
    put(
        cured,
        "node-3",
        "played/id",
        '#!/bin/sh\n[ "$1" != -u ] || { echo 0; exit; }\n/usr/bin/id "$@"\n',
        0o755,
    )
    put(cured, "node-3", "played/tee", "#!/bin/sh\ncat > ~/sessions\n", 0o755)
    put(cured, "node-3", "played/systemctl", "#!/bin/sh\n", 0o755)
    put(
        cured,
        "node-3",
        "played/sshd",
        "#!/bin/sh\nif [ -e ~/sessions ]; then echo maxsessions 10; else echo maxsessions 2; fi\n",
        0o755,
    )
    put(cured, "node-3", ".bash_profile", ". ~/.profile\nsleep 300\n")
    for node in NODES:
        put(cured, node, ".bashrc", 'PATH="$HOME/played:$PATH"\n')

    wrong: Found = {
        ("node-1", "home"),
        *(("node-2", check) for check in ("store", "disk", "agent_gummy")),
        *(("node-3", check) for check in ("root", "max_sessions", "path")),
    }
    played, document = look(controller)
    assert only(document, wrong), played
    assert "it has format 2" in row(document, "node-2", "store")["summary"]
    assert row(document, "node-2", "agent_gummy")["remedy"].endswith(
        " distributed.gummy.install --limit node-2"
    )

    type_remedies(controller, document, ("node-3", "max_sessions"))
    # The others are mended by what the sentences say.
    put(cured, "node-1", ".bashrc", 'export XDG_STATE_HOME=/tmp/state\nPATH="$HOME/played:$PATH"\n')
    if old_text is None:
        store.unlink()
    else:
        store.write_text(old_text, encoding="utf-8")
    (cured.home("node-2") / "played/df").unlink()
    put(cured, "node-2", "bin/claude", CLAUDE.replace("VERSION", "2.1.332"), 0o755)
    (cured.home("node-3") / "played/id").unlink()
    (cured.home("node-3") / ".bash_profile").unlink()
    played, document = look(controller)
    assert only(document, set()), played
    assert row(document, "node-2", "agent_gummy")["summary"] == "gummy is not installed"


def in_node(fleet: Fleet, node: str, *words: str) -> None:
    """Run a program as root in the mount namespace of a node."""
    data = json.loads((fleet.folder / "fleet.json").read_text(encoding="utf-8"))
    init = str(data["nodes"][node]["init"]["pid"])
    subprocess.run(
        ["nsenter", "--target", init, "--mount", "--pid", "--", *words], check=True, timeout=30
    )


@pytest.fixture
def mounts(cured: Fleet, tmp_path: pathlib.Path) -> Iterator[Callable[[str, str, str, int], None]]:
    """Shows a node another file in the place of one that only the system can change."""
    if not cured.state["namespaces"]:
        pytest.skip(f"nodes have no namespaces: {cured.state['reason']}")
    made: list[tuple[str, str]] = []

    def mount(node: str, path: str, text: str, mode: int) -> None:
        # A node can't see our temporary folders.
        name = f".mounted-{len(made)}"
        put(cured, node, name, text, mode)
        in_node(cured, node, "mount", "--bind", f"/home/gummy/{name}", path)
        made.append((node, path))

    yield mount
    for node, path in reversed(made):
        in_node(cured, node, "umount", path)


def test_a_python_that_is_too_old_is_found_and_so_is_want_of_memory(
    controller: Controller, cured: Fleet, mounts: Callable[[str, str, str, int], None]
) -> None:
    for name in ("sudo", "apt-get"):
        put(cured, "node-1", f"played/{name}", PLAYED[name], 0o755)
    put(cured, "node-1", ".bashrc", 'PATH="$HOME/played:$PATH"\n')
    script = "#!/bin/sh\nif [ -e ~/installed-python3 ]; then echo 3.9.2; else echo 3.6.8; fi\n"
    pythons = cured.ssh(
        "node-1",
        "for minor in '' .14 .13 .12 .11 .10 .9; do command -v python3$minor; done; true",
    ).split()
    real = {cured.ssh("node-1", f"readlink -f {path}").strip() for path in pythons}
    for path in sorted(real):
        mounts("node-1", path, script, 0o755)
    mounts(
        "node-2",
        "/proc/meminfo",
        "MemTotal: 1000000 kB\nMemFree: 1000 kB\nMemAvailable: 100000 kB\n",
        0o644,
    )

    played, document = look(controller)
    assert only(document, {("node-1", "python"), ("node-2", "memory")}), played
    assert "3.6.8" in row(document, "node-1", "python")["summary"]
    assert row(document, "node-2", "memory")["details"]["available"] == pytest.approx(
        102.4e6, rel=0.01
    )
    type_remedies(controller, document, ("node-1", "python"), ("node-2", "memory"))
    # Somebody ended what took it.
    mounts("node-2", "/proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n", 0o644)
    played, document = look(controller)
    assert only(document, set()), played


def test_a_node_that_gives_no_answer_says_why(
    controller: Controller, cured: Fleet, repaired: Fleet
) -> None:
    # node-1 hangs after the login; node-2 runs no commands; node-3 has no sshd.
    put(cured, "node-1", ".bashrc", "sleep 300\n")
    put(cured, "node-2", ".bashrc", "echo This account is not available.; exit 3\n")
    cured.stop("node-3")
    played, document = look(controller)
    assert only(
        document,
        {
            ("node-1", "shell"),
            ("node-2", "shell"),
            ("node-3", "reach"),
        },
    ), played
    assert "hangs" in row(document, "node-1", "shell")["summary"]
    assert "runs no commands" in row(document, "node-2", "shell")["summary"]
    assert row(document, "node-2", "shell")["details"]["said"] == "This account is not available."
    assert "refused" in row(document, "node-3", "reach")["summary"]
    assert "systemctl enable --now ssh" in row(document, "node-3", "reach")["remedy"]
    assert row(document, "node-3", "python")["status"] == "unknown"

    # The command that is to be typed for the first leads there.
    command = row(document, "node-1", "shell")["remedy"]
    assert command.startswith("ssh ") and " node-1  # " in command
    for node in ("node-1", "node-2"):
        (cured.home(node) / ".bashrc").unlink()
    repaired.start("node-3")
    played, document = look(controller)
    assert only(document, set()), played


def test_keys_and_addresses_that_are_wrong_say_what_ssh_said(
    controller: Controller, cured: Fleet, repaired: Fleet
) -> None:
    known_hosts = cured.folder / "known_hosts"
    right_keys = known_hosts.read_text(encoding="utf-8")
    lines = {line.split(" ")[0]: line.split(" ", 1)[1] for line in right_keys.splitlines()}
    names = sorted(lines)
    assert len({*lines.values()}) == len(names)
    own = controller.folder / "known_hosts"
    own.write_text(f"node-1 {lines['node-2']}\n", encoding="utf-8")
    hosts: dict[str, dict[str, Any]] = {}
    for node in NODES:
        hosts[node] = cured.login(node)
    words = hosts["node-1"]["ansible_ssh_common_args"].replace(str(known_hosts), str(own))
    hosts["node-1"]["ansible_ssh_common_args"] = words
    # node-2 does not know our key any more.
    key = controller.folder / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(key)], check=True, timeout=30)
    hosts["node-2"]["ansible_private_key_file"] = str(key)
    hosts["refuses"] = {**cured.login("node-3"), "ansible_port": free_port()}
    hosts["nameless"] = {"ansible_host": "no-such-host.invalid"}
    hosts["odd"] = {"ansible_connection": "docker"}
    hosts["misspelt"] = {**cured.login("node-3"), "ansible_ssh_extra_args": "-o NoSuchOption=yes"}
    hosts["node-3"]["gummy_timeout"] = "5m"

    inventory = controller.static(hosts)
    played, document = look(controller, inventory=inventory)
    assert only(
        document,
        {
            ("localhost", "settings"),
            ("node-1", "host_key"),
            ("node-2", "login"),
            *((name, "reach") for name in ("refuses", "nameless", "odd", "misspelt")),
        },
    ), played
    assert "gummy_timeout is set for host node-3 alone" in played.output
    summaries = {name: row(document, name, "reach")["summary"] for name in hosts}
    assert "refused" in summaries["refuses"] and "docker" in summaries["odd"]
    assert "name is not known" in summaries["nameless"]
    assert "bad configuration option" in summaries["misspelt"].lower()
    assert "has changed" in row(document, "node-1", "host_key")["summary"]
    assert row(document, "node-2", "login")["remedy"].startswith("ssh-copy-id ")

    # The changed key is forgotten, and then it is one that is not known.
    type_remedies(controller, document, ("node-1", "host_key"))
    for name in ("refuses", "nameless", "odd", "misspelt"):
        del hosts[name]
    del hosts["node-3"]["gummy_timeout"]
    hosts["node-2"] = cured.login("node-2")
    inventory = controller.static(hosts)
    played, document = look(controller, inventory=inventory)
    assert only(document, {("node-1", "host_key")}), played
    assert row(document, "node-1", "host_key")["summary"] == "its host key is not known"

    # Whoever types the command is asked.
    command = shlex.split(row(document, "node-1", "host_key")["remedy"])
    assert command[:3] == ["ssh", "-o", "StrictHostKeyChecking=ask"]
    command[2] = "StrictHostKeyChecking=accept-new"
    subprocess.run(command, env=controller.env, stdin=subprocess.DEVNULL, check=True, timeout=30)
    played, document = look(controller, inventory=inventory)
    assert only(document, set()), played


def test_what_is_wrong_on_the_controller_is_found_and_mended(
    controller: Controller, healthy: Fleet
) -> None:
    # With a config file that is wrong there is no inventory either.
    config = pathlib.Path(controller.env["XDG_CONFIG_HOME"], "distributed-gummy/config.yaml")
    good_config = config.read_text(encoding="utf-8")
    config.write_text("lode_weights: {cpu: 1}\n", encoding="utf-8")
    played, document = look(controller)
    assert only(document, {("localhost", "config"), ("localhost", "inventory")}), played
    assert "load_weights" in row(document, "localhost", "config")["summary"]
    config.write_text(good_config, encoding="utf-8")

    # Programs of this machine, and a folder that is none.
    played_bin = controller.folder / "bin"
    played_bin.mkdir()
    real_ssh = shutil.which("ssh")
    for name, text in {
        "rsync": "echo 'openrsync: protocol version 29'; echo 'rsync version 2.6.9 compatible'\n",
        "git": "echo git version 2.17.1\n",
        "ssh": 'case "$*" in *gummy-no-host*) '
        'echo "/etc/x: line 3: Bad configuration option: a" >&2; '
        f'exit 255;; esac\nexec {real_ssh} "$@"\n',
    }.items():
        (played_bin / name).write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        (played_bin / name).chmod(0o755)
    path = {"PATH": f"{played_bin}:{controller.env['PATH']}"}
    state_home = pathlib.Path(controller.env["XDG_STATE_HOME"])
    state_home.mkdir(exist_ok=True)
    controller.state.write_text("", encoding="utf-8")
    is_root = os.geteuid() == 0

    # The tailnet: keys that expire, a name that leads elsewhere, and a source that asks dw.
    tailnet = controller.folder / "a.tailnet.yml"
    status = json.loads((healthy.folder / "status.json").read_text(encoding="utf-8"))
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2.5 * 86400))
    status["Self"]["KeyExpiry"] = soon
    for peer in status["Peer"].values():
        if peer["HostName"] == "node-1":
            peer["KeyExpiry"] = soon
    (controller.folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    ssh_config = (healthy.folder / "ssh_config").read_text(encoding="utf-8")
    clash = "Host node-2\n    HostName 100.64.0.1\n\n"
    (controller.folder / "ssh_config").write_text(
        clash + ssh_config.replace("Host node-2 ", "Host "), encoding="utf-8"
    )
    source = {
        "plugin": "distributed.gummy.tailnet",
        "status_file": str(controller.folder / "status.json"),
        "ssh_config_file": str(controller.folder / "ssh_config"),
        "load_sources": ["probe", "dw"],
        "include": ["node-*", "controller"],
    }
    tailnet.write_text(json.dumps(source), encoding="utf-8")

    played, document = look(controller, "--limit", "all", inventory=str(tailnet), env=path)
    wrong = findings(document)
    assert wrong >= {
        *(("localhost", check) for check in ("rsync", "git", "ssh_config", "state")),
        *(("localhost", check) for check in ("dw", "tailscale_key")),
        ("node-1", "tailnet_key"),
        ("node-2", "ssh_name"),
    }, played
    assert {name for name, _check in wrong} <= {"localhost", "node-1", "node-2", "controller"}
    assert "openrsync" in row(document, "localhost", "rsync")["summary"]
    assert "Bad configuration option" in row(document, "localhost", "ssh_config")["summary"]
    assert row(document, "node-1", "tailnet_key")["summary"].endswith("expires in 2 days")
    assert "leads to node-1" in row(document, "node-2", "ssh_name")["summary"]

    # What can be typed is typed; then the rest is mended by hand.
    type_remedies(controller, document, ("localhost", "state"))
    config.write_text(
        json.dumps({**json.loads(good_config), "host_preferences": {"api": ["node-9"]}}),
        encoding="utf-8",
    )
    wrong = {("localhost", "config_names")}
    if is_root:
        controller.state.mkdir()
        os.chown(controller.state, 12345, -1)
        wrong.add(("localhost", "state"))
    cache = pathlib.Path(controller.env["XDG_CACHE_HOME"], "distributed-gummy")
    shutil.rmtree(cache, ignore_errors=True)
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("", encoding="utf-8")
    wrong.add(("localhost", "cache"))
    played, document = look(controller)
    assert only(document, wrong), played
    assert "node-9" in row(document, "localhost", "config_names")["summary"]
    type_remedies(controller, document, *sorted(wrong - {("localhost", "config_names")}))
    config.write_text(good_config, encoding="utf-8")
    played, document = look(controller)
    assert only(document, set()), played


def test_without_nodes_or_without_a_tailnet_doctor_says_what_is_missing(
    controller: Controller,
) -> None:
    tailnet = controller.folder / "b.tailnet.yml"
    status_file = STATUS_FILES / "logged_out.json"
    source = {"plugin": "distributed.gummy.tailnet", "status_file": str(status_file)}
    tailnet.write_text(json.dumps(source), encoding="utf-8")
    played, document = look(controller, inventory=str(tailnet))
    assert ("localhost", "tailscale") in findings(document), played
    assert "sudo tailscale up" in row(document, "localhost", "tailscale")["summary"]

    played, document = look(controller, inventory=str(controller.folder / "no-such-inventory"))
    assert ("localhost", "inventory") in findings(document), played
    assert row(document, "localhost", "tailscale")["status"] == "ok"
