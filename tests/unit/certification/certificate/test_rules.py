"""By whose rules a certificate is, and how much they measured."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from myia_sdk.certification.certificate import Certificate, PublicKey, Signer
from myia_sdk.certification.report import Report, compare
from myia_sdk.certification.suites import load_suite
from myia_sdk.certification.verdict import Verdict
from myia_sdk.cli.certificates import _about_rules
from myia_sdk.errors import (
    ComparisonError,
    LowAssuranceError,
    NotCertifiedError,
    WrongSuiteError,
)
from tests.helpers.reports import STARTED, make_report

#: Made by the release before the rules of 2.0.0, of a model of breast cancer data.
OLD = Path(__file__).parents[3] / "helpers" / "old_rules"
SUITE = "classifier-baseline"


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer.load(None, tmp_path_factory.mktemp("home"))


@pytest.fixture
def certified(signer):
    """Certify by a suite as it is, or with changes of the report."""

    def certified(**changes):
        suite = load_suite(SUITE)
        facts = {
            "suite_id": suite.id,
            "suite_version": suite.version,
            "suite_digest": suite.digest,
            "suite_origin": "official",
            "coverage": 0.9,
            "level": 2,
            "missing": ("baseline",),
            "verdict": Verdict.CERTIFIED,
        }
        certificate = Certificate.issue(
            make_report(**{**facts, **changes}),
            job_id="job-1",
            signer=signer,
            submitter="Ana <b>",
            now=STARTED,
        )
        return Certificate.from_json(certificate.to_json())

    return certified


def verify(certificate, signer, **demands):
    return certificate.verify([signer.public_key], None, now=STARTED, **demands)


def test_a_certificate_says_by_whose_rules_it_is(certified, signer):
    found = certified(overridden=("latency",))
    suite = load_suite(SUITE)
    assert (found.suite, found.suite_digest) == (f"{SUITE}@2.0.0", suite.digest)
    assert (found.suite_origin, found.level, found.coverage) == ("official", 2, 0.9)
    assert found.extension["missing"] == ["baseline"]
    assert found.extension["overridden"] == ["latency"]
    assert found.extension["submittedBy"] == "Ana <b>"
    assert verify(found, signer, suite=f"{SUITE}@2.0.0", min_level=2).is_certified
    named = f"{SUITE}@2.0.0={suite.digest}"
    assert verify(found, signer, suite=named).is_certified


def test_what_the_request_changed_is_said_by_whoever_verifies(certified):
    changed = certified(suite_origin="changed", overridden=("latency", "slices"))
    assert list(_about_rules(changed)) == [
        f"By {SUITE}@2.0.0: an official name, but other checks or thresholds.",
        "The request changed latency, slices.",
        "Measured was 90% of it, assurance level 2 of 3.",
        "Submitted by Ana <b>, as they say.",
    ]
    assert "The request" not in " ".join(_about_rules(certified()))


@pytest.mark.parametrize(
    ("changes", "demand", "text"),
    [
        ({}, f"{SUITE}@1.0.0", "is by classifier-baseline@2.0.0, not by"),
        ({}, "chat-baseline@2.0.0", "not by chat-baseline@2.0.0"),
        (
            {"suite_digest": "sha256:" + "e" * 64, "suite_origin": "official"},
            f"{SUITE}@2.0.0",
            "call themselves classifier-baseline@2.0.0 and are others",
        ),
        ({}, f"{SUITE}@2.0.0=sha256:{'e' * 64}", "and are others"),
        (
            {"suite_version": "9.0.0", "suite_origin": "changed"},
            f"{SUITE}@9.0.0",
            "with other checks or thresholds than the official ones",
        ),
    ],
    ids=["version", "name", "thresholds", "digest", "unknown version"],
)
def test_other_rules_are_refused(certified, signer, changes, demand, text):
    with pytest.raises(WrongSuiteError, match=text):
        verify(certified(**changes), signer, suite=demand)


def test_suites_of_others_are_told_by_their_digest(certified, signer):
    own = certified(suite_id="bank", suite_version="3", suite_origin="own")
    assert verify(own, signer, suite="bank@3").is_certified
    with pytest.raises(WrongSuiteError, match="and are others"):
        verify(own, signer, suite=f"bank@3=sha256:{'e' * 64}")


def test_less_than_demanded_is_refused(certified, signer):
    found = certified()
    with pytest.raises(
        LowAssuranceError, match=r"level 2; 3 is.*Not measured on: baseline"
    ):
        verify(found, signer, min_level=3)
    # The verdict comes first: a demand makes nothing certified.
    failed = certified(verdict=Verdict.FAILED)
    with pytest.raises(NotCertifiedError):
        verify(failed, signer, min_level=1)


def test_a_certificate_by_the_old_rules_is_still_genuine():
    found = Certificate.load(OLD / "certificate.json")
    key = PublicKey.load(OLD / "signing.pub.pem")
    now = datetime(2026, 11, 2, tzinfo=UTC)
    assert found.verify([key], None, now=now).is_certified
    assert (found.level, found.coverage, found.suite_origin) == (None, None, None)
    assert found.verify([key], None, now=now, suite=f"{SUITE}@1.0.0").is_certified
    with pytest.raises(WrongSuiteError, match=r"by classifier-baseline@1\.0\.0"):
        found.verify([key], None, now=now, suite=f"{SUITE}@2.0.0")
    with pytest.raises(LowAssuranceError, match="rules from before there were any"):
        found.verify([key], None, now=now, min_level=1)


def test_a_report_by_the_old_rules_is_read_shown_and_compared_with_its_like():
    old = Report.from_record(json.loads((OLD / "report.json").read_text()))
    assert old.verdict is Verdict.CERTIFIED
    assert (old.coverage, old.level) == (None, None)
    assert "those of before 2.0.0" in old.render()
    assert compare(old, old).score_difference == 0
    suite = load_suite(SUITE)
    new = make_report(
        suite_id=SUITE, suite_version=suite.version, suite_digest=suite.digest
    )
    with pytest.raises(ComparisonError, match=r"1\.0\.0 and 2\.0\.0, which measure or"):
        compare(old, new)
