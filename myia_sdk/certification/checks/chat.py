"""Whether a chat endpoint does what its protocol promises, one request or a few."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from myia_sdk.certification.checks.asking import (
    Reply,
    answered,
    any_text,
    ask,
    ask_each,
    needs,
    retries_of,
    unsupported,
    whole_number,
)
from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.traffic import sends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.request import JSON

_KINDS = ("chat",)
_GREETING = "Hi"
_INVENTION = "Invent a name for a small boat and say why."
_COUNTING = "Count from 1 to 20, with spaces between the numbers."
#: Temperature 0 asks for the most likely answer, the same each time.
_FIXED: Mapping[str, JSON] = {"temperature": 0}
_ALL = Threshold(comparator=">=", passed=1.0)
#: Answers longer than this, seconds, whose pieces still come in the last instant,
#: were collected before they were sent.
_NOTICEABLE = 0.5
_LAST_INSTANT = 0.05
#: The word of the unstopped answer at which the stopped one must end.
_STOP_AT = 5


@check(
    "availability",
    version="1.0.0",
    title="Answers again and again",
    kinds=_KINDS,
    params={"requests": 3},
    threshold=_ALL,
    material="Test availability",
    effort=sends("requests", answer=16),
)
def availability(context: CheckContext) -> Measurement:
    """Send short requests one after the other; one failure is a warning.

    An endpoint that fails more often could not be measured: its error is raised.
    """
    wanted = whole_number(context, "requests")
    replies: list[Reply] = []
    errors: list[Exception] = []
    for _ in range(wanted):
        try:
            replies.append(ask(context, "Test availability", {"max_tokens": 16}))
        except Exception as exc:  # noqa: BLE001 - counted here, and raised below
            errors.append(exc)
    if len(errors) > 1 or not replies:
        raise errors[-1]
    return Measurement(
        value=len(replies) / wanted,
        n=wanted,
        outcome=Outcome.WARNED if errors else Outcome.PASSED,
        message=f"{len(replies)} of {wanted} requests were answered"
        + (f"; one failed: {errors[0]}" if errors else "."),
        category=diagnose(errors[0]).category.value if errors else None,
        retries=retries_of(replies),
    )


@check(
    "basic-prompt",
    version="1.0.0",
    title="Answers a greeting",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=30.0),
    material=_GREETING,
    effort=sends(),
)
def basic_prompt(context: CheckContext) -> Measurement:
    """Ask for any text at all, ended for a stated reason, within the time."""
    reply = ask(context, _GREETING, {"max_tokens": 100})
    is_text = bool(reply.text.strip())
    is_good = is_text and reply.finish_reason is not None
    problem = "no text" if not is_text else "no finish reason"
    return Measurement(
        value=reply.elapsed,
        unit="s",
        n=1,
        outcome=None if is_good else Outcome.FAILED,
        message=f"{len(reply.text)} characters, finish reason {reply.finish_reason!r}"
        if is_good
        else f"The answer has {problem}.",
        retries=retries_of([reply]),
    )


@check(
    "sampling-parameters",
    version="1.0.0",
    title="Accepts temperature and a limit of tokens",
    kinds=_KINDS,
    threshold=_ALL,
    material=_GREETING,
    effort=sends(),
)
@needs("temperature", "temperature", "max_tokens")
def sampling_parameters(context: CheckContext) -> Measurement:
    """Ask with temperature 0.7 and at most 100 tokens, as the original did."""
    parameters = {"temperature": 0.7, "max_tokens": 100}
    return any_text(ask(context, _GREETING, parameters))


@check(
    "streaming",
    version="1.0.0",
    title="Streams its answer in pieces",
    kinds=_KINDS,
    params={"max_tokens": 48},
    threshold=Threshold(comparator=">=", passed=2.0),
    material=_COUNTING,
    effort=sends(3, answer="max_tokens"),
)
def streaming(context: CheckContext) -> Measurement:
    """Compare a streamed answer with a whole one, at temperature 0.

    It takes two pieces with text to pass. Another text than that of the whole answer,
    or pieces that all come in the last instant, are a warning: the time to the first
    token then says nothing. Such an instant is asked for twice: a cold start, or a
    queue before the first token, looks the same once.
    """
    parameters = {**_FIXED, "max_tokens": context.params["max_tokens"]}
    streams = [ask(context, _COUNTING, parameters, stream=True)]
    if _is_collected(streams[0]):
        streams.append(ask(context, _COUNTING, parameters, stream=True))
    streamed = streams[-1]
    whole = ask(context, _COUNTING, parameters, stream=False)
    remarks = []
    # Without a temperature of 0 two answers are two.
    is_fixed = "temperature" not in unsupported(context)
    if is_fixed and streamed.text.strip() != whole.text.strip():
        remarks.append("the whole answer has another text")
    if _is_collected(streamed):
        remarks.append("all pieces came in the last instant")
    is_stream = streamed.pieces > 1
    return Measurement(
        value=float(streamed.pieces),
        unit="pieces",
        n=1,
        outcome=Outcome.WARNED if is_stream and remarks else None,
        message=f"{streamed.pieces} pieces"
        + (f"; {' and '.join(remarks)}." if remarks else ", the same text as whole."),
        details={"streamed": streamed.text, "whole": whole.text},
        retries=retries_of([*streams, whole]),
    )


@check(
    "max-tokens",
    version="1.0.0",
    title="Keeps to the limit of tokens",
    kinds=_KINDS,
    params={"limits": [7, 16]},
    threshold=_ALL,
    material="Count from 1 to 100",
    effort=sends(2, answer=16),
)
@needs("max_tokens", "max_tokens")
def max_tokens(context: CheckContext) -> Measurement:
    """Ask for more than fits: the tokens must keep to the limit, and the end say so."""
    limits = context.params["limits"]
    replies = [
        ask(
            context,
            "Count from 1 to 100",
            {**_FIXED, "max_tokens": limit},
            is_exact=True,
        )
        for limit in (limits if isinstance(limits, list) else [])
    ]
    pairs = list(zip(limits if isinstance(limits, list) else [], replies, strict=True))
    kept = [
        reply.completion_tokens <= int(str(limit)) and reply.finish_reason == "length"
        for limit, reply in pairs
    ]
    found = ", ".join(
        f"{reply.completion_tokens} of {limit} ({reply.finish_reason})"
        for limit, reply in pairs
    )
    return Measurement(
        value=sum(kept) / len(kept) if kept else None,
        n=len(kept),
        message=f"Tokens: {found}.",
        retries=retries_of(replies),
    )


@check(
    "stop",
    version="1.0.0",
    title="Ends before a stop sequence",
    kinds=_KINDS,
    threshold=_ALL,
    material=_COUNTING,
    effort=sends(2, answer=64),
)
@needs("stop", "stop")
def stop(context: CheckContext) -> Measurement:
    """Take a word out of an answer and ask again with that word as stop sequence."""
    parameters = {**_FIXED, "max_tokens": 64}
    free = ask(context, _COUNTING, parameters)
    words = free.text.split()
    if len(words) <= _STOP_AT:
        return Measurement.skipped(f"The answer is too short to be cut: {free.text!r}")
    word = words[_STOP_AT]
    stopped = ask(context, _COUNTING, {**parameters, "stop": [word]})
    is_kept = word not in stopped.text and len(stopped.text) < len(free.text)
    return Measurement(
        value=float(is_kept),
        n=1,
        message=f"Stopped at {word!r}: {stopped.text[-40:]!r} is the end.",
        details={"free": free.text, "stopped": stopped.text},
        retries=retries_of([free, stopped]),
    )


@check(
    "seed-determinism",
    version="1.0.0",
    title="Repeats itself with temperature 0 and the same seed",
    kinds=_KINDS,
    params={"requests": 5, "max_tokens": 32},
    threshold=Threshold(comparator=">=", passed=1.0, warned=0.8),
    material="Tell me something about rivers.",
    effort=sends("requests", answer="max_tokens"),
)
@needs("seed", "seed", "temperature")
def seed_determinism(context: CheckContext) -> Measurement:
    """Share of equal answers to equal requests."""
    parameters = {**_FIXED, "seed": 7, "max_tokens": context.params["max_tokens"]}
    replies = [
        ask(context, "Tell me something about rivers.", parameters)
        for _ in range(whole_number(context, "requests"))
    ]
    commonest = Counter(reply.text for reply in replies).most_common(1)[0][1]
    return Measurement(
        value=commonest / len(replies),
        n=len(replies),
        message=f"{commonest} of {len(replies)} answers are equal.",
        retries=retries_of(replies),
    )


@check(
    "temperature",
    version="1.0.0",
    title="Varies with a high temperature",
    kinds=_KINDS,
    params={"requests": 5, "temperature": 1.2},
    threshold=Threshold(comparator=">=", passed=2.0),
    material=_INVENTION,
    effort=sends("requests", answer=24),
)
@needs("temperature", "temperature")
def temperature(context: CheckContext) -> Measurement:
    """Count the distinct answers to one prompt with different seeds."""
    parameters = {"temperature": context.params["temperature"], "max_tokens": 24}
    seeds = range(whole_number(context, "requests"))
    questions = [(_INVENTION, {**parameters, "seed": seed}) for seed in seeds]
    replies = answered(ask_each(context, questions))
    distinct = len({reply.text for reply in replies})
    return Measurement(
        value=float(distinct),
        n=len(replies),
        message=f"{distinct} of {len(replies)} answers are distinct.",
        retries=retries_of(replies),
    )


@check(
    "usage",
    version="1.0.0",
    title="Counts its tokens",
    kinds=_KINDS,
    threshold=_ALL,
    material=_GREETING,
    effort=sends(2, answer=16),
)
def usage(context: CheckContext) -> Measurement:
    """Share of answers, streamed and whole, whose counts are there and add up.

    Of an endpoint that does not take ``stream_options`` only whole answers count.
    """
    can_stream = "stream_options" not in unsupported(context)
    ways = (True, False) if can_stream else (False,)
    replies = [
        ask(context, _GREETING, {"max_tokens": 16}, stream=is_streamed)
        for is_streamed in ways
    ]
    good = [_adds_up(reply.usage) for reply in replies]
    return Measurement(
        value=sum(good) / len(good),
        n=len(good),
        message=", ".join(
            f"{'streamed' if is_streamed else 'whole'} {dict(reply.usage or {})}"
            for is_streamed, reply in zip(ways, replies, strict=True)
        ),
        retries=retries_of(replies),
    )


def _is_collected(reply: Reply) -> bool:
    if reply.first_text_after is None or reply.elapsed < _NOTICEABLE:
        return False
    return reply.elapsed - reply.first_text_after < _LAST_INSTANT * reply.elapsed


def _adds_up(counts: Mapping[str, int] | None) -> bool:
    if not counts or not counts.get("prompt_tokens"):
        return False
    parts = counts["prompt_tokens"] + counts.get("completion_tokens", 0)
    return counts.get("total_tokens") == parts
