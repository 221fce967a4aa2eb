"""Suites: versioned lists of checks with parameters, thresholds and a policy.

The built-in ones are the TOML files beside these modules. What a check measures is its
own business.
"""

from __future__ import annotations

from myia_sdk.certification.suites.estimate import effort_of
from myia_sdk.certification.suites.policy import Policy
from myia_sdk.certification.suites.suites import Suite, list_suites, load_suite

__all__ = ["Policy", "Suite", "effort_of", "list_suites", "load_suite"]
