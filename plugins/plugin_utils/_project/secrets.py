# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the names of what a project's first sync would send: some look like secrets."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence

from .._files.paths import write_once
from .._files.record import known_state_home, own_state_home
from .._node.belongs import Patterns
from .contents import INCLUDE_FILE
from .outside import printable
from .sent import sent_paths
from .sync import Exclusions, anchored

# Names of files that usually hold a secret; what is an example by its name is none.
SECRET_NAMES = (
    r"\.env(\.(?!example$|sample$|template$|dist$).*)?",
    r".*\.(pem|key|p12|pfx|jks|keystore|kdbx|ovpn)",
    r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?",
    r"\.netrc",
    r"\.pgpass",
    r"\.git-credentials",
    r"\.htpasswd",
    r"\.vault_pass.*",
    r"(client_)?secrets?\.(json|ya?ml|toml)",
    r"credentials(\.(json|ya?ml|toml|csv))?",
    r"service[-_]account.*\.json",
    r".*\.tfvars",
    r"terraform\.tfstate",
)
LOOKS_SECRET = re.compile("|".join(SECRET_NAMES), re.IGNORECASE | re.DOTALL)
# What is in a repository; a branch, in refs and logs, may have the name of a key.
INSIDE_GIT = re.compile(r"(^|/)\.git/")
NAMES_OF_BRANCHES = re.compile(r"(^|/)\.git/(.*/)?(refs|logs)/")
# How many paths are named to people.
SHOWN_MOST = 10


def look_for_secrets_once(excluded: Exclusions, key: str, *, note: bool = True) -> list[str]:
    """Paths that look like secrets among what goes to a node, sorted; none at a second look.

    What goes although git ignores it is among them, whatever its name. A project is known by the
    key of its workspaces and by its .worktreeinclude: it is looked at again when that changes.
    note: whether it is noted that it was looked at. Raises ProjectError.
    """
    name = key + _include_mark(excluded.project.path)
    seen = os.path.join(known_state_home(), "projects", name)
    if os.path.exists(seen):
        return []

    # A project's own .git is git's. One that is put together of folders elsewhere is looked into.
    hidden = NAMES_OF_BRANCHES if excluded.outside else INSIDE_GIT
    paths = (path.decode("utf-8", "backslashreplace") for path in sent_paths(excluded))
    suspects = {path for path in paths if _looks_secret(path) and not hidden.search(path)}
    cut = Patterns(excluded.patterns)
    suspects |= {
        path.decode("utf-8", "backslashreplace") for path in excluded.included if not cut.name(path)
    }
    if note:
        write_once(os.path.join(own_state_home("projects"), name), b"")
    return sorted(suspects)


def _include_mark(project: str) -> str:
    """What tells this content of the project's .worktreeinclude from others; blank without one."""
    try:
        with open(os.path.join(project, INCLUDE_FILE), "rb") as file:
            return "-" + hashlib.sha256(file.read()).hexdigest()[:12]
    except OSError:
        return ""


def _looks_secret(path: str) -> bool:
    return LOOKS_SECRET.fullmatch(path.rpartition("/")[2]) is not None


def secret_warnings(
    secrets: Mapping[str, Sequence[str]], patterns: Sequence[str], config: str
) -> list[str]:
    """Lines for people about each project, with the setting that keeps its secrets at home.

    secrets: project -> paths; patterns: of sync_exclude by now; config: path of the config file.
    """
    lines = []
    for project, paths in secrets.items():
        shown = paths[:SHOWN_MOST]
        more = ""
        if len(paths) > len(shown):
            more = f" and {len(paths) - len(shown)} more"
        rules = [os.fsdecode(anchored(os.fsencode(path))) for path in shown]
        setting = json.dumps([*patterns, *rules])
        lines.append(
            f"WARNING: these look like secrets, and go to the nodes with {project}: "
            f"{', '.join(map(printable, shown))}{more}"
        )
        lines.append(f"  to keep them at home, write in {config}: sync_exclude: {setting}")
    return lines
