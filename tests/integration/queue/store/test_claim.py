"""Consuming: claim, renew, progress, log, the stalled check, limits."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import (
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
)
from myia_sdk.queue.jobs import JobState, RateLimit
from myia_sdk.queue.store import JobStore
from tests.helpers.queue_probe import (
    LEASE,
    Clock,
    all_keys,
    claimed,
    events,
    hash_of,
    names,
    new_job,
    wake_up,
)

STALLED = "job stalled more than allowable limit"
INTERVAL = timedelta(minutes=5)


@pytest.fixture
def store(redis_client, queue_name):
    return JobStore(redis_client, queue_name, clock=Clock())


def lose_lease(store, job_id):
    store.redis.delete(store.keys.lock(job_id))


def check_stalled(store, **options):
    """The check runs at most once an interval: forget that it ran."""
    store.redis.delete(store.keys.stalled_check)
    return store.check_stalled(INTERVAL, **options)


def test_claim_moves_the_job_under_a_lease_and_tells_everybody(store):
    job_id = store.add(new_job({"n": 1}))
    claim = store.claim("secret", LEASE, "worker-1")
    assert claim.job.id == job_id
    assert claim.job.data == {"n": 1}
    assert claim.job.state is JobState.ACTIVE
    assert claim.job.attempts_started == 1
    assert store.redis.lrange(store.keys.active, 0, -1) == [job_id]
    assert store.redis.get(store.keys.lock(job_id)) == "secret"
    assert 500_000 < store.redis.pttl(store.keys.lock(job_id)) <= 600_000
    raw = hash_of(store, job_id)
    assert (raw["processedOn"], raw["pb"], raw["ats"]) == (
        str(store.clock()),
        "worker-1",
        "1",
    )
    assert events(store)[-1] == {"event": "active", "jobId": job_id, "prev": "waiting"}
    assert wake_up(store) == {"0": 0}


def test_claim_of_an_empty_queue_tells_when_the_next_job_is_due(store):
    job_id = store.add(new_job(delay=timedelta(milliseconds=1234)))
    store.redis.set(store.keys.pc, 7)
    claim = store.claim("t", LEASE)
    assert (claim.job, claim.next_due_at) == (None, store.clock() + 1234)
    assert store.state(job_id) is JobState.DELAYED
    assert not store.redis.exists(store.keys.pc)


def test_claim_promotes_due_jobs_first_in_order(store):
    ids = [store.add(new_job(delay=timedelta(milliseconds=n))) for n in (300, 100, 200)]
    urgent = store.add(new_job(delay=timedelta(milliseconds=50), priority=3))
    store.clock.advance(300)
    assert [claimed(store) for _ in range(4)] == [ids[1], ids[2], ids[0], urgent]
    assert hash_of(store, ids[0])["delay"] == "0"
    assert {"event": "waiting", "jobId": urgent, "prev": "delayed"} in events(store)


def test_a_claim_whose_answer_was_lost_gets_its_job_again(store):
    """redis-py sends it again; a second job would be nobody's for a whole lease."""
    ids = store.add_many([new_job(), new_job()])
    for _ in range(2):
        job = store.claim("one", LEASE, "worker-1").job
        assert (job.id, job.attempts_started) == (ids[0], 1)
    assert store.counts()[JobState.ACTIVE] == 1
    assert store.claim("two", LEASE, "worker-1").job.id == ids[1]
    assert store.claim("one", LEASE, "worker-1").job is None
    store.complete(ids[1], "two", None)
    assert store.claim("two", LEASE, "worker-1").job is None


def test_many_due_jobs_are_promoted_in_bounded_steps(store):
    store.add_many([new_job(delay=timedelta(milliseconds=1)) for _ in range(250)])
    store.clock.advance(10)
    claimed(store)
    assert store.counts()[JobState.DELAYED] == 150
    assert len([claimed(store) for _ in range(249)]) == 249


def test_id_without_a_hash_is_dropped_and_leaves_no_ghost(store, caplog):
    store.redis.rpush(store.keys.wait, "ghost", "0:1795456420257", "wait")
    job_id = store.add(new_job())
    store.redis.rpush(store.keys.wait, "gone")
    with caplog.at_level(logging.WARNING):
        claim = store.claim("t", LEASE)
    assert claim.job.id == job_id
    assert claim.dropped == 4
    assert "Dropped 4 ids" in caplog.text
    assert "ghost" not in all_keys(store)
    assert store.redis.lrange(store.keys.active, 0, -1) == [job_id]


def test_a_long_row_of_ghosts_is_passed_in_bounded_steps(store):
    job_id = store.add(new_job())
    store.redis.rpush(store.keys.wait, *(f"ghost-{n}" for n in range(1_200)))
    dropped = []
    for _ in range(2):
        store.redis.delete(store.keys.marker)
        claim = store.claim("t", LEASE)
        assert claim.job is None
        assert store.redis.exists(store.keys.marker), "nobody is told to come again"
        dropped.append(claim.dropped)
    assert dropped == [500, 500]
    claim = store.claim("t", LEASE)
    assert (claim.job.id, claim.dropped) == (job_id, 200)


