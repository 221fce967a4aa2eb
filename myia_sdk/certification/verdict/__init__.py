"""From the outcomes of checks to score, rating and verdict, with all they rest on.

Policies are part of suites; how findings are shown and compared is the report's.
"""

from __future__ import annotations

from myia_sdk.certification.verdict.assurance import Assurance
from myia_sdk.certification.verdict.findings import Findings
from myia_sdk.certification.verdict.verdict import Judgement, Verdict, judge

__all__ = ["Assurance", "Findings", "Judgement", "Verdict", "judge"]
