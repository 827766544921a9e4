"""Specialists on a node: what is read of them, who of them lives, and what today cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from node_case import A, NodeCase, people, replies, specialists, write_durably

SESSION = "2f0d9c0e-aaaa-bbbb-cccc-00000000000%d"
META = (
    "name: x\ncreated: 2026-11-22T18:11:14Z\nsession_id: {session}\nstatus: {status}\n"
    "turns: {turns}\nlast_active: 2026-11-22T18:11:14Z\n"
)
# Elsewhere argv alone tells.
CWD = sys.platform == "linux"


class SpecialistsTest(NodeCase):
    def setUp(self) -> None:
        super().setUp()
        self.store.make_workspace("project", 0)
        self.workspace = self.tree() / ".gummy" / "specialists"
        self.at_home = self.home / ".gummy" / "specialists"
        for folder in (self.workspace, self.at_home):
            folder.mkdir(parents=True)

    def put(
        self, folder: Path, name: str, number: int = 1, status: str = "dormant", turns: object = 2
    ) -> Path:
        (folder / name).mkdir()
        (folder / name / "meta.yaml").write_text(
            META.format(session=SESSION % number, status=status, turns=turns)
        )
        return folder / name

    def told(self, within: float = 86400, **more: object) -> tuple[dict[str, dict], dict]:
        request = {"within": within, **more}
        found = replies(self.begin("specialists", request).communicate(timeout=60)[0])
        self.assertEqual("told", found[-1]["state"], found)
        rows = {row["name"]: row for row in found[:-1]}
        self.assertEqual(len(rows), len(found) - 1)
        return rows, found[-1]

    def process(self, *words: str, cwd: Path | None = None) -> subprocess.Popen:
        """One that lives until it is ended, with these words in its argv."""
        argv = [sys.executable, "-c", "input()", *words]
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=cwd or "/"
        )
        self.addCleanup(process.communicate)
        return process

    def test_each_is_told_with_its_place_and_what_its_meta_says(self) -> None:
        self.put(self.workspace, "database-expert")
        self.put(self.at_home, "api-developer", 2, turns=11)
        attempt = self.store.attempt(A + "1")
        attempt.create()
        attempt.mark(
            "spec.json", json.dumps({"agent": "gummy", "project_path": "/home/me/shop"}).encode()
        )
        write_durably(
            str(self.tree().parent / "holder.json"), json.dumps({"attempt": attempt.id}).encode()
        )
        rows, _node = self.told()
        self.assertEqual({"database-expert", "api-developer"}, set(rows))
        same = {
            "state": "specialist",
            "store": self.store.id,
            "status": "dormant",
            "seen_by": None,
            "works": None,
            "cost_usd": None,
            "reason": None,
        }
        same["last_active"] = "2026-11-22T18:11:14Z"
        for row in rows.values():
            # By this machine's clock, whatever the asker's says.
            self.assertAlmostEqual(time.time() - 1795371074, row.pop("idle"), delta=60)
        ours = {
            "name": "database-expert",
            "where": "workspace",
            "workspace": "project/0",
            "project": "/home/me/shop",
            "sessions": 2,
        }
        self.assertEqual({**same, **ours, "session_id": SESSION % 1}, rows["database-expert"])
        theirs = {
            "name": "api-developer",
            "where": "home",
            "workspace": None,
            "project": None,
            "sessions": 11,
        }
        self.assertEqual({**same, **theirs, "session_id": SESSION % 2}, rows["api-developer"])

    def test_who_is_active_shows_in_living_processes_and_never_in_the_meta(self) -> None:
        self.put(self.workspace, "liar", 1, status="active")
        # What gummy resumes with goes before the meta.
        (self.put(self.workspace, "resumed", 2) / "session.txt").write_text(SESSION % 3 + "\n")
        self.put(self.at_home, "at-home", 4)
        here = [
            self.process("--resume", SESSION % 3, cwd=self.tree()),
            self.process(f"--resume={SESSION % 4}"),
            self.process(cwd=self.home),
        ]
        rows, node = self.told()
        self.assertEqual(
            {"liar": None, "resumed": "session", "at-home": "session"},
            {name: row["seen_by"] for name, row in rows.items()},
        )
        self.assertEqual(
            {"liar": "dormant", "resumed": "active", "at-home": "active"},
            {name: row["status"] for name, row in rows.items()},
        )
        self.assertEqual("argv_and_cwd" if CWD else "argv", node["evidence"])
        for process in here:
            process.communicate()
        self.assertEqual({"dormant"}, {row["status"] for row in self.told()[0].values()})

    def test_how_long_an_active_one_works_is_how_long_its_process_runs(self) -> None:
        self.put(self.at_home, "busy")
        process = self.process("--resume", SESSION % 1)
        begun = time.monotonic()
        (first, _node) = self.told()
        time.sleep(0.2)
        (later, _node) = self.told()
        longest = time.monotonic() - begun + 1
        self.assertLessEqual(0, first["busy"]["works"])
        self.assertLessEqual(first["busy"]["works"], later["busy"]["works"])
        self.assertLessEqual(later["busy"]["works"], longest)
        process.communicate()

    def test_a_project_that_is_asked_for_is_looked_into_and_no_link_in_it_is_followed(self) -> None:
        for name in ("shop", "blog", "plain"):
            (self.home / "code" / name).mkdir(parents=True)
        for name in ("shop", "blog"):
            folder = self.home / "code" / name / ".gummy" / "specialists"
            folder.mkdir(parents=True)
            self.put(folder, f"of-{name}")
        (self.home / "code" / "plain" / ".gummy").symlink_to(self.home / ".gummy")
        self.put(self.at_home, "at-home", 2)
        worker = self.process(cwd=self.home / "code" / "shop")

        paths = ["~/code/*", "~/code/shop/", "~/nowhere", "/dev/null", "~/code/shop/../shop"]
        rows, _node = self.told(paths=paths)
        self.assertEqual(
            {
                "of-shop": ("project", str(self.home / "code" / "shop"), "cwd" if CWD else None),
                "of-blog": ("project", str(self.home / "code" / "blog"), None),
                "at-home": ("home", None, None),
            },
            {name: (row["where"], row["project"], row["seen_by"]) for name, row in rows.items()},
        )
        worker.communicate()

    def test_what_its_session_has_cost_under_our_recorder_is_its_cost(self) -> None:
        self.put(self.at_home, "known", 1)
        self.put(self.at_home, "odd", 2)
        self.put(self.at_home, "unknown", 3)
        costs = Path(self.store.root) / "costs"
        costs.mkdir()
        (costs / (SESSION % 1)).write_text("0.0200000000")
        (costs / (SESSION % 2)).write_text("nan")
        rows, _node = self.told()
        self.assertEqual(
            {"known": 0.02, "odd": None, "unknown": None},
            {name: row["cost_usd"] for name, row in rows.items()},
        )

    def test_what_the_asker_s_script_prints_of_the_load_is_told(self) -> None:
        self.assertEqual("", self.told()[1]["load"])
        self.assertEqual("busy\n", self.told(load="echo busy; echo lost >&2")[1]["load"])
        flood = self.told(load="yes | head -c 200000")[1]["load"]
        self.assertLessEqual(len(flood), 16384)

    def test_where_there_is_no_proc_argv_alone_tells(self) -> None:
        process = self.process("--resume", SESSION % 5, cwd=self.tree())
        processes = people._of_ps()
        self.assertEqual(
            {SESSION % 5},
            set(specialists._living({SESSION % 5, SESSION % 6}, str(self.tree()), processes)),
        )
        self.assertEqual({}, specialists._living({SESSION % 6}, str(self.tree()), processes))
        process.communicate()

    def test_a_first_session_shows_by_its_directory_unless_another_agent_works_there(self) -> None:
        self.put(self.workspace, "new", turns=0)
        process = self.process(cwd=self.workspace)
        self.assertEqual("cwd" if CWD else None, self.told()[0]["new"]["seen_by"])
        process.communicate()
        self.assertEqual(
            "started", self.start(command="while ! [ -e go ]; do sleep 0.02; done")["state"]
        )
        self.assertIsNone(self.told()[0]["new"]["seen_by"])
        (self.tree() / "go").touch()

    def test_whatever_lies_there_is_listed_with_a_reason_and_harms_nobody(self) -> None:
        secret = self.home / "secret"
        secret.write_text(META.format(session=SESSION % 9, status="new", turns=9))
        metas = {
            "half": b"name: half\nturns: 3\nlast_act",
            "empty": b"",
            "binary": os.urandom(4096) + b"\nturns: 1\n\xff\xfe",
            "huge": b"x" * 1_000_000 + b"\nturns: 5\n",
            "hostile": (
                b"turns: {{ lookup('pipe', 'id') }}\nlast_active: 2026-11-22T18:11:14Z\x1b[2J\n"
                b"session_id: $(id)\n"
            ),
            "digits": "turns: ١٢\nlast_active: null\nsession_id: null\n".encode(),
        }
        for name, data in metas.items():
            (self.workspace / name).mkdir()
            (self.workspace / name / "meta.yaml").write_bytes(data)
        for name in ("none", "fifo", "linked", "folder"):
            (self.workspace / name).mkdir()
        os.mkfifo(self.workspace / "fifo" / "meta.yaml")
        os.mkfifo(self.workspace / "fifo" / "session.txt")
        (self.workspace / "linked" / "meta.yaml").symlink_to(secret)
        (self.workspace / "linked" / "session.txt").symlink_to(secret)
        (self.workspace / "folder" / "meta.yaml").mkdir()
        (self.workspace / "elsewhere").symlink_to(self.put(self.home, "outside"))
        (self.workspace / "-e\n{{ 7 * 7 }}").mkdir()
        (self.workspace / "a-file").touch()
        rows, _node = self.told()
        lacks = "meta.yaml: no valid "
        reasons = {
            "half": lacks + "last_active, session_id",
            "empty": lacks + "turns",
            "binary": lacks,
            "huge": lacks + "turns",
            "hostile": lacks + "turns, last_active, session_id",
            "digits": lacks + "turns",
            "none": "no meta.yaml",
            "fifo": "no regular file",
            "linked": "symbolic link",
            "folder": "no regular file",
            "elsewhere": "symbolic link",
            "-e????7???7???": "no specialist's name",
        }
        self.assertEqual(set(reasons), set(rows))
        for name, part in reasons.items():
            self.assertIn(part, rows[name]["reason"], name)
        self.assertEqual(
            {"half": 3, "binary": 1},
            {name: row["sessions"] for name, row in rows.items() if row["sessions"] is not None},
        )
        self.assertEqual({None}, {row["session_id"] for row in rows.values()})

    def test_a_workspace_shows_nothing_of_what_its_links_lead_to(self) -> None:
        self.put(self.at_home, "mine")
        for link, target in (
            (self.workspace, self.at_home),
            (self.workspace.parent, self.home / ".gummy"),
        ):
            link.rmdir()
            link.symlink_to(target)
            with self.subTest(link=link.name):
                self.assertEqual("home", self.told()[0]["mine"]["where"])
            if self.workspace.is_symlink():
                self.workspace.unlink()

    def test_of_very_many_some_are_told_and_that_there_are_more(self) -> None:
        for number in range(1001):
            (self.at_home / f"s{number}").mkdir()
        rows, node = self.told()
        self.assertEqual((1000, True), (len(rows), node["more"]))

    def test_costs_of_today_count_once_each(self) -> None:
        logs = self.home / ".claude" / "logs" / "gummy"
        self.assertIsNone(self.told()[1]["cost_today"])
        logs.mkdir(parents=True)
        for number, cost in enumerate((0.25, 0.5, "9", float("nan"), True, -1)):
            event = json.dumps({"type": "result", "total_cost_usd": cost, "result": "x"})
            before = '{"type": "result", "total_cost_usd": 7}\n' + "noise\n" * 100_000
            after = '\n{"result": cut'
            (logs / f"gummy-{number}-task.log").write_text(before + event + after)
        (logs / "gummy-8-task.log").write_text('{"type": "assistant"}\n')
        os.mkfifo(logs / "gummy-9-task.log")
        (logs / "gummy-7-task.log").write_text(
            json.dumps({"type": "result", "total_cost_usd": 100})
        )
        os.utime(logs / "gummy-7-task.log", (time.time() - 3600,) * 2)
        for number, ended in enumerate(
            (
                {"cost_usd": 0.25, "watch": "gummy-watch gummy-0"},
                {"cost_usd": 1.0, "watch": None},
                {"cost_usd": None},
            )
        ):
            attempt = self.store.attempt(f"{A}{number}")
            attempt.create()
            attempt.mark("ended.json", json.dumps(ended).encode())
        self.assertEqual(1.75, self.told(within=1800)[1]["cost_today"])
        self.assertEqual(101.75, self.told(within=7200)[1]["cost_today"])

    def test_why_gummy_can_not_be_used_is_told(self) -> None:
        folder = self.home / "programs"
        folder.mkdir()
        for name in ("gummy", "claude", "jq"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        self.env["IS_SANDBOX"] = "1"
        (self.home / ".profile").write_text(f'PATH="{folder}"\n')
        self.assertIsNone(self.told()[1]["reason"])
        (folder / "gummy").unlink()
        self.assertIn("gummy is not found on this node: install it there", self.told()[1]["reason"])
        (folder / "claude").unlink()
        self.env.update(SHELL="/bin/false", PATH="/nowhere")
        self.assertIn("its login shell did not tell its PATH", self.told()[1]["reason"])
