"""Each role does its work with its rights in Redis, and they are the least."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import QueueError
from myia_sdk.queue.huey.values import BullStorage
from myia_sdk.queue.jobs import Deduplication, JobOptions, JobState, NewJob
from myia_sdk.queue.jobs.options import milliseconds
from myia_sdk.queue.store import (
    EventReader,
    JobSchedulers,
    JobStore,
    QueueAdministration,
)
from myia_sdk.queue.wire import ConnectionOptions, connect
from myia_sdk.queue.wire.roles import OPERATOR, ROLES, SUBMITTER, VIEWER, WORKER
from tests.helpers.queue_probe import LEASE, Clock, names, new_job

GREETINGS = {"ping", "hello", "auth", "select", "client|setname", "time"}
REFUSED = "may not do this"


@pytest.fixture
def as_role(own_redis_server, queue_name):
    """Log in as a user who has the rights of a role and no others."""
    clients = []

    def login(role):
        with own_redis_server.client() as admin:
            admin.execute_command(
                *("ACL", "SETUSER", role.name, "on", ">secret"),
                *role.rules(queue_name),
            )
        client = connect(
            ConnectionOptions(
                host="127.0.0.1",
                port=own_redis_server.port,
                username=role.name,
                password="secret",
            )
        )
        clients.append(client)
        return JobStore(client, queue_name, clock=Clock())

    yield login
    for client in clients:
        client.close()


def watch(store):
    store.counts(), store.is_paused(), store.logs("a"), store.find({"model": "m"})
    store.job("a"), store.state("a"), store.jobs(["a"])
    for state in JobState:
        store.page(state)
    EventReader(store.redis, store.keys, last_id="0").read(block=None)
    EventReader(store.redis, store.keys).pin()
    admin = QueueAdministration(store)
    admin.workers(), admin.info(), admin.metrics(JobState.FAILED)
    admin.concurrency(), admin.rate_limit(), JobSchedulers(store).list()
    store.labeller = lambda _: {"model": "m"}
    store.heal()
    store.labeller = None


def submit(store):
    once = Deduplication(id="d", ttl=LEASE, replace=True)
    parent = store.keys.job(store.add(new_job(job_id="parent")))
    store.add(NewJob(name="c", labels={"model": "m"}, parent_key=parent))
    for _ in range(2):
        options = JobOptions(delay=LEASE, deduplication=once)
        store.add(NewJob(name="c", options=options, labels={"model": "m"}))
    last = Deduplication(id="k", keep_last_if_active=True)
    owner = store.add(NewJob(name="c", options=JobOptions(deduplication=last)))
    store.redis.lpush(store.keys.active, owner)
    store.add(NewJob(name="c", options=JobOptions(deduplication=last)))
    store.add(new_job(priority=1))
    store.add(new_job(lifo=True))
    store.add(new_job(job_id="parent"))


def work(store):
    while (job := store.claim("token", LEASE, "w").job) is not None:
        store.renew({job.id: "token"}, LEASE)
        store.progress(job.id, 1)
        store.log(job.id, ["a", "b"], 1)
        store.set_labels(job.id, {"tags": "x"})
        run(store, job)
    store.clock.advance(2 * milliseconds(LEASE))
    while (job := store.claim("token", LEASE, "w").job) is not None:
        store.redis.bzpopmin(store.keys.marker, 1)
        if job.attempts_made == 0:
            store.retry_now(job.id, "token", "boom")
        else:
            store.complete(job.id, "token", None)
    store.check_stalled(timedelta(milliseconds=1))
    QueueAdministration(store).cancel_requested(["a"])
    together(BullStorage(store.queue, lambda: store))
    beat = store.keys.sdk("workers")
    store.batch([("HSET", beat, "w", 1), ("EXPIRE", beat, 9), ("HDEL", beat, "w")])


def run(store, job):
    if job.id == "parent":
        moment = (store.clock() + 60_000) / 1000
        store.delay(job.id, "token", datetime.fromtimestamp(moment, UTC))
    elif job.scheduler_id is not None:
        JobSchedulers(store).advance(job)
        store.complete(job.id, "token", None)
    elif job.attempts_made:
        store.fail(job.id, "token", "boom", "trace")
    elif job.priority:
        store.retry_later(job.id, "token", timedelta(0), "boom")
    elif job.attempts_started == 1:
        store.put_back(job.id, "token")
    else:
        store.complete(job.id, "token", None, labels={"verdict": "ok"})


def together(storage):
    """Huey's values, locks, rate limits and chords."""
    storage.put_data("a", "1")
    storage.pop_data("a")
    storage.incr("n")
    storage.acquire_lock("l", "t", 1)
    storage.release_lock("l", "t")
    storage.acquire_place("r", 1, 1)
    storage.count_places("r", 1)
    storage.join_chord("c", 1, 0, "1")


