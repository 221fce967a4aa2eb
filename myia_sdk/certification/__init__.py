"""What a certification is: models, suites, checks, verdicts, certificates.

Knows nothing of queues. These names are for notebooks and authors of plug-ins; each is
imported when it is first used, so that importing this package stays light::

    check                 register a function as a check
    CheckContext          what a check is given: model, dataset, parameters, seed
    Measurement           what a check gives back
    Threshold             what the value is compared with
    Outcome               what a check found: passed, warned, failed, error, skipped
    Severity              how much a check matters: critical, major, minor
    sends                 what a check asks of an endpoint, for estimates

    Suite                 a versioned list of checks
    Policy                how the outcomes become a verdict
    load_suite            a suite by name, from a TOML file, or from its object
    list_suites           names of the built-in suites

    ModelRef              where a model is
    DatasetRef            where a stored dataset is
    Dataset               test data in memory
    ArtifactStore         where models and data are stored, by digest
    CertificationRequest  what is asked for: the data of a job
    build_request         check a submission, store it, make the request

    run_suite             run the request here and judge what was found
    judge                 from the outcomes of checks to a verdict
    Verdict               certified, quality warning, failed
    Report                everything that was found and concluded
    CheckRecord           what one check found
    compare               two reports, check by check
    drift_notice          whether an endpoint answers as another model now
    render                a report as text
    FORMATS               the formats there are

    Certificate           a signed verdict: issue, read, verify
    Subject               what a certificate is about
    trusted_keys          the public keys to verify with

Examples
--------
A check of one's own, in a module that an entry point ``myia_sdk.checks`` or
``MYIA_PLUGINS`` names, and a suite that uses it:

>>> from myia_sdk.certification import Measurement, Threshold, check, load_suite
>>> @check(
...     "few-columns",
...     version="1",
...     title="Number of features",
...     kinds=["classifier"],
...     threshold=Threshold(comparator="<=", passed=20, warned=50),
... )
... def few_columns(context):
...     width = context.dataset.features.width
...     return Measurement(value=width, message=f"{width} features")
>>> head = {"id": "narrow", "version": "1.0.0", "kind": "classifier"}
>>> suite = load_suite({"suite": head, "check": [{"id": "few-columns"}]})
>>> suite.spec("few-columns").threshold.passed
20
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myia_sdk.certification.admission import build_request
    from myia_sdk.certification.certificate import Certificate, Subject, trusted_keys
    from myia_sdk.certification.checks import (
        CheckContext,
        CheckRecord,
        Measurement,
        Outcome,
        Severity,
        Threshold,
        check,
    )
    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.report import (
        FORMATS,
        Report,
        compare,
        drift_notice,
        render,
        run_suite,
    )
    from myia_sdk.certification.request import (
        CertificationRequest,
        DatasetRef,
        ModelRef,
    )
    from myia_sdk.certification.suites import Policy, Suite, list_suites, load_suite
    from myia_sdk.certification.traffic import sends
    from myia_sdk.certification.verdict import Verdict, judge

#: Public name -> room that hands it out.
_HOMES = {
    "ArtifactStore": "data",
    "Certificate": "certificate",
    "CertificationRequest": "request",
    "CheckContext": "checks",
    "CheckRecord": "checks",
    "Dataset": "data.datasets",
    "DatasetRef": "request",
    "FORMATS": "report",
    "Measurement": "checks",
    "ModelRef": "request",
    "Outcome": "checks",
    "Policy": "suites",
    "Report": "report",
    "Severity": "checks",
    "Subject": "certificate",
    "Suite": "suites",
    "Threshold": "checks",
    "Verdict": "verdict",
    "build_request": "admission",
    "check": "checks",
    "compare": "report",
    "drift_notice": "report",
    "judge": "verdict",
    "list_suites": "suites",
    "load_suite": "suites",
    "render": "report",
    "run_suite": "report",
    "sends": "traffic",
    "trusted_keys": "certificate",
}

__all__ = [
    "FORMATS",
    "ArtifactStore",
    "Certificate",
    "CertificationRequest",
    "CheckContext",
    "CheckRecord",
    "Dataset",
    "DatasetRef",
    "Measurement",
    "ModelRef",
    "Outcome",
    "Policy",
    "Report",
    "Severity",
    "Subject",
    "Suite",
    "Threshold",
    "Verdict",
    "build_request",
    "check",
    "compare",
    "drift_notice",
    "judge",
    "list_suites",
    "load_suite",
    "render",
    "run_suite",
    "sends",
    "trusted_keys",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
