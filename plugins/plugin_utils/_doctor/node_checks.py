# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of checks of a node: what its facts mean, and what mends it. Nothing is asked here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from .._links.link import SESSIONS
from .._schedule.durations import spoken
from .._schedule.placement import DISK_RESERVE
from . import agent_checks
from .node_facts import NodeFacts
from .remedies import (
    add_to_session_path,
    as_root,
    copy_key,
    install_package,
    log_in,
    remote,
    silence,
)
from .verdicts import (
    Check,
    Verdict,
    bad,
    good,
    unknown,
    why_not_git,
    why_not_rsync,
)

GIGABYTE = 1e9
# Bytes below which the disk is nearly full, and memory scarce.
LITTLE_DISK = 2 * GIGABYTE
LITTLE_MEMORY = 300e6
# Seconds by which a clock may be wrong.
CLOCK_MOST = 30.0
# Days before its end in which a key's expiry is told.
KEY_DAYS = 7
DAY = 86400.0
# What logind does with an idle machine that is as good as away then.
SLEEPS = frozenset({"suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate"})
# The format of stores that this collection knows; the node program has the same number, and a test
# compares the two.
STORE_FORMAT = 1


# -- whether and how it is reached


def _reach(facts: NodeFacts) -> Verdict:
    kind = facts.contact.kind
    said = facts.contact.said
    if kind == "settings":
        return bad(
            "its connection settings can't be used: " + facts.contact.reason,
            "correct them in the inventory: `ansible-inventory --host "
            f"{shlex.quote(facts.name)}` shows them",
            said=said,
        )
    if kind in ("unreachable", "timeout", "reply"):
        summary = f"ssh does not reach it: {facts.contact.reason}"
        if facts.tailnet.get("online") is False:
            summary += " (Tailscale says that it is offline)"
        return bad(summary, _how_to_reach(facts), said=said, kind=kind)
    return good("ssh reaches it")


def _how_to_reach(facts: NodeFacts) -> str:
    reason = facts.contact.reason
    if "refused" in reason:
        return (
            f"on {facts.name} itself start its sshd: `sudo systemctl enable --now ssh` (the service"
            " may be called sshd), on macOS `sudo systemsetup -setremotelogin on`"
        )
    if "name is not known" in reason:
        return (
            f"give {facts.name} an address: ansible_host in the inventory, or a Host line with a "
            "HostName in your ssh config"
        )
    if "MaxSessions" in reason:
        return _more_sessions(facts)
    address = facts.tailnet.get("ip")
    if isinstance(address, str) and ("timed out" in reason or "no route" in reason):
        return shlex.join(["tailscale", "ping", address])
    return log_in(facts, "-v")


def _host_key(facts: NodeFacts) -> Verdict:
    if facts.contact.kind != "host_key":
        return _later_than_reach(facts, "its host key is the known one")
    reason = facts.contact.reason
    if "changed" not in reason:
        return bad(
            "its host key is not known",
            f"{log_in(facts, '-o', 'StrictHostKeyChecking=ask')} true",
            said=facts.contact.said,
        )
    way = facts.way
    words = ["ssh-keygen", "-R", way.known_as or facts.name]
    if way.known_hosts:
        words += ["-f", way.known_hosts]
    return bad(
        "its host key has changed: it was installed anew, or another machine has its address",
        shlex.join(words),
        said=facts.contact.said,
    )


def _login(facts: NodeFacts) -> Verdict:
    if facts.contact.kind == "login" and "waits for a person" in facts.contact.reason:
        return bad(facts.contact.reason, log_in(facts), said=facts.contact.said)
    if facts.contact.kind == "login":
        return bad(
            f"the login fails: {facts.contact.reason}", copy_key(facts), said=facts.contact.said
        )
    if facts.contact.kind == "host_key":
        return unknown("its host key comes first")
    return _later_than_reach(facts, "the login works")


def _shell(facts: NodeFacts) -> Verdict:
    contact = facts.contact
    if contact.kind == "silent":
        return bad(
            f"its login shell hangs: {contact.reason}",
            f"{log_in(facts)}  # press Ctrl-C where it waits, and take that out of the start-up "
            "file for shells that are not interactive",
            said=contact.said,
        )
    if contact.kind == "no_command":
        return bad(
            f"its login shell runs no commands: {contact.reason}",
            f"on {facts.name} itself give the login a shell: `sudo chsh -s /bin/sh LOGIN`",
            said=contact.said,
        )
    if facts.noise:
        return bad(
            "its login shell prints something for each command, which breaks rsync",
            silence(facts),
            printed=facts.noise,
        )
    if not facts.answered:
        return unknown("it was not reached")
    return good("its login shell is quiet", shell=facts.shell or None)


