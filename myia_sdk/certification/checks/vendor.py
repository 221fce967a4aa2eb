"""What only the models of one vendor are asked for.

The vendor is stated in the model's reference; for the models of others these checks
are skipped. Two of them could not fail in the original system; here they can.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from myia_sdk.certification.checks.asking import (
    any_text,
    ask,
    is_declared,
    needs,
    refuses,
    retries_of,
)
from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.traffic import sends

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.certification.checks.registry import CheckFunction

_KINDS = ("chat",)
_ALL = Threshold(comparator=">=", passed=1.0)
_HAIKU = "Write a haiku about coding"
_COUNTING = "Count from 1 to 100"
_RECALL = (
    ("user", "My name is Alice"),
    ("assistant", "Hello Alice, nice to meet you."),
    ("user", "What is my name?"),
)
_CHOICES = 2


def _only(
    *vendors: str,
) -> Callable[[CheckFunction], CheckFunction]:
    def guard(function: CheckFunction) -> CheckFunction:
        @wraps(function)
        def guarded(context: CheckContext) -> Measurement:
            vendor = (context.request.model.vendor or "").lower()
            if vendor not in vendors:
                stated = f"states {vendor!r}" if vendor else "states no vendor"
                return Measurement.skipped(
                    f"For models of {' or '.join(vendors)}; this one {stated}."
                )
            return function(context)

        return guarded

    return guard


@check(
    "anthropic-system-message",
    version="1.0.0",
    title="Accepts a system message",
    kinds=_KINDS,
    threshold=_ALL,
    material="You are a helpful assistant.",
    effort=sends(),
)
@_only("anthropic")
def anthropic_system_message(context: CheckContext) -> Measurement:
    """Answer a greeting after a system message with any text."""
    conversation = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hi"},
    ]
    return any_text(ask(context, conversation, {"max_tokens": 100}))


@check(
    "anthropic-temperature-top-p-conflict",
    version="1.0.0",
    title="Takes temperature and top_p together",
    kinds=_KINDS,
    threshold=_ALL,
    material={"temperature": 0.7, "top_p": 0.9},
    effort=sends(answer=32),
)
@_only("anthropic")
def anthropic_conflict(context: CheckContext) -> Measurement:
    """Send both parameters; newer models refuse that, which is a warning."""
    parameters = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 32}
    try:
        reply = ask(context, "Hi", parameters)
    except Exception as exc:
        if not refuses(exc):
            raise
        return Measurement(
            value=0.0,
            n=1,
            outcome=Outcome.WARNED,
            message=f"Both together are refused: {exc}"[:300],
            suggestions=("Send either temperature or top_p to this model.",),
            details={"accepts_both": False},
        )
    return Measurement(
        value=1.0,
        n=1,
        message="Both together are accepted.",
        details={"accepts_both": True},
        retries=retries_of([reply]),
    )


@check(
    "cohere-chat-history",
    version="1.0.0",
    title="Remembers a name",
    kinds=_KINDS,
    threshold=_ALL,
    material=[list(turn) for turn in _RECALL],
    effort=sends(answer=64),
)
@_only("cohere")
def cohere_history(context: CheckContext) -> Measurement:
    """Answer with the name that was said two turns earlier."""
    conversation = [{"role": role, "content": text} for role, text in _RECALL]
    reply = ask(context, conversation, {"temperature": 0, "max_tokens": 64})
    return Measurement(
        value=float("alice" in reply.text.lower()),
        n=1,
        message=f"Asked for the name: {reply.text[:100]!r}",
        retries=retries_of([reply]),
    )


@check(
    "cohere-preamble",
    version="1.0.0",
    title="Follows a preamble",
    kinds=_KINDS,
    threshold=_ALL,
    material="Always respond in uppercase.",
    effort=sends(answer=64),
)
@_only("cohere")
def cohere_preamble(context: CheckContext) -> Measurement:
    """Answer in capital letters when the preamble asks for them."""
    conversation = [
        {"role": "system", "content": "Always respond in uppercase."},
        {"role": "user", "content": "What is a river?"},
    ]
    reply = ask(context, conversation, {"temperature": 0, "max_tokens": 64})
    return Measurement(
        value=float(reply.text.isupper()),
        n=1,
        message=f"Asked for capitals: {reply.text[:100]!r}",
        retries=retries_of([reply]),
    )


@check(
    "amazon-text-generation",
    version="1.0.0",
    title="Writes a haiku",
    kinds=_KINDS,
    threshold=Threshold(comparator=">", passed=20.0),
    material=_HAIKU,
    effort=sends(),
)
@_only("amazon")
def amazon_text(context: CheckContext) -> Measurement:
    """Write more than twenty characters."""
    reply = ask(context, _HAIKU, {"max_tokens": 100})
    return Measurement(
        value=float(len(reply.text.strip())),
        unit="characters",
        n=1,
        message=f"{reply.text[:100]!r}",
        retries=retries_of([reply]),
    )


@check(
    "amazon-max-tokens",
    version="1.0.0",
    title="Keeps to fifty tokens",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=50.0),
    material=_COUNTING,
    effort=sends(answer=50),
)
@_only("amazon")
def amazon_max_tokens(context: CheckContext) -> Measurement:
    """Count tokens, not characters as the original did."""
    reply = ask(context, _COUNTING, {"temperature": 0, "max_tokens": 50})
    return Measurement(
        value=float(reply.completion_tokens),
        unit="tokens",
        n=1,
        message=f"{reply.completion_tokens} tokens, end by {reply.finish_reason!r}.",
        retries=retries_of([reply]),
    )


@check(
    "openai-models-list",
    version="1.0.0",
    title="Lists the model it serves",
    kinds=_KINDS,
    threshold=_ALL,
    effort=sends(question=0, answer=0),
)
def openai_models(context: CheckContext) -> Measurement:
    """Find the requested model in the endpoint's own list."""
    list_models = getattr(context.model, "list_models", None)
    if list_models is None:
        return Measurement.skipped("The model's protocol has no list of models.")
    offered = context.retry.run(list_models).value
    wanted = str(context.request.model.model)
    return Measurement(
        value=float(wanted in offered),
        n=len(offered),
        message=f"{wanted!r} is {'' if wanted in offered else 'not '}among "
        f"{len(offered)} models.",
        details={"models": offered[:50]},
        suggestions=(f"The endpoint offers: {', '.join(offered[:10])}.",),
    )


