"""Debian's chromium for the tests that need a browser: one driver a process."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

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


def require(is_there: object, what: str) -> None:
    """Skip where a tool is missing; in CI its absence is a failure."""
    if is_there:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; .ci/run installs it")
    pytest.skip(f"{what} is not installed")


def chromium_path() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    require(found, "chromium")
    return str(found)


@contextmanager
def launched_chromium() -> Iterator[Any]:
    """Start the browser; the driver's event loop allows only one in a process."""
    require(importlib.util.find_spec("playwright"), "playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS
        )
        yield launched
        launched.close()
