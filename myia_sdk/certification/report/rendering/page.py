"""The report as one self-contained HTML page, in light and dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from myia_sdk.certification.report.rendering import wording
from myia_sdk.colors import OUTCOME_COLORS, VERDICT_COLORS, text_color_on

if TYPE_CHECKING:
    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.verdict import Findings

_HEADER = (
    "Outcome",
    "Check",
    "Severity",
    "Value",
    "95 % interval",
    "Threshold",
    "Message",
)

# One class around everything, so that the page can also be a part of another one.
_STYLE = """
.myia-report { color-scheme: light dark; --line: #8884; max-width: 72rem;
  margin: 1rem auto; padding: 0 1rem; font: 15px/1.45 system-ui, sans-serif; }
.myia-report h1 { font-size: 1.4rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.myia-report .mark { display: inline-block; padding: .05rem .5rem;
  border-radius: .7rem; font-weight: 600; white-space: nowrap; }
.myia-report dl { display: grid; grid-template-columns: max-content 1fr;
  gap: .15rem 1rem; }
.myia-report dt { opacity: .7; }
.myia-report dd { margin: 0; overflow-wrap: anywhere; }
.myia-report .scroll { overflow-x: auto; }
article.myia-report table { border-collapse: collapse; width: 100%;
  table-layout: auto; font-size: .87em; }
article.myia-report table th, article.myia-report table td {
  text-align: left !important; vertical-align: top; white-space: normal;
  padding: .3rem .45rem; border-bottom: 1px solid var(--line); }
article.myia-report table td.number { font-variant-numeric: tabular-nums; }
article.myia-report table td.words { min-width: 13rem; overflow-wrap: anywhere; }
.myia-report ul { margin: .25rem 0 0; padding-left: 1.1rem; }
.myia-report small { opacity: .7; }
"""


def to_html(report: Findings) -> str:
    """Render a report as an HTML page that needs nothing else.

    Parameters
    ----------
    report : Report
        What to show. Every text is escaped; there is no script and no link.
    """
    title = escape(f"{wording.model_name(report)}: {wording.headline(report)}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n</head>\n<body>\n{to_fragment(report)}"
        "</body>\n</html>\n"
    )


def to_fragment(report: Findings) -> str:
    """Render a report as a piece of HTML, for a notebook's output."""
    verdict = report.verdict.value
    mark = _mark(wording.VERDICT_WORDS[report.verdict], VERDICT_COLORS[verdict])
    score = f"score {wording.number(report.score)}, rating {escape(report.rating)}"
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n"
        for name, value in wording.facts(report)
    )
    reasons = "".join(f"<p>{escape(reason)}</p>\n" for reason in report.reasons)
    header = "".join(f'<th scope="col">{name}</th>' for name in _HEADER)
    rows = "".join(_row(record) for record in report.checks)
    return (
        f'<style>{_STYLE}</style>\n<article class="myia-report">\n'
        f"<h1>{escape(wording.model_name(report))}</h1>\n<p>{mark} {score}</p>\n"
        f"{reasons}<dl>\n{facts}</dl>\n"
        f'<div class="scroll"><table>\n<thead><tr>{header}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table></div>\n</article>\n"
    )


def _row(record: CheckRecord) -> str:
    mark = _mark(
        f"{wording.SIGNS[record.outcome]} {record.outcome.value}",
        OUTCOME_COLORS[record.outcome.value],
    )
    numbers = (
        wording.number(record.value, record.unit),
        wording.interval(record),
        wording.limit(record.threshold, record.unit),
    )
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
    return (
        f'<tr><td>{mark}</td><th scope="row">{escape(record.title)}<br>'
        f"<small>{escape(record.id)} {escape(record.version)}</small></th>"
        f"<td>{escape(record.severity.value)}</td>{cells}"
        f'<td class="words">{_words(record)}</td></tr>\n'
    )


def _words(record: CheckRecord) -> str:
    parts = [escape(record.message)]
    if record.category:
        parts.append(f"<small>{escape(record.category)}</small>")
    if record.retries:
        parts.append(f"<small>{record.retries} requests were sent again</small>")
    advice = "".join(f"<li>{escape(t)}</li>" for t in wording.suggestions(record))
    listed = f"<ul>{advice}</ul>" if advice else ""
    return "<br>".join(part for part in parts if part) + listed


def _mark(text: str, color: str) -> str:
    style = f"background:{color};color:{text_color_on(color)}"
    return f'<span class="mark" style="{style}">{escape(text)}</span>'
