# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the names of what a project's first sync would send: some look like secrets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from .._errors import InputError
from .._files.paths import state_home
from .sync import Exclusions, sources, upload_argv

LOOKS_SECRET = re.compile(
    r"\.env(\.(?!example$|sample$|template$|dist$).*)?|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ovpn)|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|\.netrc|\.pgpass"
    r"|\.git-credentials|\.htpasswd|\.vault_pass.*|(client_)?secrets?\.(json|ya?ml|toml)|credentials(\.(json|ya?ml|toml|csv))?|service[-_]account.*\.json"
    r"|.*\.tfvars|terraform\.tfstate",
    re.IGNORECASE,
)
INSIDE_GIT = re.compile(r"(^|/)\.git/")
SHOWN = 10


def look_for_secrets_once(excluded: Exclusions, key: str) -> list[str]:
    """Paths that look like secrets among what goes to a node; none if this project (its workspace's
    key) was looked at before. Raises InputError.
    """
    seen = os.path.join(state_home(), "projects", key)
    if os.path.exists(seen):
        return []
    try:
        with sources(excluded.project) as given, tempfile.TemporaryDirectory() as nothing:
            argv = upload_argv(given, ("--dry-run", "--out-format=%n"), nothing)
            listed = subprocess.run(
                argv,
                input=excluded.rules,
                capture_output=True,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            ).stdout
    except FileNotFoundError:
        raise InputError(["rsync is not on this machine's PATH: install rsync"]) from None
    names = (line.decode("utf-8", "backslashreplace") for line in listed.split(b"\n"))
    found = sorted(
        name
        for name in names
        if not INSIDE_GIT.search(name) and LOOKS_SECRET.fullmatch(name.rpartition("/")[2])
    )
    os.makedirs(os.path.dirname(seen), mode=0o700, exist_ok=True)
    open(seen, "w").close()
    return found


def secret_warnings(
    secrets: Mapping[str, Sequence[str]], patterns: Sequence[str], config: str
) -> list[str]:
    """Lines for people, by project, with the line that keeps them at home."""
    lines = []
    for project, found in secrets.items():
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        lines += [
            f"WARNING: these look like secrets, and go to the nodes with {project}: {', '.join(found[:SHOWN])}{more}"
        ]
        lines += [
            f"  to keep them at home, write in {config}: sync_exclude: {json.dumps([*patterns, *(f'/{name}' for name in found[:SHOWN])])}"
        ]
    return lines
