"""What checks ask of an endpoint: requests and tokens, known before they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from myia_sdk.certification.request import JSON

#: Tokens of a question: those of the baseline suite have at most about 160 characters,
#: four to a token, and the protocol adds some.
QUESTION_TOKENS = 50
#: Tokens of an answer to which the check sets no limit.
ANSWER_TOKENS = 100


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


def _number(params: Mapping[str, JSON], given: int | str) -> int:
    value = params.get(given) if isinstance(given, str) else given
    return value if isinstance(value, int) else 1
