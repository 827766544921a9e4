# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a script on a node finds programs as an agent would."""

from __future__ import annotations

from pathlib import Path

# Shell functions for scripts that look for programs; the script sets session_path before.
SHELL_PATH = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")
