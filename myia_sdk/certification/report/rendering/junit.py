"""The report as JUnit XML, which every continuous integration reads."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.report.rendering import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.verdict import Findings

#: What XML 1.0 cannot hold, however it is written.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(report: Findings) -> str:
    """Render a report as one JUnit test suite, a test case for each check.

    Warnings pass, with a note; checks that could not be measured are errors.

    Parameters
    ----------
    report : Report
        What to show.
    """
    counts = {
        "tests": len(report.checks),
        "failures": len(report.with_outcome(Outcome.FAILED)),
        "errors": len(report.with_outcome(Outcome.ERROR)),
        "skipped": len(report.with_outcome(Outcome.SKIPPED)),
    }
    attributes = _attributes(
        name=f"{report.suite_id}: {wording.model_name(report)}",
        **{name: str(count) for name, count in counts.items()},
        time=f"{report.duration_ms / 1000:.3f}",
        timestamp=report.started_at.isoformat(timespec="seconds"),
    )
    properties = [
        ("verdict", report.verdict.value),
        ("score", wording.number(report.score)),
        ("rating", report.rating),
        ("suite_digest", report.suite_digest),
    ]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites>\n<testsuite {attributes}>",
        "<properties>",
        *(
            f"<property {_attributes(name=name, value=value)}/>"
            for name, value in properties
        ),
        "</properties>",
        *(_case(report.suite_id, record) for record in report.checks),
        "</testsuite>\n</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _case(suite: str, record: CheckRecord) -> str:
    attributes = _attributes(
        classname=suite, name=record.id, time=f"{record.duration_ms / 1000:.3f}"
    )
    return f"<testcase {attributes}>{_body(record)}</testcase>"


def _body(record: CheckRecord) -> str:
    details = _safe("\n".join(_details(record)))
    match record.outcome:
        case Outcome.FAILED:
            kind = _attributes(message=record.message, type=record.category or "failed")
            return f"<failure {kind}>{details}</failure>"
        case Outcome.ERROR:
            kind = _attributes(message=record.message, type=record.category or "error")
            return f"<error {kind}>{details}</error>"
        case Outcome.SKIPPED:
            return f"<skipped {_attributes(message=record.message)}/>"
    return f"<system-out>{details}</system-out>"


def _details(record: CheckRecord) -> Iterable[str]:
    yield f"{record.outcome.value}, {record.severity.value}: {record.message}"
    value = wording.number(record.value, record.unit)
    if value:
        yield f"value {value} ({wording.interval(record)})"
    limit = wording.limit(record.threshold, record.unit)
    if limit:
        yield f"wanted {limit}"
    yield from wording.suggestions(record)


def _attributes(**values: str) -> str:
    return " ".join(f'{name}="{_safe(value)}"' for name, value in values.items())


def _safe(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
