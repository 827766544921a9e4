"""What people read, line by line."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._show import report

ROW = {
    "name": "docs",
    "status": "success",
    "class": None,
    "message": "",
    "node": "node-1",
    "seconds": 3.25,
    "folder": "/r/docs",
    "patch": None,
    "files_changed": 0,
    "lines_added": 0,
    "lines_deleted": 0,
    "attempts": [{"id": "u-1"}],
}
PATCH = {
    "patch": "/r/build/changes.patch",
    "files_changed": 2,
    "lines_added": 10,
    "lines_deleted": 3,
}


def run(*rows):
    command = "ansible-playbook -i net.yml"
    return report.run_summary(
        {
            "run_id": "r",
            "command": command,
            "seconds": 61.04,
            "folder": "/r",
            "jobs": [{**ROW, **row} for row in rows],
        }
    )


def test_the_summary_of_a_run():
    assert run(
        {},
        {"name": "build", "node": "n2", **PATCH},
        {"name": "broken", "status": "failed", "class": "agent", "message": "exit status 2"},
        {
            "name": "checked",
            "status": "failed",
            "class": "verify",
            "message": "verify ended with exit status 1",
            **PATCH,
        },
        {
            "name": "gone",
            "status": "lost",
            "class": "lost",
            "message": "no answer",
            "seconds": None,
            "folder": None,
            "node": "node-3",
        },
        {
            "name": "none",
            "status": "failed",
            "class": "unreachable",
            "message": "no node",
            "node": None,
            "seconds": None,
            "folder": None,
        },
        {"name": "maybe", "status": "unproven", "message": "nothing shows it"},
    ) == [
        (
            "2 of 7 jobs succeeded in 1 min 1 s. broken failed on node-1: exit status 2. "
            "checked failed on node-1: verify ended with exit status 1. "
            "gone is lost on node-3: no answer. 2 more did not succeed."
        ),
        "✓  docs     success               node-1  3.2 s  no changes",
        (
            "✓  build    success               n2      3.2 s  2 files changed (+10/-3)  "
            "/r/build/changes.patch"
        ),
        "✗  broken   failed (agent)        node-1  3.2 s  exit status 2",
        (
            "✗  checked  failed (verify)       node-1  3.2 s  2 files changed (+10/-3)  "
            "/r/build/changes.patch"
        ),
        "✗  gone     lost                  node-3         no answer",
        "✗  none     failed (unreachable)  -              no node",
        "?  maybe    unproven              node-1  3.2 s  nothing shows it",
        "  broken: log /r/docs/log",
        "  checked: verify ended with exit status 1",
        "  checked: log /r/docs/log",
        (
            "  gone: when node-3 is back: ansible-playbook -i net.yml"
            " distributed.gummy.harvest -e gummy_job=u-1"
        ),
        "  maybe: log /r/docs/log",
        "  what keeps jobs from a node: ansible-playbook -i net.yml distributed.gummy.doctor",
        "  once that is mended, to go on: the same command with -e gummy_run_id=r",
        (
            "  to do anew what did not succeed: the same command with -e gummy_run_id=r"
            " -e gummy_only=failed"
        ),
        "record: /r/run.json",
        "report: /r/report.html",
    ]


def test_a_plan():
    seen = {"waits": False, "age": 3.6, "change": None}
    ranking = [
        {
            **seen,
            "host": "node-1",
            "rejected": None,
            "score": 0.18,
            "busy": 0,
            "slots": 2,
            "reason": "score 0.18, cpu 12 %, mem 35 %",
        },
        {
            **seen,
            "host": "n2",
            "rejected": None,
            "score": None,
            "busy": 1,
            "slots": 4,
            "reason": "no load data",
            "age": None,
            "change": "its turn",
        },
        *(
            {
                **seen,
                "host": f"m{n}",
                "rejected": "full",
                "score": 0.2,
                "busy": 1,
                "slots": 1,
                "reason": "full",
            }
            for n in range(7)
        ),
        {
            **seen,
            "host": "n3",
            "rejected": "offline",
            "score": 0.2,
            "busy": 0,
            "slots": 1,
            "reason": "offline",
        },
    ]
    rows = [
        {
            "name": "docs",
            "node": "node-1",
            "waits": False,
            "why": "score 0.18",
            "task_type": "api",
            "ranking": ranking,
        },
        {
            "name": "later",
            "node": None,
            "waits": True,
            "why": "every usable slot is taken",
            "task_type": "api",
            "ranking": ranking,
        },
        {
            "name": "none",
            "node": None,
            "waits": False,
            "why": "can't run",
            "task_type": "api",
            "ranking": [],
        },
    ]
    left_out = [
        *({"name": f"tv-{number}", "reason": "a TV"} for number in range(7)),
        {"name": "p", "reason": "a phone"},
    ]
    assert report.plan_text({"jobs": rows, "left_out": left_out, "notes": ["a note"]}) == [
        "plan: nothing is changed",
        "docs   ->  node-1   score 0.18",
        "later  ->  waits    every usable slot is taken",
        "none   ->  nowhere  can't run",
        "nodes as seen by docs (api):",
        "  node-1  0.18  0/2 slots  3 s old  score 0.18, cpu 12 %, mem 35 %",
        "  n2      -     1/4 slots           no load data; its turn",
        "  n3      -     0/1 slots  3 s old  offline",
        "  m0, m1, m2, m3, m4, and 2 more: full",
        "left out of the inventory (a TV): tv-0, tv-1, tv-2, tv-3, tv-4, and 2 more",
        "left out of the inventory (a phone): p",
        "a note",
    ]


def test_a_sync_and_a_harvest():
    nodes = [
        {"node": "n1", "status": "success", "seconds": 1.0, "message": "3 files"},
        {"node": "n2", "status": "failed", "message": "down"},
    ]
    assert report.sync_text({"project": "/p", "excluded": "*.log", "nodes": nodes}) == [
        "sync /p; left out: *.log",
        "✓  n1  1 s  3 files",
        "✗  n2  0 s  down",
    ]
    row = {"run_id": "r", "job": "a", "node": "n1"}
    rows = [{**row, "state": "ended", "folder": "/r/a", "message": ""}, {**row, "state": "running"}]
    assert report.harvest_text({"attempts": rows, "no_answer": {"n9": "down"}}) == [
        "r/a  n1  ended    /r/a",
        "r/a  n1  running  still running",
        "no answer from n9: down",
    ]


def test_branches_conflicts_and_a_harvest_that_failed_say_what_to_do():
    jobs = [
        {
            "name": "one",
            **PATCH,
            "delivered": {"branch": "gummy/r/one", "note": "starts at the old base"},
        },
        {
            "name": "two",
            **PATCH,
            "status": "failed",
            "class": "harvest",
            "message": "no harvest could be made",
            "patch": None,
        },
    ]
    files = [{"path": "a", "jobs": ["one", "two"]}]
    document = {
        "run_id": "r",
        "command": "play",
        "seconds": 1.0,
        "folder": "/r",
        "jobs": [{**ROW, **row} for row in jobs],
    }
    document["conflicts"] = [{"project": "/p", "files": files, "order": ["one"], "left": ["two"]}]
    assert report.run_summary(document)[1:-2] == [
        (
            "✓  one  success           node-1  3.2 s  2 files changed (+10/-3)  "
            "branch gummy/r/one (starts at the old base)"
        ),
        "✗  two  failed (harvest)  node-1  3.2 s  no harvest could be made",
        "  two: once that is mended: play distributed.gummy.harvest -e gummy_job=u-1",
        "  a is changed by one, two",
        "  patches of /p apply in this order: one; after them two does not apply: merge by hand",
    ]


def test_a_cancel_says_how_each_attempt_stands_now():
    row = {"run_id": "r", "job": "a", "node": "n1"}
    rows = [
        {**row, "state": "ended", "ended": {"class": "cancelled"}},
        {**row, "state": "ended", "ended": None},
        {**row, "state": "void"},
        {**row, "state": "running"},
        {**row, "state": "dead"},
        {**row, "state": "running", "message": "timed out"},
    ]
    assert report.cancel_text({"attempts": rows, "no_answer": {}}) == [
        "r/a  n1  cancelled",
        "r/a  n1  ended",
        "r/a  n1  never began",
        "r/a  n1  still ending: ask again",
        "r/a  n1  dead",
        "r/a  n1  timed out",
    ]


def test_a_clean_says_what_went_and_what_stays():
    removed = [{"what": "attempt"}, {"what": "attempt"}, {"what": "program"}]
    nodes = [
        {"node": "n1", "bytes": 2.5e6, "removed": removed},
        {"node": "n2", "bytes": 0, "removed": []},
    ]
    document = {"check": False, "bytes": 3e6, "nodes": nodes, "no_answer": {"n9": "down"}}
    runs = [{"name": "old", "bytes": 5e5}]
    assert report.clean_text({**document, "runs": runs}) == [
        "clean freed 3.0 MB",
        "  n1         2.5 MB  2 attempts, 1 program",
        "  n2         0.0 MB  nothing",
        "  runs here  0.5 MB  old",
        (
            "kept: what runs, what is not acknowledged, and what is young enough "
            "(keep in the config file)"
        ),
        "no answer from n9: down",
    ]
    assert (
        report.clean_text({**document, "check": True, "runs": []})[0] == "clean would free 3.0 MB"
    )


def test_changes_that_run_by_themselves_are_marked_in_one_line_a_job():
    paths = [".envrc", *(f".github/workflows/{number}.yml" for number in range(20))]
    lines = run(
        {
            **PATCH,
            "self_running": paths,
            "self_running_count": 1012,
            "not_looked_at": ["nested/1.bundle (too large)"],
        },
        {"name": "other", "self_running": []},
    )
    (marked,) = [line for line in lines if "runs by itself" in line]
    assert marked.strip().startswith("docs: changes what runs by itself elsewhere")
    assert ".envrc" in marked and marked.endswith("and 1002 more")
    assert "  docs: not looked at for that: nested/1.bundle (too large)" in lines


def test_a_job_without_a_patch_says_what_came_all_the_same():
    kept = {"patch": None, "nested": ["vendor"], "artifacts": 2, "commits": {"HEAD": "c"}}
    odd = {"path": "s", "why": "socket, fifo or device"}
    ignored = {"path": "x", "why": "ignored"}
    text = "\n".join(
        run({**kept, "left_out": [odd, ignored]}, {"name": "other", "left_out": [ignored]})
    )
    came = "1 nested repository, 2 artifacts, 1 ref in commits.bundle, 1 path left out"
    assert f"no patch: {came} (run.json)" in text
    assert text.count("no changes") == 1


def test_a_branch_that_brings_more_or_fewer_files_than_the_patch_says_how_many():
    made = {"branch": "gummy/r/one", "note": ""}
    text = "\n".join(
        run(
            {**PATCH, "delivered": {**made, "files": 2}},
            {**PATCH, "delivered": {**made, "files": 7}},
        )
    )
    assert text.count("branch gummy/r/one") == 2 and text.count("gummy/r/one changes 7") == 1
