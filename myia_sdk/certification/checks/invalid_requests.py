"""Whether a chat endpoint refuses what makes no sense, instead of answering it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.certification.checks.asking import ask, request_timeout, unsupported
from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.statistics.intervals import wilson_interval
from myia_sdk.certification.traffic import sends
from myia_sdk.certification.traffic.retries import NO_RETRIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from myia_sdk.certification.request import JSON


@check(
    "invalid-request",
    version="2.0.0",
    title="Refuses requests that make no sense",
    kinds=("chat",),
    params={"oversize_words": 0},
    threshold=Threshold(comparator=">=", passed=0.8, warned=0.6),
    material=["type", "negative temperature", "unknown model", "no messages", "size"],
    effort=sends(5, answer=8),
)
def invalid_request(context: CheckContext) -> Measurement:
    """Share of senseless requests that are answered with a status 400 to 499.

    An answer, a server error or a hang are all wrong. One request is larger than the
    window that the model declares in ``options.context_window``; without it, and
    without ``oversize_words``, it is not sent, for it might be answered, and paid for.
    Faults of the way there, a rate limit or a service that is away for two, are raised:
    they say nothing about the question.
    """
    found = {name: _reaction(context, *probe) for name, probe in _probes(context)}
    judged = {name: text for name, text in found.items() if text != "not sent"}
    refused = sum(text.startswith("refused") for text in judged.values())
    return Measurement(
        value=refused / len(judged),
        n=len(judged),
        ci=wilson_interval(refused, len(judged)),
        message=f"{refused} of {len(judged)} are refused; "
        + "; ".join(f"{name}: {text}" for name, text in found.items()),
        suggestions=("Validate requests in a gateway in front of the model.",),
    )


def _probes(
    context: CheckContext,
) -> Sequence[tuple[str, tuple[Sequence[Mapping[str, JSON]], Mapping[str, JSON]]]]:
    hello: list[Mapping[str, JSON]] = [{"role": "user", "content": "Hi"}]
    few: Mapping[str, JSON] = {"max_tokens": 8}
    probes: list[
        tuple[str, tuple[Sequence[Mapping[str, JSON]], Mapping[str, JSON]]]
    ] = []
    if "temperature" not in unsupported(context):
        probes += [
            ("temperature 'hot'", (hello, {**few, "temperature": "hot"})),
            ("temperature -5", (hello, {**few, "temperature": -5})),
        ]
    probes += [
        ("an unknown model", (hello, {**few, "model": "no-such-model-anywhere"})),
        ("no messages", ([], few)),
    ]
    size = _oversize(context)
    if size:
        long: list[Mapping[str, JSON]] = [{"role": "user", "content": "word " * size}]
        probes.append((f"{size} words", (long, few)))
    return probes


def _oversize(context: CheckContext) -> int:
    """Count the words, each of them at least a token, that exceed the window."""
    size = context.params["oversize_words"]
    window = context.request.model.options.get("context_window")
    if not size and isinstance(window, int):
        size = window + window // 4
    return size if isinstance(size, int) else 0


def _reaction(
    context: CheckContext,
    messages: Sequence[Mapping[str, JSON]],
    parameters: Mapping[str, JSON],
) -> str:
    timeout = request_timeout(context)
    try:
        reply = ask(context, messages, parameters, retry=NO_RETRIES)
    except Exception as exc:
        diagnosis = diagnose(exc)
        if type(exc).__name__ == "ParamValidationError":
            return "not sent"
        if diagnosis.is_refusal:
            return f"refused with {diagnosis.status}"
        if diagnosis.is_server_fault:
            return f"answered with {diagnosis.status}"
        if "imeout" in type(exc).__name__:
            return f"no answer within {timeout:g} s"
        raise
    return f"answered {reply.text[:20]!r}"
