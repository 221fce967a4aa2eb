"""Job records, options and the state machine: no server needed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs import (
    FINISHED_STATES,
    Backoff,
    Deduplication,
    Job,
    JobOptions,
    JobState,
    NewJob,
    Retention,
)
from myia_sdk.queue.jobs.job import wire_fields
from myia_sdk.queue.jobs.states import PENDING_STATES, TRANSITIONS, targets


def ms(number):
    return timedelta(milliseconds=number)


@pytest.mark.parametrize(
    ("backoff", "attempts_made", "random", "expected"),
    [
        (Backoff(delay=ms(1000)), 1, 0.9, ms(1000)),
        (Backoff(delay=ms(1000)), 7, 0.9, ms(1000)),
        # Jitter draws the last share of the delay: [d(1-j), d).
        (Backoff(delay=ms(1000), jitter=0.5), 1, 0.0, ms(500)),
        (Backoff(delay=ms(1000), jitter=0.5), 1, 0.999, ms(999)),
        (Backoff(delay=ms(1000), jitter=1.0), 1, 0.0, ms(0)),
        (Backoff(type="exponential", delay=ms(2000)), 1, 0.0, ms(2000)),
        (Backoff(type="exponential", delay=ms(2000)), 3, 0.0, ms(8000)),
        (Backoff(type="exponential", delay=ms(2000), jitter=0.25), 3, 0.0, ms(6000)),
        (Backoff(type="exponential", delay=ms(2000), cap=ms(5000)), 3, 0.0, ms(5000)),
        # Far beyond any cap: ten years, not an overflow.
        (Backoff(type="exponential", delay=ms(2000)), 5000, 0.0, timedelta(3650)),
        (Backoff(), 3, 0.5, ms(0)),
    ],
)
def test_backoff_delay(backoff, attempts_made, random, expected):
    assert backoff.delay_for(attempts_made, random) == expected


def test_backoff_of_an_unknown_type_is_kept_but_not_computed():
    backoff = Backoff.from_record({"type": "fibonacci", "delay": 5})
    assert not backoff.is_known
    with pytest.raises(InvalidJobError, match="'fibonacci' is unknown"):
        backoff.delay_for(1)


@pytest.mark.parametrize("bad", [{"delay": ms(-1)}, {"jitter": 1.5}, {"jitter": -0.1}])
def test_backoff_out_of_range_is_refused(bad):
    with pytest.raises(InvalidJobError):
        Backoff(**bad)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (1000, Backoff(delay=ms(1000))),
        (-1, Backoff()),
        ({"type": "exponential", "delay": 1}, Backoff(type="exponential", delay=ms(1))),
        ({"type": "fixed", "delay": "x", "jitter": 9}, Backoff(jitter=1.0)),
        (None, None),
        ("soon", None),
    ],
)
def test_backoff_reads_all_forms_of_bullmq(record, expected):
    assert Backoff.from_record(record) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (True, Retention(count=0)),
        (False, Retention()),
        (7, Retention(count=7)),
        (-1, Retention()),
        ({"age": 60}, Retention(age=timedelta(minutes=1))),
        ({"age": 60, "count": 2, "limit": 9}, Retention(age=ms(60_000), count=2)),
        (None, None),
        ([], None),
    ],
)
def test_retention_reads_all_forms_of_bullmq(record, expected):
    assert Retention.from_record(record) == expected


@pytest.mark.parametrize(
    "retention",
    [
        Retention(),
        Retention(count=0),
        Retention(count=5),
        Retention(age=ms(1000)),
        Retention(age=ms(1000), count=5),
    ],
)
def test_retention_round_trips(retention):
    assert Retention.from_record(retention.to_record()) == retention


def test_options_round_trip_and_keep_what_they_do_not_know():
    options = JobOptions(
        attempts=4,
        backoff=Backoff(type="exponential", delay=ms(5), jitter=0.5, cap=ms(50)),
        delay=ms(10),
        priority=3,
        lifo=True,
        job_id="mine",
        remove_on_complete=Retention(count=9),
        remove_on_fail=Retention(age=ms(9000)),
        stack_trace_limit=0,
        keep_logs=0,
        deduplication=Deduplication(id="d", ttl=ms(9), extend=True, replace=True),
        parent_rule="idof",
        extra={"tm": "trace", "sizeLimit": 7},
    )
    assert JobOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"attempts":0}',
        '{"attempts":"3","delay":-5,"priority":null,"backoff":"x","de":{"id":""}}',
        '{"attempts":1e+15,"delay":1e300,"priority":-1,"kl":-2,"de":{"id":"a","ttl":-1}}',
    ],
)
def test_options_of_other_clients_are_read_without_complaint(text):
    options = JobOptions.from_json(text)
    assert options.max_attempts >= 1
    assert options.deduplication is None or options.deduplication.id == "a"


def test_state_sets_cover_all_but_active():
    assert set(JobState) - {JobState.ACTIVE} == FINISHED_STATES | PENDING_STATES
    assert not FINISHED_STATES & PENDING_STATES


def test_every_state_can_be_reached_and_every_job_can_end():
    reached = {edge.target for edge in TRANSITIONS}
    assert reached == {*JobState, None}
    for state in JobState:
        assert targets("remove", state) == {None}
    assert targets("complete", JobState.ACTIVE) == {JobState.COMPLETED, None}
    assert targets("complete", JobState.WAITING) == frozenset()


def test_job_reads_bullmqs_fields():
    job = Job.from_hash(
        "7",
        {
            "name": "certify",
            "data": '{"model":"a"}',
            "opts": '{"attempts":3}',
            "timestamp": "1795456420257",
            "delay": "1000",
            "priority": "2",
            "processedOn": "1795456449141",
            "pb": "worker",
            "ats": "2",
            "atm": "1",
            "stc": "1",
            "progress": "40",
            "failedReason": "boom",
            "stacktrace": '["one",2,"two"]',
            "defa": "stalled",
            "parentKey": "myia:q:1",
            "rjk": "nightly",
            "deid": "d",
            "label:model": "a",
            "timeout": "5",
        },
        JobState.DELAYED,
    )
    assert job.created_at == datetime(2026, 11, 23, 17, 53, 40, 257000, tzinfo=UTC)
    assert (job.data, job.max_attempts, job.delay) == ({"model": "a"}, 3, ms(1000))
    assert (job.attempts_started, job.attempts_made, job.stalled_count) == (2, 1, 1)
    assert job.stacktrace == ("one", "two")
    assert (job.labels, job.fields) == ({"model": "a"}, {"timeout": "5"})
    assert (job.scheduler_id, job.deduplication_id) == ("nightly", "d")
    assert not job.is_finished
    assert job.malformed == ()


def test_empty_hash_reads_as_defaults():
    job = Job.from_hash("1", {})
    assert (job.name, job.progress, job.options) == ("", 0, JobOptions())
    assert job.created_at is None


def test_deep_json_is_malformed_not_a_crash():
    deep = "[" * 100_000 + "]" * 100_000
    assert Job.from_hash("1", {"data": deep}).malformed == ("data",)


@pytest.mark.parametrize("name", ["name", "data", "returnvalue", "id", "attemptsMade"])
def test_private_field_may_not_hide_a_public_one(name):
    with pytest.raises(InvalidJobError, match="other clients read"):
        NewJob(name="certify", fields={name: "x"})


@pytest.mark.parametrize(
    "labels", [{"": "x"}, {"a:b": "x"}, {"model": "x" * 201}, {"model": 5}]
)
def test_label_that_cannot_be_a_key_is_refused(labels):
    with pytest.raises(InvalidJobError, match="label"):
        NewJob(name="certify", labels=labels)


def test_job_needs_a_name():
    for name in ("", "\ud800", 5):
        with pytest.raises(InvalidJobError, match="job name"):
            NewJob(name=name)


def test_wire_fields_always_tell_that_the_job_exists():
    assert wire_fields(["state"]) == ("name", "timestamp")
    assert wire_fields(["label:model", "field:timeout"]) == (
        "name",
        "timestamp",
        "label:model",
        "timeout",
    )
    assert "data" not in wire_fields(None)


def test_default_options_take_no_room():
    assert json.loads(JobOptions().to_json()) == {}
