"""``myia demo`` on a machine without Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psutil


def test_demo_certifies_three_models_and_leaves_nothing_running(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "myia_sdk.cli", "demo"],
        capture_output=True,
        text=True,
        env=os.environ | {"MYIA_HOME": str(tmp_path / "home"), "COLUMNS": "120"},
        cwd=tmp_path,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Every verdict is the expected one." in result.stdout
    assert "beats-dummy" in result.stdout
    address = json.loads((tmp_path / "home" / "server" / "address.json").read_text())
    deadline = time.monotonic() + 30
    while psutil.pid_exists(address["pid"]):
        assert time.monotonic() < deadline, "the supervisor still runs"
        time.sleep(0.05)


def test_demo_without_scikit_learn_names_the_extra_and_starts_nothing(tmp_path):
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from myia_sdk.cli import main; sys.argv = ['myia', 'demo']; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"MYIA_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("myia: The extra [sklearn] is needed")
    assert not (tmp_path / "home").exists()
