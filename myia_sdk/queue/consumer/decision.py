"""What follows from how an attempt ended: complete, try again, fail. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from huey import signals

from myia_sdk.queue.jobs.job import CATEGORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.queue.sandbox.outcome import Outcome, RemoteError


class Again(Enum):
    """Whether an attempt that failed is followed by another."""

    IF_LEFT = "if attempts are left"
    UNCHARGED = "without charging an attempt"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that did not return a value."""

    #: One sentence: type and message.
    reason: str
    traceback: str = ""
    again: Again = Again.IF_LEFT
    #: Delay that the task asked for; None leaves it to the backoff.
    delay: timedelta | None = None
    #: Signal of Huey's that is sent, None for none.
    signal: str | None = signals.SIGNAL_ERROR
    labels: Mapping[str, str] | None = None
    #: Huey does not show these as errors while a retry is pending.
    is_quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """An attempt that returned."""

    value: Any
    #: The value was a tuple: a pipeline spreads it.
    is_tuple: bool = False


def judge(outcome: Outcome, now_ms: int) -> Success | Failure:
    """Return what the outcome of a sandboxed task means."""
    if outcome.is_success:
        return judge_record(outcome.value, now_ms)
    if outcome.error is not None:
        return failure_of_error(outcome.error)
    if outcome.is_timed_out:
        return Failure(
            reason=outcome.reason,
            signal=signals.SIGNAL_TIMEOUT,
            labels={CATEGORY: "TIMEOUT"},
        )
    return Failure(reason=outcome.reason)


def judge_record(record: Any, now_ms: int) -> Success | Failure:
    """Return what the envelope of `run_in_child` of the tasks means."""
    if isinstance(record, dict) and "value" in record:
        return Success(value=record["value"], is_tuple=record.get("is_tuple") is True)
    try:
        return _steered(record, now_ms)
    except (TypeError, ValueError, KeyError, OverflowError) as exc:
        return Failure(reason=f"the child broke the protocol: {exc}")


def failure_of_error(error: RemoteError) -> Failure:
    """Return the failure of an exception."""
    return Failure(
        reason=f"{error.type}: {error.message}".rstrip(": "),
        traceback=error.traceback,
        again=Again.NEVER if error.is_unrecoverable else Again.IF_LEFT,
        labels=None if error.category is None else {CATEGORY: error.category},
    )


def _steered(record: Mapping[str, Any], now_ms: int) -> Failure:
    error = record["error"]
    reason = f"{error['type']}: {error['message']}".rstrip(": ")
    trace = str(error["traceback"])
    control = record["control"]
    if control == "retry":
        return Failure(
            reason=reason,
            traceback=trace,
            again=Again.UNCHARGED,
            delay=_wait(record, now_ms),
            signal=None,
            is_quiet=True,
        )
    if control == "cancel":
        return _cancelled(reason, trace, record["retry"])
    if control == "rate-limited":
        return Failure(
            reason=reason,
            traceback=trace,
            again=Again.UNCHARGED if record["retry"] else Again.IF_LEFT,
            delay=timedelta(seconds=float(record["delay"])),
            signal=signals.SIGNAL_RATE_LIMITED,
            is_quiet=True,
        )
    kinds = {"locked": signals.SIGNAL_LOCKED, "timeout": signals.SIGNAL_TIMEOUT}
    return Failure(
        reason=reason,
        traceback=trace,
        signal=kinds[control],
        is_quiet=control == "locked",
    )


def _cancelled(reason: str, trace: str, retry: bool | None) -> Failure:
    again = {None: Again.IF_LEFT, True: Again.UNCHARGED, False: Again.NEVER}[retry]
    return Failure(
        reason=reason, traceback=trace, again=again, signal=signals.SIGNAL_CANCELED
    )


def _wait(record: Mapping[str, Any], now_ms: int) -> timedelta | None:
    if record["eta_ms"] is not None:
        return timedelta(milliseconds=max(int(record["eta_ms"]) - now_ms, 0))
    return None if record["delay"] is None else timedelta(seconds=record["delay"])
