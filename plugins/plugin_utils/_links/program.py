# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node program as one zip: how it is made here, put on a node, and started there."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

# These two run on the node from `python3 -c`: any login shell reads them, so each is one line
# without single quotes.

# Writes the program that comes on stdin into the folder in argv, if it has the hash in argv.
#
# Beside each source it puts the code as that Python compiles it (PEP 552, unchecked), which spares
# a verb a third of its time; another Python skips it. So the file is another one than was sent: its
# name is its own hash, which is printed after a record separator. One Python always makes the same
# file, and a file that is there and right is left alone, for supervisors hold it.
# What fails is said in one line, as Python names it, and with its path.
INSTALLER = (
    "import sys,os,hashlib,io,zipfile,marshal,importlib.util as u;"
    'sys.excepthook=lambda t,e,b:sys.stderr.write("not installed: %s" % e+chr(10));'
    "f,h=sys.argv[1:];d=sys.stdin.buffer.read();s=lambda x:hashlib.sha256(x).hexdigest();"
    's(d)==h or sys.exit("the program arrived damaged");'
    'b=io.BytesIO(d);z=zipfile.ZipFile(b,"a");m=u.MAGIC_NUMBER+bytes([1]+[0]*11);'
    '[z.writestr(zipfile.ZipInfo(n+"c"),m+marshal.dumps(compile(z.read(n),n,"exec",0,True)))'
    " for n in z.namelist()];z.close();b=b.getvalue();"
    "os.umask(63);os.makedirs(f,exist_ok=True);"
    'p=os.path.join(f,s(b)+".zip");t=p+"."+os.urandom(8).hex();'
    "w=lambda o:(o.write(b),o.flush(),os.fsync(o.fileno()),o.close(),os.replace(t,p));"
    'os.path.isfile(p) and open(p,"rb").read()==b or w(open(t,"wb"));'
    "print(chr(30)+s(b))"
)

# Runs the installed program whose path is the first word in argv, if the hash of the file is its
# name; the other words are the program's. For the program it is as if Python had been given the
# path. The hash is taken from where it costs least, for hashlib loads all of OpenSSL.
STARTER = (
    "import sys,os,zipimport;del sys.argv[0];p=sys.argv[0];"
    'n=next((n for n in ("_sha2","_sha256") if any(f.find_spec(n) for f in sys.meta_path)),'
    '"hashlib");'
    'f=open(p,"rb");h=__import__(n).sha256(f.read()).hexdigest();f.close();'
    'h==os.path.basename(p)[:-4] or sys.exit("the node program is not the one of its name");'
    'sys.path.insert(0,p);exec(zipimport.zipimporter(p).get_code("__main__"))'
)

# These are types alone: no node imports them, and some node's Python could not.
NOT_SENT = frozenset({"wire.py"})
# When all files of the zip were made: a real time would give the same sources another hash.
MADE_AT = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Program:
    """The node program."""

    # Its files, by their names in the zip.
    sources: Mapping[str, bytes]

    @cached_property
    def digest(self) -> str:
        """What tells these sources from others: a sha256 in hex."""
        found = hashlib.sha256()
        for name, source in self.sources.items():
            found.update(b"%s %d\n%s" % (name.encode(), len(source), source))
        return found.hexdigest()

    @cached_property
    def data(self) -> bytes:
        """The zip as it is sent, which only a node needs that has it not."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, source in self.sources.items():
                archive.writestr(zipfile.ZipInfo(name, MADE_AT), source, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    @property
    def hash(self) -> str:
        """The sha256 of the zip, in hex. What lies on a node has another: INSTALLER says why."""
        return hashlib.sha256(self.data).hexdigest()


@cache
def build() -> Program:
    """The node program of this collection."""
    return Program(_sources())


def _sources() -> dict[str, bytes]:
    """What the zip holds, by its name there; Python starts a zip's `__main__.py`."""
    folder = Path(__file__).parents[1] / "_node"
    sources = {
        f"_node/{path.name}": path.read_bytes()
        for path in sorted(folder.glob("*.py"))
        if path.name not in NOT_SENT
    }
    main = sources.pop("_node/__main__.py")
    return {"__main__.py": main, **sources}
