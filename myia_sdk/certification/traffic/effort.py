"""What checks ask of an endpoint: requests and tokens, known before they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from myia_sdk.certification.request.records import JSON
    from myia_sdk.certification.suites.suites import Suite

#: Tokens of a question: those of the baseline suite have at most about 160 characters,
#: four to a token, and the protocol adds some.
QUESTION_TOKENS = 50
#: Tokens of an answer to which the check sets no limit.
ANSWER_TOKENS = 100
#: Parameters by which checks of users commonly say how many requests they send.
_COUNTS = frozenset({"requests", "repetitions", "repeats", "samples", "limit"})


class Effort(NamedTuple):
    """Requests and tokens in all; answers at their longest."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, other: Effort) -> Effort:
        """Return the sum of two efforts."""
        return Effort(*(mine + its for mine, its in zip(self, other, strict=True)))


#: From the parameters of a check and the options of the model.
EffortOf = Callable[[Mapping[str, "JSON"], Mapping[str, "JSON"]], Effort]


def sends(
    count: int | str = 1,
    *,
    question: int = QUESTION_TOKENS,
    answer: int | str = ANSWER_TOKENS,
    times: int = 1,
    more: int = 0,
) -> EffortOf:
    """Describe the effort of a check that sends requests of one sort.

    Parameters
    ----------
    count : int or str
        How many, or the name of the parameter that says it.
    question : int
        Tokens of each question.
    answer : int or str
        Most tokens of each answer, or the name of the parameter that limits them.
    times, more : int
        The count is multiplied by the one, and the other added.
    """

    def effort(params: Mapping[str, JSON], _: Mapping[str, JSON]) -> Effort:
        requests = _number(params, count) * times + more
        return Effort(requests, requests * question, requests * _number(params, answer))

    return effort


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
    >>> from myia_sdk.certification.suites.suites import load_suite
    >>> effort_of(load_suite("chat-baseline")).requests
    142
    """
    total = Effort()
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


def _number(params: Mapping[str, JSON], given: int | str) -> int:
    value = params.get(given) if isinstance(given, str) else given
    return value if isinstance(value, int) else 1
