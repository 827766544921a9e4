# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps jobs from being done: gathering facts, and tables of checks that say what they mean
and what mends it.
"""
