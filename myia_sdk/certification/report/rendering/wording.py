"""How numbers, intervals and thresholds are written, the same in every format."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.diagnosis import ErrorCategory
from myia_sdk.certification.verdict import Verdict

if TYPE_CHECKING:
    from myia_sdk.certification.checks import CheckRecord, Threshold
    from myia_sdk.certification.verdict import Findings

#: A sign beside each outcome, so that colour is never the only cue.
SIGNS = {
    Outcome.PASSED: "✔",
    Outcome.WARNED: "▲",
    Outcome.FAILED: "✘",
    Outcome.ERROR: "?",
    Outcome.SKIPPED: "–",
}
VERDICT_WORDS = {
    Verdict.CERTIFIED: "certified",
    Verdict.QUALITY_WARNING: "quality warning",
    Verdict.FAILED: "failed",
}

#: What is said of the origin of a suite's rules, by `Origin`.
ORIGINS = {
    "official": "the official rules",
    "changed": "an official name, but other checks or thresholds",
    "own": "rules of their own",
}

#: What is said of inputs on which checks were skipped.
MISSING = {
    "train": "training data",
    "sensitive": "groups of people",
    "baseline": "a baseline model",
}

_COMPARATORS = {"<=": "≤", ">=": "≥", "<": "<", ">": ">", "==": "="}
_DIGITS = 4


def number(value: float | None, unit: str = "") -> str:
    """Write a number with four significant digits; nothing for ``None``."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - exact there
        text = f"{int(value)}"
    else:
        exponent = math.floor(math.log10(abs(value)))
        places = _DIGITS - 1 - exponent
        text = f"{value:.{places}f}" if 0 <= places <= 2 * _DIGITS else f"{value:.4g}"
        text = text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    return f"{text} {unit}".rstrip()


def limit(threshold: Threshold | None, unit: str = "") -> str:
    """Write what a value is compared with."""
    if threshold is None or threshold.passed is None:
        return ""
    sign = _COMPARATORS[threshold.comparator]
    text = f"{sign} {number(threshold.passed, unit)}"
    if threshold.rule == "bound":
        text += " by its bound"
    if threshold.warned is not None:
        text += f", warned {sign} {number(threshold.warned, unit)}"
    return text


def interval(record: CheckRecord) -> str:
    """Write the confidence interval and the number of observations."""
    parts = []
    if record.ci_low is not None and record.ci_high is not None:
        parts.append(f"{number(record.ci_low)} to {number(record.ci_high)}")
    if record.sample_size is not None:
        parts.append(f"n = {record.sample_size}")
    return ", ".join(parts)


def suggestions(record: CheckRecord) -> tuple[str, ...]:
    """Return what to do about a check: its own advice, or its category's."""
    if record.suggestions or record.outcome not in {Outcome.FAILED, Outcome.ERROR}:
        return record.suggestions
    if record.category and record.category in ErrorCategory.__members__:
        return ErrorCategory(record.category).facts.suggestions
    return ()


def duration(milliseconds: float) -> str:
    """Write a duration with the unit that suits it."""
    if milliseconds < 1000:  # noqa: PLR2004 - one second
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:  # noqa: PLR2004 - one minute
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def model_name(report: Findings) -> str:
    """Name of the model, with its region if there is one."""
    name = str(report.model.get("name") or "model")
    return f"{name} in {report.region}" if report.region else name


def headline(report: Findings) -> str:
    """Verdict, score and rating in a few words."""
    return (
        f"{VERDICT_WORDS[report.verdict]}, "
        f"score {number(report.score)}, rating {report.rating}"
    )


def facts(report: Findings) -> list[tuple[str, str]]:
    """List what identifies the report, as pairs of name and value."""
    counted = {outcome: len(report.with_outcome(outcome)) for outcome in Outcome}
    pairs = [
        ("Model", model_name(report)),
        ("Kind", str(report.model.get("kind", ""))),
        ("Answered as", str(report.resolved.get("model") or "")),
        ("Suite", f"{report.suite_id} {report.suite_version}"),
        ("Suite digest", report.suite_digest),
        ("Rules", _rules(report)),
        ("Measured", _measured(report)),
        ("Started", report.started_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Took", duration(report.duration_ms)),
        ("Checks", ", ".join(f"{n} {outcome}" for outcome, n in counted.items() if n)),
        ("Error category", report.error_category or ""),
        ("Usage", _usage(report)),
    ]
    return [(name, value) for name, value in pairs if value]


def _rules(report: Findings) -> str:
    if report.coverage is None:
        return "those of before 2.0.0, which certified by the score alone"
    text = ORIGINS.get(report.suite_origin or "", "")
    changed = ", ".join(report.overridden)
    return f"{text}; the request changed {changed}" if changed else text


def _measured(report: Findings) -> str:
    if report.coverage is None:
        return ""
    text = f"{report.coverage:.0%} of the suite"
    if not any(record.needs for record in report.checks):
        return text
    text += f", assurance level {report.level} of 3"
    missing = ", ".join(MISSING.get(name, name) for name in report.missing)
    return f"{text}; not measured on {missing}" if missing else text


def _usage(report: Findings) -> str:
    usage = report.usage or {}
    words = {
        "requests": "requests",
        "prompt_tokens": "prompt tokens",
        "completion_tokens": "completion tokens",
        "cost": "cost",
    }
    return ", ".join(
        number(value, word)
        for key, word in words.items()
        if isinstance(value := usage.get(key), int | float) and value
    )
