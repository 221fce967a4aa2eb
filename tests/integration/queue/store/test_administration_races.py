"""Administration raced with workers: every invariant of the queue still holds.

I1 a job that was added ends in exactly one state; I2 an attempt ends at most once;
I3 no two leases on a job at one time; I4 an id is in exactly one state, and no key is
left without its job.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from myia_sdk.errors import MyiaError
from myia_sdk.queue.jobs import Deduplication, JobOptions, JobState, NewJob
from myia_sdk.queue.store import JobSchedulers, JobStore, QueueAdministration
from myia_sdk.queue.store import administration as module
from tests.helpers.queue_probe import Clock

LEASE = timedelta(minutes=30)
WORKERS, ADMINISTRATORS = 4, 2
STEPS = 80
WAYS = ("complete", "fail", "retry", "later", "back")
STATES = ("completed", "failed", "delayed", "waiting-children", "prioritized")
LISTS = ("wait", "paused", "active")
PARTS = ("lock", "logs", "dependencies", "processed", "failed", "unsuccessful")


class Ledger:
    """What happened, kept outside the queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.added: set[str] = set()
        self.removed: set[str] = set()
        self.held: dict[str, str] = {}
        self.ends: Counter[tuple[str, str]] = Counter()
        self.obliterated = 0

    def claimed(self, job_id: str, token: str) -> None:
        with self._lock:
            other = self.held.setdefault(job_id, token)
            assert other == token, f"{job_id} is leased to {other} and {token}"

    def let_go(self, job_id: str) -> None:
        with self._lock:
            self.held.pop(job_id, None)

    def ended(self, job_id: str, token: str) -> None:
        with self._lock:
            self.ends[job_id, token] += 1


def end(store, way, job_id, token):
    match way:
        case "complete":
            store.complete(job_id, token, 1)
        case "fail":
            store.fail(job_id, token, "boom happened", "trace")
        case "retry":
            store.retry_now(job_id, token, "boom", "trace")
        case "later":
            store.retry_later(job_id, token, timedelta(milliseconds=3), "boom")
        case "back":
            store.put_back(job_id, token)


def work(store, ledger, seed):
    """Claim and end jobs, in every way a worker can."""
    draw = random.Random(seed)
    for step in range(STEPS):
        token = f"myia:{seed}:{step}"
        job = store.claim(token, LEASE).job
        if job is None:
            continue
        ledger.claimed(job.id, token)
        # From here to the script's end the job is ours; then it may be another's.
        way = draw.choices(WAYS, [6, 3, 1, 1, 1])[0]
        ledger.let_go(job.id)
        try:
            end(store, way, job.id, token)
        except MyiaError:
            assert ledger.obliterated, (way, job.id)
        else:
            ledger.ended(job.id, token)


def administer(store, ledger, seed, *, silently):
    """Add jobs and do to them what people do; `silently` also without a trace."""
    draw = random.Random(seed)
    administration = QueueAdministration(store)

    def any_job():
        return draw.choice(sorted(ledger.added)) if ledger.added else "nothing"

    def add():
        for _ in range(draw.randrange(1, 6)):
            options = JobOptions(
                attempts=draw.choice([1, 3]),
                priority=draw.choice([0, 0, 2]),
                delay=timedelta(milliseconds=draw.choice([0, 0, 20, 10**7])),
                deduplication=draw.choice(
                    [None] * 5 + [Deduplication(id=f"d{draw.randrange(3)}")]
                ),
            )
            labels = {"model": draw.choice("ab"), "tags": "x,y"}
            job = NewJob(name="t", data=seed, options=options, labels=labels)
            ledger.added.add(store.add(job))

    def clean():
        state = draw.choice(list(JobState))
        ledger.removed.update(administration.clean(timedelta(0), None, state))

    def drain():
        if silently:
            administration.drain(delayed=True)

    def obliterate():
        if silently:
            ledger.obliterated += 1
            administration.obliterate(force=True)

    operations = [
        (add, 30),
        (administration.pause, 3),
        (administration.resume, 6),
        (administration.retry_all, 3),
        (lambda: administration.retry_all(JobState.COMPLETED), 1),
        (administration.promote_all, 3),
        (clean, 2),
        (drain, 1),
        (lambda: administration.remove(any_job()), 4),
        (lambda: administration.retry(any_job()), 4),
        (lambda: administration.promote(any_job()), 4),
        (lambda: administration.cancel(any_job()), 2),
        (lambda: administration.change_priority(any_job(), draw.choice([0, 4])), 4),
        (lambda: administration.change_delay(any_job(), timedelta(0)), 2),
        (lambda: administration.set_concurrency(draw.choice([None, 2])), 2),
        (obliterate, 1),
    ]
    for _ in range(STEPS):
        operation = draw.choices(*zip(*operations, strict=True))[0]
        with contextlib.suppress(MyiaError):  # refused, as for people
            operation()


