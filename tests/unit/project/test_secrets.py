"""Files that look like secrets are told before a project's first sync, and only those that go."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import config
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import secrets as _secrets
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync as _sync

SECRET = [
    ".env",
    ".env.production",
    "deep/er/.ENV.local",
    "tls/server.key",
    "id_ed25519",
    "aws/credentials",
    "secrets.yaml",
    "odd\nname.pem",
    "what[1]*.key",
]
HARMLESS = [
    ".env.example",
    "id_ed25519.pub",
    "keyboard.py",
    "environment",
    "monkey",
    "credentials.py",
    "secrets.py",
    "tls/server.crt",
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in (*SECRET, *HARMLESS, "ignored/.env", "node_modules/x/.env", "own/.env"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "project" / ".gitignore").write_text("ignored\n")
    for folder in (".", "own"):
        subprocess.run(["git", "init", "-q"], cwd=tmp_path / "project" / folder, check=True)
    (tmp_path / "project" / ".git" / ".env").write_text("a ref could have this name")
    return tmp_path / "project"


def test_what_looks_secret_and_goes_is_told_once_for_each_project(project):
    excluded = _sync.exclusions(str(project), config.SYNC_EXCLUDE)
    before = sorted(project.rglob("*"))
    told = _secrets.look_for_secrets_once(excluded, "one")
    assert told == sorted([*SECRET, "own/.env"])
    assert sorted(project.rglob("*")) == before
    assert _secrets.look_for_secrets_once(excluded, "one") == [] and len(
        _secrets.look_for_secrets_once(excluded, "two")
    ) == len(told)


def test_the_line_that_is_told_keeps_them_at_home(project):
    (project / "what1.key").write_text("not what the pattern of another name would name")
    found = _secrets.look_for_secrets_once(
        _sync.exclusions(str(project), config.SYNC_EXCLUDE), "one"
    )
    named = [".env", "odd\nname.pem", "what[1]*.key"]
    assert set(named) < set(found)
    found = named
    first, then = _secrets.secret_warnings(
        {str(project): found}, config.SYNC_EXCLUDE, "/my/config.yaml"
    )
    assert f"{project}: .env, odd\\nname.pem, what[1]*.key" in first and "/my/config.yaml" in then
    patterns = yaml.safe_load(then.partition("config.yaml: ")[2])["sync_exclude"]
    assert patterns[: len(config.SYNC_EXCLUDE)] == list(config.SYNC_EXCLUDE)
    left = _secrets.look_for_secrets_once(_sync.exclusions(str(project), patterns), "two")
    assert "what1.key" in left and not set(found) & set(left)
