# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One POST of JSON to an address that may be a secret."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request


def post(address: str, data: bytes, seconds: float) -> str | None:
    """Send the data to the address, and nowhere else: no answer leads to another one.

    seconds: how long it may take. Returns why that failed, without a word of the address; None: it
    did not.
    """
    opener = urllib.request.OpenerDirector()
    is_local = address.startswith("http:")
    # Not by the system's own settings, which can't be asked after a fork everywhere.
    proxies = {} if is_local else urllib.request.getproxies_environment()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    headers = {"Content-Type": "application/json", "User-Agent": "distributed.gummy"}
    request = urllib.request.Request(address, data, headers, method="POST")
    try:
        with opener.open(request, timeout=seconds):
            return None
    except urllib.error.HTTPError as exc:
        exc.close()
        if 300 <= exc.code < 400:
            return f"status {exc.code}: it names another address, which is not followed"
        return f"status {exc.code}"
    except urllib.error.URLError as exc:
        return _reason(exc.reason)
    except OSError as exc:
        return _reason(exc)


def _reason(reason: object) -> str:
    """Why there was no answer, in words that hold no address."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {reason.verify_message}"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__
