"""The same random operations through our store and through BullMQ 5.81.5.

After every operation both queues hold the same keys, hashes and events, moments
masked. Known differences, all deliberate, are kept out of the sequences: we return
retried and promoted jobs to the class of their priority, BullMQ 5 does not; raising
the global concurrency wakes our workers at once.
"""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta

import pytest

from myia_sdk.errors import MyiaError
from myia_sdk.queue.jobs import (
    Backoff,
    Deduplication,
    JobOptions,
    JobState,
    NewJob,
    Retention,
)
from myia_sdk.queue.store import JobStore, QueueAdministration
from tests.interop.conftest import LEASE, ForeignError
from tests.interop.snapshot import events, snapshot

pytestmark = pytest.mark.node

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
STEPS = 80
#: The same ones each time; TEST_SEED adds another.
SEEDS = [1, 2, 3, 4, int(os.environ.get("TEST_SEED", "5"))]
REFUSED = "refused"


class Ours:
    """A queue driven through JobStore and QueueAdministration."""

    def __init__(self, redis, queue):
        self.store = JobStore(redis, queue, metrics_points=0)
        self.administration = QueueAdministration(self.store)

    def add(self, job_id, data, options):
        backoff = options.get("backoff")
        once = options.get("deduplication")
        return self.store.add(
            NewJob(
                name="t",
                data=data,
                options=JobOptions(
                    job_id=job_id,
                    attempts=options["attempts"],
                    priority=options.get("priority", 0),
                    lifo=options.get("lifo", False),
                    delay=timedelta(milliseconds=options.get("delay", 0)),
                    backoff=backoff
                    and Backoff(
                        type=backoff["type"],
                        delay=timedelta(milliseconds=backoff["delay"]),
                    ),
                    remove_on_complete=Retention.from_record(
                        options.get("removeOnComplete")
                    ),
                    remove_on_fail=Retention.from_record(options.get("removeOnFail")),
                    deduplication=once and Deduplication.from_record(once),
                ),
            )
        )

    def claim(self, token):
        job = self.store.claim(token, LEASE).job
        if job is None or job.deferred_failure is None:
            return job and job.id
        trace = f"UnrecoverableError: {job.deferred_failure}"
        self.store.fail(job.id, token, job.deferred_failure, trace)
        return self.claim(token)

    def complete(self, job_id, token, value):
        self.store.complete(job_id, token, value)

    def fail(self, job_id, token, reason, *, final):
        job = self.store.job(job_id)
        trace = f"Error: {reason}"
        made = job.attempts_made + 1
        if final or made >= job.max_attempts:
            self.store.fail(job_id, token, reason, trace)
        elif job.options.backoff is None:
            self.store.retry_now(job_id, token, reason, trace)
        else:
            delay = job.options.backoff.delay_for(made)
            self.store.retry_later(job_id, token, delay, reason, trace)

    def progress(self, job_id, value):
        self.store.progress(job_id, value)

    def log(self, job_id, line):
        return self.store.log(job_id, line)

    def stalled_check(self):
        self.store.check_stalled(LEASE)

    def clean(self, state, limit):
        state = JobState.WAITING if state == "wait" else JobState(state)
        return sorted(self.administration.clean(timedelta(0), limit, state))

    def __getattr__(self, name):
        return getattr(self.administration, name)

    def change_delay(self, job_id, delay_ms):
        self.administration.change_delay(job_id, timedelta(milliseconds=delay_ms))

    def retry(self, job_id, state, reset):
        if self.store.state(job_id) != state:
            raise MyiaError
        self.administration.retry(job_id, reset_attempts=reset)

    def change_priority(self, job_id, priority, lifo):
        self.administration.change_priority(job_id, priority, lifo=lifo)

    def retry_all(self, state):
        self.administration.retry_all(JobState(state))

    def promote_all(self):
        self.administration.promote_all()

    def drain(self, delayed):
        self.administration.drain(delayed=delayed)

    def obliterate(self, force):
        self.administration.obliterate(force=force)


