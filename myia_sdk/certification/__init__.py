"""What a certification is: models, suites, checks, verdicts, certificates.

Knows nothing of queues. Names are imported when they are first used, so that
importing this package stays light.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "ArtifactStore": "artifacts",
    "CertificationRequest": "request",
    "CheckContext": "checks",
    "CheckRecord": "report",
    "Dataset": "datasets",
    "DatasetRef": "references",
    "Measurement": "checks",
    "ModelRef": "references",
    "Outcome": "report",
    "Policy": "verdict",
    "Report": "report",
    "Severity": "report",
    "Suite": "suites",
    "Threshold": "report",
    "Verdict": "report",
    "check": "checks",
    "judge": "verdict",
    "list_suites": "suites",
    "load_suite": "suites",
    "run_suite": "runner",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - built from the table above


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