def operate(store):
    admin, schedulers = QueueAdministration(store), JobSchedulers(store)
    schedulers.upsert("s", every=LEASE, template=NewJob(name="c"))
    schedulers.remove("s")
    schedulers.upsert("s", every=LEASE, template=NewJob(name="c"))
    delayed = store.add(new_job(delay=LEASE))
    admin.change_delay(delayed, LEASE)
    admin.promote(delayed)
    admin.change_priority(delayed, 5)
    admin.update_data(delayed, {"n": 1})
    admin.pause()
    admin.resume()
    admin.cancel(delayed)
    admin.retry(delayed, reset_attempts=True)
    admin.cancel(delayed)
    admin.retry_all(JobState.FAILED)
    admin.promote_all()
    admin.set_concurrency(1)
    admin.set_concurrency(None)
    admin.set_rate_limit(1, LEASE)
    admin.set_rate_limit(None)
    admin.cancel(delayed)
    store.clock.advance(10)
    admin.clean(timedelta(0), 10, JobState.FAILED)
    admin.remove(store.add(new_job()))
    store.add(new_job())
    admin.drain(delayed=True)
    admin.pause()
    admin.obliterate(force=True)


def refused(*calls):
    for call in calls:
        with pytest.raises(QueueError, match=REFUSED):
            call()


def test_viewer_watches_everything_and_changes_nothing(as_role):
    submit(as_role(WORKER))
    store = as_role(VIEWER)
    watch(store)
    refused(
        lambda: store.add(new_job()),
        lambda: store.claim("t", LEASE),
        lambda: store.command("DEL", store.keys.wait),
    )


def test_submitter_adds_and_watches_but_cannot_run(as_role):
    store = as_role(SUBMITTER)
    submit(store)
    watch(store)
    refused(lambda: store.claim("t", LEASE), lambda: store.command("FLUSHALL"))


def test_worker_runs_jobs_but_touches_no_other_queue(as_role):
    store = as_role(WORKER)
    submit(store)
    work(store)
    assert "completed" in names(store)
    watch(store)
    other = JobStore(store.redis, "another")
    refused(
        lambda: other.add(new_job()),
        lambda: store.command("CONFIG", "GET", "*"),
    )


def test_operator_administers_the_queue(as_role):
    store = as_role(OPERATOR)
    operate(store)
    watch(store)
    assert sum(store.counts().values()) == 0
    refused(lambda: store.command("FLUSHALL"), lambda: store.command("KEYS", "*"))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_role_has_a_command_it_does_not_use(as_role, own_redis_server, role):
    with own_redis_server.client() as admin:
        if role is VIEWER:
            submit(as_role(WORKER))
        store = as_role(role)
        if role is WORKER:
            every = {"every": LEASE, "template": NewJob(name="c")}
            JobSchedulers(as_role(OPERATOR)).upsert("s", **every)
        admin.config_resetstat()
        for part in {
            VIEWER: (watch,),
            SUBMITTER: (submit, watch),
            WORKER: (submit, work, watch),
            OPERATOR: (submit, work, operate, watch),
        }[role]:
            part(store)
        used = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    assert set(role.commands) - GREETINGS <= used
