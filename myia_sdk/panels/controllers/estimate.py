"""What a run will ask of a remote model: requests, and their cost by a price table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.certification.budget import Price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.suites import Suite

#: Parameters of checks that say how many requests a check sends.
_COUNTS = frozenset({"requests", "repetitions", "repeats", "samples", "limit"})
#: Tokens of a prompt: those of the baseline suite have at most about 400 characters,
#: four to a token.
PROMPT_TOKENS = 100
#: Tokens of an answer whose check sets no limit: the largest limit that the checks
#: of the baseline suite set themselves.
COMPLETION_TOKENS = 100


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


def estimate(suite: Suite, prices: Mapping[str, float], regions: int) -> Estimate:
    """Return what certifying by `suite` spends, roughly.

    Parameters
    ----------
    suite : Suite
        Of an endpoint; each check tells its number of requests and its limit of
        tokens, else one request and `COMPLETION_TOKENS` are taken.
    prices : mapping
        ``prompt`` and ``completion`` per million tokens; empty when unknown.
    regions : int
        How often the suite is run.

    Raises
    ------
    InvalidRequestError
        A price is negative.
    """
    price = Price(**prices) if prices else None
    answers = suite.kind == "chat"
    requests, cost = 0, 0.0
    for spec in suite.checks:
        numbers = [
            value
            for key, value in spec.params.items()
            if key in _COUNTS and isinstance(value, int)
        ]
        count = max(numbers, default=1)
        requests += count
        limit = spec.params.get("max_tokens")
        completion = limit if isinstance(limit, int) else COMPLETION_TOKENS
        if price is not None:
            cost += count * price.of(PROMPT_TOKENS, completion if answers else 0)
    return Estimate(requests * regions, None if price is None else cost * regions)
