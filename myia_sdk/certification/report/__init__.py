"""Reports: from a request to one, compared, and shown in every format.

Signing them is done in :mod:`myia_sdk.certification.certificate`. The words that
reports are written in are handed out here too.
"""

from __future__ import annotations

from myia_sdk.certification.checks import CheckRecord, Outcome, Severity, Threshold
from myia_sdk.certification.report.comparison import compare, drift_notice
from myia_sdk.certification.report.rendering import FORMATS, render
from myia_sdk.certification.report.report import Report
from myia_sdk.certification.report.runner import run_suite
from myia_sdk.certification.verdict import Verdict

__all__ = [
    "FORMATS",
    "CheckRecord",
    "Outcome",
    "Report",
    "Severity",
    "Threshold",
    "Verdict",
    "compare",
    "drift_notice",
    "render",
    "run_suite",
]
