"""What tests want of the machine: what it lacks is told once, in one line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

#: Folders of the tests' npm packages, with one package of each by which they are known.
NPM_FOLDERS = {
    Path(__file__).parents[1] / "interop": "bullmq",
    Path(__file__).parents[1] / "browser": "axe-core",
}
INSTALL = "python -m tests.install"


def require(is_there: object, what: str) -> None:
    """Skip where something is missing; in CI, which installs it, that is a failure."""
    if is_there:
        return
    reason = f"this machine has no {what}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def require_node() -> None:
    """Ask for Node.js and the npm packages of the tests."""
    require(shutil.which("node"), "Node.js")
    installed = [
        (folder / "node_modules" / package).is_dir()
        for folder, package in NPM_FOLDERS.items()
    ]
    require(all(installed), f"npm packages of the tests ({INSTALL})")


def require_packages(missing: list[str]) -> None:
    """Ask for the models that come as packages."""
    require(not missing, f"packaged models ({INSTALL}): {', '.join(missing)}")