@check(
    "openai-logprobs",
    version="1.0.0",
    title="Gives log-probabilities",
    kinds=_KINDS,
    threshold=_ALL,
    effort=sends(answer=4),
)
@needs("logprobs", "logprobs")
def openai_logprobs(context: CheckContext) -> Measurement:
    """Ask for log-probabilities; without them only a declared ability fails."""
    parameters = {"logprobs": True, "max_tokens": 4}
    reply = ask(context, "Hi", parameters, stream=False)
    has_them = bool(reply.extras.get("logprobs"))
    if not has_them and not is_declared(context, "logprobs"):
        return Measurement.skipped("None came; the model does not declare 'logprobs'.")
    return Measurement(
        value=float(has_them),
        n=1,
        message="They came with the answer." if has_them else "None came.",
        retries=retries_of([reply]),
    )


@check(
    "openai-choices",
    version="1.0.0",
    title="Gives several answers at once",
    kinds=_KINDS,
    threshold=_ALL,
    effort=sends(answer=8),
)
@needs("n", "n")
def openai_choices(context: CheckContext) -> Measurement:
    """Ask for two answers; a single one fails only a declared ability."""
    parameters = {"n": _CHOICES, "max_tokens": 4}
    reply = ask(context, "Hi", parameters, stream=False)
    has_them = reply.extras.get("choices") == _CHOICES
    if not has_them and not is_declared(context, "n"):
        return Measurement.skipped("One came; the model does not declare 'n'.")
    return Measurement(
        value=float(has_them),
        n=1,
        message=f"{reply.extras.get('choices')} answers came.",
        retries=retries_of([reply]),
    )
