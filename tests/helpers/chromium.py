"""Debian's chromium for the tests that need a browser: one driver a process."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.helpers.machine import require

#: Milliseconds that anything in a browser may take on a busy machine; what is there
#: at once costs nothing of it.
PATIENCE_MS = 90_000
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Containers have a /dev/shm of 64 MB.
    "--disable-dev-shm-usage",
    # Without network names must fail at once instead of timing out.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]


def chromium_path() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    require(found, "chromium")
    return str(found)


def new_context(browser: Any, **options: Any) -> Any:
    """A context of the browser whose pages are waited for patiently."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    return context


@contextmanager
def launched_chromium() -> Iterator[Any]:
    """Start the browser; the driver's event loop allows only one in a process."""
    require(importlib.util.find_spec("playwright"), "playwright")
    from playwright.sync_api import expect, sync_playwright

    # Five seconds, its default, are short for an import of scikit-learn in a kernel.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium_path(),
            args=CHROMIUM_ARGUMENTS,
            timeout=PATIENCE_MS,
        )
        yield launched
        launched.close()
