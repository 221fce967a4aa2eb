"""What a run asks of an endpoint: pace, places, retries, cost.

The protocol spoken is the adapter's, what is asked the checks'.
"""

from __future__ import annotations

from myia_sdk.certification.traffic.effort import sends

__all__ = ["sends"]
