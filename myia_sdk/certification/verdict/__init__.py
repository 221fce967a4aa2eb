"""From the outcomes of checks to score, rating, verdict and reasons.

Policies are part of suites; what is done with a verdict is the report's.
"""

from __future__ import annotations

from myia_sdk.certification.verdict.verdict import Judgement, Verdict, judge

__all__ = ["Judgement", "Verdict", "judge"]
