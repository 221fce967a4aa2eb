"""What a run asks of an endpoint: pace, places, retries, cost.

The protocol spoken is the adapter's, what is asked the checks'.
"""

from __future__ import annotations

from myia_sdk.certification.traffic.budget import Budget
from myia_sdk.certification.traffic.effort import Effort, sends
from myia_sdk.certification.traffic.outage import Outage
from myia_sdk.certification.traffic.retries import RetryPolicy
from myia_sdk.certification.traffic.traffic import Traffic

__all__ = ["Budget", "Effort", "Outage", "RetryPolicy", "Traffic", "sends"]
