"""What a run of a suite will ask of an endpoint, known before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.certification.traffic import Effort
from myia_sdk.certification.traffic.effort import ANSWER_TOKENS, QUESTION_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.request import JSON
    from myia_sdk.certification.suites.suites import Suite

#: Parameters by which checks of users commonly say how many requests they send.
_COUNTS = frozenset({"requests", "repetitions", "repeats", "samples", "limit"})


#: The request with which a run finds out how a chat endpoint is asked.
_FIRST = Effort(1, QUESTION_TOKENS, 16)


def effort_of(suite: Suite, options: Mapping[str, JSON] | None = None) -> Effort:
    """Return what a run of a suite asks of an endpoint, roughly and at most.

    Parameters
    ----------
    suite : Suite
        Of an endpoint. Checks of users that do not state their effort count by their
        parameters: one request, or as many as ``requests`` or ``samples`` say.
    options : mapping, optional
        Options of the model; its ``context_window`` decides how long the long texts
        are. Without it they are not sent.

    Examples
    --------
    >>> from myia_sdk.certification.suites import load_suite
    >>> effort_of(load_suite("chat-baseline")).requests
    329
    """
    total = _FIRST if suite.kind == "chat" else Effort()
    for spec in suite.checks:
        rule = spec.check.effort or _guess
        total = total.plus(rule(spec.params, options or {}))
    return total


def _guess(params: Mapping[str, JSON], _: Mapping[str, JSON]) -> Effort:
    counts = [
        value
        for key, value in params.items()
        if key in _COUNTS and isinstance(value, int)
    ]
    requests = max(counts, default=1)
    limit = params.get("max_tokens")
    answer = limit if isinstance(limit, int) else ANSWER_TOKENS
    return Effort(requests, requests * QUESTION_TOKENS, requests * answer)
