# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all our pages share: one file each, without a script and without a request to anybody.

The browser is told so too: by the policy in its head a page may use its own styles and nothing
else, so that whatever got past the escaping of a name would still do nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .markup import escaped, escaped_lines

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# Both colour schemes, as the reader's system has it; the colours of both have a contrast of 4.5 or
# more on their ground.
STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --raised: #f5f6f8; --line: #d8dce3;
  --text: #1b1f27; --faint: #5a6372; --link: #0b57c2; --good: #17692f; --bad: #b3261e;
  --running: #0b57c2; --unsure: #8a5300; --left: #5a6372; --add: #e3f6e8; --del: #fde7e6; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171c; --raised: #1d2128;
  --line: #363c47; --text: #e6e9ef; --faint: #a2abba; --link: #8ab4ff; --good: #6fd58b;
  --bad: #ff9a92; --running: #8ab4ff; --unsure: #f0b45b; --left: #a2abba; --add: #173321;
  --del: #3d1d1c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--ground);
  color: var(--text); font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .4rem 0; } h2 { font-size: 1.15rem; margin: 1.6rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
p { margin: .4rem 0; } a { color: var(--link); } .faint { color: var(--faint); }
.good { color: var(--good); } .bad { color: var(--bad); } .running { color: var(--running); }
.unsure { color: var(--unsure); } .left { color: var(--left); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; } tr:last-child td { border-bottom: 0; }
th { background: var(--raised); font-weight: 600; }
td.words { min-width: 14rem; overflow-wrap: anywhere; white-space: normal; }
td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; }
pre { margin: .4rem 0; padding: .6rem; background: var(--raised); border: 1px solid var(--line);
  border-radius: .4rem; overflow-x: auto; font: .82rem/1.4 ui-monospace, monospace;
  overflow-wrap: normal; max-height: 32rem; }
pre span { display: block; min-height: 1.1em; } .add { background: var(--add); }
.del { background: var(--del); } .hunk { color: var(--faint); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0;
  padding: 0 .7rem; } details details { margin: .6rem 0; } summary { padding: .45rem 0;
  cursor: pointer; } details > :last-child { margin-bottom: .7rem; }
.lane { position: relative; height: 1.7rem; margin: 2px 0; background: var(--raised);
  border-radius: .25rem; } .bar { position: absolute; top: 2px; bottom: 2px; min-width: 4px;
  border-radius: .2rem; border: 1px solid currentColor; border-left-width: 4px;
  background: var(--ground);
  overflow: hidden; white-space: nowrap; font-size: .78rem; line-height: 1.35rem;
  padding: 0 .25rem; text-decoration: none; }
.axis { display: flex; justify-content: space-between; font-size: .78rem; color: var(--faint);
  font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 15px; } }
"""


def page(title: str, body: Sequence[str]) -> str:
    """A whole page. body: what stands in it, escaped by whoever made it."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escaped(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def page_of_text(title: str, lines: Sequence[str]) -> str:
    """A page with lines that stand below each other as in a terminal."""
    text = escaped_lines("\n".join(lines))
    return page(title, [f"<h1>{escaped(title)}</h1>", f"<pre>{text}</pre>"])
