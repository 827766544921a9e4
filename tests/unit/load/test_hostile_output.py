"""Whatever a node prints, reading it takes time in proportion to its length."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.at_once import (
    CompletedCommand,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.ssh_failures import (
    why_ssh_failed,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.dw import COLUMNS, parse_load
from ansible_collections.distributed.gummy.plugins.plugin_utils._load.probe import facts_of
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    read_stats,
    why_rsync_failed,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
)

MB = 1_000_000
# A busy machine makes one try slow; what is not linear takes a thousand times as long in each.
TRIES = 3


def probed(value):
    return f"@gummy-probe begin @end\n@gummy-probe {value} @end\n@gummy-probe done @end\n"


def repeated(word, length=MB):
    return word * (length // len(word))


AWKWARD = {
    "one letter": repeated("x"),
    "a line without its end": "@gummy-probe " + repeated("x"),
    "a key and blanks without an end": "@gummy-probe a" + repeated(" "),
    "many beginnings": repeated("@gummy-probe "),
    "many beginnings with keys": repeated("@gummy-probe a "),
    "many ends": "@gummy-probe a " + repeated(" @end") + "x",
    "carriage returns": "@gummy-probe a " + repeated("\r") + "x",
    "line breaks": repeated("\n"),
    "digits for a disk": probed("disk " + repeated("1")),
    "numbers for a disk": probed("disk " + repeated("1 ")),
    "digits for a CPU": probed("top " + repeated("1")),
    "numbers for a CPU": probed("top " + repeated("1.,")),
    "numbers for a load": probed("cpus 1") + probed("loadavg " + repeated("1.")),
    "versions": probed("python Python " + repeated("1.")),
    "programs": probed("programs " + repeated("a ")),
    "many samples": repeated("@gummy-probe stat cpu 1 2 3 4 5 @end\n"),
    "many pages": repeated("@gummy-probe vm Pages free: 1 @end\n"),
    "a table": " ".join(COLUMNS) + "\n" + repeated("n "),
    "many tables": repeated(" ".join(COLUMNS) + "\n"),
    "a number in a table": " ".join(COLUMNS) + "\nn " + repeated("1"),
    "many keys": repeated("No "),
    "many refusals": repeated("Permission denied"),
    "a statistic": "Number of files transferred: " + repeated("1"),
    "commas in a statistic": "Total transferred file size: " + repeated(","),
    "many statistics": repeated("Number of files transferred"),
    "nested": repeated("["),
    "a dictionary": json.dumps({"a": repeated("a")}),
}

PARSERS = {
    "probe": lambda text: facts_of(CompletedCommand(0, text), None, DEFAULT_WEIGHTS, 0.0),
    "probe that fails": lambda text: facts_of(
        CompletedCommand(1, text, text), None, DEFAULT_WEIGHTS, 0.0
    ),
    "dw": lambda text: parse_load(text, "n"),
    "ssh's stderr": why_ssh_failed,
    "rsync's statistics": read_stats,
    "rsync's stderr": lambda text: why_rsync_failed(1, text),
}


def plain_scan(text):
    """Work that is linear, and of about the same kind."""
    return [word for line in text.split("\n") for word in line if word.isprintable()]


def seconds_of(work, text):
    """Of the CPU, so that other programs do not count."""
    begun = time.process_time()
    work(text)
    return time.process_time() - begun


def is_read_in_time(parse, text):
    scan = seconds_of(plain_scan, text)
    return seconds_of(parse, text) < 20 * scan + 1.0


@pytest.mark.parametrize("parser", PARSERS)
def test_a_megabyte_of_anything_is_read_in_a_few_plain_scans(parser):
    for name, text in AWKWARD.items():
        assert any(is_read_in_time(PARSERS[parser], text) for _time in range(TRIES)), name


@pytest.mark.parametrize("key", ["disk", "python", "top", "vm", "programs", "loadavg"])
def test_a_line_of_the_probe_that_is_too_long_counts_as_not_there(key):
    text = probed(f"{key} {repeated('1 ', 5000)}")
    assert facts_of(CompletedCommand(0, text), None, DEFAULT_WEIGHTS, 0.0)["state"] == "unknown"


@pytest.mark.parametrize("number", ["", ",", "1" * 5000, "x"])
def test_a_statistic_that_is_none_costs_no_sync(number):
    sent = read_stats(f"Number of files transferred: {number}\n")
    assert sent.files < 10**31
