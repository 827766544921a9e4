"""Lays a stand-in for the get-pip.py that ansible-test downloads: it installs the same pip from the
package index. Argument: ansible-test's cache folder.
"""

from __future__ import annotations

import inspect
import pathlib
import re
import subprocess
import sys

from ansible_test._internal import python_requirements

STAND_IN = """import runpy, sys
sys.path.insert(0, {wheel!r})
unknown = ("--no-setuptools", "--no-wheel")
sys.argv = ["pip", "install", "--quiet"] + [word for word in sys.argv[1:] if word not in unknown]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def main(cache: pathlib.Path) -> None:
    pin = re.search(r"pip='([0-9.]+)'", inspect.getsource(python_requirements.get_venv_packages))
    if pin is None:
        raise SystemExit(
            "ansible-test no longer pins pip where this stand-in looks: "
            "mend scripts/get_pip_stand_in.py"
        )
    version = pin[1]
    wheel = cache / f"pip-{version}-py3-none-any.whl"
    if not wheel.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "-d",
            str(cache),
            f"pip=={version}",
        ]
        subprocess.run(command, check=True)
    (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(
        STAND_IN.format(wheel=str(wheel)), encoding="utf-8"
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
