"""Projects and what an agent may do to them: each tree has at least one change of every kind.

Python 3.9, so that a job can be it.

As a program, `trees.py SEED`, it changes the directory that it is started in.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import random
import re
import shutil
import stat
import subprocess
import sys

NAMES = [
    b"plain",
    b"with blank",
    b"new\nline",
    b'q"uote',
    b"tab\t",
    b"\xff\xfe.bin",
    "ünï".encode(),
    b"-dash",
    b"#x",
    b":(top)y",
    b"back\\slash",
    b"*",
    b"a b c.txt",
]
FOLDERS = [b"", b"d/", b"d/e f/", b"\xfeg/", b"h/i/j/"]
ATTRIBUTES = [
    b"* text=auto eol=crlf\n",
    b"* -diff\n",
    b"* filter=x ident\n*.txt working-tree-encoding=UTF-16\n",
    b"* binary\n",
    b"* eol=lf text\n",
]
# What makes a repository another one for whoever reads its files.
FORMATS = [
    (),
    ("update-index", "--index-version=4"),
    ("update-index", "--split-index"),
    ("update-index", "--force-untracked-cache"),
    ("pack-refs", "--all"),
    ("repack", "-q", "-a", "-d"),
    ("commit-graph", "write", "--reachable"),
    ("config", "core.splitIndex", "true"),
    ("config", "extensions.worktreeConfig", "true"),
]
IGNORES = b"*.ign\nbuilt/\n"
ARTIFACTS = ["built/**/*.whl", "*.ign", "kept folder"]
# Its file systems take UTF-8 names only.
if sys.platform == "darwin":
    NAMES, FOLDERS = (
        [path for path in paths if b"\xff" not in path and b"\xfe" not in path]
        for paths in (NAMES, FOLDERS)
    )


def git(folder, *words):
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull)
    who = [
        "-c",
        "user.name=An Agent",
        "-c",
        "user.email=agent@example.org",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.fsync=none",
        # Newer gits would tidy up in the background while a test copies the folder.
        "-c",
        "maintenance.auto=false",
        "-c",
        "gc.auto=0",
    ]
    who += ["-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, env=env, check=False, capture_output=True
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


class Tree:
    """A directory that a seed fills and changes.

    Files are taken in turn, so that no kind of change undoes another one's.
    """

    def __init__(self, top, seed):
        self.top = os.fsencode(str(top))
        self.r = random.Random(seed)
        self.count = 0
        self.has_git = bool(seed % 3)
        # Whether it has attributes for sure; else it may.
        self.attributes = False
        # Words for `git init`.
        self.init = ()

    def path(self, ending=b""):
        """A path that is not there yet, in a folder that is."""
        self.count += 1
        path = os.path.join(
            self.top, self.r.choice(FOLDERS), b"%d " % self.count + self.r.choice(NAMES) + ending
        )
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def content(self):
        lines = b"".join(
            b"line %d $Id$%s" % (self.r.randrange(9), self.r.choice([b"\n", b"\r\n"]))
            for _time in range(self.r.choice([0, 1, 5, 400]))
        )
        return self.r.choice(
            [
                lines,
                lines + b"no newline",
                self.r.getrandbits(8000).to_bytes(1000, "big"),
                lines.decode().encode("utf-16"),
            ]
        )

    def write(self, path, data=None, mode=0o644):
        with open(path, "wb") as file:
            file.write(self.content() if data is None else data)
        os.chmod(path, mode)
        return path

    def repository(self, path, commit):
        os.mkdir(path)
        git(path, "init", "-q", "--template=")
        self.write(os.path.join(path, b".gitignore"), b"*.inner\n")
        self.write(os.path.join(path, self.r.choice(NAMES)))
        if commit:
            git(path, "add", "-A")
            git(path, "commit", "-qm", "in here")
        self.write(os.path.join(path, b"later"))
        self.write(os.path.join(path, b"x.inner"))

    def fill(self):
        if self.r.random() < 0.3 or self.attributes:
            self.write(os.path.join(self.top, b".gitattributes"), self.r.choice(ATTRIBUTES))
        self.write(os.path.join(self.top, b".gitignore"), IGNORES)
        for _time in range(14):
            self.write(self.path(b".file"), mode=self.r.choice([0o644, 0o755]))
        for _time in range(2):
            os.symlink(self.r.choice([b"nowhere", b"..", b"/etc/passwd"]), self.path(b".link"))
            self.write(self.path(b".mode"), mode=0o600)
            os.mkdir(self.path(b".empty"))
            self.repository(self.path(b".repo"), commit=self.r.random() < 0.5)
        if self.has_git:
            git(self.top, "init", "-q", "--template=", *self.init)
            # Each letter becomes another one, and so back again.
            for way in ("clean", "smudge"):
                git(self.top, "config", f"filter.x.{way}", "LC_ALL=C tr a-zA-Z n-za-mN-ZA-M")
            git(self.top, "add", "-A", "--", ":!*.repo*")
            git(self.top, "commit", "-qm", "the project")
            words = self.r.choice(FORMATS)
            if words:
                git(self.top, *words)
            self.write(self.take(b".file"))
            self.write(self.path(b".file"))

    def take(self, ending):
        """A path of this kind that nothing was done to yet."""
        found = []
        for where, folders, files in os.walk(self.top):
            folders[:] = [name for name in folders if name not in (b".git", b"built")]
            found += [
                path
                for name in folders + files
                if name.endswith(ending) and self.is_kind(path := os.path.join(where, name), ending)
            ]
        return self.r.choice(
            sorted(path for path in found if b".repo" not in os.path.dirname(path[len(self.top) :]))
        )

    @staticmethod
    def is_kind(path, ending):
        if os.path.islink(path):
            return ending == b".link"
        return os.path.isdir(path) == (ending in (b".repo", b".empty"))

    def away(self, ending):
        path = self.take(ending)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        return path

    def change(self):
        """Everything that an agent may do, once each at least, in any order."""
        kinds = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        for kind in self.r.sample(kinds, len(kinds)) + self.r.choices(kinds, k=3):
            kind()

    def done(self, path):
        os.rename(path, path + b" done")

    def do_modify(self):
        path = self.take(b".file")
        with open(path, "ab") as file:
            file.write(b"more")

    def do_delete(self):
        self.away(b".file")

    def do_rename(self):
        os.rename(self.take(b".file"), self.path(b".moved"))

    def do_create(self):
        self.write(self.path(b".new"))

    def do_executable(self):
        path = self.take(b".file")
        os.chmod(path, os.lstat(path).st_mode ^ 0o111)

    def do_link(self):
        os.symlink(
            self.r.choice(
                [b"nowhere", b"..", b"\xff" if b"\xff\xfe.bin" in NAMES else b"x", b"/etc/passwd"]
            ),
            self.path(),
        )

    def do_change_link(self):
        os.symlink(b"elsewhere", self.away(b".link"))

    def do_link_for_file(self):
        os.symlink(b"was a file", self.away(b".file"))

    def do_folder_for_file(self):
        path = self.away(b".file")
        os.mkdir(path)
        self.write(os.path.join(path, b"inside"))

    def do_file_for_empty_folder(self):
        self.write(self.away(b".empty"))
        os.mkdir(self.path(b".empty"))

    def do_empty_folder(self):
        os.mkdir(self.path())

    def do_mode(self):
        os.chmod(self.take(b".file"), self.r.choice([0o600, 0o444, 0o4755]))
        self.write(self.take(b".mode"), mode=0o600)
        os.mkdir(self.path(b" shut"), 0o700)

    def do_fifo(self):
        os.mkfifo(self.path())

    def do_ignored(self):
        self.write(self.path(b".ign"))
        os.makedirs(os.path.join(self.top, b"built/deep"), exist_ok=True)
        self.write(os.path.join(self.top, b"built/deep", b"%d.whl" % self.count))
        os.makedirs(os.path.join(self.top, b"kept folder"), exist_ok=True)
        self.write(os.path.join(self.top, b"kept folder", b"%d" % self.count))

    def do_repository(self):
        self.repository(self.path(b".repo new"), commit=True)

    def do_repository_without_commit(self):
        self.repository(self.path(b".repo new"), commit=False)

    def do_change_repository(self):
        path = self.take(b".repo")
        self.write(os.path.join(path, b"later"))
        git(path, "add", "-A")
        git(path, "commit", "-qm", "changed")

    def do_commit(self):
        if not self.has_git:
            return
        self.write(self.path(b".committed"))
        git(self.top, "add", "-A", "--", ":!*.repo*")
        git(self.top, "commit", "-qm", f"work {self.count}", "--allow-empty")
        if self.r.random() < 0.3:
            git(self.top, "checkout", "-q", "-b", f"aside-{self.count}")


def listing(tree):
    """path -> (kind and mode, content) of all that a harvest must bring.

    That is all but folders that hold something, and what repositories keep in their .git.
    """
    top = os.fsencode(str(tree))
    found = {}
    for where, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != b".git"]
        for name in folders + [name for name in files if name != b".git"]:
            path = os.path.join(where, name)
            info = os.lstat(path)
            short = os.path.relpath(path, top)
            if stat.S_ISLNK(info.st_mode):
                found[short] = ("link", os.readlink(path))
            elif stat.S_ISREG(info.st_mode):
                found[short] = (
                    f"{stat.S_IMODE(info.st_mode):o}",
                    pathlib.Path(os.fsdecode(path)).read_bytes(),
                )
            elif not stat.S_ISDIR(info.st_mode):
                found[short + b"/"] = ("special", b"")
            elif not os.listdir(path):
                found[short + b"/"] = (f"folder {stat.S_IMODE(info.st_mode):o}", b"")
    return found


def repositories(tree):
    """Folders that are repositories of their own."""
    top = os.fsencode(str(tree))
    return [
        os.path.relpath(where, top)
        for where, folders, _files in os.walk(top)
        if b".git" in folders and where != top
    ]


def said(folder, *words):
    return git(folder, *words).decode(errors="surrogateescape").strip()


def identity(tree):
    """All that may not change in a project.

    Its status, index, HEAD, stash, refs and reflogs but those under gummy/, and the listing with
    times.
    """
    top = pathlib.Path(tree)
    common = pathlib.Path(said(tree, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    refs = [
        line
        for line in said(tree, "show-ref", "--head").splitlines()
        if "refs/heads/gummy/" not in line
    ]
    logs = {
        str(path): path.read_bytes()
        for path in common.glob("logs/**/*")
        if path.is_file() and "gummy" not in path.parts
    }
    own = [
        path
        for path in common.rglob("*")
        if path.is_file() and not {"objects", "gummy"} & set(path.parts[len(common.parts) :])
    ]
    seen = {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode)
        for path in [*top.rglob("*"), *own]
        if ".git" not in path.parts or path in own
    }
    index = hashlib.sha256(
        pathlib.Path(
            said(tree, "rev-parse", "--path-format=absolute", "--git-path", "index")
        ).read_bytes()
    ).hexdigest()
    return (
        seen,
        refs,
        logs,
        index,
        said(tree, "--no-optional-locks", "status", "--porcelain", "-z"),
        said(tree, "stash", "list"),
    )


def take_over(bundle, folder):
    """What a user does with the bundle of a nested repository, in the words of docs/results.md."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    git(folder, "fetch", "-q", str(bundle), "refs/gummy/work")
    if git(folder, "ls-tree", "FETCH_HEAD"):
        git(folder, "checkout", "-q", "FETCH_HEAD", "--", ".")


