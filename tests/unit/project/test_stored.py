"""What comes home of a project with filters and ends of lines is what git add there would store."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import branch as _branch
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.attributes import (
    attribute_files_around,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.home_patch import (
    make_patch_at_home,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    exclusions,
)
from workbench import Work, trees
from workbench import said as _said


def asks_for_contents(project):
    """What a run would tell a node of it; a folder's repository is asked in another way."""
    asks = exclusions(str(project), []).attribute_files.ask_for_contents()
    assert attribute_files_around(str(project)).ask_for_contents() == asks
    return asks


# What no object of the user's repository may hold.
PLAIN = b"TOP SECRET"
FILTER = """import base64, hashlib, os, pathlib, subprocess, sys
kind, way = sys.argv[1:]
data = sys.stdin.buffer.read()


def mix(data, salt):
    stream = hashlib.shake_256(b"key" + salt).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream))


if kind == "lfs":
    place = subprocess.run(["git", "rev-parse", "--absolute-git-dir"], stdout=subprocess.PIPE)
    place = pathlib.Path(place.stdout.decode().strip(), "lfs")
    if way == "clean":
        name = hashlib.sha256(data).hexdigest()
        place.mkdir(exist_ok=True)
        place.joinpath(name).write_bytes(data)
        data = b"version lfs\\noid sha256:%s\\nsize %d\\n" % (name.encode(), len(data))
    elif os.environ.get("GIT_LFS_SKIP_SMUDGE") != "1" and data.startswith(b"version lfs"):
        data = place.joinpath(data.split(b":")[1].split()[0].decode()).read_bytes()
elif way == "clean":
    salt = os.urandom(8) if kind == "salted" else hashlib.sha256(data).digest()[:8]
    data = base64.b64encode(salt + mix(data, salt)) + b"\\n"
else:
    data = base64.b64decode(data)
    data = mix(data[8:], data[:8])
sys.stdout.buffer.write(data)
"""


class Filtered(Work):
    """A project in which *.secret goes through a filter."""

    def __init__(self, top, kind):
        super().__init__(top)
        self.kind = kind
        self.settings = {"filter.f.required": "true"}
        (top / "filter.py").write_text(FILTER)
        for way in ("clean", "smudge"):
            self.settings[f"filter.f.{way}"] = f"{sys.executable} -I {top}/filter.py {kind} {way}"
        for name, value in self.settings.items():
            trees.git(self.project, "config", name, value)
        files = {name: f"{PLAIN.decode()} {name}\n1\n2\n3\n4\n" for name in self.names}
        attributes = {".gitattributes": "*.secret filter=f\n"}
        self.commit(self.project, "secrets", **attributes, **files)

    def commit(self, tree, message, **files):
        for name, text in files.items():
            (tree / name).write_text(text)
        for path in tree.iterdir():
            if path.is_file() and path.stat().st_mtime != 1e9:
                # Else git would clean it once more to see whether it is as it was.
                os.utime(path, (1e9, 1e9))
        super().commit(tree, message)

    def deliver(self, job, name="job", project=None):
        if self.kind != "lfs":
            return super().deliver(job, name, project)
        # The filter keeps what it cleaned in .git/lfs, as git-lfs does.
        words = {"run_id": "run", "job": name, "title": f"{name}: what was asked"}
        return _branch.deliver_branch(str(project or self.project), *job, **words)

    names = ("a.secret", "b.secret", "gone.secret", "dirty.secret", "old.secret")

    def job_without_filters(self, change, **more):
        """A job on a node that has none of the filters."""

        def there(tree):
            for name in self.settings:
                trees.git(tree, "config", "--unset-all", name)
            change(tree)

        return self.job(there, **more)

    def stored(self, revision, path):
        return trees.git(self.project, "cat-file", "blob", f"{revision}:{path}")

    def in_tree(self, revision, path):
        words = ("cat-file", "--filters", f"{revision}:{path}")
        return trees.git(self.project, *words).decode()


