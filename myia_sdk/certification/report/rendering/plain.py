"""The report as plain text, for terminals and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.certification.report.rendering import wording

if TYPE_CHECKING:
    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.verdict import Findings


def to_text(report: Findings) -> str:
    """Render a report as plain text, one block a check.

    Parameters
    ----------
    report : Report
        What to show.
    """
    lines = [f"{wording.model_name(report)}: {wording.headline(report)}", ""]
    pairs = wording.facts(report)
    width = max(len(name) for name, _ in pairs)
    lines += [f"  {name:<{width}}  {value}" for name, value in pairs]
    lines += [f"  {'':<{width}}  {reason}" for reason in report.reasons]
    lines.append("")
    width = max((len(record.id) for record in report.checks), default=0)
    for record in report.checks:
        lines += _block(record, width)
    return "\n".join(map(_line, lines)).rstrip() + "\n"


def _block(record: CheckRecord, width: int) -> list[str]:
    cells = [
        f"{wording.SIGNS[record.outcome]} {record.outcome.value:<7}",
        f"{record.id:<{width}}",
        f"{record.severity.value:<8}",
        _measured(record),
    ]
    lines = ["  ".join(cells).rstrip()]
    margin = " " * 11
    if record.message:
        lines.append(f"{margin}{record.message}")
    if record.category:
        lines.append(f"{margin}category {record.category}")
    if record.retries:
        lines.append(f"{margin}{record.retries} requests were sent again")
    lines += [f"{margin}→ {advice}" for advice in wording.suggestions(record)]
    return lines


def _measured(record: CheckRecord) -> str:
    value = wording.number(record.value, record.unit)
    limit = wording.limit(record.threshold, record.unit)
    interval = wording.interval(record)
    text = f"{value} ({interval})" if value and interval else value or interval
    return f"{text}  wanted {limit}" if limit and value else text


def _line(text: str) -> str:
    """Keep one line and no control characters: a model's answer may hold both."""
    return "".join(c if c.isprintable() else " " for c in text)
