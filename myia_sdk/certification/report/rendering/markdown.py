"""The report as GitHub-flavoured Markdown, for pull requests and wikis."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from myia_sdk.certification.report.rendering import wording

if TYPE_CHECKING:
    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.verdict import Findings

_HEADER = ("", "Check", "Severity", "Value", "95 % interval", "Threshold", "Message")
_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~])")


def to_markdown(report: Findings) -> str:
    """Render a report as Markdown: the facts, a table of checks, what to do.

    Parameters
    ----------
    report : Report
        What to show. Texts of models and checks are escaped.
    """
    lines = [
        f"# {_escaped(wording.model_name(report))}",
        "",
        f"**{_escaped(wording.headline(report))}**",
        "",
        *(f"- {name}: {_escaped(value)}" for name, value in wording.facts(report)),
        *(f"- {_escaped(reason)}" for reason in report.reasons),
        "",
        _row(_HEADER),
        _row(["---"] * len(_HEADER)),
        *(_row(_cells(record)) for record in report.checks),
    ]
    advised = [record for record in report.checks if wording.suggestions(record)]
    if advised:
        lines += ["", "## What to do"]
    for record in advised:
        lines += ["", f"**{_escaped(record.title)}**", ""]
        lines += [f"- {_escaped(text)}" for text in wording.suggestions(record)]
    return "\n".join(lines) + "\n"


def _cells(record: CheckRecord) -> list[str]:
    message = record.message
    if record.category:
        message = f"{message} ({record.category})"
    texts = [
        f"{wording.SIGNS[record.outcome]} {record.outcome.value}",
        record.id,
        record.severity.value,
        wording.number(record.value, record.unit),
        wording.interval(record),
        wording.limit(record.threshold, record.unit),
        message,
    ]
    return [_escaped(text) for text in texts]


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    one_line = "".join(c if c.isprintable() else " " for c in text)
    return _SPECIAL.sub(r"\\\1", escape(one_line, quote=False))