def no_plain_text(folder):
    """No object, reachable or not, has what is secret."""
    listing = _said(folder, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    for line in listing:
        name, kind, _size = line.split()
        assert PLAIN not in trees.git(folder, "cat-file", kind, name), line


def is_clean_in_a_clone(work, branch):
    """git status in a clone of the branch has nothing to tell."""
    clone = work.top / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    words = [word for pair in work.settings.items() for word in ("-c", "=".join(pair))]
    trees.git(work.top, "clone", "-q", "--no-checkout", *words, str(work.project), str(clone))
    if (work.project / ".git" / "lfs").exists():
        shutil.copytree(work.project / ".git" / "lfs", clone / ".git" / "lfs")
    trees.git(clone, "checkout", "-q", branch)
    for path in clone.iterdir():
        if path.is_file():
            # git looks at the contents again.
            os.utime(path, (1e9, 1e9))
    assert _said(clone, "status", "--porcelain") == ""
    return clone


def edit(path, text="mine\n"):
    path.write_text(path.read_text() + text)


def change_all(tree, commits):
    """Each kind of change; with commits the agent stores what its own git makes of it."""
    edit(tree / "a.secret")
    edit(tree / "dirty.secret")
    (tree / "gone.secret").unlink()
    (tree / "old.secret").rename(tree / "renamed.secret")
    (tree / "new.secret").write_text(f"{PLAIN.decode()} new\n")
    edit(tree / "a")
    if commits:
        trees.git(tree, "add", "-A")
        trees.git(tree, "commit", "-qm", "of the agent")
        edit(tree / "a.secret", "later\n")
        trees.git(tree, "commit", "-qam", "of the agent, later")
        edit(tree / "a.secret", "not committed\n")


@pytest.fixture(params=["keyed", "salted", "lfs"])
def work(request, tmp_path):
    return Filtered(tmp_path, request.param)


@pytest.mark.parametrize("commits", [False, True], ids=["uncommitted", "commits"])
def test_a_branch_has_what_git_add_stores_and_no_object_has_plain_text(work, commits):
    edit(work.project / "dirty.secret", "not committed here\n")
    before = {name: work.stored("HEAD", name) for name in work.names}
    job = work.job_without_filters(lambda tree: change_all(tree, commits))
    tree = work.top / "job-tree"
    made = work.deliver(job)
    branch = made["branch"]

    no_plain_text(work.project)
    for name in ("a.secret", "b.secret", "dirty.secret", "renamed.secret", "new.secret", "a"):
        assert work.in_tree(branch, name) == (tree / name).read_text(), name
    assert work.stored(branch, "b.secret") == before["b.secret"]
    names = _said(work.project, "ls-tree", "--name-only", branch).splitlines()
    assert "gone.secret" not in names and "old.secret" not in names
    if work.kind != "salted":
        is_clean_in_a_clone(work, branch)
    subjects = [line.partition("|")[2] for line in work.log(f"main..{branch}")]
    if commits:
        assert subjects == ["job: what was asked", "of the agent, later", "of the agent"]
        assert "a.secret" in made["note"] and "commits are made anew" in made["note"]
    else:
        assert subjects == ["job: what was asked", "What was not committed when run/job began"]
        changed = _said(work.project, "diff", "--name-only", "main", f"{branch}~").splitlines()
        assert changed == ["dirty.secret"]

    # The user takes it over, and what is there is what the agent left.
    trees.git(work.project, "reset", "-q", "--hard")
    if work.kind == "salted":
        trees.git(work.project, "reset", "-q", "--hard", branch)
    else:
        trees.git(work.project, "merge", "-q", "--ff-only", branch)
    assert (work.project / "a.secret").read_text() == (tree / "a.secret").read_text()
    no_plain_text(work.project)


def test_a_patch_of_filtered_files_is_what_git_apply_takes(work):
    job = work.job_without_filters(lambda tree: change_all(tree, commits=True))
    folder, result = job
    made = make_patch_at_home(str(work.project), folder, result)
    assert not made.offers_commits and "do not fetch commits.bundle" in made.notes[0]
    no_plain_text(work.project)
    index = ("--index",) if work.kind == "salted" else ()
    assert any("git apply --index" in note for note in made.notes) == bool(index)
    assert (PLAIN not in Path(folder, "changes.patch").read_bytes()) or work.kind == "lfs"
    trees.git(work.project, "apply", *index, f"{folder}/changes.patch")
    tree = work.top / "job-tree"
    for path in (*tree.glob("*.secret"), tree / "a"):
        assert (work.project / path.name).read_bytes() == path.read_bytes()
    assert not (work.project / "gone.secret").exists()
    assert asks_for_contents(work.project)


def test_what_setup_changed_is_not_delivered_and_what_the_agent_changed_too_fits_at_home(work):
    def set_up(tree):
        edit(tree / "a.secret", "of setup")
        edit(tree / "b.secret", "of setup")
        edit(tree / "b", "of setup")
        (tree / "made").write_text("of setup\n")

    def change(tree):
        edit(tree / "a.secret")
        edit(tree / "c")
        trees.git(tree, "add", "-A")
        trees.git(tree, "commit", "-qm", "of the agent")
        edit(tree / "c", "again")

    job = work.job_without_filters(change, setup=set_up)
    tree = work.top / "job-tree"
    made = work.deliver(job)
    assert "made" in made["note"] and "b.secret" in made["note"]
    branch = made["branch"]
    assert work.in_tree(branch, "a.secret") == (tree / "a.secret").read_text()
    changed = _said(work.project, "diff", "--name-only", f"HEAD..{branch}").splitlines()
    assert sorted(changed) == ["a.secret", "c"]
    no_plain_text(work.project)

    made = make_patch_at_home(str(work.project), *job)
    index = ("--index",) if work.kind == "salted" else ()
    before = (work.project / "b").read_bytes()
    trees.git(work.project, "apply", *index, f"{job[0]}/changes.patch")
    for name in ("a.secret", "c"):
        assert (work.project / name).read_bytes() == (tree / name).read_bytes()
    assert (work.project / "b").read_bytes() == before and not (work.project / "made").exists()


def test_the_work_goes_on_top_of_a_base_that_moved(work):
    job = work.job_without_filters(lambda tree: change_all(tree, commits=True))
    work.commit(work.project, "meanwhile", c="c2\n")
    made = work.deliver(job)
    assert made["base"] == _said(work.project, "rev-parse", "HEAD")
    no_plain_text(work.project)
    text = (work.top / "job-tree" / "a.secret").read_text()
    assert work.in_tree(made["branch"], "a.secret") == text


def test_a_file_whose_attributes_the_job_changed_stays_in_the_patch_and_is_named(tmp_path):
    work = Filtered(tmp_path, "keyed")

    def change(tree):
        (tree / ".gitattributes").write_text("*.bin filter=f\nb.secret filter=f\n")
        edit(tree / "a.secret")
        edit(tree / "b.secret")
        (tree / "new.bin").write_text("new\n")
        trees.git(tree, "add", "-A")
        trees.git(tree, "commit", "-qm", "of the agent")

    job = work.job_without_filters(change)
    made = work.deliver(job)
    assert "in the patch only: a.secret, new.bin" in made["note"]
    no_plain_text(work.project)
    (note, _commits) = make_patch_at_home(str(work.project), *job).notes
    assert "in the patch only: a.secret, new.bin" in note
    trees.git(work.project, "apply", f"{job[0]}/changes.patch")
    for name in (".gitattributes", "a.secret", "b.secret", "new.bin"):
        there = (work.project / name).read_bytes()
        left = (tmp_path / "job-tree" / name).read_bytes()
        assert there == left, name
    branch = made["branch"]
    assert work.stored(branch, "a.secret") == work.stored("main", "a.secret")
    assert work.in_tree(branch, "b.secret").endswith("mine\n")
    assert "new.bin" not in _said(work.project, "ls-tree", "--name-only", branch)


def test_a_copy_of_a_filtered_file_under_another_name_stays_in_the_patch(tmp_path):
    work = Filtered(tmp_path, "keyed")

    def change(tree):
        edit(tree / "b")
        (tree / "a.secret").rename(tree / "a.txt")
        trees.git(tree, "add", "-A")
        trees.git(tree, "commit", "-qm", "of the agent")
        shutil.copy(tree / "b.secret", tree / "copied")
        edit(tree / "b.secret")
        shutil.copy(tree / "old.secret", tree / "copied unchanged")
        (tree / "gone.secret").rename(tree / "edited")
        edit(tree / "edited")

    made = work.deliver(work.job_without_filters(change))
    assert "patch only: a.txt, copied, copied unchanged, edited" in made["note"]
    no_plain_text(work.project)
    branch = made["branch"]
    names = _said(work.project, "ls-tree", "--name-only", branch).splitlines()
    assert (
        not {"a.txt", "copied", "copied unchanged", "edited", "a.secret"} & {*names}
        and "b.secret" in names
    )


def test_commits_of_a_node_that_has_the_filter_are_the_very_same_ones(tmp_path):
    work = Filtered(tmp_path, "keyed")

    def change(tree):
        edit(tree / "a.secret")
        trees.git(tree, "commit", "-qam", "of the agent")

    job = work.job(change)
    made = work.deliver(job)
    tip = _said(work.top / "job-tree", "rev-parse", "HEAD")
    assert made["commit"] == tip and made["note"] == ""


@pytest.mark.parametrize("required", ["true", "false"])
@pytest.mark.parametrize("commits", [False, True])
def test_a_filter_that_fails_means_no_branch_and_why(tmp_path, required, commits):
    work = Filtered(tmp_path, "keyed")
    job = work.job_without_filters(lambda tree: change_all(tree, commits))
    trees.git(work.project, "config", "filter.f.clean", "false")
    trees.git(work.project, "config", "filter.f.required", required)
    with pytest.raises(_branch.DeliverError, match=r"can't store \w+\.secret as git add would"):
        work.deliver(job)
    no_plain_text(work.project)
    assert _said(work.project, "branch", "--list", "gummy/*") == ""


def test_attributes_that_are_in_the_index_alone_count_too(tmp_path):
    work = Filtered(tmp_path, "keyed")
    (work.project / ".gitattributes").unlink()
    assert asks_for_contents(work.project)
    trees.git(work.project, "config", "core.autocrlf", "true")
    job = work.job_without_filters(lambda tree: edit(tree / "a.secret"))
    made = work.deliver(job)
    no_plain_text(work.project)
    trees.git(work.project, "checkout", "-q", "--", ".gitattributes")
    assert work.in_tree(made["branch"], "a.secret").endswith("mine\n")


def test_a_filter_that_is_a_file_of_the_project_is_found_in_a_folder_of_it(tmp_path):
    work = Filtered(tmp_path, "keyed")
    script = work.project / "mix"
    script.write_text("#!/bin/sh\ntr a-zA-Z n-za-mN-ZA-M\n")
    script.chmod(0o755)
    for way in ("clean", "smudge"):
        trees.git(work.project, "config", f"filter.f.{way}", "./mix")
    (work.project / "sub").mkdir()
    work.commit(work.project, "sub", **{"sub/x.secret": f"{PLAIN.decode()}\n"})
    job = work.job(lambda tree: edit(tree / "x.secret"), project=work.project / "sub")
    made = work.deliver(job, project=work.project / "sub")
    assert work.stored(made["branch"], "sub/x.secret") == b"GBC FRPERG\nzvar\n"
    folder, result = job
    notes = make_patch_at_home(str(work.project / "sub"), folder, result).notes
    assert notes == ("take the patch over with git apply --directory=sub",)
    words = notes[0].partition(" with git ")[2].split()
    trees.git(work.project / "sub", *words, f"{folder}/changes.patch")
    assert (work.project / "sub" / "x.secret").read_text() == f"{PLAIN.decode()}\nmine\n"


def test_a_patch_made_at_home_has_the_files_of_submodules_too(tmp_path):
    work = Filtered(tmp_path, "keyed")
    words = ("update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",sub")
    trees.git(work.project, *words)
    trees.git(work.project, "commit", "-qm", "a submodule")
    (work.project / "sub").mkdir()
    (work.project / "sub" / "s").write_text("s\n")

    def change(tree):
        edit(tree / "sub" / "s")
        edit(tree / "a.secret")

    folder, result = work.job_without_filters(change)
    assert "1 files of submodules" in work.deliver((folder, result))["note"]
    assert make_patch_at_home(str(work.project), folder, result).notes == ()
    patch = Path(folder, "changes.patch").read_text()
    assert "+++ b/sub/s" in patch and "+++ b/a.secret" in patch


def test_what_gummy_keeps_on_its_node_is_in_no_commit_so_two_jobs_don_t_conflict_in_it(tmp_path):
    work = Work(tmp_path)
    notes = work.project / ".gummy" / "specialists" / "one"
    notes.mkdir(parents=True)
    work.commit(work.project, "notes", **{".gummy/specialists/one/meta.yaml": "turns: 1\n"})
    # What another agent keeps does not go along either, and so it is gone in the workspace.
    (work.project / ".crush" / "logs").mkdir(parents=True)
    work.commit(work.project, "log", **{".crush/logs/a.log": "at home\n"})

    def change(name):
        def agent(tree):
            for file in ("meta.yaml", "session.txt", "prompt.txt"):
                (tree / ".gummy" / "specialists" / "one" / file).write_text(f"of {name}\n"[:4])
            (tree / ".gummy/specialists/one/meta.yaml").write_text(f"turns of {name}\n")
            (tree / ".crush/logs/a.log").unlink()
            (tree / f".crush/logs/{name}.log").write_text(name)
            (tree / f"by {name}").write_text("work\n")
            trees.git(tree, "add", "-A")
            trees.git(tree, "commit", "-qm", name)

        return agent

    for name in ("a", "b"):
        made = work.deliver(work.job(change(name), name), name)
        assert ".gummy/specialists/one/meta.yaml" in made["note"]
        trees.git(work.project, "merge", "-q", made["branch"])
    listed = _said(work.project, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert ".gummy/specialists/one/session.txt" not in listed
    assert [path for path in listed if path.startswith(".crush/")] == [".crush/logs/a.log"]
    assert (notes / "meta.yaml").read_text() == "turns: 1\n" and {"by a", "by b"} <= {*listed}


def test_what_worktreeinclude_names_is_in_no_commit_though_the_agent_adds_it(tmp_path):
    work = Work(tmp_path)
    rules = {".gitignore": ".env*\n", ".worktreeinclude": ".env.test\n"}
    work.commit(work.project, "rules", **rules)
    (work.project / ".env.test").write_text("KEY=s3cret\n")

    def change(tree):
        (tree / "b").write_text("work\n")
        trees.git(tree, "add", "-A")
        trees.git(tree, "add", "-f", ".env.test")
        trees.git(tree, "commit", "-qm", "of the agent")

    job = work.job(change)
    patch = make_patch_at_home(str(work.project), *job)
    assert not patch.offers_commits and ".env.test" in patch.notes[0]
    made = work.deliver(job)
    assert ".env.test" in made["note"]
    listed = _said(work.project, "ls-tree", "-r", "--name-only", made["branch"]).splitlines()
    assert ".env.test" not in listed and work.show(made["branch"], "b") == "work\n"
    listing = _said(work.project, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    names = [line.split()[0] for line in listing if " blob " in line]
    assert all(b"s3cret" not in trees.git(work.project, "cat-file", "blob", n) for n in names)


def test_commits_with_what_setup_changed_are_not_offered_and_the_patch_has_the_agent_s_work(
    tmp_path,
):
    def change(tree):
        (tree / "b").write_text("work\n")
        trees.git(tree, "add", "-A")
        trees.git(tree, "commit", "-qm", "of the agent")

    work = Work(tmp_path)
    folder, result = work.job(change, setup=lambda tree: edit(tree / "a", "of setup"))
    patch = make_patch_at_home(str(work.project), folder, result)
    assert not patch.offers_commits and "not delivered: a;" in patch.notes[0]
    text = Path(folder, "changes.patch").read_text()
    assert "+work" in text and "of setup" not in text

    # Without a setup they are offered.
    patch = make_patch_at_home(str(work.project), *work.job(change, "plain"))
    assert patch.offers_commits and not patch.notes


def test_text_in_another_encoding_is_stored_as_git_add_stores_it(tmp_path):
    work = Work(tmp_path)
    work.settings = {}
    (work.project / "t.txt").write_bytes("a\nb\n".encode("utf-16"))
    work.commit(work.project, "coded", **{".gitattributes": "*.txt working-tree-encoding=UTF-16\n"})

    def change(tree):
        (tree / "t.txt").write_bytes("a\nB\n".encode("utf-16"))
        trees.git(tree, "commit", "-qam", "of the agent")
        (tree / "new.txt").write_bytes("new\n".encode("utf-16"))

    job = work.job(change)
    tip = _said(work.top / "job-tree", "rev-parse", "HEAD")
    made = work.deliver(job)
    assert made["note"] == "" and _said(work.project, "rev-parse", f"{made['branch']}~") == tip
    assert work.show(made["branch"], "new.txt") == "new\n"
    assert lines_changed(work, made["branch"])["t.txt"] == (1, 1)
    make_patch_at_home(str(work.project), *job)
    trees.git(work.project, "apply", f"{job[0]}/changes.patch")
    assert (work.project / "t.txt").read_bytes().decode("utf-16") == "a\nB\n"


def test_a_bundle_of_a_nested_repository_with_a_filter_is_not_offered_either(tmp_path):
    work = Work(tmp_path)
    for name in ("vendor", "other"):
        inner = work.project / name
        inner.mkdir()
        trees.git(inner, "init", "-q", "--template=")
        work.commit(inner, "first", v="v\n", **{".gitattributes": "v filter=f\n"})
    trees.git(work.project / "vendor", "config", "filter.f.clean", "rev")

    def change(tree):
        for name in ("vendor", "other"):
            (tree / name / "v").write_text("w\n")

    folder, result = work.job(change)
    notes = make_patch_at_home(str(work.project), folder, result).notes
    number = result["harvest"]["nested"].index("vendor") + 1
    assert len(notes) == 1 and f"nested/{number}.bundle has files of vendor" in notes[0]


def lines_changed(work, branch, base="main"):
    """Path -> lines added and deleted."""
    rows = _said(work.project, "diff", "--no-renames", "--numstat", base, branch).split("\n")
    return {
        path: (int(added), int(deleted)) for added, deleted, path in (r.split("\t") for r in rows)
    }


@pytest.mark.parametrize("commits", [False, True], ids=["uncommitted", "commits"])
@pytest.mark.parametrize("ends", ["eol", "auto", "autocrlf", "input", "kept", "ident"])
def test_one_changed_line_is_one_changed_line(tmp_path, ends, commits):
    work = Work(tmp_path)
    work.settings = {}
    attributes = {
        "eol": "*.txt text eol=crlf\n",
        "auto": "* text=auto eol=crlf\n",
        "kept": "",
        "ident": "*.txt ident text\n",
    }
    if ends in ("autocrlf", "input"):
        work.settings["core.autocrlf"] = "true" if ends == "autocrlf" else "input"
    crlf = b"a\r\nb\r\nc\r\n"
    if ends == "kept":
        # Such a file was stored with CRLF before anybody asked for text=auto.
        (work.project / "x.txt").write_bytes(crlf)
        work.commit(work.project, "kept")
        attributes["kept"] = "* text=auto\n"
    if ends == "ident":
        crlf = b"$Id$\na\nb\n"
    if ends in attributes:
        work.commit(work.project, "attributes", **{".gitattributes": attributes[ends]})
    for name, value in work.settings.items():
        trees.git(work.project, "config", name, value)
    for name in ("x.txt", "dirty.txt", "gone.txt", "old.txt"):
        (work.project / name).write_bytes(crlf)
    work.commit(work.project, "texts")
    for name in ("x.txt", "dirty.txt", "gone.txt", "old.txt"):
        (work.project / name).unlink()
    trees.git(work.project, "checkout", "-q", "--", ".")
    if ends == "input":
        # As an editor of another system left them.
        for name in ("x.txt", "dirty.txt", "gone.txt", "old.txt"):
            (work.project / name).write_bytes(crlf)
    dirty = work.project / "dirty.txt"
    dirty.write_bytes(dirty.read_bytes().replace(b"a", b"A"))

    def change(tree):
        for name in work.settings:
            trees.git(tree, "config", "--unset-all", name)
        for name in ("x.txt", "dirty.txt"):
            (tree / name).write_bytes((tree / name).read_bytes().replace(b"b", b"B"))
        (tree / "new.txt").write_bytes((tree / "x.txt").read_bytes())
        (tree / "gone.txt").unlink()
        (tree / "old.txt").rename(tree / "renamed.txt")
        if commits:
            trees.git(tree, "add", "-A")
            trees.git(tree, "commit", "-qm", "of the agent")
            (tree / "x.txt").write_bytes((tree / "x.txt").read_bytes().replace(b"a", b"1"))

    job = work.job(change)
    made = work.deliver(job)
    branch = made["branch"]
    lines = lines_changed(work, branch)
    assert lines["x.txt"] == ((2, 2) if commits else (1, 1)), lines
    assert lines["dirty.txt"] == (2, 2), lines
    assert lines["new.txt"] == (3, 0) and lines["gone.txt"] == (0, 3), lines
    is_clean_in_a_clone(work, branch)

    # The patch has the same lines, and is taken over by the command that people type.
    folder, result = job
    assert make_patch_at_home(str(work.project), folder, result).notes == ()
    copy = work.top / "copy"
    shutil.copytree(work.project, copy, symlinks=True)
    subprocess.run(["git", "apply", f"{folder}/changes.patch"], cwd=copy, check=True)
    tree = work.top / "job-tree"
    for name in ("x.txt", "dirty.txt", "new.txt", "renamed.txt"):
        # Git fills in the keyword itself.
        there, left = (
            re.sub(rb"\$Id[^$]*\$", b"", (folder / name).read_bytes()) for folder in (copy, tree)
        )
        assert there == left, name
    trees.git(work.project, "checkout", "-q", "--", ".")
    trees.git(work.project, "merge", "-q", "--ff-only", branch)
    assert _said(work.project, "status", "--porcelain") == ""


def test_a_file_system_without_modes_makes_no_changes_of_modes(tmp_path):
    work = Work(tmp_path)
    trees.git(work.project, "config", "core.fileMode", "false")
    for path in work.project.iterdir():
        if path.is_file():
            path.chmod(0o755)

    def change(tree):
        edit(tree / "a")
        (tree / "b").chmod(0o644)

    made = work.deliver(work.job(change))
    assert len(work.log(f"main..{made['branch']}")) == 1
    assert _said(work.project, "ls-tree", made["branch"], "a").startswith("100644")