class Bull:
    """A queue driven through BullMQ for Node."""

    def __init__(self, node, queue, redis):
        self.node, self.queue, self.redis = node, queue, redis

    def _queue(self, method, *args):
        return self.node.queue(self.queue, method, *args)

    def _job(self, job_id, method, *args):
        return self.node.job(self.queue, job_id, method, *args)

    def add(self, job_id, data, options):
        return self._queue("add", "t", data, {**options, "jobId": job_id})["id"]

    def claim(self, token):
        job = self.node("claim", queue=self.queue, token=token)
        return job and job["id"]

    def complete(self, job_id, token, value):
        arguments = {"queue": self.queue, "id": job_id, "token": token, "value": value}
        self.node("finish", outcome="completed", **arguments)

    def fail(self, job_id, token, reason, *, final):
        arguments = {"queue": self.queue, "id": job_id, "token": token, "value": reason}
        self.node("finish", outcome="failed", unrecoverable=final, **arguments)

    def progress(self, job_id, value):
        self._job(job_id, "updateProgress", value)

    def log(self, job_id, line):
        return self._job(job_id, "log", line)

    def stalled_check(self):
        self.node("stalledCheck", queue=self.queue)

    def pause(self):
        self._queue("pause")

    def resume(self):
        self._queue("resume")

    def promote(self, job_id):
        self._job(job_id, "promote")

    def retry(self, job_id, state, reset):
        options = {"resetAttemptsMade": reset, "resetAttemptsStarted": reset}
        self._job(job_id, "retry", state, options)

    def remove(self, job_id):
        self._job(job_id, "remove")

    def update_data(self, job_id, data):
        self._job(job_id, "updateData", data)

    def change_delay(self, job_id, delay_ms):
        self._job(job_id, "changeDelay", delay_ms)

    def change_priority(self, job_id, priority, lifo):
        self._job(job_id, "changePriority", {"priority": priority, "lifo": lifo})

    def retry_all(self, state):
        self._queue("retryJobs", {"state": state})

    def promote_all(self):
        self._queue("promoteJobs")

    def clean(self, state, limit):
        ids = self._queue("clean", 0, limit or 0, state)
        if state == "wait" and self.redis.exists(f"myia:{self.queue}:paused"):
            left = (limit or 0) - len(ids) if limit else 0
            if not limit or left > 0:
                ids += self._queue("clean", 0, left, "paused")
        return sorted(ids)

    def drain(self, delayed):
        self._queue("drain", delayed)

    def obliterate(self, force):
        if not force and self.redis.exists(f"myia:{self.queue}:active"):
            raise ForeignError("checked by us before the pause")
        self._queue("obliterate", {"force": force})

    def set_concurrency(self, maximum):
        if maximum is None:
            self._queue("removeGlobalConcurrency")
        else:
            self._queue("setGlobalConcurrency", maximum)