def test_two_claims_never_give_the_same_job(store):
    ids = {store.add(new_job()) for _ in range(3)}
    assert {claimed(store, f"t{n}") for n in range(3)} == ids
    assert store.claim("t4", LEASE).job is None


def test_token_that_bullmq_treats_as_a_master_key_is_refused(store):
    for token in ("0", ""):
        with pytest.raises(InvalidJobError, match="token"):
            store.claim(token, LEASE)


def test_renewed_lease_lasts_and_lost_ones_are_named(store):
    mine, stolen, gone = (store.add(new_job()) for _ in range(3))
    for job_id in (mine, stolen, gone):
        claimed(store, f"token-{job_id}")
    store.redis.set(store.keys.lock(stolen), "thief")
    store.redis.pexpire(store.keys.lock(mine), 60_000)
    lose_lease(store, gone)
    store.redis.sadd(store.keys.stalled, mine)
    lost = store.renew({one: f"token-{one}" for one in (mine, stolen, gone)}, LEASE)
    assert lost == [stolen, gone]
    assert store.redis.pttl(store.keys.lock(mine)) > 60_000
    assert store.redis.get(store.keys.lock(stolen)) == "thief"
    assert not store.redis.sismember(store.keys.stalled, mine)
    assert store.renew({}, LEASE) == []


@pytest.mark.parametrize(
    "value", [42, 0.5, "half", True, {"percent": 40, "check": "é"}]
)
def test_progress_is_stored_and_announced_as_json(store, value):
    job_id = store.add(new_job())
    store.progress(job_id, value)
    assert store.job(job_id).progress == value
    assert events(store)[-1]["event"] == "progress"
    assert events(store)[-1]["data"] == hash_of(store, job_id)["progress"]


def test_progress_that_is_not_json_or_too_large_is_refused(store):
    job_id = store.add(new_job())
    for value in (float("nan"), object(), "x" * 20_000):
        with pytest.raises(InvalidJobError):
            store.progress(job_id, value)
    assert "progress" not in hash_of(store, job_id)
    with pytest.raises(JobNotFoundError):
        store.progress("nobody", 1)


def test_only_the_last_log_lines_are_kept(store):
    job_id = store.add(new_job())
    assert store.log(job_id, "one", 2) == 1
    assert store.log(job_id, ["two", "three"], 2) == 2
    assert store.logs(job_id) == (["two", "three"], 2)
    assert store.logs(job_id, 1, 1).lines == ["three"]
    assert store.log(job_id, [f"line {n}" for n in range(2500)]) == 2502
    assert store.log(job_id, "x" * 50_000) == 2503
    assert len(store.logs(job_id, -1).lines[0]) < 9_000
    with pytest.raises(JobNotFoundError):
        store.log("nobody", "line")
    assert store.logs("nobody") == ([], 0)


def test_put_back_job_is_next_and_costs_no_attempt(store):
    first, second = store.add(new_job()), store.add(new_job())
    assert claimed(store) == first
    store.put_back(first, "token")
    assert store.redis.lrange(store.keys.wait, 0, -1) == [second, first]
    assert store.job(first).attempts_made == 0
    assert events(store)[-1] == {"event": "waiting", "jobId": first, "prev": "active"}
    assert not store.redis.exists(store.keys.lock(first))


def test_put_back_prioritized_job_is_the_first_of_its_class(store):
    first, second = (store.add(new_job(priority=4)) for _ in range(2))
    claimed(store)
    store.put_back(first, "token")
    assert store.redis.zscore(store.keys.prioritized, first) == 4 * 2**32
    assert store.redis.zrange(store.keys.prioritized, 0, -1) == [first, second]


def test_explicit_delay_costs_no_attempt(store):
    job_id = store.add(new_job())
    claimed(store)
    until = datetime.fromtimestamp((store.clock() + 5_000) / 1000, UTC)
    store.delay(job_id, "token", until)
    job = store.job(job_id)
    assert (job.state, job.delay, job.attempts_made) == (
        JobState.DELAYED,
        timedelta(seconds=5),
        0,
    )
    assert job.failed_reason is None
    assert events(store)[-1]["delay"] == str(store.clock() + 5_000)


@pytest.mark.parametrize(
    "end",
    [
        lambda store, one, token: store.complete(one, token, None),
        lambda store, one, token: store.fail(one, token, "no", ""),
        lambda store, one, token: store.retry_now(one, token, "no", ""),
        lambda store, one, token: store.retry_later(one, token, LEASE, "no", ""),
        lambda store, one, token: store.put_back(one, token),
        lambda store, one, token: store.delay(one, token, datetime.now(UTC)),
    ],
    ids=["complete", "fail", "retry-now", "retry-later", "put-back", "delay"],
)
def test_end_without_the_lease_is_refused_and_changes_nothing(store, end):
    job_id = store.add(new_job())
    claimed(store, "mine")
    before = hash_of(store, job_id)
    with pytest.raises(LeaseLostError):
        end(store, job_id, "other")
    lose_lease(store, job_id)
    with pytest.raises(LeaseLostError):
        end(store, job_id, "mine")
    assert hash_of(store, job_id) == before
    assert store.state(job_id) is JobState.ACTIVE
    with pytest.raises(JobNotFoundError):
        end(store, "nobody", "mine")
    store.redis.set(store.keys.lock(job_id), "mine")
    store.redis.lrem(store.keys.active, 1, job_id)
    with pytest.raises(InvalidTransitionError):
        end(store, job_id, "mine")


