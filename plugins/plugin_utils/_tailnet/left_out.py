# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory plugin left out, for `plan` and `status`. This is private to the collection.

Actions run in forks of the process that parsed the inventory. No variable carries it: it would be every host's, and shown with each.
"""

from __future__ import annotations

LEFT_OUT: dict[str, tuple[tuple[str, str], ...]] = {}  # source -> (who, why)
