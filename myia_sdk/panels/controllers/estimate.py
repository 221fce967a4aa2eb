"""What a run will ask of a remote model: requests, and their cost by a price table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.certification.suites import effort_of
from myia_sdk.certification.traffic.budget import Price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.request import JSON
    from myia_sdk.certification.suites import Suite


class Estimate(NamedTuple):
    """What a run is expected to spend.

    Attributes
    ----------
    requests : int
        Requests to the model.
    cost : float or None
        In the currency of the price table; None without one.
    """

    requests: int
    cost: float | None


def estimate(
    suite: Suite,
    prices: Mapping[str, float],
    regions: int,
    options: Mapping[str, JSON] | None = None,
) -> Estimate:
    """Return what certifying by `suite` spends, roughly and at most.

    Parameters
    ----------
    suite : Suite
        Of an endpoint.
    prices : mapping
        ``prompt`` and ``completion`` per million tokens; empty when unknown.
    regions : int
        How often the suite is run.
    options : mapping, optional
        Options of the model, when it is known.

    Raises
    ------
    InvalidRequestError
        A price is negative.
    """
    effort = effort_of(suite, options)
    cost = None
    if prices:
        price = Price(**prices)
        cost = price.of(effort.prompt_tokens, effort.completion_tokens) * regions
    return Estimate(effort.requests * regions, cost)
