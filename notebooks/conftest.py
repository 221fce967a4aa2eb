"""Notebooks run as tests get a home of their own, not the user's."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Seconds for a notebook, of which the longest takes one minute on an idle machine.
PATIENCE = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the notebooks of this directory more time than a test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(PATIENCE))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set MYIA_HOME before a notebook of this directory runs."""
    del item
    os.environ["MYIA_HOME"] = tempfile.mkdtemp(prefix="myia-notebook-")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Forget the notebook's home."""
    del item
    shutil.rmtree(os.environ.pop("MYIA_HOME"), ignore_errors=True)