def test_job_of_a_dead_worker_is_next_in_line_after_two_checks(store):
    first, second = store.add(new_job()), store.add(new_job())
    claimed(store)
    assert check_stalled(store) == []
    lose_lease(store, first)
    assert check_stalled(store) == [first]
    assert store.redis.lrange(store.keys.wait, 0, -1) == [second, first]
    assert store.job(first).stalled_count == 1
    assert names(store)[-2:] == ["waiting", "stalled"]
    assert claimed(store) == first


def test_stalled_check_leaves_leased_jobs_alone(store):
    job_id = store.add(new_job())
    claimed(store)
    assert [check_stalled(store) for _ in range(3)] == [[], [], []]
    assert store.state(job_id) is JobState.ACTIVE


def test_stalled_check_runs_once_an_interval_for_all_workers(store):
    job_id = store.add(new_job())
    claimed(store)
    check_stalled(store)
    lose_lease(store, job_id)
    assert store.check_stalled(INTERVAL) == []
    assert store.redis.get(store.keys.stalled_check) == str(store.clock())
    assert 200_000 < store.redis.pttl(store.keys.stalled_check) <= 300_000


def test_job_that_stalls_too_often_carries_the_reason_to_its_next_fetcher(store):
    job_id = store.add(new_job())
    for _ in range(2):
        claimed(store)
        check_stalled(store)
        lose_lease(store, job_id)
        assert check_stalled(store) == [job_id]
    job = store.claim("t", LEASE).job
    assert job.deferred_failure == STALLED
    assert job.stalled_count == 2
    store.fail(job_id, "t", job.deferred_failure)
    assert store.job(job_id).failed_reason == STALLED
    assert "defa" not in hash_of(store, job_id)


def test_run_of_a_live_scheduler_may_stall_for_ever(store):
    job_id = store.add(new_job())
    store.redis.hset(store.keys.job(job_id), "rjk", "nightly")
    store.redis.zadd(store.keys.repeat, {"nightly": 1})
    claimed(store)
    check_stalled(store)
    lose_lease(store, job_id)
    check_stalled(store, max_stalled_count=0)
    assert store.job(job_id).deferred_failure is None


def test_stalled_job_whose_hash_is_gone_is_forgotten(store):
    job_id = store.add(new_job())
    claimed(store)
    check_stalled(store)
    store.redis.delete(store.keys.job(job_id), store.keys.lock(job_id))
    assert check_stalled(store) == []
    assert store.counts()[JobState.ACTIVE] == 0
    assert job_id not in all_keys(store)


def test_global_concurrency_holds_across_workers(store):
    store.redis.hset(store.keys.meta, "concurrency", 1)
    first, second = store.add(new_job()), store.add(new_job())
    assert claimed(store) == first
    assert store.claim("t", LEASE).job is None
    store.complete(first, "token", None)
    assert claimed(store) == second


def test_job_added_at_full_concurrency_wakes_nobody(store):
    store.redis.hset(store.keys.meta, "concurrency", 1)
    store.add(new_job())
    claimed(store)
    store.redis.delete(store.keys.marker)
    store.add(new_job())
    assert wake_up(store) == {}


def test_queues_rate_limit_binds_and_tells_how_long(store):
    store.redis.hset(store.keys.meta, mapping={"max": 1, "duration": 600_000})
    store.add(new_job()), store.add(new_job())
    claimed(store)
    claim = store.claim("t", LEASE)
    assert claim.job is None
    assert 500_000 < claim.limited_for <= 600_000
    assert store.redis.get(store.keys.limiter) == "1"
    store.redis.delete(store.keys.limiter)
    assert store.claim("t", LEASE).job is not None


def test_workers_own_rate_limit_binds_when_the_queue_has_none(store):
    limit = RateLimit(2, timedelta(minutes=10))
    for _ in range(3):
        store.add(new_job())
    claims = [store.claim(f"t{n}", LEASE, limiter=limit) for n in range(3)]
    assert [claim.job is not None for claim in claims] == [True, True, False]
    assert 500_000 < claims[2].limited_for <= 600_000
    assert store.claim("t", LEASE).job is not None


def test_rate_limit_set_by_hand_binds_workers_with_a_limit(store):
    store.add(new_job())
    store.redis.set(store.keys.limiter, 2**53 - 1, px=600_000)
    assert store.claim("t", LEASE, limiter=RateLimit(5, LEASE)).limited_for > 500_000
    assert store.claim("t", LEASE).job is not None
