"""Key names, script sources, ids, addresses without secrets."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from redis import exceptions

import myia_sdk.queue
from myia_sdk.errors import (
    ConfigurationError,
    InvalidJobError,
    QueueConnectionError,
    QueueError,
)
from myia_sdk.queue.jobs.ids import check_new_job_id, new_job_id, new_token
from myia_sdk.queue.wire import ConnectionOptions, Keys, connect, wrap_errors
from myia_sdk.queue.wire.clients import address_of, mask_url
from myia_sdk.queue.wire.scripts import script

FOLDER = Path(myia_sdk.queue.__file__).parent / "scripts"


def test_keys_are_bullmqs():
    keys = Keys("myia", "model-certification")
    assert keys.wait == "myia:model-certification:wait"
    assert keys.waiting_children == "myia:model-certification:waiting-children"
    assert keys.stalled_check == "myia:model-certification:stalled-check"
    assert keys.lock("7") == "myia:model-certification:7:lock"
    assert keys.metrics("completed") == "myia:model-certification:metrics:completed"
    assert keys.deduplication("d") == "myia:model-certification:de:d"
    assert keys.scheduler("s") == "myia:model-certification:repeat:s"
    with pytest.raises(AttributeError):
        _ = keys.nonsense


def test_private_keys_are_outside_the_queues_own_names():
    keys = Keys("myia", "q")
    assert keys.sdk("index", "model") == "myia:sdk:q:index:model"
    assert not keys.sdk("cancel").startswith(keys.base)


@pytest.mark.parametrize(
    ("prefix", "tagged"),
    [("myia", False), ("{myia}", True), ("a:{b}", True), ("{}", False)],
)
def test_hash_tag_of_the_prefix_is_seen(prefix, tagged):
    assert Keys(prefix, "q").has_hash_tag is tagged


@pytest.mark.parametrize("name", ["", "a:b", "a b", "sdk", "a\n", "\x00"])
def test_bad_queue_name_is_refused(name):
    with pytest.raises(ConfigurationError):
        Keys("myia", name)


@pytest.mark.parametrize(
    "job_id", ["01", "a", "a:b:c", "é", "model certify", "-", "1.5"]
)
def test_ids_that_bullmq_takes_are_taken(job_id):
    assert check_new_job_id(job_id) == job_id


def test_made_ids_may_be_chosen_and_sort_by_time():
    ids = [check_new_job_id(new_job_id()) for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2000
    assert all(re.fullmatch(r"[0-9a-z]{18}", one) for one in ids)
    assert new_token() != new_token()


def test_ids_made_by_threads_at_once_differ():
    made = []

    def make():
        made.extend(new_job_id() for _ in range(500))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.lua")))
def test_every_script_has_its_fragments_once(name):
    source = script(name).source
    assert "-- include:" not in source
    functions = re.findall(r"^local function (\w+)", source, re.MULTILINE)
    assert len(functions) == len(set(functions)), "defined twice"
    assert "cjson.encode" not in source, "JSON of users is never written by Lua"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6380/2", "redis://***@host:6380/2"),
        ("rediss://me:secret@host?ssl_ca_certs=x", "rediss://***@host"),
        ("redis://host", "redis://host"),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock"),
        ("redis://:secret@host:port/0", "redis://***@***/0"),
    ],
)
def test_address_never_shows_the_password(url, shown):
    assert mask_url(url) == shown
    assert "secret" not in repr(ConnectionOptions(url=url, password="secret"))
    assert ConnectionOptions(url=url).address == shown


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, "redis://localhost:6379/0"),
        ({"host": "h", "port": 1, "db": 2, "tls": True}, "rediss://h:1/2"),
        ({"socket_path": "/run/r"}, "unix:///run/r"),
        (
            {"sentinels": [("a", 1), ("b", 2)], "sentinel_service": "main"},
            "sentinel://a:1,b:2/main",
        ),
    ],
)
def test_addresses_for_people(options, address):
    assert ConnectionOptions(**options).address == address


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://host"},
        {"url": "redis://host:port/0"},
        {"cluster": True, "db": 3},
    ],
)
def test_contradicting_options_are_a_configuration_error(options):
    with pytest.raises(ConfigurationError):
        connect(ConnectionOptions(**options))


def test_clients_tell_their_address_without_secret():
    for options, shown in (
        (ConnectionOptions(password="secret"), "redis://localhost:6379/0"),
        (ConnectionOptions(socket_path="/run/r", password="secret"), "unix:///run/r"),
        (ConnectionOptions(sentinels=[("a", 1)]), "sentinel service 'mymaster'"),
    ):
        client = connect(options)
        assert address_of(client) == shown
        assert "secret" not in repr(client)
        client.close()


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (
            exceptions.ConnectionError("refused"),
            QueueConnectionError,
            "does not answer",
        ),
        (exceptions.TimeoutError("slow"), QueueConnectionError, "does not answer"),
        (exceptions.AuthenticationError("WRONGPASS"), QueueConnectionError, "login"),
        (exceptions.BusyLoadingError("LOADING"), QueueConnectionError, "loading"),
        (exceptions.ReadOnlyError("READONLY"), QueueConnectionError, "READONLY"),
        (exceptions.NoPermissionError("no EVALSHA"), QueueError, "may not do this"),
        (exceptions.ResponseError("OOM command"), QueueError, "memory is full"),
        (exceptions.ResponseError("MISCONF x"), QueueError, "its disk"),
        (exceptions.ResponseError("strange"), QueueError, "strange"),
    ],
)
def test_errors_of_the_library_become_ours_with_advice(error, expected, text):
    with pytest.raises(expected, match=text), wrap_errors("redis://h:1/0"):
        raise error


def test_colon_rules_of_ids():
    for bad in ("a:b", "repeat:a:b", "metrics:a:b"):
        with pytest.raises(InvalidJobError):
            check_new_job_id(bad)
