"""Faults of the server: forgotten scripts, restarts, a full memory, foreign keys."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import InvalidJobError, QueueConnectionError, QueueError
from myia_sdk.queue.jobs import JobState, NewJob
from myia_sdk.queue.store import JobStore
from myia_sdk.queue.wire import ConnectionOptions, connect
from myia_sdk.queue.wire.clock import ServerClock
from tests.conftest import refusing_port
from tests.helpers.queue_probe import LEASE, Clock, claimed, new_job

#: Keys that somebody else may have written as text, and what reads or writes them.
FIXED_KEYS = [
    "wait", "paused", "active", "prioritized", "delayed", "completed", "failed",
    "events", "marker", "meta", "stalled", "waiting-children", "limiter", "pc", "id",
]  # fmt: skip


def store_of(server, queue, **options):
    options = {"socket_timeout": 60, **options}
    return JobStore(connect(ConnectionOptions(url=server.url, **options)), queue)


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name, clock=Clock())


def operations(store):
    """Every call a client makes, none of which may do more than raise our error."""
    job_id = "some-job"
    until = datetime.now(UTC)
    return [
        lambda: store.add(new_job()),
        lambda: store.add_many([new_job(delay=LEASE), new_job(priority=1)]),
        lambda: store.claim("token", LEASE),
        lambda: store.renew({job_id: "token"}, LEASE),
        lambda: store.progress(job_id, 1),
        lambda: store.log(job_id, "line"),
        lambda: store.set_labels(job_id, {"model": "m"}),
        lambda: store.complete(job_id, "token", 1),
        lambda: store.fail(job_id, "token", "no"),
        lambda: store.retry_now(job_id, "token", "no"),
        lambda: store.retry_later(job_id, "token", LEASE, "no"),
        lambda: store.put_back(job_id, "token"),
        lambda: store.delay(job_id, "token", until),
        lambda: store.check_stalled(timedelta(milliseconds=1)),
        store.counts,
        store.is_paused,
        lambda: store.job(job_id),
        lambda: store.state(job_id),
        lambda: store.jobs([job_id]),
        lambda: [store.page(state) for state in JobState],
        lambda: store.logs(job_id),
        lambda: store.find({"model": "m"}),
    ]


@pytest.mark.parametrize("key", FIXED_KEYS)
def test_key_of_another_type_never_raises_a_foreign_error(store, key):
    store.add(new_job())
    store.redis.delete(store.keys.base + key)
    store.redis.set(store.keys.base + key, "text of somebody else")
    for call in operations(store):
        with suppress(QueueError):
            call()
    assert store.redis.get(store.keys.base + key) in ("text of somebody else", None)


def test_job_key_of_another_type_is_passed_over(store):
    store.redis.set(store.keys.job("text"), "not a hash")
    store.redis.rpush(store.keys.wait, "text")
    kept = store.add(new_job())
    assert claimed(store) == kept
    with pytest.raises(QueueError, match="WRONGTYPE"):
        store.job("text")


def test_forgotten_scripts_are_sent_again(store):
    store.add(new_job())
    store.redis.script_flush()
    ids = store.add_many([new_job() for _ in range(3)])
    store.redis.script_flush()
    assert store.claim("t", LEASE).job is not None
    assert store.counts()[JobState.WAITING] == 3
    assert len(ids) == len(set(ids)) == 3


def test_store_goes_on_after_a_restart_of_the_server(own_redis_server, queue_name):
    store = store_of(own_redis_server, queue_name)
    first = store.add(new_job())
    own_redis_server.kill()
    with pytest.raises(QueueConnectionError, match="does not answer"):
        store.add(new_job())
    own_redis_server.start()
    second = store.add(new_job())
    assert {claimed(store), claimed(store)} == {first, second}
    store.redis.close()


def test_connection_killed_under_a_command_is_made_anew(redis_server, queue_name):
    store = store_of(redis_server, queue_name, client_name=queue_name)
    store.add(new_job())
    for client in store.redis.client_list():
        if client["name"] == queue_name:
            store.redis.client_kill_filter(_id=client["id"], skipme=False)
    store.add(new_job())
    assert store.counts()[JobState.WAITING] == 2
    store.redis.close()


def test_paused_server_delays_a_call_but_loses_nothing(own_redis_server, queue_name):
    store = store_of(own_redis_server, queue_name)
    with own_redis_server.client() as other:
        other.client_pause(300, all=True)
    store.add(new_job())
    assert store.counts()[JobState.WAITING] == 1
    store.redis.close()


def test_blocked_server_is_reported_within_the_time_outs(own_redis_server, queue_name):
    store = store_of(own_redis_server, queue_name, socket_timeout=0.2)
    with own_redis_server.client() as other:
        other.client_pause(250_000, all=True)
        with pytest.raises(QueueConnectionError, match="does not answer"):
            store.add(new_job())
    store.redis.close()
    own_redis_server.kill()


def test_wrong_password_and_absent_server_name_what_to_check(redis_server, queue_name):
    port = redis_server.port
    refused = ConnectionOptions(host="127.0.0.1", port=port, password="canary-pass")
    with refusing_port() as closed:
        absent = ConnectionOptions(host="127.0.0.1", port=closed, password="canary")
        for options, text in ((refused, "REDIS_PASSWORD"), (absent, "REDIS_HOST")):
            client = connect(options)
            with pytest.raises(QueueConnectionError, match=text) as caught:
                JobStore(client, queue_name).counts()
            client.close()
            assert "canary" not in str(caught.value)
            assert str(options.port) in str(caught.value)


def test_full_memory_refuses_new_jobs_but_lets_running_ones_end(
    own_redis_server, queue_name
):
    store = store_of(own_redis_server, queue_name)
    ids = store.add_many([new_job() for _ in range(4)])
    first, second = claimed(store), claimed(store)
    store.redis.config_set("maxmemory", 1)
    with pytest.raises(QueueError, match="memory is full"):
        store.add(new_job())
    with pytest.raises(QueueError, match="memory is full"):
        store.add_many([new_job(), new_job()])
    assert store.renew({first: "token"}, LEASE) == []
    store.complete(first, "token", {"score": 1})
    store.retry_later(second, "token", LEASE, "boom")
    third = claimed(store)
    store.fail(third, "token", "boom")
    assert store.check_stalled(LEASE) == []
    states = [store.state(one) for one in ids]
    store.redis.config_set("maxmemory", 0)
    assert states == [
        JobState.COMPLETED,
        JobState.DELAYED,
        JobState.FAILED,
        JobState.WAITING,
    ]
    assert store.state(store.add(new_job())) is JobState.WAITING
    store.redis.close()


def test_one_job_under_many_submitters_with_the_same_id(redis_server, queue_name):
    stores = [store_of(redis_server, queue_name) for _ in range(4)]
    barrier = threading.Barrier(len(stores))

    def submit(store):
        barrier.wait()
        for n in range(25):
            store.add(new_job(job_id=f"same-{n}"))

    threads = [threading.Thread(target=submit, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].counts()[JobState.WAITING] == 25
    for one in stores:
        one.redis.close()


def test_workers_at_once_share_the_jobs_without_overlap(redis_server, queue_name):
    stores = [store_of(redis_server, queue_name) for _ in range(4)]
    stores[0].add_many([new_job() for _ in range(80)])
    taken: list[str] = []

    def work(number, store):
        while (job := store.claim(f"token-{number}", LEASE).job) is not None:
            taken.append(job.id)
            store.complete(job.id, f"token-{number}", None)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 80
    assert stores[0].counts()[JobState.COMPLETED] == 80
    for one in stores:
        one.redis.close()


def test_job_data_come_back_as_they_were_sent(store):
    data = {
        "text": "\x00é🎉\u202e</script>",
        "numbers": [0, -1, 2**53 + 1, -(2**200), 1e308, 5e-324, -0.0, 0.1],
        "deep": [[[[[{"": None}]]]]],
        "array": [],
        "object": {},
        "big": "x" * 100_000,
    }
    job_id = store.add(NewJob(name="certify", data=data))
    job = store.claim("t", LEASE).job
    assert job is not None
    assert job.data == data
    store.complete(job_id, "t", data)
    assert store.job(job_id).return_value == data
    with pytest.raises(InvalidJobError):
        store.add(NewJob(name="certify", data={"bytes": b"x"}))


def test_clock_of_the_server_rules_whatever_this_machine_says(redis_server, queue_name):
    with redis_server.client() as client:
        seconds, _ = client.time()
        clock = ServerClock(client, local=lambda: 0)
        assert abs(clock() - seconds * 1000) < 60_000
        store = JobStore(client, queue_name, clock=clock)
        job_id = store.add(new_job(delay=timedelta(milliseconds=1)))
        until = time.monotonic() + 60
        while (job := store.claim("t", LEASE).job) is None:
            assert time.monotonic() < until
        assert job.id == job_id
        before = clock()
        assert ServerClock(client)() >= before - 5_000


def test_user_who_may_not_ask_the_time_uses_this_machines(own_redis_server):
    with own_redis_server.client() as admin:
        admin.acl_setuser("timeless", enabled=True, nopass=True, commands=["+ping"])
    client = connect(
        ConnectionOptions(
            host="127.0.0.1",
            port=own_redis_server.port,
            username="timeless",
            password="any",
        )
    )
    assert 1234 <= ServerClock(client, local=lambda: 1234)() < 60_000
    client.close()
