# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory plugin left out, for `plan` and `status`.

Actions run in forks of the process that parsed the inventory. No variable carries it: it would be
every host's, and shown with each.
"""

from __future__ import annotations

# Source -> (who, why).
LEFT_OUT: dict[str, tuple[tuple[str, str], ...]] = {}