def _later_than_reach(facts: NodeFacts, summary: str) -> Verdict:
    if facts.contact.kind in ("settings", "unreachable", "timeout", "reply"):
        return unknown("it was not reached")
    return good(summary)


def _own_name(facts: NodeFacts) -> Verdict:
    other = facts.addresses.get(facts.way.own_name_leads_to)
    if other is None or other == facts.name:
        return good("the ssh config gives its name to no other node")
    return bad(
        f"`ssh {facts.name}` leads to {other}, for your ssh config gives it that address",
        f"correct the HostName of `Host {facts.name}` in your ssh config, or name that line "
        "otherwise",
        leads_to=facts.way.own_name_leads_to,
    )


def _key_expiry(facts: NodeFacts) -> Verdict:
    return judge_key(facts.tailnet, facts.contact.asked_at, f"on {facts.name} itself: ")


def judge_key(tailnet: Mapping[str, object], now: float, where: str) -> Verdict:
    """What the expiry of a machine's key means.

    tailnet: what the inventory knows of the machine; now: in seconds since 1970; where: the
    beginning of the remedy.
    """
    remedy = (
        f"{where}`sudo tailscale up --force-reauth`; or disable the expiry of its key in the admin "
        "console"
    )
    if tailnet.get("expired") is True:
        return bad("its Tailscale key has expired", remedy)
    try:
        expiry = datetime.fromisoformat(str(tailnet.get("key_expiry") or ""))
    except ValueError:
        return good("it has no Tailscale key that expires")
    if expiry.tzinfo is None:
        expiry = expiry.replace(tzinfo=timezone.utc)
    left = (expiry.timestamp() - now) / DAY
    if left > KEY_DAYS:
        return good("its Tailscale key is good", days=int(left))
    return bad(f"its Tailscale key expires in {max(0, int(left))} days", remedy, days=int(left))


# -- programs


def _python(facts: NodeFacts) -> Verdict:
    remedy = install_package(facts, "python3")
    if facts.python is None:
        if not facts.python_said:
            return unknown("its answer does not come to that")
        return bad("no Python runs there", remedy)
    version, path = facts.python
    major, minor = map(int, version.split(".")[:2])
    if (major, minor) < (3, 9):
        return bad(f"its Python is too old: {version}, and 3.9 is the oldest", remedy, path=path)
    return good(f"Python {version}", version=version, path=path)


def _rsync(facts: NodeFacts) -> Verdict:
    return _program(facts, "rsync")


def _git(facts: NodeFacts) -> Verdict:
    return _program(facts, "git")


def _program(facts: NodeFacts, name: str) -> Verdict:
    """A program that the node program starts: the session's, or the one that a person finds."""
    if not facts.complete:
        return unknown("its answer does not come to that")
    program = facts.program(name)
    if not program.paths:
        return bad(f"{name} is not installed", install_package(facts, name))
    if set(program.paths) == {"elsewhere"}:
        path = program.paths["elsewhere"]
        return bad(
            f"{name} is on the PATH of no shell there: it is {path}",
            add_to_session_path(facts, path),
            path=path,
        )
    path = program.paths.get("session") or next(iter(program.paths.values()))
    reasons = {"rsync": why_not_rsync, "git": why_not_git}
    reason = reasons[name](program.version_line)
    if reason is not None:
        others = [
            other for other in program.paths.values() if other not in (path, *_of_system(name))
        ]
        if others:
            # Installed once more, and not where the node program looks: as Homebrew's on a Mac.
            remedy = add_to_session_path(facts, others[0])
        else:
            remedy = install_package(facts, name)
        return bad(f"{name} {reason}", remedy, path=path)
    return good(f"{name} {program.version}", version=program.version, path=path)


def _of_system(name: str) -> tuple[str, str]:
    """Where the system's own program is, which any session finds."""
    return f"/usr/bin/{name}", f"/bin/{name}"


def _git_identity(facts: NodeFacts) -> Verdict:
    if facts.git_identity is None:
        return unknown("its answer does not come to that")
    if facts.git_identity:
        return good("git knows who commits there")
    command = (
        'git config --global user.name "$(id -un)" && '
        'git config --global user.email "$(id -un)@$(uname -n)"'
    )
    return bad("git does not know who commits there", remote(facts, command))


def _path(facts: NodeFacts) -> Verdict:
    details = dict(facts.paths)
    if "login" not in facts.paths:
        return unknown("its answer does not come to that")
    if not facts.paths["login"]:
        return bad(
            "its login shell does not tell its PATH within some seconds",
            f"{log_in(facts)}  # and see what the start-up files of a login wait for",
            **details,
        )
    return good("its login shell tells its PATH", **details)