class Twins:
    """Both queues, driven by the same random choices."""

    def __init__(self, seed, ours, bull, redis):
        self.random = random.Random(seed)
        self.ours, self.bull, self.redis = ours, bull, redis
        self.names = (ours.store.queue, bull.queue)
        self.count = 0
        self.running = {}
        self.lost = []
        self.trace = []

    def both(self, method, *args, **kwargs):
        self.trace.append((method, args, kwargs))
        answers = []
        for side in (self.ours, self.bull):
            # Moments must differ between operations as they do between the sides.
            time.sleep(0.0015)
            try:
                answers.append(getattr(side, method)(*args, **kwargs))
            except (MyiaError, ForeignError) as error:
                self.trace[-1] += (f"{type(side).__name__}: {error}",)
                answers.append(REFUSED)
        assert answers[0] == answers[1], (method, args, answers)
        return answers[0]

    def ids(self, state):
        keys = self.ours.store.keys
        if state in {"wait", "paused", "active"}:
            return self.redis.lrange(keys.base + state, 0, -1)
        return self.redis.zrange(keys.base + state, 0, -1)

    def any_job(self, *states):
        wanted = states or (
            *("wait", "paused", "active", "prioritized", "delayed"),
            *("completed", "failed"),
        )
        found = [one for state in wanted for one in self.ids(state)]
        return self.random.choice(sorted(found)) if found else "no-such-job"

    def has_priority(self, state):
        base = self.ours.store.keys.base
        fields = [self.redis.hget(base + one, "priority") for one in self.ids(state)]
        return any(field not in {None, "0"} for field in fields)

    def set_both(self, command, suffix, *args):
        for queue in self.names:
            getattr(self.redis, command)(f"myia:{queue}:{suffix}", *args)

    def step(self):
        operation = self.random.choices(*zip(*OPERATIONS, strict=True))[0]
        operation(self)
        if operation in {crash, set_concurrency}:
            self.set_both("delete", "marker")
        ours, bull = (snapshot(self.redis, name) for name in self.names)
        if operation is obliterate and "meta" not in ours:
            bull.pop("limiter", None)
        differ = {
            key: (ours.get(key), bull.get(key))
            for key in ours.keys() | bull.keys()
            if ours.get(key) != bull.get(key)
        }
        assert differ == {}, self.trace[-1]
        ours, bull = (events(self.redis, name) for name in self.names)
        assert ours[-6:] == bull[-6:], (self.trace[-1], ours[-6:], bull[-6:])


def due_ms(twins):
    """A delay of its own: however fast the sides are, jobs are due in one order.

    Those of failed attempts are shorter.
    """
    return (100 + len(twins.trace)) * HOUR_MS


def add(twins):
    draw = twins.random
    twins.count += 1
    options = {"attempts": draw.choice([1, 1, 2, 3])}
    if draw.random() < 0.25:
        options["priority"] = draw.choice([1, 2, 5])
    if draw.random() < 0.2:
        options["delay"] = due_ms(twins)
    if draw.random() < 0.15:
        options["lifo"] = True
    if draw.random() < 0.3:
        kind = draw.choice(["fixed", "exponential"])
        options["backoff"] = {"type": kind, "delay": HOUR_MS}
    if draw.random() < 0.15:
        options["removeOnComplete"] = draw.choice([True, 1, 2, {"count": 1}])
    if draw.random() < 0.15:
        options["removeOnFail"] = draw.choice([True, 1, {"age": 3600, "count": 2}])
    if draw.random() < 0.15:
        once = {"id": f"d{draw.randrange(2)}"}
        if draw.random() < 0.4:
            once["ttl"] = HOUR_MS
        if draw.random() < 0.3:
            once["replace"] = True
        options["deduplication"] = once
    number = twins.count if draw.random() < 0.95 else draw.randrange(1, twins.count + 1)
    twins.both("add", f"job-{number}", {"n": number, "text": "é"}, options)


def claim(twins):
    token = f"token-{len(twins.trace)}"
    job_id = twins.both("claim", token)
    if job_id:
        twins.running[job_id] = token


def end(twins):
    if not twins.running:
        return
    job_id = twins.random.choice(sorted(twins.running))
    token = twins.running.pop(job_id)
    if twins.random.random() < 0.5:
        value = twins.random.choice([None, {"a": 1}, [1, 2.5], "text"])
        twins.both("complete", job_id, token, value)
    else:
        final = twins.random.random() < 0.2
        twins.both("fail", job_id, token, "boom", final=final)


def end_too_late(twins):
    if twins.lost:
        assert twins.both("complete", *twins.lost.pop(), "late") == REFUSED


def report(twins):
    job_id = twins.any_job()
    twins.both("progress", job_id, twins.random.choice([42, {"step": "x"}, "half"]))
    if job_id != "no-such-job":
        twins.both("log", job_id, f"line {len(twins.trace)}")


