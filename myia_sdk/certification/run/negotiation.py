"""The first requests of a run: whether the endpoint answers, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myia_sdk.certification.checks.asking import ask, refuses
from myia_sdk.certification.models.dialect import OPTIONAL
from myia_sdk.certification.traffic.budget import BudgetExceededError
from myia_sdk.certification.traffic.outage import is_for_all
from myia_sdk.errors import EndpointAwayError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.checks.context import CheckContext
    from myia_sdk.certification.models.dialect import Dialect
    from myia_sdk.certification.request import JSON

#: Tokens by which limits are raised for a model that thinks before it answers: short
#: thoughts take some hundred.
ALLOWANCE = 2048
_MESSAGES: list[Mapping[str, JSON]] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Hi"},
]
#: All that the checks of chat models send with nearly every request.
_PARAMETERS: dict[str, JSON] = {
    "max_tokens": 16,
    "temperature": 0,
    "seed": 1,
    "stop": ["####"],
}
_MOST_STEPS = 2 * len(OPTIONAL)


def negotiate(context: CheckContext) -> tuple[str, ...]:
    """Find out how the model of a run wants to be asked.

    Parameters
    ----------
    context : CheckContext
        Of no check; its requests count and are logged as those of checks are.

    Returns
    -------
    tuple of str
        A sentence for each thing that is sent otherwise; none for models of which
        nothing is to be learned.

    Raises
    ------
    Exception
        The endpoint is away, see `Outage`. What it refuses for another reason is left
        to the checks.
    """
    dialect: Dialect | None = getattr(context.model, "dialect", None)
    if dialect is None:
        return ()
    try:
        reply = _first_answer(context, dialect)
    except (EndpointAwayError, BudgetExceededError):
        raise
    except Exception:  # noqa: BLE001 - the checks meet it again, and say what it means
        return dialect.adaptations
    if not reply.text.strip() and reply.finish_reason == "length":
        _allow_thoughts(context, dialect)
    return dialect.adaptations


def _first_answer(context: CheckContext, dialect: Dialect) -> Any:
    sent = {**_PARAMETERS, "stream_options": {}, "messages": _MESSAGES}
    refusal: Exception = RuntimeError("Nothing was asked.")
    for _ in range(_MOST_STEPS):
        try:
            return ask(context, _MESSAGES, _PARAMETERS)
        except (EndpointAwayError, BudgetExceededError):
            raise
        except Exception as exc:  # noqa: BLE001 - looked at below
            refusal = exc
        if is_for_all(refusal):
            # Asked again until it is known whether the endpoint is away.
            continue
        if not refuses(refusal):
            raise refusal
        if not dialect.learn(refusal, sent):
            return _by_trial(context, dialect, refusal)
    raise refusal


def _by_trial(context: CheckContext, dialect: Dialect, refusal: Exception) -> Any:
    """Find the fields that a refusal does not name, by sending each alone."""
    try:
        reply = ask(context, "Hi", stream=False)
    except Exception as exc:
        raise refusal from exc
    for name, value in _PARAMETERS.items():
        if not _takes(context, {name: value}):
            dialect.drop(name)
            if name == "max_tokens" and not _takes(context, {name: value}):
                dialect.drop(name)
    if not _takes(context, {}, stream=True):
        dialect.drop("stream_options")
    while not _takes(context, {}, messages=_MESSAGES) and dialect.change_role():
        pass
    return reply


def _takes(
    context: CheckContext,
    parameters: Mapping[str, JSON],
    *,
    stream: bool = False,
    messages: Any = "Hi",
) -> bool:
    try:
        ask(context, messages, parameters, stream=stream)
    except Exception as exc:
        if not refuses(exc):
            raise
        return False
    return True


def _allow_thoughts(context: CheckContext, dialect: Dialect) -> None:
    """Raise the limits of a model whose first tokens all went into thinking."""
    model: Any = context.model
    model.allowance = ALLOWANCE
    reply = ask(context, _MESSAGES, _PARAMETERS)
    if reply.text.strip():
        dialect.say(
            "the model thinks before it answers: limits of tokens are raised by "
            f"{ALLOWANCE:,}, except where the limit itself is measured"
        )
    else:
        model.allowance = 0