# -- the machine


def _store(facts: NodeFacts) -> Verdict:
    details = {"folder": facts.state_folder or None, "format": facts.store_format}
    if facts.store_format not in (None, STORE_FORMAT):
        return bad(
            f"its store is another version's: it has format {facts.store_format}, and this "
            f"collection knows {STORE_FORMAT}",
            "ansible-galaxy collection install distributed.gummy --upgrade",
            **details,
        )
    if facts.writable is None:
        return unknown("its answer does not come to that", **details)
    if not facts.writable:
        command = (
            's=${XDG_STATE_HOME:-$HOME/.local/state}; while [ ! -e "$s" ]; do s=$(dirname "$s"); '
            'done; for d in "$s" "$s"/distributed-gummy "$s"/distributed-gummy/*; do '
            '[ ! -d "$d" ] || chmod u+rwx "$d" || sudo chown "$(id -un)" "$d"; done'
        )
        return bad("the folder for its state can't be written", remote(facts, command), **details)
    return good("its store can be used", **details)


def _disk(facts: NodeFacts) -> Verdict:
    free = facts.measured.free
    if free is None:
        return unknown("it does not tell")
    if free < DISK_RESERVE:
        return bad(f"its disk is full: {_gigabytes(free)} are free", _clean(facts), free=free)
    return good(f"{_gigabytes(free)} are free", free=free)


def _disk_low(facts: NodeFacts) -> Verdict:
    free = facts.measured.free
    if free is None:
        return unknown("it does not tell")
    if DISK_RESERVE <= free < LITTLE_DISK:
        return bad(
            f"its disk is nearly full: {_gigabytes(free)} are free", _clean(facts), free=free
        )
    return good(f"{_gigabytes(free)} are free", free=free)


def _clean(facts: NodeFacts) -> str:
    return f"{facts.command} distributed.gummy.clean --limit {shlex.quote(facts.name)}"


def _memory(facts: NodeFacts) -> Verdict:
    used = facts.measured.load.get("memory")
    if facts.memory is None or used is None:
        return unknown("it does not tell")
    available = round((1 - used) * facts.memory)
    details = {"available": available, "total": facts.memory}
    if available < LITTLE_MEMORY:
        return bad(
            f"{_gigabytes(available)} of memory are left",
            remote(facts, "ps -Ao rss,pid,args | sort -rn | head"),
            **details,
        )
    return good(f"{_gigabytes(available)} of memory are available", **details)


def _home(facts: NodeFacts) -> Verdict:
    if facts.network_home is None:
        return unknown("it does not tell")
    details = {"filesystem": facts.filesystem or None, "device": facts.device or None}
    if not facts.network_home:
        return good("its state lies on a disk of its own", **details)
    return bad(
        "its state lies on a network file system",
        f"on {facts.name}, set XDG_STATE_HOME to a folder on a local disk, in a start-up file that "
        "commands over ssh read (~/.bashrc, ~/.zshenv)",
        **details,
    )


def _clock(facts: NodeFacts) -> Verdict:
    ahead = facts.clock_ahead
    if ahead is None:
        return unknown("it does not tell")
    if abs(ahead) <= CLOCK_MOST:
        return good("its clock is right", seconds_ahead=ahead)
    how = "fast" if ahead > 0 else "slow"
    command = "timedatectl set-ntp true"
    if facts.measured.os == "macos":
        command = "sntp -sS time.apple.com"
    return bad(
        f"its clock is {spoken(abs(ahead))} {how}", as_root(facts, command), seconds_ahead=ahead
    )


def _root(facts: NodeFacts) -> Verdict:
    if facts.uid is None:
        return unknown("it does not tell")
    agents = agent_checks.refuse_root()
    if facts.uid != 0 or facts.sandbox:
        return good("its login is not root")
    return bad(
        f"its login is root, as which {agents} do not run",
        f"log in as another user: ansible_user for {facts.name} in the inventory, or -u LOGIN",
    )


def _linger(facts: NodeFacts) -> Verdict:
    if not facts.logind:
        if "logind" in facts.took:
            return unknown("its logind does not tell")
        return good("nothing ends what a login leaves running")
    if facts.logind.get("KillUserProcesses") != "yes":
        return good("nothing ends what a login leaves running")
    if facts.linger:
        return good("its user's processes outlive the login")
    return bad(
        "systemd ends all processes of a login with it (KillUserProcesses), and so the jobs",
        remote(facts, "loginctl enable-linger"),
    )


