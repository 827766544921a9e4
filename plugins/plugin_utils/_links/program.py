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

# Runs on the node from `python3 -c`: quotes and newlines are kept out because any login shell reads
# it.
# Beside each source it puts the code as this Python compiles it (PEP 552, unchecked): a third of a
# verb's time. Other Pythons skip that.
INSTALLER = (
    "import sys,os,hashlib,io,zipfile,marshal,importlib.util as u;p,h=sys.argv[1:];d=sys.stdin.buffer.read();"
    'hashlib.sha256(d).hexdigest()==h or sys.exit("the program arrived damaged");'
    'b=io.BytesIO(d);z=zipfile.ZipFile(b,"a");m=u.MAGIC_NUMBER+bytes([1]+[0]*11);'
    '[z.writestr(n+"c",m+marshal.dumps(compile(z.read(n),n,"exec",0,True))) for n in z.namelist()];z.close();'
    "os.umask(63);os.makedirs(os.path.dirname(p),exist_ok=True);"
    't=p+"."+str(os.getpid());f=open(t,"wb");f.write(b.getvalue());f.flush();os.fsync(f.fileno());f.close();os.replace(t,p)'
)

# Types alone, which no node imports and some node's Python could not.
NOT_SENT = frozenset({"wire.py"})


@dataclass(frozen=True)
class Program:
    """data: the zip; digest: its sha256 in hex, also its name on the node."""

    data: bytes
    digest: str


@cache
def build() -> Program:
    """The same sources give the same bytes, so that nodes get a program once."""
    buffer = io.BytesIO()
    folder = Path(__file__).parents[1] / "_node"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        sources = {
            f"_node/{source.name}": source.read_bytes()
            for source in sorted(folder.glob("*.py"))
            if source.name not in NOT_SENT
        }
        sources = {
            "__main__.py": sources.pop("_node/__main__.py"),
            "_node/__init__.py": b"",
            **sources,
        }
        for name, source in sources.items():
            archive.writestr(
                zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), source, zipfile.ZIP_DEFLATED
            )
    data = buffer.getvalue()
    return Program(data, hashlib.sha256(data).hexdigest())
