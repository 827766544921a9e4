# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node program, and `wire.py`, the contract on the wire. It runs on the nodes: Python 3.9,
standard library.
"""
