"""The load as `dw` prints it: the double prints what the real one printed, and the reader knows its
traps.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest
import yaml
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.dw import (
    Row,
    dw_argv,
    parse_load,
)

TESTS = pathlib.Path(__file__).resolve().parents[2]
CAPTURED = yaml.safe_load((TESTS / "fixtures" / "dw" / "captures.yml").read_text(encoding="utf-8"))
CAPTURES = [pytest.param(each, id=" ".join(each["argv"])) for each in CAPTURED["captures"]]


@pytest.mark.parametrize("capture", CAPTURES)
def test_the_double_prints_what_the_real_one_printed(capture, tmp_path):
    world = {
        "hosts": {**CAPTURED["hosts"], **capture.get("hosts", {})},
        "gum": capture.get("gum", False),
    }
    (tmp_path / "world.json").write_text(json.dumps(world), encoding="utf-8")
    config = tmp_path / ".config" / "distributed" / "config.yaml"
    if "groups" in capture:
        config.parent.mkdir(parents=True)
        rows = [
            f"    {group}:\n" + "".join(f"        - {host}\n" for host in hosts)
            for group, hosts in capture["groups"].items()
        ]
        config.write_text("groups:\n" + "".join(rows), encoding="utf-8")
    env = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "DW_DOUBLE": str(tmp_path / "world.json"),
    }
    done = subprocess.run(
        [TESTS / "doubles" / "dw", *capture["argv"]], env=env, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        capture["status"],
        capture["stdout"].encode(),
        capture["stderr"].encode(),
    )
    if capture["status"] and "groups" not in capture:
        assert config.read_text(encoding="utf-8") == "groups:\n    dev: []\n"


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_host_of_every_capture_is_read(capture):
    shown = {
        line.split()[0]: line
        for line in capture["stdout"].splitlines()
        if line.split()[1:2] != ["Checking"] and not line.startswith("HOST")
    }
    for host, line in shown.items():
        row = parse_load(capture["stdout"], host)
        if "-     -" in line:
            assert row == "dw could not ask it"
        elif "150.00" in line:
            assert "decimal comma" in row
        else:
            _name, _load, cpus, cpu, memory = line.split()[:5]
            assert row == Row(
                min(1.0, float(memory[:-1]) / 100), min(1.0, float(cpu[:-1]) / 100), int(cpus)
            )
    assert bool(shown) == (capture["status"] == 0)


HEADER = "→ Checking a...\r\nHOST  LOAD  CPUS  CPU%  MEM%  SCORE\r\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no row"),
        ("a     0.10  2     5%    5%    5.00\n", "no row"),
        (HEADER, "no row"),
        (HEADER + "b     0.10  2     5%    5%    5.00\n", "no row"),
        (HEADER + "a     0.10  2     5%\n", "can't be read"),
        (HEADER + "a     {{x}}  2     5%    5%    5.00\n", "can't be read"),
        (HEADER + "a     nan   2     5%    5%    5.00\n", "can't be read"),
        (HEADER + "a     0.10  0     5%    5%    5.00\n", "misread"),
        (HEADER + "a     1.50  2     75%   5%    0.00\n", "misread"),
    ],
)
def test_what_is_no_row_is_no_data(text, says):
    assert says in parse_load(text, "a")


def test_a_row_is_read_from_a_terminal_too():
    assert parse_load(HEADER + "a     0.00  8     250%  120%  5.00 ←\r\n", "a") == Row(1.0, 1.0, 8)


def test_no_name_is_an_option_of_dw():
    assert dw_argv("-x") == ["dw", "load", "--host=-x"]