def apply_nested(harvest, tree, nested):
    """The bundles of a harvest go over to these paths below the tree."""
    for number, path in enumerate(nested, 1):
        take_over(harvest / "nested" / f"{number}.bundle", pathlib.Path(tree) / path_of(path))


def path_of(text):
    """The path that a result has as text, in which bytes that are not UTF-8 are \\xNN."""
    pattern = rb"\\x([89a-f][0-9a-f])"
    return os.fsdecode(re.sub(pattern, lambda m: bytes.fromhex(m[1].decode()), text.encode()))


def apply(harvest, tree, plain, nested=()):
    """What a user does at the project's top.

    Not plain: so that the project's .gitattributes don't count. nested: the paths of repositories
    that came along.
    """
    harvest = pathlib.Path(harvest)
    top = str(tree)
    if (harvest / "changes.patch").exists():
        words = ["apply", str(harvest / "changes.patch")]
        env = {**os.environ, "GIT_CEILING_DIRECTORIES": os.path.dirname(top)}
        if not plain:
            words = ["-c", "core.autocrlf=false", "apply", f"--directory={top[1:]}", words[1]]
            top = "/"
        done = subprocess.run(["git", *words], cwd=top, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    apply_nested(harvest, tree, nested)
    if (harvest / "artifacts").exists():
        shutil.copytree(harvest / "artifacts", str(tree), dirs_exist_ok=True)


def shown(path):
    """A path as the controller tells it: control characters as \\xNN."""
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match.group()):02x}", path)


def differences(have, want, left_out):
    """Paths that differ although nothing of them is listed.

    For a listed mode the rest must be the same.
    """
    modes = {
        shown(entry["path"]).rstrip("/") for entry in left_out if entry["why"].startswith("mode ")
    }
    out = tuple(shown(entry["path"]) for entry in left_out if not entry["why"].startswith("mode "))
    found = []
    for path in have.keys() | want.keys():
        text = shown(path.decode("utf-8", "backslashreplace"))
        ours = have.get(path)
        theirs = want.get(path)
        if text in modes or text.rstrip("/") in modes:
            ours, theirs = (None if one is None else one[1] for one in (ours, theirs))
        listed = text.rstrip("/") in out or any(
            text == one or one.endswith("/") and text.startswith(one) for one in out
        )
        if ours != theirs and not listed:
            found.append((path, have.get(path, "nothing")[0], want.get(path, "nothing")[0]))
    return found


if __name__ == "__main__":
    os.umask(0o022)
    one = Tree(os.getcwd(), int(sys.argv[1]))
    one.has_git = os.path.isdir(".git")
    one.count = 1000
    one.change()
