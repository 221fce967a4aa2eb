"""Notebooks run as tests get a home of their own, not the user's."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set MYIA_HOME before a notebook of this directory runs."""
    del item
    os.environ["MYIA_HOME"] = tempfile.mkdtemp(prefix="myia-notebook-")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Forget the notebook's home."""
    del item
    shutil.rmtree(os.environ.pop("MYIA_HOME"), ignore_errors=True)
