"""Bad times on the way to a model are retried and named, and never judge the model.

The faults are injected by a proxy that nobody here wrote.
"""

from __future__ import annotations

import openai
import pytest

from myia_sdk.certification.checks import CheckContext, Outcome, Threshold, find_check
from myia_sdk.certification.diagnosis import ErrorCategory
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import CertificationRequest
from myia_sdk.certification.traffic import RetryPolicy
from myia_sdk.errors import PermanentCertificationError, TransientCertificationError

pytestmark = [pytest.mark.chat, pytest.mark.node]

#: One check, so that an endpoint without an answer is soon given up.
ONE_CHECK = {
    "suite": {"id": "one", "version": "1", "kind": "chat"},
    "check": [{"id": "usage", "severity": "critical"}],
}
QUICK = RetryPolicy(cap=0.01)
C = ErrorCategory
#: What an adapter raises: the library's errors, the system's, and malformed answers.
FAULTS = (openai.OpenAIError, OSError, ValueError)


def run_check(check_id, model, reference, **over):
    found = find_check(check_id, "chat")
    context = CheckContext(
        check_id=check_id,
        model=model,
        dataset=None,
        params={**found.params, **over.pop("params", {})},
        thresholds=Threshold(),
        seed=0,
        request=CertificationRequest(
            model=reference, suite="one", parameters={"request_timeout": 240}
        ),
        retry=over.pop("retry", QUICK),
    )
    return found.run(context), context


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("--chaos-ratelimit", C.RATE_LIMIT),
        ("--chaos-drop", C.TEMPORARILY_UNAVAILABLE),
        ("--chaos-disconnect", C.NETWORK_ERROR),
        ("--chaos-malformed", C.UNKNOWN_ERROR),
    ],
)
def test_a_passing_fault_is_retried_and_recorded(
    chat_reference, faulty_server, open_model, fault, category
):
    """Defect 1 of the original: its retries were dead code."""
    reference = chat_reference(url=faulty_server(fault, "0.5"))
    model = open_model(reference)
    patient = RetryPolicy(cap=0.01, max_retries=3)
    named: set[str] = set()
    for _ in range(20):
        try:
            measurement, context = run_check("usage", model, reference, retry=patient)
        except FAULTS as exc:
            # Luck: more faults in a row than retries.
            named |= {retry.category for retry in exc.retries}
        else:
            samples = context.sample_log._samples
            found = [retry for sample in samples for retry in sample["retries"]]
            assert measurement.outcome is None
            assert measurement.retries == len(found)
            named |= {retry["category"] for retry in found}
        if category.value in named:
            break
    assert category.value in named
    assert C.QUALITY_ISSUE.value not in named


def test_the_wait_that_the_server_asks_for_is_kept(
    chat_reference, faulty_server, open_model
):
    reference = chat_reference(url=faulty_server("--chaos-ratelimit", "1"))
    with pytest.raises(FAULTS) as caught:
        run_check(
            "usage", open_model(reference), reference, retry=RetryPolicy(cap=0.01)
        )
    assert [retry.waited for retry in caught.value.retries] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("fault", "category"),
    [
        ("--chaos-ratelimit", "RATE_LIMIT"),
        ("--chaos-disconnect", "NETWORK_ERROR"),
    ],
)
def test_an_outage_gives_no_verdict_but_a_reason_to_try_again(
    chat_reference, faulty_server, fault, category
):
    """Defect 3 of the original: faults became an empty response of bad quality."""
    reference = chat_reference(url=faulty_server(fault, "1"))
    with pytest.raises(TransientCertificationError) as caught:
        run_suite(CertificationRequest(model=reference, suite=ONE_CHECK))
    assert caught.value.category == category


def test_a_wrong_key_gives_no_verdict_and_no_reason_to_try_again(
    chat_reference, faulty_server
):
    url = faulty_server(AIMOCK_API_KEYS="the-right-key")
    reference = chat_reference(url=url, secret="env:CHAT_KEY")
    with pytest.raises(PermanentCertificationError) as caught:
        run_suite(
            CertificationRequest(model=reference, suite=ONE_CHECK),
            secrets={"env:CHAT_KEY": "sk-wrong-key"},
        )
    assert caught.value.category == "AUTHENTICATION_ERROR"
    assert "sk-wrong-key" not in str(caught.value)


def test_one_unanswered_request_of_three_is_a_warning_not_a_failure(
    chat_reference, faulty_server, open_model
):
    reference = chat_reference(url=faulty_server("--chaos-drop", "0.35"))
    model = open_model(reference)
    outcomes = set()
    for _ in range(30):
        try:
            measurement, _ = run_check(
                "availability", model, reference, retry=RetryPolicy(max_retries=0)
            )
        except FAULTS as exc:
            # Two of three failed: not measured.
            outcomes.add(type(exc).__name__)
        else:
            outcomes.add(measurement.outcome)
        if Outcome.WARNED in outcomes:
            break
    assert Outcome.WARNED in outcomes
    assert Outcome.FAILED not in outcomes
