"""How long 100,000 jobs take to become a frame, beside other ways of reading them.

Run ``python -m tests.benchmarks.frames [--jobs N] [--repeat R]``. It starts a server of
its own. Every way reads the same finished jobs; of the first three, which are taken in
turns, the best of R runs counts, of the others one run.

* ``bare``: the pipelined HMGET of the same fields, with nothing done to the replies.
  It is what the fields of so many jobs cost at least, and what the ratio refers to.
* ``frame``: what ``client.jobs(limit=None)`` does.
* ``one state``: the same for completed jobs only, which need not be sorted.
* ``bullmq way``: what ``Queue.getJobs`` of BullMQ does, here in Python: page after page
  of 1,000 ids, and HGETALL of each job, all in flight at once; then a frame of records.
* ``rq way``: RQ's own ``Job.fetch_many`` (if RQ is installed) on RQ jobs with the
  same data; RQ reads whole hashes, results included, and makes an object of each.
* ``one by one``: HGETALL of one job after the other, a frequent notebook habit.
  Only a tenth of the jobs is read, the time is multiplied.
"""

from __future__ import annotations

import argparse
import gc
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from myia_sdk.client.query import JobQuery, read_jobs
from myia_sdk.frames import fields_of, jobs_frame
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.store import JobStore
from tests.conftest import RedisServer, free_port

START_MS = 1_795_456_420_257
PAGE = 1_000
LIMIT = 1.5


@contextmanager
def running_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), free_port(), secrets.token_hex(8))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def job_hash(number: int) -> dict[str, str | int]:
    created = START_MS + number
    report = {"verdict": "certified", "checks": [{"id": f"c{i}"} for i in range(20)]}
    return {
        "name": "certify",
        "data": json.dumps({"model": {"name": f"model-{number % 50}"}, "suite": "s"}),
        "opts": '{"attempts":4,"backoff":{"type":"exponential","delay":1000}}',
        "timestamp": created, "delay": 0, "priority": 0, "processedOn": created + 500,
        "pb": "host-1:4711", "ats": 1, "atm": 1, "finishedOn": created + 900,
        "progress": '{"percent":100,"done":20,"total":20}',
        "returnvalue": json.dumps(report), "label:model": f"model-{number % 50}",
        "label:suite": "classifier-baseline", "label:region": "eu-west-1",
        "label:submitter": "ana", "label:verdict": "certified",
        "label:score": "93.25", "label:rating": "A",
    }  # fmt: skip


def fill(client: redis.Redis, store: JobStore, count: int) -> list[str]:
    """Write finished jobs as our worker leaves them, without running them."""
    ids = [f"job-{number:08d}" for number in range(count)]
    for start in range(0, count, PAGE):
        with client.pipeline(transaction=False) as pipe:
            for number, job_id in enumerate(ids[start : start + PAGE], start):
                pipe.hset(store.keys.job(job_id), mapping=job_hash(number))
                pipe.zadd(store.keys.completed, {job_id: START_MS + number + 900})
            pipe.execute()
    return ids


def bare(client: redis.Redis, store: JobStore, ids: list[str]) -> int:
    """Read the same fields, keep the replies, do nothing with them."""
    fields, base, kept = fields_of(), store.keys.base, []
    for start in range(0, len(ids), PAGE):
        with client.pipeline(transaction=False) as pipe:
            for job_id in ids[start : start + PAGE]:
                pipe.hmget(base + job_id, *fields)
            kept += pipe.execute()
    return len(kept)


def bullmq_way(client: redis.Redis, store: JobStore, ids: list[str]) -> int:
    records = []
    for start in range(0, len(ids), PAGE):
        page = client.zrange(store.keys.completed, start, start + PAGE - 1, desc=True)
        with client.pipeline(transaction=False) as pipe:
            for job_id in page:
                pipe.hgetall(store.keys.base + job_id)
            rows = pipe.execute()
        records += [
            Job.from_hash(job_id, row, JobState.COMPLETED)
            for job_id, row in zip(page, rows, strict=True)
        ]
    return len(jobs_frame(records))


