"""The store and the table of transitions, driven together by random operations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from myia_sdk.errors import InvalidTransitionError, LeaseLostError
from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.jobs.states import targets
from myia_sdk.queue.store import JobStore, QueueAdministration
from tests.helpers.queue_probe import LEASE, Clock, all_keys, new_job

W, P, D, A = (
    JobState.WAITING,
    JobState.PRIORITIZED,
    JobState.DELAYED,
    JobState.ACTIVE,
)
C, F = JobState.COMPLETED, JobState.FAILED
STEP = timedelta(seconds=5)
picks = st.integers(min_value=0)


@dataclass
class Expected:
    """What the table says about one job."""

    state: JobState
    priority: int
    due: int = 0
    attempts: int = 0
    starts: int = 0
    token: str = ""

    @property
    def line(self) -> JobState:
        return P if self.priority else W


class QueueMachine(RuleBasedStateMachine):
    server = None

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.client = self.server.client()
        self.store = JobStore(self.client, f"t{uuid4().hex}", clock=self.clock)
        self.admin = QueueAdministration(self.store)
        self.jobs: dict[str, Expected] = {}
        self.paused = False
        self.tokens = 0

    def teardown(self):
        own = [self.store.keys.base + key for key in all_keys(self.store)]
        if own:
            self.client.delete(*own)
        self.client.close()

    def pick(self, number, *states):
        ids = sorted(one for one, job in self.jobs.items() if job.state in states)
        return ids[number % len(ids)] if ids else None

    def move(self, job_id, operation, target):
        """Follow an edge of the table, which must exist."""
        job = self.jobs[job_id]
        assert target in targets(operation, job.state), (operation, job.state, target)
        job.state = target

    def promote_due(self):
        for job_id, job in self.jobs.items():
            if job.state is D and job.due <= self.clock():
                self.move(job_id, "promote", job.line)

    @rule(priority=st.sampled_from([0, 0, 0, 1, 5]), delay=st.sampled_from([0, 0, 700]))
    def add(self, priority, delay):
        job_id = self.store.add(
            new_job(priority=priority, delay=timedelta(milliseconds=delay), attempts=9)
        )
        job = Expected(D, priority, self.clock() + delay)
        job.state = D if delay else job.line
        assert job.state in targets("add", None)
        self.jobs[job_id] = job

    @rule()
    def claim(self):
        self.tokens += 1
        token = f"token {self.tokens}"
        claim = self.store.claim(token, LEASE)
        self.promote_due()
        ready = {one for one, job in self.jobs.items() if job.state is W}
        ready = ready or {one for one, job in self.jobs.items() if job.state is P}
        if self.paused or not ready:
            assert claim.job is None
            return
        assert claim.job.id in ready
        job = self.jobs[claim.job.id]
        self.move(claim.job.id, "claim", A)
        job.token = token
        job.starts += 1

    @rule(number=picks, attempt=st.sampled_from(["complete", "fail"]))
    def finish(self, number, attempt):
        job_id = self.pick(number, A)
        if job_id is None:
            return
        getattr(self.store, attempt)(job_id, self.jobs[job_id].token, "result")
        self.move(job_id, attempt, C if attempt == "complete" else F)
        self.jobs[job_id].attempts += 1

    @rule(number=picks)
    def retry_now(self, number):
        job_id = self.pick(number, A)
        if job_id is None:
            return
        self.store.retry_now(job_id, self.jobs[job_id].token, "boom")
        self.promote_due()
        self.move(job_id, "retry_now", self.jobs[job_id].line)
        self.jobs[job_id].attempts += 1

    @rule(number=picks)
    def retry_later(self, number):
        job_id = self.pick(number, A)
        if job_id is None:
            return
        job = self.jobs[job_id]
        self.store.retry_later(job_id, job.token, timedelta(seconds=1), "boom")
        self.move(job_id, "retry_later", D)
        job.attempts += 1
        job.due = self.clock() + 1000

    @rule(number=picks)
    def put_back(self, number):
        job_id = self.pick(number, A)
        if job_id is None:
            return
        self.store.put_back(job_id, self.jobs[job_id].token)
        self.move(job_id, "put_back", self.jobs[job_id].line)

    @rule(number=picks)
    def finish_without_the_lease(self, number):
        job_id = self.pick(number, A)
        if job_id is None:
            return
        with pytest.raises(LeaseLostError):
            self.store.complete(job_id, "stolen", None)

    @rule(number=picks)
    def finish_what_is_not_running(self, number):
        job_id = self.pick(number, W, P, D, C, F)
        if job_id is None:
            return
        with pytest.raises(LeaseLostError):
            self.store.complete(job_id, "not its token", None)

    @rule(number=picks)
    def worker_dies(self, number):
        job_id = self.pick(number, A)
        if job_id is None:
            return
        keys = self.store.keys
        self.client.delete(keys.lock(job_id))
        for _ in range(2):
            self.client.delete(keys.stalled_check)
            recovered = self.store.check_stalled(STEP, max_stalled_count=99)
        assert recovered in ([], [job_id])
        self.move(job_id, "stall", W)

    @rule(number=picks)
    def promote(self, number):
        job_id = self.pick(number, D)
        if job_id is None:
            return
        self.admin.promote(job_id)
        self.move(job_id, "promote", self.jobs[job_id].line)

    @rule(number=picks)
    def retry_a_finished_job(self, number):
        job_id = self.pick(number, C, F)
        if job_id is None:
            return
        self.admin.retry(job_id)
        self.move(job_id, "retry", self.jobs[job_id].line)

    @rule(number=picks, operation=st.sampled_from(["retry", "promote"]))
    def ask_what_the_table_forbids(self, number, operation):
        job_id = self.pick(number, *JobState)
        if job_id is None or targets(operation, self.jobs[job_id].state):
            return
        with pytest.raises(InvalidTransitionError):
            getattr(self.admin, operation)(job_id)

    @rule(number=picks)
    def cancel_what_has_not_started(self, number):
        job_id = self.pick(number, W, P, D)
        if job_id is None:
            return
        self.admin.cancel(job_id)
        self.move(job_id, "cancel", F)

    @rule(number=picks)
    def remove(self, number):
        job_id = self.pick(number, W, P, D, C, F)
        if job_id is None:
            return
        self.admin.remove(job_id)
        assert None in targets("remove", self.jobs.pop(job_id).state)
        assert not [key for key in all_keys(self.store) if key.startswith(job_id)]

    @rule(ms=st.integers(1, 1500))
    def time_passes(self, ms):
        self.clock.advance(ms)

    @precondition(lambda self: not self.paused)
    @rule()
    def pause(self):
        self.admin.pause()
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self):
        self.admin.resume()
        self.paused = False

    @invariant()
    def store_and_table_agree(self):
        found = {
            one: job and (job.state, job.attempts_made, job.attempts_started)
            for one, job in zip(
                self.jobs, self.store.jobs(list(self.jobs)), strict=True
            )
        }
        assert found == {
            one: (job.state, job.attempts, job.starts) for one, job in self.jobs.items()
        }
        counts = dict.fromkeys(JobState, 0)
        for job in self.jobs.values():
            counts[job.state] += 1
        assert self.store.counts() == counts

    @invariant()
    def only_running_jobs_have_a_lease(self):
        locked = {
            key.removesuffix(":lock")
            for key in all_keys(self.store)
            if key.endswith(":lock")
        }
        assert locked == {one for one, job in self.jobs.items() if job.state is A}


def test_store_obeys_the_table_of_transitions(redis_server):
    QueueMachine.server = redis_server
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
