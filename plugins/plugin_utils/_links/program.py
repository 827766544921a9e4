# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node program as one zip, named by its hash."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Writes the program that comes on stdin to the path in argv, if it has the hash in argv.
#
# It runs on the node from `python3 -c`: any login shell reads it, so it is one line without single
# quotes. Beside each source it puts the code as that Python compiles it (PEP 552, unchecked), which
# spares a verb a third of its time; another Python skips it.
INSTALLER = (
    "import sys,os,hashlib,io,zipfile,marshal,importlib.util as u;"
    "p,h=sys.argv[1:];d=sys.stdin.buffer.read();"
    'hashlib.sha256(d).hexdigest()==h or sys.exit("the program arrived damaged");'
    'b=io.BytesIO(d);z=zipfile.ZipFile(b,"a");m=u.MAGIC_NUMBER+bytes([1]+[0]*11);'
    '[z.writestr(n+"c",m+marshal.dumps(compile(z.read(n),n,"exec",0,True)))'
    " for n in z.namelist()];z.close();"
    "os.umask(63);os.makedirs(os.path.dirname(p),exist_ok=True);"
    't=p+"."+str(os.getpid());f=open(t,"wb");f.write(b.getvalue());'
    "f.flush();os.fsync(f.fileno());f.close();os.replace(t,p)"
)

# These are types alone: no node imports them, and some node's Python could not.
NOT_SENT = frozenset({"wire.py"})
# When all files of the zip were made: a real time would give the same sources another hash.
MADE_AT = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Program:
    """The node program."""

    # The zip.
    data: bytes
    # Its sha256 in hex, which is also its name on the node.
    digest: str


@cache
def build() -> Program:
    """The node program of this collection.

    The same sources give the same bytes, so that nodes get a program once.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in _sources().items():
            archive.writestr(zipfile.ZipInfo(name, MADE_AT), source, zipfile.ZIP_DEFLATED)

    data = buffer.getvalue()
    return Program(data, hashlib.sha256(data).hexdigest())


def _sources() -> dict[str, bytes]:
    """What the zip holds, by its name there; Python starts a zip's `__main__.py`."""
    folder = Path(__file__).parents[1] / "_node"
    sources = {
        f"_node/{path.name}": path.read_bytes()
        for path in sorted(folder.glob("*.py"))
        if path.name not in NOT_SENT
    }
    main = sources.pop("_node/__main__.py")
    return {"__main__.py": main, "_node/__init__.py": b"", **sources}
