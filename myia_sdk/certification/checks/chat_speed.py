"""How fast a chat endpoint answers, alone and under load."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from myia_sdk.certification.checks.asking import Reply, ask, retries_of, whole_number
from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import number
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.statistics.intervals import quantile_interval
from myia_sdk.certification.traffic import sends

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = ("chat",)
_SHORT = "Say hello."
_LONG = "Tell me a story about a lighthouse keeper, number {number}."


@check(
    "ttft",
    version="2.0.0",
    title="Time to the first token",
    kinds=_KINDS,
    params={"requests": 72, "max_seconds": 45.0, "max_tokens": 8},
    threshold=Threshold(comparator="<=", passed=2.0, warned=5.0, rule="bound"),
    material=_SHORT,
    effort=sends("requests", answer="max_tokens"),
)
def time_to_first_token(context: CheckContext) -> Measurement:
    """95th percentile of the seconds from the request to the first visible text.

    Measured with nothing else running, on a true stream. Its interval is that of order
    statistics, which has an upper bound from 72 requests on; a slow endpoint is asked
    less often, no longer than ``max_seconds``.
    """
    replies = _ask_alone(context, [_SHORT] * whole_number(context, "requests"))
    times = [reply.first_text_after for reply in replies]
    known = [seconds for seconds in times if seconds is not None]
    if not known:
        return Measurement(outcome=Outcome.FAILED, message="No answer has any text.")
    found = _percentiles(known, "to the first token", retries_of(replies))
    thoughts = [
        reply.first_thought_after
        for reply in replies
        if reply.first_thought_after is not None
    ]
    if not thoughts:
        return found
    slowest = float(np.quantile(thoughts, 0.95))
    return replace(
        found,
        message=f"{found.message} Its first thought came after {slowest:.2f} s.",
        details={**found.details, "first_thought_p95": slowest},
    )


@check(
    "latency",
    version="2.0.0",
    title="Time of a whole answer",
    kinds=_KINDS,
    params={"requests": 72, "max_seconds": 90.0, "max_tokens": 64},
    threshold=Threshold(comparator="<=", passed=10.0, warned=30.0, rule="bound"),
    material=_LONG,
    effort=sends("requests", answer="max_tokens"),
)
def latency(context: CheckContext) -> Measurement:
    """95th percentile of the seconds that answers of some 64 tokens take.

    With an interval, and no longer than ``max_seconds``, as the time to the first
    token.
    """
    replies = _stories(context)
    return _percentiles(
        [reply.elapsed for reply in replies], "for an answer", retries_of(replies)
    )


@check(
    "throughput",
    version="2.0.0",
    title="Tokens per second",
    kinds=_KINDS,
    params={"requests": 72, "max_seconds": 90.0, "max_tokens": 64},
    threshold=Threshold(comparator=">=", passed=10.0, warned=5.0),
    material=_LONG,
    effort=sends("requests", answer="max_tokens"),
)
def throughput(context: CheckContext) -> Measurement:
    """Median of the tokens after the first one, by the time they took."""
    rates = [
        (reply.completion_tokens - 1) / (reply.elapsed - reply.first_text_after)
        for reply in _stories(context)
        if reply.first_text_after is not None
        and reply.completion_tokens > 1
        and reply.elapsed > reply.first_text_after
    ]
    if not rates:
        return Measurement.skipped("No answer has more than one token.")
    return Measurement(
        value=float(np.median(rates)),
        ci=quantile_interval(np.array(rates), 0.5),
        unit="tokens/s",
        n=len(rates),
        message=f"{np.median(rates):.1f} tokens a second, "
        f"from {min(rates):.1f} to {max(rates):.1f}.",
    )


@check(
    "concurrency",
    version="1.0.0",
    title="Keeps its speed under load",
    kinds=_KINDS,
    params={"requests": 8, "max_tokens": 16},
    threshold=Threshold(comparator="<=", passed=3.0),
    material=_LONG,
    effort=sends("requests", answer="max_tokens", more=1),
)
def concurrency(context: CheckContext) -> Measurement:
    """How many times longer the 95th percentile is with requests in parallel."""
    count = whole_number(context, "requests")
    limit = whole_number(context, "max_tokens")
    prompts = [_LONG.format(number=place + 100) for place in range(count)]
    with context.traffic.alone(), ThreadPoolExecutor(count) as pool:
        single = ask(context, prompts[0], {"max_tokens": limit}, is_alone=True)
        replies = list(
            pool.map(
                lambda prompt: ask(
                    context, prompt, {"max_tokens": limit}, is_alone=True
                ),
                prompts,
            )
        )
    slowest = float(np.quantile([reply.elapsed for reply in replies], 0.95))
    return Measurement(
        value=slowest / single.elapsed,
        n=count,
        message=f"{count} at once take {slowest:.2f} s (95th percentile), "
        f"one alone {single.elapsed:.2f} s.",
        details={"seconds": [round(reply.elapsed, 4) for reply in replies]},
        suggestions=("Lower the concurrency of clients, or add replicas.",),
        retries=retries_of([single, *replies]),
    )


def _stories(context: CheckContext) -> list[Reply]:
    """Answers that latency and throughput share."""
    count = whole_number(context, "requests")
    asked = [context.params[name] for name in ("requests", "max_seconds", "max_tokens")]

    def tell() -> object:
        return _ask_alone(
            context, [_LONG.format(number=place) for place in range(count)]
        )

    return cast("list[Reply]", context.shared.get(f"stories {asked}", tell))


def _ask_alone(context: CheckContext, prompts: Sequence[str]) -> list[Reply]:
    """Ask one after the other until all are answered or the time is over."""
    limit = whole_number(context, "max_tokens")
    replies: list[Reply] = []
    with context.traffic.alone():
        end = time.monotonic() + number(context, "max_seconds")
        for prompt in prompts:
            replies.append(ask(context, prompt, {"max_tokens": limit}, is_alone=True))
            if time.monotonic() > end:
                break
    return replies


def _percentiles(seconds: Sequence[float], what: str, retries: int) -> Measurement:
    median, slowest = np.quantile(seconds, [0.5, 0.95])
    low, high = quantile_interval(np.array(seconds), 0.95)
    return Measurement(
        value=float(slowest),
        ci=(max(low, 0.0), high),
        unit="s",
        n=len(seconds),
        message=f"{median:.2f} s {what} in the median, {slowest:.2f} s at the 95th "
        f"percentile of {len(seconds)}, "
        + (f"{high:.2f} s at most." if math.isfinite(high) else "not bounded by them."),
        details={"p50": float(median), "seconds": [round(one, 4) for one in seconds]},
        retries=retries,
    )
