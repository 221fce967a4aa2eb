"""Job schedulers shared with BullMQ: one run a tick, whoever runs it."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import timedelta

import pytest

from myia_sdk.queue.jobs import JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobSchedulers
from tests.interop.conftest import LEASE, until
from tests.interop.snapshot import events, snapshot

pytestmark = pytest.mark.node

#: Short, so that a busy machine misses ticks too.
EVERY_MS = 60
#: Seldom, so that no tick lies between two questions for the next one.
YEARLY = "15 4 29 2 *"


@pytest.fixture
def schedulers(store):
    return JobSchedulers(store)


def template(**over):
    return NewJob(**{"name": "report", "data": {"x": 1}, **over})


def test_node_reads_our_schedulers(schedulers, node, queue_name):
    schedulers.upsert(
        "nightly",
        pattern="0 3 * * *",
        tz="Europe/Paris",
        limit=5,
        template=template(options=JobOptions(attempts=2, priority=3)),
    )
    schedulers.upsert("often", every=timedelta(hours=1), template=template())
    found = {one["key"]: one for one in node.queue(queue_name, "getJobSchedulers")}
    nightly = found["nightly"]
    ours = schedulers.get("nightly")
    assert nightly["pattern"] == "0 3 * * *"
    assert nightly["tz"] == "Europe/Paris"
    assert nightly["limit"] == 5
    assert nightly["next"] == ours.next_run_at.timestamp() * 1000
    assert nightly["template"]["data"] == {"x": 1}
    assert nightly["template"]["opts"]["priority"] == 3
    assert found["often"]["every"] == 3_600_000
    assert node.queue(queue_name, "removeJobScheduler", "nightly") is True
    assert schedulers.get("nightly") is None
    assert len(schedulers.list()) == 1


def test_we_read_nodes_schedulers(schedulers, node, queue_name, store):
    made = node.queue(
        queue_name,
        "upsertJobScheduler",
        "s",
        {"pattern": YEARLY, "tz": "Asia/Tokyo", "limit": 3},
        {"name": "t", "data": {"y": 2}, "opts": {"priority": 2}},
    )
    scheduler = schedulers.get("s")
    assert scheduler.next_run_id == made["id"]
    assert scheduler.timetable.pattern == YEARLY
    assert scheduler.timetable.tz == "Asia/Tokyo"
    assert scheduler.timetable.limit == 3
    assert (scheduler.data, scheduler.options.priority) == ({"y": 2}, 2)
    mine = schedulers.upsert(
        "mine", pattern=YEARLY, tz="Asia/Tokyo", template=template()
    )
    assert mine.next_run_at == scheduler.next_run_at
    assert schedulers.remove("s")
    assert node.queue(queue_name, "getJobSchedulersCount") == 1
    assert store.job(made["id"]) is None


@pytest.mark.parametrize("over", [{}, {"limit": 4}, {"offset": 1_800_000}])
def test_both_make_the_same_scheduler_and_runs(
    store, schedulers, node5, redis_client, queue_name, over
):
    """Upsert, claim, make the next run: all keys alike, moments masked."""
    theirs = f"{queue_name}b"
    offset = {name: timedelta(milliseconds=value) for name, value in over.items()}
    given = offset if "offset" in over else over
    schedulers.upsert("s", every=timedelta(hours=1), template=template(), **given)
    node5.queue(
        theirs,
        "upsertJobScheduler",
        "s",
        {"every": 3_600_000, **over},
        {"name": "report", "data": {"x": 1}, "opts": {}},
    )
    assert _masked(redis_client, queue_name) == _masked(redis_client, theirs)
    if "offset" in over:
        return
    schedulers.advance(store.claim("t", LEASE).job)
    node5("claim", queue=theirs, token="t")
    mine, bulls = (_masked(redis_client, queue) for queue in (queue_name, theirs))
    assert mine == bulls


def _masked(redis, queue):
    found = snapshot(redis, queue) | {"events": events(redis, queue)}
    # Written by the constructor of Node's queue, and popped by its worker.
    del found["meta"], found["marker"]
    definition = found["repeat:s"]
    definition["offset"] = "a moment"
    runs = {key: run for key, run in found.items() if _is_run(key)}
    for value in runs.values():
        value["opts"] = {
            name: part
            for name, part in value["opts"].items()
            if name not in {"prevMillis", "delay"}
        }
        value.pop("delay", None)
    text = json.dumps(found, sort_keys=True)
    for number, run in enumerate(sorted(runs)):
        text = text.replace(run, f"run {number}")
    return json.loads(text)


def _is_run(key):
    return key.startswith("repeat:s:") and not key.endswith(":lock")


def run_ours(store, schedulers, ran):
    job = store.claim("myia:t", LEASE).job
    if job is not None:
        assert job.scheduler_id is not None
        schedulers.advance(job)
        store.complete(job.id, "myia:t", None)
        ran.append(job.id)


@pytest.mark.parametrize("maker", ["us", "node"])
def test_a_mix_of_workers_runs_every_tick_once(
    store, schedulers, node5, node6, queue_name, maker
):
    every = timedelta(milliseconds=EVERY_MS)
    if maker == "us":
        schedulers.upsert("s", every=every, template=template())
    else:
        node5.queue(
            queue_name,
            "upsertJobScheduler",
            "s",
            {"every": EVERY_MS},
            {"name": "report", "data": {}},
        )
    for client in (node5, node6):
        client("worker", key=queue_name, queue=queue_name)
    ours = []

    def everybody_ran():
        run_ours(store, schedulers, ours)
        seen = [client("workerSeen", key=queue_name) for client in (node5, node6)]
        return len(ours) >= 3 and any(len(one) >= 3 for one in seen) and seen

    seen = until(everybody_ran)
    for client in (node5, node6):
        client("workerStop", key=queue_name)
    schedulers.remove("s")
    runs = ours + [run["id"] for one in seen for run in one]
    assert max(Counter(runs).values()) == 1
    ticks = sorted(int(run.rpartition(":")[2]) for run in runs)
    assert all((tick - ticks[0]) % EVERY_MS == 0 for tick in ticks)
    # Whatever is left of the schedule is one pending run, or none.
    assert store.counts()[JobState.DELAYED] == 0


def test_a_cron_tick_runs_once_on_either_side(store, schedulers, node5, queue_name):
    schedulers.upsert("s", pattern="* * * * * *", template=template())
    first = until(lambda: store.claim("myia:t", LEASE).job)
    following = schedulers.advance(first)
    node5("worker", key=queue_name, queue=queue_name)
    until(lambda: node5("workerSeen", key=queue_name))
    node5("workerStop", key=queue_name)
    schedulers.remove("s")
    assert node5.name
    seen = {job.id for job in store.page(JobState.COMPLETED)}
    assert following in seen
    assert int(following.rpartition(":")[2]) % 1000 == 0


def test_a_late_tick_of_node_is_caught_up_once(store, schedulers, node5, queue_name):
    node5.queue(
        queue_name, "upsertJobScheduler", "s", {"every": 300}, {"name": "t", "data": {}}
    )
    time.sleep(1)
    ours = []
    before = store.clock()
    run_ours(store, schedulers, ours)
    assert len(ours) == 1
    assert schedulers.get("s").next_run_at.timestamp() * 1000 >= before
    assert sum(store.counts().values()) == 2