def crash(twins):
    """The lease of a running job is gone; the check may find it."""
    if twins.running and twins.random.random() < 0.7:
        job_id = twins.random.choice(sorted(twins.running))
        twins.set_both("delete", f"{job_id}:lock")
        twins.lost.append((job_id, twins.running.pop(job_id)))
    # Twice: a check marks, the next one recovers. Never two jobs at once, whose order
    # would be that of a set.
    for _ in range(2):
        twins.set_both("delete", "stalled-check")
        twins.both("stalled_check")


def pause(twins):
    twins.both("pause")


def resume(twins):
    # BullMQ 5 forgets to wake workers when a queue that runs is resumed.
    if twins.ours.store.is_paused():
        twins.both("resume")


def remove(twins):
    job_id = twins.any_job()
    if twins.both("remove", job_id) != REFUSED:
        twins.running.pop(job_id, None)


def retry(twins):
    state = twins.random.choice(["failed", "completed"])
    job_id = twins.any_job(state, *(["wait"] if twins.random.random() < 0.1 else []))
    priority = twins.redis.hget(twins.ours.store.keys.base + job_id, "priority")
    if priority in {None, "0"}:
        twins.both("retry", job_id, state, twins.random.random() < 0.5)


def retry_all(twins):
    state = twins.random.choice(["failed", "completed"])
    if not twins.has_priority(state):
        twins.both("retry_all", state)


def promote(twins):
    twins.both("promote", twins.any_job(*twins.random.choice([["delayed"], []])))


def promote_all(twins):
    if not twins.has_priority("delayed"):
        twins.both("promote_all")


def clean(twins):
    states = ["completed", "failed", "wait", "delayed", "prioritized", "active"]
    state = twins.random.choice(states)
    # With a limit BullMQ looks only at so many running jobs, held or not.
    limit = None if state == "active" else twins.random.choice([None, 1, 2])
    twins.both("clean", state, limit)


def drain(twins):
    twins.both("drain", twins.random.random() < 0.5)


def change(twins):
    job_id = twins.any_job()
    twins.both("update_data", job_id, {"changed": len(twins.trace)})
    twins.both("change_delay", job_id, due_ms(twins))
    lifo = twins.random.random() < 0.3
    twins.both("change_priority", job_id, twins.random.choice([0, 0, 3]), lifo)


def set_concurrency(twins):
    twins.both("set_concurrency", twins.random.choice([None, None, 1, 2]))


def obliterate(twins):
    if twins.both("obliterate", twins.random.random() < 0.5) != REFUSED:
        twins.running.clear()
        # The queue of Node writes its meta only when it is made.
        twins.set_both("delete", "meta")


OPERATIONS = [
    (add, 24),
    (claim, 20),
    (end, 18),
    (end_too_late, 2),
    (report, 4),
    (crash, 4),
    (pause, 1),
    (resume, 4),
    (remove, 4),
    (retry, 4),
    (retry_all, 2),
    (promote, 4),
    (promote_all, 2),
    (clean, 3),
    (drain, 1),
    (change, 4),
    (set_concurrency, 2),
    (obliterate, 1),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_leave_the_same_queue(node5, redis_client, queue_name, seed):
    ours = Ours(redis_client, f"{queue_name}a")
    bull = Bull(node5, f"{queue_name}b", redis_client)
    twins = Twins(seed, ours, bull, redis_client)
    # Both sides know the queue from the start, as BullMQ's constructor has it.
    bull.pause()
    ours.pause()
    bull.resume()
    ours.resume()
    for queue in twins.names:
        redis_client.hset(f"myia:{queue}:meta", "opts.maxLenEvents", 10000)
        redis_client.hset(f"myia:{queue}:meta", "version", "any")
    try:
        for _ in range(STEPS):
            twins.step()
    except AssertionError:
        print(*twins.trace, sep="\n")
        raise
