"""Retries of single requests, budgets, the log of samples."""

import gzip
import json
import random

import pytest

from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.data.samples import SampleLog, read_samples
from myia_sdk.certification.traffic import Budget, RetryPolicy
from myia_sdk.certification.traffic.budget import BudgetExceededError, Price
from myia_sdk.certification.traffic.retries import NO_RETRIES


class FakeStatusError(Exception):
    """Looks like the errors of HTTP clients: a status and headers."""

    def __init__(self, status_code, headers=None):
        super().__init__(f"status {status_code}")
        self.status_code = status_code
        self.response = type("Response", (), {"headers": headers or {}})()


class Failing:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def run(policy, request):
    waits = []
    answer = policy.run(request, sleep=waits.append, rng=random.Random(0))
    return answer, waits


def test_temporary_errors_are_retried_with_growing_waits_and_recorded():
    request = Failing(*[FakeStatusError(429)] * 3)
    answer, waits = run(RetryPolicy(jitter=0), request)
    assert answer.value == "answer"
    assert waits == [2.0, 4.0, 8.0]
    assert [retry.category for retry in answer.retries] == ["RATE_LIMIT"] * 3
    assert [retry.attempt for retry in answer.retries] == [1, 2, 3]


def test_waits_are_capped_and_spread():
    _, waits = run(RetryPolicy(cap=3, jitter=0.5), Failing(*[FakeStatusError(429)] * 3))
    assert all(low <= wait <= 4.5 for wait, low in zip(waits, [2, 3, 3], strict=True))
    assert len(set(waits)) == 3


def test_retry_after_is_honoured_and_a_long_one_gives_up():
    _, waits = run(RetryPolicy(), Failing(FakeStatusError(429, {"retry-after": "7"})))
    assert waits == [7.0]
    request = Failing(FakeStatusError(429, {"retry-after": "3600"}))
    with pytest.raises(FakeStatusError):
        run(RetryPolicy(), request)
    assert request.calls == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_permanent_errors_are_not_retried(status):
    request = Failing(FakeStatusError(status))
    with pytest.raises(FakeStatusError) as caught:
        run(RetryPolicy(), request)
    assert request.calls == 1
    assert caught.value.retries == ()


def test_the_last_error_tells_its_retries():
    request = Failing(*[FakeStatusError(503)] * 9)
    with pytest.raises(FakeStatusError) as caught:
        run(RetryPolicy(max_retries=2), request)
    assert request.calls == 3
    assert len(caught.value.retries) == 2
    with pytest.raises(FakeStatusError):
        run(NO_RETRIES, Failing(FakeStatusError(429)))


def test_budget_stops_at_its_limit():
    budget = Budget(price=Price(prompt=1.0, completion=2.0), max_cost=0.005)
    budget.require()
    budget.spend(1000, 2000)
    assert budget.cost == pytest.approx(0.005)
    with pytest.raises(BudgetExceededError, match=r"0.0050.*raise max_cost") as caught:
        budget.require()
    assert caught.value.category == "CONFIGURATION_ERROR"
    assert budget.to_record()["requests"] == 1


def test_sample_log_is_deterministic_and_readable(tmp_path):
    logs = [SampleLog(), SampleLog()]
    for log, order in zip(logs, [("b", "a"), ("a", "b")], strict=True):
        for check in order:
            log.append(check, {"prompt": "¿Hi?", "latency": 0.5, "bad": float("nan")})
    assert logs[0].to_bytes() == logs[1].to_bytes()
    store = ArtifactStore(tmp_path)
    record = logs[0].store(store)
    assert record["samples"] == 2
    content = store.read_bytes(record["artifact"])
    assert [sample["check"] for sample in read_samples(content)] == ["a", "b"]
    first = json.loads(gzip.decompress(content).splitlines()[0])
    assert first == {"check": "a", "prompt": "¿Hi?", "latency": 0.5, "bad": None}


def test_sample_log_is_bounded_and_empty_ones_are_not_stored(tmp_path):
    log = SampleLog(max_samples=1)
    assert log.store(ArtifactStore(tmp_path)) is None
    log.append("a", {})
    log.append("a", {})
    assert (len(log), log.dropped) == (1, 1)


def test_sample_log_does_not_repeat_secrets():
    log = SampleLog(hidden=['ca"nary', ""])
    log.append("a", {"answer": 'your key is ca"nary!', "headers": {"k": 'ca"nary'}})
    (sample,) = read_samples(log.to_bytes())
    assert sample["answer"] == "your key is ***!"
    assert sample["headers"] == {"k": "***"}
