"""What Galaxy and Ansible's community ask of a collection, as far as no tool of theirs looks."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.once

# What the tarball may hold: everything is for users.
SHIPS = (
    r"(FILES|MANIFEST)\.json",
    r"(CHANGELOG|CODE_OF_CONDUCT|CONTRIBUTING|README)\.md",
    r"LICENSES/GPL-3\.0-or-later\.txt",
    r"bindep\.txt",
    r"changelogs/changelog\.yaml",
    r"docs/[\w/-]+\.(md|png)",
    r"docs/docsite/[\w-]+\.(yml|rst)",
    r"docs/documents\.schema\.json",
    r"examples/[\w./-]+\.ya?ml",
    r"inventory/tailnet\.yml",
    r"meta/(execution-environment|runtime)\.yml",
    r"playbooks/\w+\.yml",
    r"playbooks/shell/gummy\.sh",
    r"plugins/(action|doc_fragments|filter|inventory|modules|plugin_utils)/[\w/]+\.(py|sh)",
    r"roles/\w+/README\.md",
    r"roles/\w+/files/\w+\.py",
    r"roles/\w+/(defaults|meta|tasks)/\w+\.yml",
    r"skills/distributed-gummy/[\w/]+\.md",
)
# Pages for people who have the repository.
OF_THE_REPOSITORY = ("CONTRIBUTING.md", "docs/architecture.md")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the tarball that Galaxy would get."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "ansible", "galaxy", "collection", "build"]
    subprocess.run(
        [*build, "--output-path", folder],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (path,) = folder.glob("*.tar.gz")
    files = {}
    with tarfile.open(path) as tarball:
        for member in tarball.getmembers():
            content = tarball.extractfile(member)
            if content is not None:
                files[member.name] = content.read()
    return files


def test_the_tarball_holds_what_users_need_and_nothing_else(shipped: dict[str, bytes]) -> None:
    strangers = [name for name in shipped if not any(re.fullmatch(one, name) for one in SHIPS)]
    assert strangers == [], "leave it out by build_ignore in galaxy.yml, or say here that it ships"


def test_everything_of_the_repository_that_is_for_users_is_in_the_tarball(
    shipped: dict[str, bytes],
) -> None:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("this is no clone")
    kept = {name for name in listing.stdout.splitlines() if (ROOT / name).is_file()}
    missing = [
        name
        for name in sorted(kept - shipped.keys())
        if any(re.fullmatch(one, name) for one in SHIPS) and not name.startswith(".")
    ]
    assert missing == []


def test_a_link_of_a_page_that_ships_leads_to_a_file_that_ships(
    shipped: dict[str, bytes],
) -> None:
    broken = []
    folders = {str(parent) for name in shipped for parent in Path(name).parents}
    for name, content in shipped.items():
        if not name.endswith(".md") or name in OF_THE_REPOSITORY or name.startswith("skills/"):
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", content.decode("utf-8")):
            path, _hash, _place = target.partition("#")
            if not path or "://" in path:
                continue
            leads_to = (ROOT / name).parent.joinpath(path).resolve().relative_to(ROOT)
            if str(leads_to) not in shipped.keys() | folders:
                broken.append(f"{name}: {target}")
    assert broken == []


def test_galaxy_is_told_where_everything_is() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    for key in ("repository", "documentation", "homepage", "issues"):
        assert galaxy[key].startswith("https://"), key
    assert galaxy["tags"] and galaxy["dependencies"] == {}


def test_the_issue_form_for_faults_asks_for_the_doctors_report() -> None:
    path = ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml"
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    fields = {field.get("id"): field for field in form["body"]}
    assert fields["doctor"]["validations"]["required"]
    assert (
        "distributed.gummy.doctor -e gummy_output_file="
        in fields["doctor"]["attributes"]["description"]
    )


def test_nothing_is_ignored_without_a_reason() -> None:
    """No list of sanity's findings to overlook, and each `noqa` or `type: ignore` names a rule."""
    assert list((ROOT / "tests").glob("sanity/ignore*")) == []
    assert not (ROOT / ".ansible-lint-ignore").exists()
    bare = re.compile(r"#\s*noqa(?!:)|#\s*type:\s*ignore(?!\[)|#\s*pylint:\s*disable(?!=)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for top in ("plugins", "roles", "scripts", "tests", "playbooks", "examples")
        for path in sorted((ROOT / top).rglob("*"))
        if path.suffix in (".py", ".yml") and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []
