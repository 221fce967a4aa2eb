"""From outcomes to score, rating, verdict and category."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myia_sdk.certification.checks import CheckRecord, Outcome, Severity
from myia_sdk.certification.diagnosis import ErrorCategory
from myia_sdk.certification.suites import Policy
from myia_sdk.certification.suites.policy import CLASSIC, STANDARD
from myia_sdk.certification.verdict import Verdict, judge
from myia_sdk.certification.verdict.verdict import rating_of
from myia_sdk.errors import SuiteError


def checks(*outcomes, severity=Severity.MAJOR, category=None, temporary=False):
    return [
        CheckRecord(
            id=f"{outcome}-{number}",
            version="1",
            title="",
            severity=severity,
            outcome=Outcome(outcome),
            message="why",
            category=category if outcome in {"error", "failed"} else None,
            temporary=temporary and outcome == "error",
        )
        for number, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("passed", "failed", "verdict", "rating"),
    [
        (10, 0, Verdict.CERTIFIED, "A"),
        (9, 1, Verdict.CERTIFIED, "A"),
        (8, 2, Verdict.CERTIFIED, "B"),
        (7, 3, Verdict.QUALITY_WARNING, "C"),
        (6, 4, Verdict.QUALITY_WARNING, "D"),
        (5, 5, Verdict.FAILED, "F"),
        (0, 10, Verdict.FAILED, "F"),
    ],
)
def test_score_decides_verdict_and_letter_together(passed, failed, verdict, rating):
    outcomes = ["passed"] * passed + ["failed"] * failed
    found = judge(checks(*outcomes, severity=Severity.MINOR))
    assert (found.verdict, found.rating) == (verdict, rating)
    assert found.score == 10 * passed


def test_warned_counts_half_and_weights_follow_severity():
    found = judge(
        [
            *checks("passed", severity=Severity.CRITICAL),
            *checks("warned", severity=Severity.MAJOR),
            *checks("failed", severity=Severity.MINOR),
            *checks("skipped", severity=Severity.CRITICAL),
        ]
    )
    assert found.score == pytest.approx(100 * (3 + 1) / 6, abs=0.01)


def test_failed_critical_check_fails_whatever_the_score():
    found = judge(
        [*checks(*["passed"] * 40), *checks("failed", severity=Severity.CRITICAL)]
    )
    assert found.score > 90
    assert (found.verdict, found.rating) == (Verdict.FAILED, "F")
    assert "Critical check failed-0 failed: why" in found.reason


def test_too_much_error_is_not_measured_rather_than_failed():
    few = judge(checks(*["passed"] * 8, "error", "error", category="TIMEOUT"))
    assert few.verdict is Verdict.CERTIFIED
    assert few.score == 100
    many = judge(
        checks(*["passed"] * 7, *["error"] * 3, category="TIMEOUT", temporary=True)
    )
    assert (many.inconclusive, many.verdict) == (True, None)
    assert many.category == "TIMEOUT"
    assert many.temporary
    assert "30% of the weight could not be measured" in many.reason


def test_error_in_a_critical_check_is_not_measured():
    critical = checks("error", severity=Severity.CRITICAL, category="UNKNOWN_ERROR")
    found = judge([*checks(*["passed"] * 40), *critical])
    assert found.inconclusive
    assert not found.temporary


def test_nothing_measured_is_not_measured():
    """Defect 6 of the original: no tests divided by zero."""
    assert judge([]).inconclusive
    assert judge(checks("skipped", "skipped")).inconclusive


@pytest.mark.parametrize(
    "category",
    [
        "UNAVAILABLE",
        "PERMISSION_ERROR",
        "AUTHENTICATION_ERROR",
        "CONFIGURATION_ERROR",
        "PROVISIONING_REQUIRED",
    ],
)
def test_unusable_model(category):
    ten = checks(*["passed"] * 9, "error", category=category)
    assert judge(ten).verdict is Verdict.FAILED
    assert judge(ten).category == category
    all_bad = checks(*["error"] * 5, category=category)
    assert judge(all_bad).inconclusive
    assert not judge(all_bad).temporary
    assert judge(all_bad, CLASSIC).verdict is Verdict.FAILED


def test_category_is_the_most_severe_not_the_last():
    found = judge(
        [
            *checks("error", category="PERMISSION_ERROR"),
            *checks(*["passed"] * 20),
            *checks("failed", category="QUALITY_ISSUE"),
        ]
    )
    assert found.category == "PERMISSION_ERROR"


@pytest.mark.parametrize(
    ("passed", "total", "verdict"),
    [
        (7, 7, Verdict.CERTIFIED),
        (6, 7, Verdict.CERTIFIED),
        (5, 7, Verdict.QUALITY_WARNING),
        (4, 7, Verdict.FAILED),
        (4, 5, Verdict.CERTIFIED),
        (3, 5, Verdict.QUALITY_WARNING),
        (2, 5, Verdict.FAILED),
        (0, 7, Verdict.FAILED),
    ],
)
def test_classic_reproduces_the_original_shares(passed, total, verdict):
    outcomes = ["passed"] * passed + ["failed"] * (total - passed)
    found = judge(checks(*outcomes, category="QUALITY_ISSUE"), CLASSIC)
    assert found.verdict is verdict
    assert found.score == pytest.approx(100 * passed / total, abs=0.01)


def test_classic_ignores_severity_and_gives_nothing_for_a_warning():
    mixed = [
        *checks("failed", severity=Severity.CRITICAL, category="QUALITY_ISSUE"),
        *checks("warned", severity=Severity.MINOR),
        *checks(*["passed"] * 3),
    ]
    assert judge(mixed, CLASSIC).score == 60
    assert judge(mixed, CLASSIC).verdict is Verdict.QUALITY_WARNING


def test_classic_does_not_fail_a_model_for_an_outage():
    down = checks(*["error"] * 7, category="TEMPORARILY_UNAVAILABLE", temporary=True)
    found = judge(down, CLASSIC)
    assert found.inconclusive
    assert found.temporary


def test_a_model_that_fails_everything_scores_nothing():
    """Defect 6 of the original: two stars for nothing."""
    """The original gave it 2.0 stars of 5, and divided by zero without tests."""
    assert judge(checks(*["failed"] * 7), CLASSIC).score == 0
    assert rating_of(0) == "F"


def test_policy_round_trip_and_bad_values():
    assert Policy.from_record(STANDARD.to_record()) == STANDARD
    assert Policy.from_record({"use": "classic"}) == CLASSIC
    assert Policy.from_record({"certified_at": 95}).certified_at == 95
    with pytest.raises(SuiteError, match="'use' is 'kind'"):
        Policy.from_record({"use": "kind"})
    with pytest.raises(SuiteError, match="'max_errored' is 20"):
        Policy.from_record({"max_errored": 20})
    with pytest.raises(SuiteError, match="unknown keys: 'wieghts'"):
        Policy.from_record({"wieghts": {}})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Outcome)),
            st.sampled_from(list(Severity)),
            st.sampled_from([None, *ErrorCategory]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(),
    st.sampled_from([STANDARD, CLASSIC]),
)
@settings(max_examples=200, deadline=None)
def test_order_never_decides_and_better_outcomes_never_lower_the_score(
    facts, random, policy
):
    records = [
        CheckRecord(
            id=str(number),
            version="1",
            title="",
            severity=severity,
            outcome=outcome,
            category=category,
            temporary=temporary,
        )
        for number, (outcome, severity, category, temporary) in enumerate(facts)
    ]
    found = judge(records, policy)
    assert 0 <= found.score <= 100
    assert (found.verdict is None) == found.inconclusive
    if found.verdict is Verdict.FAILED:
        assert found.rating == "F"
    shuffled = random.sample(records, len(records))
    other = judge(shuffled, policy)
    for name in ("score", "rating", "verdict", "category", "inconclusive"):
        assert getattr(other, name) == getattr(found, name)
    for place, record in enumerate(records):
        if record.outcome is Outcome.FAILED:
            better = [*records]
            better[place] = replace(record, outcome=Outcome.PASSED)
            assert judge(better, policy).score >= found.score


def test_reasons_name_what_was_lost():
    mixed = checks(*["passed"] * 8, "failed", "warned", severity=Severity.MINOR)
    assert judge(mixed).reasons == (
        "Score 85, at least 80.",
        "failed-8 failed.",
        "warned-9 warned.",
    )


GOOD = checks(*["passed"] * 40)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            checks("warned", severity=Severity.CRITICAL)[0],
            "Not certified, for the critical check warned-0 is warned: why",
        ),
        (
            checks("failed", category="QUALITY_ISSUE")[0],
            "Not certified, for the major check failed-0 failed: why",
        ),
        (
            replace(checks("warned")[0], undecided=True),
            "Not certified, for the major check warned-0 has too few observations: why",
        ),
        (
            replace(checks("warned", severity=Severity.CRITICAL)[0], undecided=True),
            "Not certified, for the critical check warned-0 has too few observations",
        ),
    ],
    ids=["critical warned", "major failed", "major undecided", "critical undecided"],
)
def test_single_checks_keep_a_model_from_being_certified(record, text):
    found = judge([*GOOD, record])
    assert found.score > 95
    assert (found.verdict, found.rating) == (Verdict.QUALITY_WARNING, "A")
    assert found.reasons[0].startswith(text)
    assert found.category == "QUALITY_ISSUE"
    # The rules of the original know no single check, nor does a policy without them.
    assert judge([*GOOD, record], CLASSIC).verdict is Verdict.CERTIFIED
    lenient = Policy.from_record({"critical_must_pass": False})
    assert judge([*GOOD, record], lenient).verdict is Verdict.CERTIFIED


@pytest.mark.parametrize(
    "record",
    [
        checks("warned")[0],
        checks("failed", severity=Severity.MINOR, category="QUALITY_ISSUE")[0],
        replace(checks("warned", severity=Severity.MINOR)[0], undecided=True),
        checks("skipped", severity=Severity.CRITICAL)[0],
    ],
    ids=["major warned", "minor failed", "minor undecided", "critical skipped"],
)
def test_others_cost_points_and_no_more(record):
    found = judge([*GOOD, record])
    assert found.verdict is Verdict.CERTIFIED
    assert found.category is None
    assert not any(reason.startswith("Not certified") for reason in found.reasons)


def test_a_cap_lifts_no_verdict():
    poor = checks(*["passed"] * 3, *["failed"] * 5, category="QUALITY_ISSUE")
    found = judge(poor)
    assert (found.verdict, found.rating) == (Verdict.FAILED, "F")
    assert sum("Not certified" in reason for reason in found.reasons) == 5


def test_the_category_is_that_of_what_decided():
    """A chat model that fails for quality is not said to have network errors."""
    mixed = [
        *checks("failed", severity=Severity.CRITICAL, category="QUALITY_ISSUE"),
        *GOOD,
        *checks("error", category="NETWORK_ERROR", temporary=True),
    ]
    assert judge(mixed).category == "QUALITY_ISSUE"
    capped = [
        *GOOD,
        *checks("failed", category="TIMEOUT"),
        *checks("failed", severity=Severity.MINOR, category="NETWORK_ERROR"),
    ]
    assert judge(capped).category == "TIMEOUT"


def needing(outcome, *inputs, severity=Severity.MAJOR):
    return [
        replace(checks(outcome, severity=severity)[0], id=name, needs=(name,))
        for name in inputs
    ]


@pytest.mark.parametrize(
    ("records", "level", "missing"),
    [
        (GOOD, 1, ()),
        (
            [*GOOD, *needing("skipped", "train", "sensitive", "baseline")],
            1,
            ("train", "sensitive", "baseline"),
        ),
        (
            [*GOOD, *needing("passed", "train"), *needing("skipped", "baseline")],
            2,
            ("baseline",),
        ),
        ([*GOOD, *needing("failed", "train", "sensitive")], 2, ()),
        ([*GOOD, *needing("warned", "train", "sensitive", "baseline")], 3, ()),
        (
            [
                *GOOD,
                *needing("passed", "sensitive", "baseline"),
                *needing("skipped", "train"),
            ],
            1,
            ("train",),
        ),
        ([*GOOD, *needing("error", "train")], 1, ()),
    ],
)
def test_levels_of_assurance(records, level, missing):
    found = judge(records).assurance
    assert (found.level, found.missing) == (level, missing)


def test_coverage_is_the_share_of_the_weight_that_was_measured():
    found = judge(
        [
            *checks("passed", severity=Severity.CRITICAL),
            *checks("warned"),
            *checks("skipped", "error"),
            *checks("failed", severity=Severity.MINOR),
        ]
    )
    assert found.assurance.coverage == 0.6


def test_a_suite_may_demand_coverage_and_a_level():
    records = [*GOOD, *needing("skipped", "train", "baseline")]
    demanding = Policy.from_record({"min_level": 2, "min_coverage": 0.99})
    found = judge(records, demanding)
    assert found.verdict is Verdict.QUALITY_WARNING
    assert found.reasons[0] == (
        "Not certified, for 95% of the suite was measured; at least 99% must be."
    )
    assert found.reasons[1].startswith(
        "Not certified, for the assurance level is 1; at least 2 is demanded. Give "
        'training data: dataset={"X": X, '
    )
    assert "--train FILE" in found.reasons[1]
    alone = judge(GOOD, Policy.from_record({"min_level": 2}))
    assert alone.reasons[0].endswith("demanded. The suite has no check for more.")
    exact = Policy.from_record({"min_level": 1, "min_coverage": 40 / 42})
    assert judge(records, exact).verdict is Verdict.CERTIFIED
    with pytest.raises(SuiteError, match="'min_level' is 4; it must be 1, 2 or 3"):
        Policy.from_record({"min_level": 4})
    with pytest.raises(SuiteError, match="'min_coverage' is 2"):
        Policy.from_record({"min_coverage": 2})


def test_a_policy_of_another_version_is_refused():
    with pytest.raises(SuiteError, match=r"'version' of the policy 'standard' is 1"):
        Policy.from_record({"use": "standard", "version": 1})
