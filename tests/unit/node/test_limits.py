"""The words of a limit are read, with their time; what speaks of other limits is none."""

from __future__ import annotations

import datetime
import os
import time
import unittest

from node_case import ROOT, limits

# 2026-11-28 18:00 UTC.
NOW = 1795888800.0


def utc(text: str) -> int:
    zone = datetime.timezone.utc
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


class LimitsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.zone("UTC")

    def zone(self, name: str) -> None:
        before = os.environ.get("TZ")

        def put_back() -> None:
            os.environ.pop("TZ", None)
            if before is not None:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(put_back)
        os.environ["TZ"] = name
        time.tzset()

    def test_each_kind_is_known_by_the_agents_words(self) -> None:
        for kind, texts in {
            "reset": (
                "Claude AI usage limit reached|1795919405",
                "You've hit your 5-hour limit · resets 2:30am (UTC)",
                "You've hit your weekly limit · resets Dec 3, 3:06pm (UTC)",
                "You've hit your session limit · resets 9pm (UTC)",
                "You've hit your limit · resets 9pm (UTC)",
                "You've reached your Opus weekly limit",
                "You've hit your org's monthly usage limit",
                "The usage limit has been reached",
                "You've hit your org's monthly spend limit",
                "You're out of extra usage · resets 11:30am (Asia/Colombo)",
                "5-hour limit reached ∙ resets 3pm",
                "Weekly limit reached ∙ resets Oct 9, 8am",
                "Limit reached · resets 7pm (Europe/Berlin)",
                "API Error: You've hit your usage limit. Try again later.",
                (
                    "You\u2019ve hit your usage limit. To get more access now, or try again at"
                    " Nov 29th, 2026 2:29 AM."
                ),
            ),
            "credit": (
                "Credit balance is too low",
                "Your credit balance is too low to access the API.",
                "You're out of usage credits",
                "Your workspace is out of credits. Ask your owner to refill.",
                "You hit your spend cap",
                "Quota exceeded. Check your plan and billing details.",
                "You exceeded your current quota, please check your plan and billing details.",
                "API Error: 429 insufficient_quota",
            ),
            "busy": (
                "API Error: 529 Overloaded",
                "API Error: Repeated 529 Overloaded errors. The API is at capacity",
                "Overloaded",
                "Selected model is at capacity. Please try a different model.",
                "429 Too Many Requests",
                "API Error: Too many requests, please slow down",
                (
                    "API Error: Request rejected (429) · Number of request tokens has exceeded your"
                    " per-minute rate limit (https://docs.claude.com/en/api/rate-limits)."
                ),
                "exceeded retry limit, last status: 429 Too Many Requests",
            ),
        }.items():
            for text in texts:
                with self.subTest(text):
                    limit = limits.of_text(text, NOW)
                    self.assertEqual(kind, limit and limit.kind)

    def test_no_line_that_speaks_of_another_limit_is_one(self) -> None:
        path = ROOT / "tests" / "recorded" / "other-limits.txt"
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        self.assertGreaterEqual(len(lines), 200)
        for line in lines:
            with self.subTest(line):
                self.assertIsNone(limits.of_text(line, NOW))

    def test_the_time_is_read_in_every_form(self) -> None:
        for text, wanted in (
            ("reached|1795919405", 1795919405),
            ("reached|1795919405123", 1795919405),
            ("reached|17959194051", None),
            ("resets 7pm (UTC)", utc("2026-11-28T19:00")),
            ("resets 5pm (UTC)", utc("2026-11-29T17:00")),
            # It was told a moment ago.
            ("resets 6pm (UTC)", utc("2026-11-28T18:00")),
            ("resets 12am (UTC)", utc("2026-11-29T00:00")),
            ("resets 12:15pm (UTC)", utc("2026-11-29T12:15")),
            ("resets 2:30am (UTC)", utc("2026-11-29T02:30")),
            ("resets at 23:45", utc("2026-11-28T23:45")),
            ("resets 8pm (Europe/Berlin)", utc("2026-11-28T19:00")),
            ("resets 6:30pm (Europe/Berlin)", utc("2026-11-29T17:30")),
            ("resets 11:30am (Asia/Colombo)", utc("2026-11-29T06:00")),
            ("resets Dec 3, 3:06pm (UTC)", utc("2026-12-03T15:06")),
            ("resets Aug 3, 7am (Europe/Zurich)", utc("2027-08-03T05:00")),
            ("try again at Nov 29th, 2026 2:29 AM.", utc("2026-11-29T02:29")),
            ("try again at 7:05 PM.", utc("2026-11-28T19:05")),
            ("Try again in 3 days 4 hours 20 minutes.", int(NOW) + 3 * 86400 + 4 * 3600 + 1200),
            ("try again in 45 seconds", int(NOW) + 45),
            ("resets soon", None),
            ("resets 7", None),
            ("resets 13pm (UTC)", None),
            ("resets 25:00", None),
            ("resets Feb 30, 7am (UTC)", None),
            ("resets 7pm (Mars/Olympus)", None),
            ("resets 7pm (../../etc/passwd)", utc("2026-11-28T19:00")),
        ):
            with self.subTest(text):
                self.assertEqual(wanted, limits.reset_time(text, NOW))

    def test_a_time_without_a_zone_is_the_node_s_own(self) -> None:
        self.zone("America/New_York")
        # It is one in the afternoon there.
        self.assertEqual(utc("2026-11-28T20:00"), limits.reset_time("resets 3pm", NOW))
        self.assertEqual(utc("2026-11-29T00:00"), limits.reset_time("try again at 7:00 PM.", NOW))


if __name__ == "__main__":
    unittest.main()
