"""``myia limit``, ``change``, ``obliterate`` and ``acl``, as their user runs them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from myia_sdk.cli.__main__ import app
from myia_sdk.queue import JobOptions, JobState, JobStore, NewJob, QueueAdministration


@pytest.fixture
def store(redis_client, queue_name) -> JobStore:
    return JobStore(redis_client, queue_name)


@pytest.fixture
def myia(redis_server, queue_name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {
        **redis_server.environment,
        "CERTIFICATION_QUEUE_NAME": queue_name,
        "MYIA_HOME": str(tmp_path),
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }

    def run(*arguments: str):
        return CliRunner().invoke(
            app, list(arguments), env=environment, catch_exceptions=False
        )

    return run


def test_limits_are_set_shown_and_removed(myia, store):
    administration = QueueAdministration(store)
    shown = myia("limit", "--concurrency", "2", "--rate", "10", "--per", "1.5")
    assert shown.exit_code == 0, shown.stderr
    assert administration.concurrency() == 2
    assert administration.rate_limit() == (10, timedelta(seconds=1.5))
    assert "2" in shown.stdout
    assert "10 per 0:00:01.5" in shown.stdout
    myia("limit", "--concurrency", "0", "--rate", "0")
    assert administration.concurrency() is None
    assert administration.rate_limit() is None


def test_defaults_are_set_one_by_one_shown_and_removed(myia, store):
    administration = QueueAdministration(store)
    assert myia("defaults", "--timeout", "90").exit_code == 0
    shown = myia("defaults", "--max-retries", "0").stdout
    assert "0:01:30" in shown
    assert administration.defaults().timeout == timedelta(seconds=90)
    assert administration.defaults().max_retries == 0
    myia("defaults", "--timeout", "0", "--max-retries", "-1")
    assert "not set" in myia("defaults").stdout
    assert administration.defaults().timeout is None
    assert administration.defaults().max_retries is None


def test_delay_priority_and_data_of_a_job_are_changed(myia, store, tmp_path):
    delayed = JobOptions(delay=timedelta(hours=1))
    job = store.add(NewJob(name="certify", data={"a": 1}, options=delayed))
    (tmp_path / "data.json").write_text(json.dumps({"a": 2}))
    changed = myia("change", job, "--priority", "7", "--data", "data.json")
    assert changed.exit_code == 0, changed.stderr
    assert myia("change", job, "--delay", "7200").exit_code == 0
    found = store.job(job)
    assert (found.priority, found.data) == (7, {"a": 2})
    assert found.delay == timedelta(hours=2)
    (tmp_path / "broken.json").write_text("{")
    refused = myia("change", job, "--data", "broken.json")
    assert refused.exit_code == 1
    assert "broken.json is not JSON" in refused.stderr


def test_obliterate_wants_the_queues_name(myia, store):
    store.add(NewJob(name="certify", data={}))
    refused = myia("obliterate", "model-certification")
    assert refused.exit_code == 1
    assert store.counts()[JobState.WAITING] == 1
    assert myia("obliterate", store.queue).exit_code == 0
    assert store.counts()[JobState.WAITING] == 0


def test_acl_prints_a_rule_that_the_server_accepts(myia, redis_client, queue_name):
    user = f"u{queue_name}"
    printed = myia("acl", "viewer", "--user", user)
    assert printed.exit_code == 0, printed.stderr
    words = printed.stdout.split()
    assert words[:3] == ["ACL", "SETUSER", user]
    redis_client.execute_command(*words)
    try:
        rights = redis_client.execute_command("ACL", "GETUSER", user)
        assert "hgetall" in str(rights)
    finally:
        redis_client.execute_command("ACL", "DELUSER", user)
    assert "the roles are viewer" in myia("acl", "king").stderr