def check_books(store):
    """I4, and nothing of a job that is gone."""
    redis, base = store.redis, store.keys.base
    members = Counter()
    for name in STATES:
        members.update(redis.zrange(base + name, 0, -1))
    for name in LISTS:
        members.update(redis.lrange(base + name, 0, -1))
    assert [one for one, count in members.items() if count > 1] == []
    hashes = {
        key.removeprefix(base)
        for key in redis.scan_iter(f"{base}*", count=10_000, _type="hash")
    }
    jobs = {one for one in hashes if one != "meta" and not one.startswith("metrics:")}
    assert jobs == set(members)
    parts = {
        key
        for part in PARTS
        for key in redis.scan_iter(f"{base}*:{part}", count=10_000)
        if not key.startswith(f"{base}metrics:")
    }
    assert {
        key for key in parts if key.removeprefix(base).split(":")[0] not in jobs
    } == (set())
    for key in redis.scan_iter(store.keys.sdk("index", "*"), count=10_000):
        assert set(redis.zrange(key, 0, -1)) <= jobs, key
    for key in redis.scan_iter(f"{base}de:*", count=10_000):
        assert redis.get(key) in jobs, key


@pytest.mark.parametrize("seed", [11, "random"])
@pytest.mark.parametrize("silently", [False, True])
def test_races_keep_every_invariant(
    redis_server, queue_name, monkeypatch, seed, silently
):
    # Small batches: more places for others to come in between.
    for name in ("BATCH", "DELETE_BATCH", "MOVE_BATCH"):
        monkeypatch.setattr(module, name, 2)
    if seed == "random":
        seed = random.randrange(10**6)
    print(f"seed {seed}")
    ledger = Ledger()
    clients = [redis_server.client() for _ in range(WORKERS + ADMINISTRATORS + 1)]
    *stores, observer = (JobStore(client, queue_name) for client in clients)
    with ThreadPoolExecutor(len(stores)) as pool:
        done = [
            *(
                pool.submit(work, store, ledger, seed * 100 + n)
                for n, store in enumerate(stores[:WORKERS])
            ),
            *(
                pool.submit(
                    administer,
                    store,
                    ledger,
                    seed * 100 + 50 + n,
                    silently=silently,
                )
                for n, store in enumerate(stores[WORKERS:])
            ),
        ]
        for one in done:
            one.result(timeout=250)
    check_books(observer)
    administration = QueueAdministration(observer)
    administration.set_concurrency(None)
    administration.resume()
    administration.promote_all()
    while (job := observer.claim("myia:last", LEASE).job) is not None:
        observer.complete(job.id, "myia:last", None)
    check_books(observer)
    left = observer.counts()
    unfinished = {state for state in left if left[state]} - {
        JobState.COMPLETED,
        JobState.FAILED,
    }
    assert unfinished == set()
    assert max(ledger.ends.values(), default=1) == 1
    if not silently:
        # Gone are only those that an event or the answer of clean tells of.
        gone = {one for one in ledger.added if observer.job(one) is None}
        told = {fields["jobId"] for fields in removed_events(observer)}
        assert gone <= ledger.removed | told
    for client in clients:
        client.close()


def removed_events(store):
    found = store.redis.xrange(store.keys.events)
    return [fields for _, fields in found if fields["event"] == "removed"]


def test_many_workers_make_one_run_a_tick(redis_server, queue_name):
    """F31: every worker asks for every tick, and all of them advance every run."""
    workers, ticks, every = 6, 150, timedelta(seconds=1)
    clock, start = Clock(), threading.Barrier(6)
    clients = [redis_server.client() for _ in range(workers)]
    stores = [JobStore(client, queue_name, clock=clock) for client in clients]
    template = NewJob(name="tick")
    JobSchedulers(stores[0]).upsert("s", every=every, template=template)
    runs: list[str] = []
    draw = random.Random(7)
    restarts = [draw.random() < 0.1 for _ in range(ticks)]

    def run(number):
        store, schedulers = stores[number], JobSchedulers(stores[number])
        for tick in range(ticks):
            start.wait(120)
            if number == 1 and restarts[tick]:
                schedulers.upsert("s", every=every, template=template)
            job = store.claim(f"myia:{number}:{tick}", LEASE).job
            if job is not None:
                runs.append(job.id)
                schedulers.advance(job)
                schedulers.advance(job)
                store.complete(job.id, f"myia:{number}:{tick}", None)
            if start.wait(120) == 0:
                clock.advance(1000)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, range(workers)))
    first = int(runs[0].rpartition(":")[2])
    expected = {f"repeat:s:{first + 1000 * tick}" for tick in range(ticks)}
    assert sorted(runs) == sorted(expected)
    assert stores[0].counts()[JobState.DELAYED] == 1
    for client in clients:
        client.close()
