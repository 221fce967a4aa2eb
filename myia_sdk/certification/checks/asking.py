"""How the checks of endpoints ask: paced, retried, counted, written down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, cast

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from myia_sdk.certification.checks.registry import CheckFunction
    from myia_sdk.certification.models import ChatAdapter, ChatEvent
    from myia_sdk.certification.request import JSON
    from myia_sdk.certification.traffic import RetryPolicy
    from myia_sdk.certification.traffic.retries import Retry

#: Seconds that one request may take; the original's longest.
REQUEST_TIMEOUT = 60.0
#: Statuses by which an endpoint says that it does not know a parameter.
_REFUSING_STATUSES = frozenset({400, 405, 415, 422, 501})
#: Share of a check's requests that may stay without an answer.
_UNANSWERED = 0.1
#: For endpoints that count no tokens: English has about four characters a token.
_CHARACTERS_PER_TOKEN = 4

#: Messages and parameters of one request.
Question = tuple["str | Sequence[Mapping[str, JSON]]", "Mapping[str, JSON] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer and how it came."""

    text: str
    finish_reason: str | None
    #: Events that carried text.
    pieces: int
    #: Seconds to the first text, ``None`` for an answer without text.
    first_text_after: float | None
    #: Seconds to the first thought of a model that shows them.
    first_thought_after: float | None = None
    #: Seconds to the last event.
    elapsed: float
    usage: Mapping[str, int] | None
    tool_calls: tuple[Mapping[str, JSON], ...] = ()
    resolved_model: str | None = None
    extras: Mapping[str, JSON] = field(default_factory=dict)
    retries: tuple[Retry, ...] = ()
    #: Its record in the log of samples.
    sample: dict[str, JSON] = field(default_factory=dict, repr=False, compare=False)

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer; counted by pieces where the endpoint does not say."""
        counted = (self.usage or {}).get("completion_tokens", 0)
        return counted or self.pieces

    def judged(self, *, is_good: bool) -> None:
        """Write into the log of samples whether the answer is as wanted."""
        self.sample["outcome"] = (Outcome.PASSED if is_good else Outcome.FAILED).value


def ask(
    context: CheckContext,
    messages: str | Sequence[Mapping[str, JSON]],
    parameters: Mapping[str, JSON] | None = None,
    *,
    stream: bool = True,
    timeout: float | None = None,
    retry: RetryPolicy | None = None,
    is_alone: bool = False,
    is_exact: bool = False,
) -> Reply:
    """Send one request, again after temporary errors, and collect the answer.

    Parameters
    ----------
    context : CheckContext
        The check that asks.
    messages : str or sequence of mapping
        One message of the user, or a conversation.
    parameters : mapping, optional
        By OpenAI's names.
    stream : bool, optional
        Whether the answer is asked for in pieces.
    timeout : float, optional
        Seconds for each attempt; ``request_timeout`` of the request's parameters, or
        60, if not given.
    retry : RetryPolicy, optional
        The run's own if not given.
    is_alone : bool, optional
        Whether the caller holds `Traffic.alone` already.
    is_exact : bool, optional
        Whether ``max_tokens`` is what is measured, so that nothing is added for the
        thoughts of the model.

    Raises
    ------
    Exception
        What the adapter raised last; the runner makes an outcome ``error`` of it.
    """
    conversation = (
        [{"role": "user", "content": messages}]
        if isinstance(messages, str)
        else list(messages)
    )
    sent: dict[str, JSON] = dict(parameters or {})
    if not is_exact:
        _add_allowance(context, sent)
    traffic = context.traffic
    model = _chat_model(context)
    limit = timeout or request_timeout(context)

    def send() -> Reply:
        context.budget.require()
        context.outage.require()
        with traffic.quiet() if is_alone else traffic.request():
            return _collect(
                model.chat(conversation, sent, stream=stream, timeout=limit)
            )

    sample: dict[str, object] = {"messages": conversation, "parameters": sent}
    try:
        answer = (retry or context.retry).run(send)
    except Exception as exc:
        failure = f"{type(exc).__name__}: {exc}"
        retries = [asdict(retry) for retry in getattr(exc, "retries", ())]
        context.sample_log.append(
            context.check_id,
            {
                **sample,
                "outcome": Outcome.ERROR.value,
                "error": failure,
                "retries": retries,
            },
        )
        if (retry or context.retry).max_retries:
            # Without retries the errors are what is measured.
            context.outage.failed(exc, lambda: _greet(context, limit))
        raise
    context.outage.answered()
    reply = replace(answer.value, retries=answer.retries)
    _spend(context, conversation, reply)
    described = {**sample, "outcome": "answered", **_described(reply)}
    return replace(reply, sample=context.sample_log.append(context.check_id, described))


def ask_each(
    context: CheckContext, questions: Sequence[Question]
) -> list[Reply | None]:
    """Ask several things at once, as many as the run's traffic allows.

    A few requests without an answer do not undo a measurement with many: up to a
    tenth of them may fail for temporary reasons, retries included.

    Parameters
    ----------
    context : CheckContext
        The check that asks.
    questions : sequence of tuple
        Messages and parameters of each request, as for `ask`.

    Returns
    -------
    list of Reply or None
        In the order of the questions, ``None`` for those without an answer.

    Raises
    ------
    Exception
        An error that is not temporary, or one more than may be. What was not sent yet
        is not sent.
    """
    lost: list[Exception] = []
    final: list[Exception] = []

    def attempt(question: Question) -> Reply | None:
        if final:
            return None
        try:
            return ask(context, *question)
        except Exception as exc:  # noqa: BLE001 - counted here, and raised below
            lost.append(exc)
            is_too_many = len(lost) > _UNANSWERED * len(questions)
            if is_too_many or not diagnose(exc).temporary:
                final.append(exc)
        return None

    with ThreadPoolExecutor(context.traffic.limit) as pool:
        replies = list(pool.map(attempt, questions))
    if final:
        raise final[0]
    return replies


def answered(replies: Iterable[Reply | None]) -> list[Reply]:
    """Leave out the requests that got no answer."""
    return [reply for reply in replies if reply is not None]


def refuses(error: Exception) -> bool:
    """Tell whether the endpoint understood the request and said no to it."""
    return diagnose(error).status in _REFUSING_STATUSES


def needs(ability: str, *parameters: str) -> Callable[[CheckFunction], CheckFunction]:
    """Guard a check whose requests an endpoint may be unable to take.

    An endpoint that refuses the parameters, or was found to take none of them, has
    failed if it declared the ability, in ``options.abilities`` of the model; otherwise
    the check is skipped. It is no error of the configuration, which would condemn the
    whole model.

    Parameters
    ----------
    ability : str
        Name by which a model declares it.
    *parameters : str
        Request parameters that the endpoint must take; the first is the ability's own,
        and without another the check is skipped whatever was declared.
    """

    def guard(check: CheckFunction) -> CheckFunction:
        @wraps(check)
        def guarded(context: CheckContext) -> Measurement:
            absent = sorted(unsupported(context).intersection(parameters))
            if absent:
                said = f"The endpoint takes no parameter {', '.join(absent)}."
                if parameters[0] not in absent:
                    return Measurement.skipped(said)
                return _without(context, ability, said)
            try:
                return check(context)
            except Exception as exc:
                if not refuses(exc):
                    raise
                said = f"The endpoint refused the request: {exc}"[:300]
                return _without(context, ability, said)

        return guarded

    return guard


def is_declared(context: CheckContext, ability: str) -> bool:
    """Tell whether the model's reference promises an ability."""
    declared = context.request.model.options.get("abilities")
    return isinstance(declared, list) and ability in declared


