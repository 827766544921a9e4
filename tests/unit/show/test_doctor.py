"""What people read of `doctor`."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._show.doctor import doctor_text


def check(status="ok", category="warning", summary="all is well", remedy=None, **details):
    return {
        "category": category,
        "status": status,
        "summary": summary,
        "details": details,
        "remedy": remedy,
        "seconds": 0.1,
    }


def failed(category, summary):
    return check("failed", category, summary, f"mend {summary}", why="It matters.")


def text(**machines):
    rows = {name: {"checks": checks} for name, checks in machines.items()}
    return doctor_text({"machines": rows, "seconds": 1.25, "overall": "ok"})


def test_a_healthy_fleet_is_one_line():
    lines = text(localhost={"git": check()}, n1={"git": check(), "odd": check("unknown")})
    assert lines == ["doctor: all is well: this machine and 1 node, 1.2 s"]


def test_what_is_broken_anywhere_stands_before_the_machines():
    lines = text(
        localhost={"dw": failed("warning", "no dw"), "v": failed("info", "two versions")},
        n1={"git": check(), "odd": check("unknown")},
        n2={
            "git": failed("critical", "no git"),
            "agent_claude": check(summary="claude 2.1", installed=True),
            "login_claude": check("unknown"),
            "agent_gummy": check(summary="gummy is there", installed=True),
            "memory": failed("warning", "little memory"),
        },
    )
    assert lines == [
        "doctor: 1 broken, 2 warnings, 1 note: this machine and 2 nodes, 1.2 s",
        "✗ n2  git: no git",
        "    It matters.",
        "    → mend no git",
        "",
        "localhost  0 of 2 checks good",
        "  ! dw: no dw",
        "      It matters.",
        "      → mend no dw",
        "  - v: two versions",
        "      It matters.",
        "      → mend two versions",
        "",
        "n1  1 of 2 checks good, unknown: odd",
        "",
        "n2  2 of 5 checks good, 1 broken, see above, unknown: login_claude",
        "  agents: claude 2.1 (login unknown), gummy is there",
        "  ! memory: little memory",
        "      It matters.",
        "      → mend little memory",
    ]


def test_many_that_are_unknown_are_counted():
    rows = {f"c{number}": check("unknown") for number in range(5)}
    lines = text(localhost={}, n1={**rows, "memory": failed("warning", "little")})
    assert "n1  0 of 6 checks good, 5 unknown" in lines
