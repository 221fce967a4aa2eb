"""Notebooks run as tests get a home of their own, not the user's."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Set MYIA_HOME while a notebook of this directory runs."""
    del item
    home = tempfile.mkdtemp(prefix="myia-notebook-")
    os.environ["MYIA_HOME"] = home
    try:
        return (yield)
    finally:
        del os.environ["MYIA_HOME"]
        shutil.rmtree(home, ignore_errors=True)
