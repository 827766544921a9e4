# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other commands, one file each: logs, cancel, harvest, sync, status, specialists, watch,
clean, doctor, install, and what can be read together.
"""
