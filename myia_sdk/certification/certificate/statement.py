"""From a report to the in-toto statement that a certificate signs.

The statement is an in-toto Statement v1 with the test-result predicate v0.1. What that
predicate has no field for is in one extension object, ``myiaCertification``. A reader
who ignores the extension learns less, but is never led to accept more: the result says
``PASSED`` only for a certified model.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

import rfc8785

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.request import JSON, json_safe
from myia_sdk.certification.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from myia_sdk.certification.certificate.subjects import Subject
    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.report import Report

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
EXTENSION = "myiaCertification"
EXTENSION_VERSION = "2.0"

#: What the predicate's ``result`` says for each verdict, and back.
RESULTS: Mapping[Verdict, str] = {
    Verdict.CERTIFIED: "PASSED",
    Verdict.QUALITY_WARNING: "WARNED",
    Verdict.FAILED: "FAILED",
}

DEVELOPMENT_NOTICE = (
    "Signed with a development key that the SDK made for itself. "
    "It proves that nothing was altered, not who certified."
)


def build_statement(
    report: Report,
    subject: Subject,
    *,
    job_id: str,
    submitter: str | None = None,
    issued_at: datetime,
    valid_for: timedelta,
    is_development: bool,
) -> bytes:
    """Build the payload of a certificate: canonical JSON (RFC 8785).

    Parameters
    ----------
    report : Report
        What was measured.
    subject : Subject
        What it was measured on.
    job_id : str
        The job that measured it.
    submitter : str, optional
        Who asked for it.
    issued_at : datetime
        Aware time of issue; written with whole seconds.
    valid_for : timedelta
        How long the statement holds.
    is_development : bool
        Whether a development key signs.
    """
    statement: dict[str, JSON] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject.name, "digest": {"sha256": subject.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": RESULTS[report.verdict],
            "configuration": list(_configuration(report)),
            "url": _job_url(job_id),
            "passedTests": _ids(report, Outcome.PASSED),
            "warnedTests": _ids(report, Outcome.WARNED),
            "failedTests": _ids(report, Outcome.FAILED),
            EXTENSION: {
                "jobId": job_id,
                **({"submittedBy": submitter} if submitter else {}),
                "issuedOn": _written(issued_at),
                "expiresOn": _written(issued_at + valid_for),
                "assuranceLevel": "development" if is_development else "self_attested",
                **({"notice": DEVELOPMENT_NOTICE} if is_development else {}),
                **_measured(report),
                **_described(subject),
            },
        },
    }
    return rfc8785.dumps(statement)


def read_moment(value: object) -> datetime | None:
    """Read a time as the extension writes it; ``None`` when it is not one."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _measured(report: Report) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "schemaVersion": EXTENSION_VERSION,
        "verdict": report.verdict.value,
        "score": report.score,
        "rating": report.rating,
        "errorCategory": report.error_category,
        "reasons": list(report.reasons),
        "suite": f"{report.suite_id}@{report.suite_version}",
        "suiteOrigin": report.suite_origin,
        "overridden": list(report.overridden),
        "coverage": report.coverage,
        "level": report.level,
        "missing": list(report.missing),
        "region": report.region,
        "claims": [_claim(record) for record in report.checks if _claims(record)],
        "errored": _ids(report, Outcome.ERROR),
        "skipped": _ids(report, Outcome.SKIPPED),
        "modelSeen": False if report.model.get("kind") == "predictions" else None,
        "environment": json_safe(report.environment),
        "sampleLogDigest": (report.sample_log or {}).get("artifact"),
    }
    return {
        key: _without_nulls(fact) for key, fact in facts.items() if fact is not None
    }


def _described(subject: Subject) -> dict[str, JSON]:
    """Repeat the description word for word: its digest is the subject."""
    if subject.descriptor is None:
        return {}
    return {"subjectDescriptor": json_safe(subject.descriptor)}


def _configuration(report: Report) -> Iterable[JSON]:
    yield {
        "name": f"{report.suite_id}@{report.suite_version}",
        "digest": {"sha256": _hex(report.suite_digest)},
    }
    if report.policy:
        policy: JSON = dict(report.policy)
        named = report.policy.get("use", "standard")
        yield {
            "name": f"policy:{named}@{report.policy.get('version', 1)}",
            "digest": {"sha256": hashlib.sha256(rfc8785.dumps(policy)).hexdigest()},
            "annotations": policy,
        }
    dataset = report.dataset
    if dataset is not None:
        yield from _dataset(dataset, "dataset")
        train = dataset.get("train")
        if isinstance(train, dict):
            yield from _dataset(train, "training dataset")
    release = _release()
    yield {"name": f"myia-sdk@{release}", "uri": f"pkg:pypi/myia-sdk@{release}"}


def _dataset(record: Mapping[str, JSON], fallback: str) -> Iterable[JSON]:
    artifact = record.get("artifact")
    if isinstance(artifact, str):
        name = record.get("name") or fallback
        yield {"name": name, "digest": {"sha256": _hex(artifact)}}


def _claims(record: CheckRecord) -> bool:
    threshold = record.threshold
    return (
        record.value is not None
        and threshold is not None
        and threshold.passed is not None
    )


def _claim(record: CheckRecord) -> JSON:
    threshold = record.threshold
    return {
        "metric": record.id,
        "version": record.version,
        "comparator": threshold.comparator if threshold else None,
        "threshold": threshold.passed if threshold else None,
        "value": record.value,
        "unit": record.unit or None,
        "ciLow": record.ci_low,
        "ciHigh": record.ci_high,
        "sampleSize": record.sample_size,
        "passed": record.outcome is Outcome.PASSED,
    }


def _ids(report: Report, outcome: Outcome) -> list[JSON]:
    return [record.id for record in report.with_outcome(outcome)]


def _job_url(job_id: str) -> str:
    try:
        return UUID(job_id).urn
    except ValueError:
        return uuid5(NAMESPACE_URL, f"myia:job:{job_id}").urn


def _release() -> str:
    try:
        return version("myia-sdk")
    except PackageNotFoundError:
        return "0"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_nulls(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