def one_by_one(client: redis.Redis, store: JobStore, ids: list[str]) -> int:
    records = [
        Job.from_hash(
            job_id, client.hgetall(store.keys.job(job_id)), JobState.COMPLETED
        )
        for job_id in ids
    ]
    return len(jobs_frame(records))


def rq_way(server: RedisServer, count: int) -> Callable[[], int] | None:
    """Fill an RQ queue with finished jobs and return the reading of them."""
    try:
        from rq.job import Job as RqJob
    except ImportError:
        return None
    client = redis.Redis.from_url(server.url)
    ids = [f"rq-{number:08d}" for number in range(count)]
    for start in range(0, count, PAGE):
        with client.pipeline(transaction=False) as pipe:
            for number, job_id in enumerate(ids[start : start + PAGE], start):
                job = RqJob.create(
                    "certify.run",
                    args=(job_hash(number)["data"],),
                    id=job_id,
                    connection=client,
                )
                job.save(pipeline=pipe)
            pipe.execute()

    def read() -> int:
        import pandas as pd

        jobs = [
            job
            for start in range(0, count, PAGE)
            for job in RqJob.fetch_many(ids[start : start + PAGE], connection=client)
        ]
        frame = pd.DataFrame(
            {
                "id": [job.id for job in jobs],
                "created_at": [job.created_at for job in jobs],
                "ended_at": [job.ended_at for job in jobs],
                "status": [job.get_status(refresh=False) for job in jobs],
            }
        )
        return len(frame)

    return read


def seconds(work: Callable[[], int], expected: int) -> float:
    gc.collect()
    started = time.perf_counter()
    found = work()
    taken = time.perf_counter() - started
    if found != expected:
        message = f"{found:,} jobs came back, not {expected:,}"
        raise SystemExit(message)
    return taken


def measure(count: int, repeat: int) -> dict[str, float]:
    with running_server() as server, server.client() as client:
        store = JobStore(client, "bench")
        ids = fill(client, store, count)
        everything = JobQuery()
        completed = JobQuery(states=(JobState.COMPLETED,))
        some = ids[: max(1, count // 10)]

        def frame_of(query: JobQuery) -> int:
            return len(read_jobs(store, query, limit=None, progress=False))

        # Taken in turns, so that a busy minute of the machine meets all of them.
        ways = {
            "bare": lambda: bare(client, store, ids),
            "frame": lambda: frame_of(everything),
            "one state": lambda: frame_of(completed),
        }
        rounds = [
            {way: seconds(work, count) for way, work in ways.items()}
            for _ in range(repeat)
        ]
        results = {way: min(times[way] for times in rounds) for way in ways}
        results["bullmq way"] = seconds(lambda: bullmq_way(client, store, ids), count)
        first = seconds(lambda: one_by_one(client, store, some), len(some))
        results["one by one"] = first * count / len(some)
        read_rq = rq_way(server, count)
        if read_rq is not None:
            results["rq way"] = seconds(read_rq, count)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    results = measure(options.jobs, options.repeat)
    print(f"{options.jobs:,} finished jobs, {len(fields_of())} fields of each")
    print(f"{'way':<12}{'seconds':>9}{'jobs/s':>12}{'ratio':>8}")
    for way, taken in results.items():
        rate, ratio = options.jobs / taken, taken / results["bare"]
        print(f"{way:<12}{taken:>9.2f}{rate:>12,.0f}{ratio:>8.2f}")
    ratio = results["frame"] / results["bare"]
    verdict = "within" if ratio <= LIMIT else "ABOVE"
    print(f"A frame takes {ratio:.2f} times the bare read: {verdict} {LIMIT}.")


if __name__ == "__main__":
    main()