def _sleep(facts: NodeFacts) -> Verdict:
    if facts.sleep_after:
        return bad(
            f"it goes to sleep when it is idle for {facts.sleep_after} minutes",
            as_root(facts, "pmset -a sleep 0"),
        )
    idle = facts.logind.get("IdleAction", "")
    if idle in SLEEPS and facts.sleep_target != "masked":
        return bad(
            f"it goes to sleep when it is idle (IdleAction={idle})",
            as_root(facts, "systemctl mask sleep.target suspend.target hibernate.target"),
        )
    if facts.sleep_after is None and not facts.logind and not facts.sleep_target:
        return unknown("it does not tell")
    return good("it does not go to sleep by itself")


def _max_sessions(facts: NodeFacts) -> Verdict:
    most = facts.max_sessions
    if most is None:
        return unknown("only root can see the MaxSessions of its sshd")
    if most >= SESSIONS:
        return good(f"its sshd allows {most} sessions over one connection", most=most)
    return bad(
        f"its sshd allows {most} sessions over one connection, and a run uses up to {SESSIONS}",
        _more_sessions(facts),
        most=most,
    )


def _more_sessions(facts: NodeFacts) -> str:
    sudo = "" if facts.uid == 0 else "sudo "
    return remote(
        facts,
        f"echo MaxSessions 10 | {sudo}tee /etc/ssh/sshd_config.d/10-gummy.conf && "
        f"{sudo}systemctl reload ssh",
        terminal=facts.uid != 0,
    )


def _gigabytes(count: float) -> str:
    return f"{count / GIGABYTE:.1f} GB"


CHECKS: Sequence[Check[NodeFacts]] = (
    Check(
        "reach",
        "critical",
        "No job goes to a node that ssh does not reach.",
        _reach,
        ("clock", "begin"),
        of_contact=True,
    ),
    Check(
        "host_key",
        "critical",
        "ssh does not talk to a machine that is not proved to be the one it knows.",
        _host_key,
        of_contact=True,
    ),
    Check(
        "login",
        "critical",
        "Jobs are sent with the login that Ansible uses, and nobody is there to be asked.",
        _login,
        of_contact=True,
    ),
    Check(
        "shell",
        "critical",
        "Each command over ssh is run by the login shell; what that prints goes into the middle of "
        "rsync's own words, and while it waits nothing happens.",
        _shell,
        of_contact=True,
    ),
    Check(
        "ssh_name",
        "warning",
        "You would look for a job on another machine than the one that has it.",
        _own_name,
        of_contact=True,
    ),
    Check(
        "tailnet_key",
        "warning",
        "With an expired key the node is out of the tailnet until somebody logs in to it again.",
        _key_expiry,
        of_contact=True,
    ),
    Check("python", "critical", "The node program needs Python 3.9.", _python, ("python",)),
    Check("rsync", "critical", "Projects and harvests travel by rsync.", _rsync),
    Check("git", "critical", "The patch of a job is made by git.", _git),
    Check(
        "store",
        "critical",
        "What a node knows of its jobs lies there, and nobody takes jobs without it.",
        _store,
        ("store", "writable"),
    ),
    Check("disk", "critical", "No job goes to a node without room for its work.", _disk, ("disk",)),
    Check(
        "linger",
        "critical",
        "A job outlives the connection that has started it; there it does not.",
        _linger,
        ("logind", "linger"),
    ),
    *agent_checks.CHECKS,
    Check(
        "git_identity",
        "warning",
        "An agent that commits its work fails there, or makes up who it is.",
        _git_identity,
        ("identity",),
    ),
    Check(
        "path",
        "warning",
        "Agents are looked for on the PATH of the login shell; without it some may not be found.",
        _path,
        ("path",),
    ),
    Check("root", "warning", "Agents that refuse root get no jobs there.", _root, ("uid",)),
    Check("disk_low", "warning", "Workspaces and harvests may fill it.", _disk_low),
    Check("memory", "warning", "An agent may be ended for want of memory.", _memory),
    Check(
        "home",
        "warning",
        "Locks are what jobs of a node agree by, and they and small files are slow or not to be "
        "trusted there.",
        _home,
        ("filesystem",),
    ),
    Check(
        "clock",
        "warning",
        "Programs that compare times, as make and TLS, go wrong, and the times of jobs are not "
        "true.",
        _clock,
    ),
    Check(
        "sleep",
        "warning",
        "A node that sleeps is out of reach, and its jobs stand still.",
        _sleep,
        ("sleep_target", "sleep_after"),
    ),
    Check(
        "max_sessions",
        "warning",
        "Calls beyond it are refused, and steps of jobs fail.",
        _max_sessions,
        ("max_sessions",),
    ),
)
