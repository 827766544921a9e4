"""The local fleet with real sshd.

It answers, it is harmless to call twice, and it leaves nothing behind, whatever happened to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml
from real_nodes import send, traces

FILES = pathlib.Path(__file__).resolve().parents[2] / "roles" / "local_fleet" / "files"
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin:/usr/local/sbin"
MISSING = [
    tool for tool in ("sshd", "ssh", "ssh-keygen", "rsync") if not shutil.which(tool, path=SBIN)
]
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]
ROOT_ON_LINUX = sys.platform == "linux" and os.geteuid() == 0


def run(command: Sequence[str | pathlib.Path], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


def call(
    *words: str | int | pathlib.Path,
    before: tuple[str, ...] = (),
    within: tuple[str, ...] = (),
    status: int = 0,
) -> dict[str, Any]:
    command = [
        *within,
        *before,
        *([] if before else [sys.executable, "-B", str(FILES / "fleet.py")]),
        *map(str, words),
    ]
    done = run(command)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def ssh(fleet: Mapping[str, Any], node: str, command: str, status: int = 0) -> str:
    done = run(["ssh", "-F", fleet["ssh_config"], node, command])
    assert done.returncode == status, done.stderr
    return done.stdout.strip()


def node_of(fleet: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(node for node in fleet["nodes"] if node["name"] == name)


def long_folder(base: pathlib.Path) -> pathlib.Path:
    return base / f"a folder with blanks {'x' * 60}" / ("y" * 60) / "fleet"


@contextlib.contextmanager
def fleet_in(
    folder: pathlib.Path, *words: str, within: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    try:
        yield call("up", "--dir", folder, *words, within=within)
    finally:
        call("down", "--dir", folder)
        assert not folder.exists() and traces(folder) == []


@pytest.fixture(scope="module", params=["as it comes", "plain"])
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    words = ["--plain"] if request.param == "plain" else []
    with fleet_in(long_folder(tmp_path_factory.mktemp("fleet")), "--size", "2", *words) as answer:
        yield answer


def test_every_node_answers_with_a_home_of_its_own(fleet: Mapping[str, Any]) -> None:
    assert fleet["state"] == "up" and [node["name"] for node in fleet["nodes"]] == [
        "node-1",
        "node-2",
    ]
    for node in fleet["nodes"]:
        assert (
            ssh(fleet, node["name"], 'touch here; pwd; echo "$HOME"').splitlines()
            == [node["login_home"]] * 2
        )
        assert pathlib.Path(node["home"], "here").exists()
    assert (
        ssh(fleet, "node-1", "python3 -c 'import sys; print(sys.version_info >= (3, 9))'") == "True"
    )


def test_a_fleet_without_namespaces_says_why(fleet: Mapping[str, Any]) -> None:
    assert (fleet["reason"] is None) == fleet["namespaces"]


def test_up_again_changes_nothing(fleet: Mapping[str, Any]) -> None:
    def but_processes(answer: Mapping[str, Any]) -> dict[str, Any]:
        """A session that ends just then is no change."""
        return {
            **answer,
            "nodes": [{**node, "pids": bool(node["pids"])} for node in answer["nodes"]],
        }

    assert but_processes(call("up", "--dir", fleet["dir"], "--size", "2")) == but_processes(
        {**fleet, "changed": False}
    )


def test_a_check_says_what_would_be_done_and_does_nothing(
    fleet: Mapping[str, Any], tmp_path: pathlib.Path
) -> None:
    new = tmp_path / "new"
    assert call("up", "--check", "--size", 2, "--dir", new)["check"] == {
        "start": ["node-1", "node-2"],
        "end": [],
    }
    assert not new.exists()

    names = [node["name"] for node in fleet["nodes"]]
    there = ("--size", len(names), "--dir", fleet["dir"])
    same = call("up", "--check", *there)
    assert same["check"] == {"start": [], "end": []} and not same["changed"]
    more = call("up", "--check", "--size", len(names) + 1, "--dir", fleet["dir"])
    assert more["check"]["start"] == [f"node-{len(names) + 1}"]

    call("stop", names[-1], "--dir", fleet["dir"])
    silent = call("up", "--check", *there)
    assert silent["check"]["start"] == [names[-1]] and silent["changed"]
    down = call("down", "--check", "--dir", fleet["dir"])
    assert down["check"]["end"] == names and down["changed"]
    assert ssh(fleet, names[0], "echo still here") == "still here"
    call("start", names[-1], "--dir", fleet["dir"])

    if fleet["namespaces"]:
        refused = call("up", "--check", "--plain", *there, status=1)
        assert "take it down before" in refused["error"]


def test_rsync_carries_a_tree(fleet: Mapping[str, Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "c").write_text("text")
    subprocess.run(
        ["rsync", "-a", "-e", f"ssh -F '{fleet['ssh_config']}'", f"{tmp_path}/", "node-2:work/"],
        check=True,
        timeout=30,
    )
    assert pathlib.Path(node_of(fleet, "node-2")["home"], "work/a b/c").read_text() == "text"


@pytest.mark.skipif(not ROOT_ON_LINUX, reason="namespaces need root on Linux")
def test_nodes_with_namespaces_are_machines_of_their_own(fleet: Mapping[str, Any]) -> None:
    if not fleet["namespaces"]:
        pytest.skip(f"no namespaces: {fleet['reason']}")
    ask = (
        "hostname; cat /etc/machine-id; touch /tmp/mine; ls /tmp | wc -l; "
        "id -un; id -u; ls -d /proc/[0-9]* | wc -l"
    )
    one, two = (ssh(fleet, name, ask).splitlines() for name in ("node-1", "node-2"))
    assert (one[0], two[0]) == ("node-1", "node-2")
    ours = ""
    if os.path.exists("/etc/machine-id"):
        ours = pathlib.Path("/etc/machine-id").read_text().strip()
    assert len({one[1], two[1], ours}) == 3
    assert one[2] == two[2] == "1" and one[3] == "gummy" and int(one[4]) > 0 and int(one[5]) < 15
    assert (
        not os.path.exists("/home/gummy")
        and "gummy:" not in pathlib.Path("/etc/passwd").read_text()
    )


def test_detached_jobs_outlive_a_stop_that_keeps_them_and_only_that(
    fleet: Mapping[str, Any],
) -> None:
    folder = fleet["dir"]
    port = node_of(fleet, "node-1")["port"]
    ssh(
        fleet,
        "node-1",
        "setsid sh -c 'echo $$ > pid; exec sleep 600' >/dev/null 2>&1 </dev/null & "
        "until test -s pid; do :; done",
    )
    with subprocess.Popen(
        ["ssh", "-F", fleet["ssh_config"], "node-1", "echo on; exec sleep 600"],
        stdout=subprocess.PIPE,
    ) as session:
        assert session.stdout is not None and session.stdout.readline() == b"on\n"
        stopped = call("stop", "node-1", "--keep-jobs", "--dir", folder)
        assert session.wait(10) == 255
    assert stopped["state"] == "partial" and node_of(stopped, "node-1")["state"] == "down"
    ssh(fleet, "node-1", "true", status=255)
    assert node_of(call("start", "node-1", "--dir", folder), "node-1")["port"] == port
    ssh(fleet, "node-1", "kill -0 $(cat pid)")
    call("stop", "node-1", "--dir", folder)
    assert traces(pathlib.Path(folder, "node-1")) == []
    call("start", "node-1", "--dir", folder)


@pytest.mark.skipif(not ROOT_ON_LINUX, reason="namespaces need root on Linux")
def test_a_node_that_is_started_anew_has_booted_as_the_same_machine(
    fleet: Mapping[str, Any],
) -> None:
    if not fleet["namespaces"]:
        pytest.skip(f"no namespaces: {fleet['reason']}")

    def ids() -> tuple[str, ...]:
        return tuple(
            ssh(fleet, "node-1", "cat /etc/machine-id /proc/sys/kernel/random/boot_id").split()
        )

    first = ids()
    call("stop", "node-1", "--keep-jobs", "--dir", fleet["dir"])
    call("start", "node-1", "--dir", fleet["dir"])
    assert (
        ids()
        == first
        != tuple(
            ssh(fleet, "node-2", "cat /etc/machine-id /proc/sys/kernel/random/boot_id").split()
        )
    )
    call("stop", "node-1", "--dir", fleet["dir"])
    call("start", "node-1", "--dir", fleet["dir"])
    machine, boot = ids()
    assert machine == first[0] and boot not in (
        first[1],
        pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    )


def test_up_repairs_a_node_that_died(fleet: Mapping[str, Any]) -> None:
    send(signal.SIGKILL, node_of(call("status", "--dir", fleet["dir"]), "node-2")["pids"])
    again = call("up", "--dir", fleet["dir"], "--size", "2")
    assert (
        again["changed"]
        and again["state"] == "up"
        and node_of(again, "node-2")["port"] == node_of(fleet, "node-2")["port"]
    )
    ssh(fleet, "node-2", "true")


def test_documents_name_the_nodes_and_leave_the_controller_out(fleet: Mapping[str, Any]) -> None:
    source = yaml.safe_load(pathlib.Path(fleet["inventory"]).read_text())
    assert (
        source["plugin"] == "distributed.gummy.tailnet"
        and source["ssh_config_file"] == fleet["ssh_config"]
        and source["include_self"] is False
    )
    status = json.loads(pathlib.Path(source["status_file"]).read_text())
    peers = {peer["DNSName"].split(".")[0]: peer for peer in status["Peer"].values()}
    assert (
        status["BackendState"] == "Running"
        and set(peers) == {"node-1", "node-2"}
        and all(peer["Online"] for peer in peers.values())
    )


@pytest.mark.parametrize("processes", [1, 5])
@pytest.mark.parametrize("mode", [[], ["--plain"]], ids=["as it comes", "plain"])
def test_down_finds_what_a_killed_up_had_started(
    tmp_path: pathlib.Path, processes: int, mode: list[str]
) -> None:
    folder = tmp_path / "fleet"
    deadline = time.monotonic() + 20
    up = subprocess.Popen(
        [sys.executable, "-B", FILES / "fleet.py", "up", "--dir", folder, *mode],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(set(traces(folder)) - {up.pid}) < processes and up.poll() is None:
        assert time.monotonic() < deadline
    up.kill()
    up.wait()
    call("down", "--dir", folder)
    assert not folder.exists() and traces(folder) == []


@pytest.fixture
def net(tmp_path: pathlib.Path) -> Iterator[str]:
    """A network namespace with nothing but lo; who is in it reaches its nodes on 127.0.0.1."""
    if (
        not ROOT_ON_LINUX
        or not shutil.which("ip", path=SBIN)
        or run(["ip", "netns", "add", name := f"gummy-test-{os.getpid()}"]).returncode
    ):
        pytest.skip("network namespaces need root on Linux, ip, and a kernel that lets us")
    try:
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        yield name
    finally:
        run(["ip", "netns", "del", name])


def test_a_node_lives_in_the_network_namespace_it_was_given_and_moves_when_that_is_made_anew(
    net: str, tmp_path: pathlib.Path
) -> None:
    inside = ("ip", "netns", "exec", net)
    words = ("--net", f"{net}@127.0.0.1")
    with fleet_in(tmp_path / "fleet", *words, within=inside) as fleet:
        up = ("up", "--dir", fleet["dir"], *words)
        assert (
            node_of(fleet, "node-1")["port"] == 22 and call(*up, within=inside)["changed"] is False
        )
        ask = ["ssh", "-F", fleet["ssh_config"], "node-1", "hostname; readlink /proc/self/ns/net"]
        where = run([*inside, "readlink", "/proc/self/ns/net"]).stdout.strip()
        assert run([*inside, *ask]).stdout.split() == ["node-1", where]
        for command in (
            ["netns", "del", net],
            ["netns", "add", net],
            ["-n", net, "link", "set", "lo", "up"],
        ):
            assert run(["ip", *command]).returncode == 0
        assert call(*up, within=inside)["changed"] is True
        anew = run([*inside, "readlink", "/proc/self/ns/net"]).stdout.strip()
        assert anew != where and run([*inside, *ask]).stdout.split() == ["node-1", anew]


def test_a_network_namespace_that_is_not_there_is_named_and_nothing_is_left(
    tmp_path: pathlib.Path,
) -> None:
    error = call(
        "up", "--dir", tmp_path / "fleet", "--net", "gummy-test-nowhere@127.0.0.1", status=1
    )["error"]
    assert (
        "there is no network namespace gummy-test-nowhere" if ROOT_ON_LINUX else "not "
    ) in error and not (tmp_path / "fleet").exists()


def test_two_calls_at_once_make_one_fleet(tmp_path: pathlib.Path) -> None:
    words = [
        sys.executable,
        "-B",
        FILES / "fleet.py",
        "up",
        "--size",
        "1",
        "--plain",
        "--dir",
        tmp_path / "fleet",
    ]
    calls = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _time in range(2)
    ]
    answers = [json.loads(one.communicate(timeout=60)[0]) for one in calls]
    with fleet_in(tmp_path / "fleet", "--size", "1"):
        assert sorted(answer["changed"] for answer in answers) == [False, True]
        # A session that is just ending may be seen by one of them alone; the sshd by both.
        (first,), (second,) = (answer["nodes"] for answer in answers)
        assert set(first.pop("pids")) & set(second.pop("pids"))
        assert first == second


def test_a_folder_with_other_things_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").write_text("")
    for verb in ("up", "down"):
        assert "other things" in call(verb, "--dir", tmp_path, status=1)["error"]
    assert os.listdir(tmp_path) == ["mine"]


def test_a_missing_program_is_named_with_its_package(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install openssh-" in call("up", "--dir", tmp_path / "fleet", status=1)["error"]
    assert not (tmp_path / "fleet").exists()


@pytest.mark.skipif(
    not ROOT_ON_LINUX,
    reason="only root can become another user (any other user gets this fleet in every test)",
)
def test_a_user_without_rights_gets_the_same_fleet_without_namespaces() -> None:
    # What the other user runs must not lie under /root.
    python = next(
        filter(
            None,
            (
                shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")
                for name in ("python3", "python3.13", "python3.12")
            ),
        ),
        "",
    )

    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o777)
        shutil.copytree(FILES, f"{base}/files")

        # A user that exists in one mount namespace only.
        passwd = pathlib.Path(base, "passwd")
        passwd.write_text(
            pathlib.Path("/etc/passwd").read_text()
            + "fleet-tester:x:4242:4242::/nonexistent:/bin/sh\n"
        )

        become = (
            'mount --bind "$1" /etc/passwd && shift && '
            'exec setpriv --reuid 4242 --regid 4242 --clear-groups "$@"'
        )
        other = (
            "unshare",
            "--mount",
            "sh",
            "-c",
            become,
            "-",
            str(passwd),
            "env",
            "-i",
            "PATH=/usr/bin:/bin",
            "LC_ALL=C",
        )

        ready = run([*other, python, "-c", "import sys; sys.exit(sys.version_info < (3, 9))"])
        if ready.returncode:
            pytest.skip(
                "another user can't run a Python 3.9 here: "
                f"{ready.stderr.strip() or python or 'none found'}"
            )

        # The fleet of that user has nodes that differ by home.
        folder = long_folder(pathlib.Path(base))
        act = (*other, python, "-B", f"{base}/files/fleet.py")
        try:
            fleet = call("up", "--dir", folder, before=act)
            assert (
                fleet["state"],
                fleet["namespaces"],
                fleet["reason"],
                fleet["nodes"][0]["user"],
            ) == ("up", False, "not root", "fleet-tester")
            said = run([*other, "ssh", "-F", fleet["ssh_config"], "node-3", "pwd; id -u"])
            assert said.stdout.splitlines() == [node_of(fleet, "node-3")["home"], "4242"]
        finally:
            call("down", "--dir", folder, before=act)
        assert not folder.exists() and traces(folder) == []


def test_the_playbook_brings_it_up_and_down(
    ansible_env: Mapping[str, str], tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "in a play" / "fleet"
    extra = json.dumps({"gummy_fleet_dir": str(folder), "gummy_fleet_size": "1"})
    words = ["ansible-playbook", "distributed.gummy.local_fleet", "-e", extra, "-e"]
    (tmp_path / "empty.cfg").write_text("")
    environment = {**ansible_env, "ANSIBLE_CONFIG": str(tmp_path / "empty.cfg")}
    try:
        up = run([*words, "gummy_fleet_state=up"], env=environment)
        assert (
            up.returncode == 0 and "changed=1" in up.stdout and f"{folder}/tailnet.yml" in up.stdout
        ), up.stdout
    finally:
        down = run([*words, "gummy_fleet_state=down"], env=environment)
    assert down.returncode == 0 and not folder.exists() and traces(folder) == [], down.stdout