def unsupported(context: CheckContext) -> frozenset[str]:
    """Parameters that the adapter's protocol has no field for."""
    found: frozenset[str] = getattr(
        context.model, "unsupported_parameters", frozenset()
    )
    return found


def whole_number(context: CheckContext, name: str) -> int:
    """Read a parameter of the check as a positive whole number."""
    value = context.params[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SuiteError(
            f"Check {context.check_id!r}: the parameter {name!r} is {value!r}; "
            "it must be a positive whole number."
        )
    return value


def request_timeout(context: CheckContext) -> float:
    """Seconds that a request of this run may take."""
    value = context.request.parameters.get("request_timeout")
    return float(value) if isinstance(value, int | float) and value else REQUEST_TIMEOUT


def any_text(reply: Reply) -> Measurement:
    """Judge an answer by its having any text at all."""
    is_text = bool(reply.text.strip())
    reply.judged(is_good=is_text)
    return Measurement(
        value=float(is_text),
        n=1,
        message=f"{len(reply.text)} characters came back.",
        retries=retries_of([reply]),
    )


def retries_of(replies: Sequence[Reply]) -> int:
    """Count the retries of several answers."""
    return sum(len(reply.retries) for reply in replies)


def _without(context: CheckContext, ability: str, said: str) -> Measurement:
    if not is_declared(context, ability):
        return Measurement.skipped(f"{said} It does not declare {ability!r}.")
    return Measurement(
        outcome=Outcome.FAILED,
        message=f"{said} It declares {ability!r}.",
        suggestions=("Correct the abilities that the model's reference declares.",),
    )


def _chat_model(context: CheckContext) -> ChatAdapter:
    return cast("ChatAdapter", context.model)


def _collect(events: Iterator[ChatEvent]) -> Reply:
    texts: list[str] = []
    calls: list[Mapping[str, JSON]] = []
    first = thought = finish = usage = model = None
    elapsed = 0.0
    extras: Mapping[str, JSON] = {}
    for event in events:
        elapsed = event.elapsed
        if event.text:
            texts.append(event.text)
            first = event.elapsed if first is None else first
        if event.thought and thought is None:
            thought = event.elapsed
        calls.extend(event.tool_calls)
        finish = event.finish_reason or finish
        usage = event.usage or usage
        model = event.resolved_model or model
        extras = event.extras or extras
    return Reply(
        text="".join(texts),
        finish_reason=finish,
        pieces=len(texts),
        first_text_after=first,
        first_thought_after=thought,
        elapsed=elapsed,
        usage=usage,
        tool_calls=tuple(calls),
        resolved_model=model,
        extras=extras,
    )


def _greet(context: CheckContext, timeout: float) -> Reply:
    """Ask the least that can be asked, past the pace of the run."""
    hello = [{"role": "user", "content": "Hi"}]
    model = _chat_model(context)
    return _collect(model.chat(hello, {"max_tokens": 16}, timeout=timeout))


def _add_allowance(context: CheckContext, sent: dict[str, JSON]) -> None:
    """Leave room for the thoughts of a model that thinks before it answers."""
    limit, more = sent.get("max_tokens"), getattr(context.model, "allowance", 0)
    if isinstance(limit, int) and more:
        sent["max_tokens"] = limit + more


def _spend(
    context: CheckContext, messages: Sequence[Mapping[str, JSON]], reply: Reply
) -> None:
    if reply.usage is not None:
        context.budget.spend(
            reply.usage.get("prompt_tokens", 0),
            reply.usage.get("completion_tokens", 0),
        )
        return
    asked = sum(len(str(message.get("content", ""))) for message in messages)
    context.budget.spend(
        asked // _CHARACTERS_PER_TOKEN, len(reply.text) // _CHARACTERS_PER_TOKEN
    )


def _described(reply: Reply) -> dict[str, object]:
    first = reply.first_text_after
    return {
        "answer": reply.text,
        "tool_calls": list(reply.tool_calls),
        "finish_reason": reply.finish_reason,
        "pieces": reply.pieces,
        "first_text_ms": None if first is None else round(first * 1000, 1),
        "elapsed_ms": round(reply.elapsed * 1000, 1),
        "usage": reply.usage,
        "resolved_model": reply.resolved_model,
        "retries": [asdict(retry) for retry in reply.retries],
    }
