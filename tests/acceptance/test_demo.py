"""``myia demo`` on a machine without Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from myia_sdk import Client, Settings
from tests.acceptance.worker import assert_dead, wait_until


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
    assert_dead([address["pid"]])


def test_an_interrupted_demo_leaves_no_job_to_run(tmp_path):
    home = Settings(myia_home=tmp_path / "home")
    code = (
        # A shell that starts the tests in the background lets its children ignore it.
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from myia_sdk.cli.__main__ import main; sys.argv = ['myia', 'demo']; main()"
    )
    with Client.local(home, workers=0) as client:

        def number(*states: str) -> int:
            counts = client.counts().set_index("state")["jobs"]
            return int(counts[list(states)].sum())

        def is_followed() -> bool:
            connections = client.queue.redis.client_list()
            return any(connection["cmd"] == "xread" for connection in connections)

        # One at a time: when the first one runs, the last one has not ended.
        client.set_concurrency(1)
        demo = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MYIA_HOME": str(home.myia_home)},
            cwd=tmp_path,
            start_new_session=True,
        )
        wait_until(lambda: is_followed() and number("active"))
        demo.send_signal(signal.SIGINT)
        assert demo.wait(100) != 0
        wait_until(lambda: not number("waiting", "delayed", "active"))
        assert number("completed", "failed") == 3
        unfinished = client.jobs(state="failed")
        assert len(unfinished)
        assert set(unfinished["reason"]) == {"the demonstration was interrupted"}


def test_demo_without_scikit_learn_names_the_extra_and_starts_nothing(tmp_path):
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from myia_sdk.cli.__main__ import main; sys.argv = ['myia', 'demo']; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"MYIA_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("myia: The extra [sklearn] is needed")
    assert not (tmp_path / "home").exists()
