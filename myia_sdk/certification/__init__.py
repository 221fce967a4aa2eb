"""What a certification is: models, suites, checks, verdicts, certificates.

Knows nothing of queues. Names are imported when they are first used, so that
importing this package stays light.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "ArtifactStore": "data.artifacts",
    "CertificationRequest": "request.request",
    "CheckContext": "checks.context",
    "CheckRecord": "checks.record",
    "Dataset": "data.datasets",
    "DatasetRef": "request.references",
    "Measurement": "checks.context",
    "ModelRef": "request.references",
    "Outcome": "checks.outcomes",
    "Policy": "suites.policy",
    "Report": "report.report",
    "Severity": "checks.outcomes",
    "Suite": "suites.suites",
    "Threshold": "checks.thresholds",
    "Verdict": "verdict.verdict",
    "check": "checks.registry",
    "judge": "verdict.verdict",
    "list_suites": "suites.suites",
    "load_suite": "suites.suites",
    "run_suite": "report.runner",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - built from the table above


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
