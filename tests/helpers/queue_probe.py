"""What tests of the queue look at: its keys as they are, and a clock they own."""

from __future__ import annotations

from datetime import timedelta

from myia_sdk.queue.jobs import JobOptions, NewJob
from myia_sdk.queue.store import JobStore

#: Longer than a busy machine may need for any test.
LEASE = timedelta(minutes=10)


class Clock:
    """Epoch milliseconds that stand still until a test moves them."""

    def __init__(self, now: int = 1_795_456_420_257) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, ms: int) -> int:
        self.now += ms
        return self.now


def new_job(data: object = None, **options: object) -> NewJob:
    return NewJob(
        name="certify",
        data={"model": "a"} if data is None else data,
        options=JobOptions(**options),
    )


def events(store: JobStore) -> list[dict[str, str]]:
    """All events kept, oldest first, as flat records."""
    return [entry for _, entry in store.redis.xrange(store.keys.events)]


def names(store: JobStore) -> list[str]:
    return [event["event"] for event in events(store)]


def hash_of(store: JobStore, job_id: str) -> dict[str, str]:
    return store.redis.hgetall(store.keys.job(job_id))


def claimed(store: JobStore, token: str = "token") -> str:
    """Claim the next job, which must exist, and return its id."""
    job = store.claim(token, LEASE).job
    assert job is not None
    return job.id


def all_keys(store: JobStore) -> set[str]:
    start = store.keys.base
    found = store.redis.scan_iter(f"{start}*", count=10_000)
    return {key.removeprefix(start) for key in found}


def wake_up(store: JobStore) -> dict[str, float]:
    """Members of the marker, with their scores."""
    return dict(store.redis.zrange(store.keys.marker, 0, -1, withscores=True))
