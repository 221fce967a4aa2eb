"""Options of a job: attempts, backoff, delay, order, retention, deduplication."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Literal, NamedTuple, Self

from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs.ids import check_new_job_id
from myia_sdk.queue.jobs.payload import check_text, encode_json

#: Largest priority BullMQ accepts: scores stay below 2**53.
MAX_PRIORITY = 2_097_151
#: Stack traces kept per job when the job does not say: enough to see a pattern.
DEFAULT_STACK_TRACE_LIMIT = 10
#: Longest text of options that is remembered for other jobs, characters.
SHARED_LENGTH = 500
#: Longest delay accepted: scores stay exact doubles.
MAX_DELAY = timedelta(days=3650)

ParentRule = Literal["fpof", "cpof", "idof", "rdof"]
PARENT_RULES: tuple[ParentRule, ...] = ("fpof", "cpof", "idof", "rdof")


def milliseconds(duration: timedelta) -> int:
    """Return `duration` in whole milliseconds, rounded."""
    return round(duration / timedelta(milliseconds=1))


def epoch_ms(moment: datetime) -> int:
    """Return an aware `moment` as epoch milliseconds."""
    return milliseconds(moment - datetime(1970, 1, 1, tzinfo=UTC))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


class RateLimit(NamedTuple):
    """At most `maximum` starts within `duration`."""

    maximum: int
    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delay before the next attempt.

    Parameters
    ----------
    type : {"fixed", "exponential"}
        ``exponential`` doubles the delay with every attempt made. Another text,
        met in jobs of other clients, means a strategy that only they know.
    delay : timedelta
        Delay before the second attempt.
    jitter : float, default 0.0
        Share of the delay that is drawn at random, 0 to 1, so that jobs that
        failed together do not come back together.
    cap : timedelta, optional
        Longest delay. BullMQ has no such option and ignores it.
    """

    type: str = "fixed"
    delay: timedelta = timedelta(0)
    jitter: float = 0.0
    cap: timedelta | None = None

    def __post_init__(self) -> None:
        if self.delay < timedelta(0):
            raise InvalidJobError(f"The backoff delay {self.delay} is negative.")
        if not 0 <= self.jitter <= 1:
            raise InvalidJobError(
                f"The backoff jitter {self.jitter} is not between 0 and 1."
            )

    @property
    def is_known(self) -> bool:
        """Whether this client can compute the delay."""
        return self.type in {"fixed", "exponential"}

    def delay_for(self, attempts_made: int, random: float = 0.0) -> timedelta:
        """Return the delay after the attempt number `attempts_made` failed.

        Parameters
        ----------
        attempts_made : int
            Attempts used, the failed one included; 1 after the first.
        random : float, default 0.0
            A number in [0, 1) that places the delay within its jitter.
        """
        if not self.is_known:
            raise InvalidJobError(
                f"The backoff type {self.type!r} is unknown here; use 'fixed' or "
                "'exponential'."
            )
        base = float(milliseconds(self.delay))
        if self.type == "exponential":
            base = round(base * 2.0 ** min(attempts_made - 1, 60))
        if self.jitter:
            base = int(random * base * self.jitter + base * (1 - self.jitter))
        longest = MAX_DELAY if self.cap is None else min(self.cap, MAX_DELAY)
        return timedelta(milliseconds=min(base, milliseconds(longest)))

    def to_record(self) -> dict[str, object]:
        """Return the form stored in a job's options."""
        record: dict[str, object] = {
            "type": self.type,
            "delay": milliseconds(self.delay),
        }
        if self.jitter:
            record["jitter"] = self.jitter
        if self.cap is not None:
            record["cap"] = milliseconds(self.cap)
        return record

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """Read BullMQ's forms: a bare number of ms, or an object; else ``None``."""
        number = _number(record)
        if number is not None:
            return cls(delay=timedelta(milliseconds=max(number, 0)))
        if not isinstance(record, Mapping):
            return None
        cap = _number(record.get("cap"))
        jitter = _number(record.get("jitter")) or 0.0
        return cls(
            type=str(record.get("type", "fixed")),
            delay=timedelta(milliseconds=max(_number(record.get("delay")) or 0, 0)),
            jitter=min(max(jitter, 0.0), 1.0),
            cap=None if cap is None else timedelta(milliseconds=cap),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long finished jobs are kept; without any limit, for ever.

    Parameters
    ----------
    age : timedelta, optional
        Jobs finished longer ago are deleted when another one finishes.
    count : int, optional
        Only the newest so many are kept; 0 deletes a job as it finishes.
    """

    age: timedelta | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise InvalidJobError(f"The retention count {self.count} is negative.")
        if self.age is not None and self.age < timedelta(0):
            raise InvalidJobError(f"The retention age {self.age} is negative.")

    def to_record(self) -> bool | int | dict[str, int]:
        """Return BullMQ's ``removeOnComplete`` form."""
        if self.age is None:
            return False if self.count is None else self.count
        record = {"age": ceil(self.age.total_seconds())}
        if self.count is not None:
            record["count"] = self.count
        return record

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """Read BullMQ's forms; ``None`` when nothing is said."""
        if isinstance(record, bool):
            return cls(count=0) if record else cls()
        number = _number(record)
        if number is not None:
            return cls(count=int(number)) if number >= 0 else cls()
        if not isinstance(record, Mapping):
            return None
        age, count = _number(record.get("age")), _number(record.get("count"))
        return cls(
            age=None if age is None or age < 0 else timedelta(seconds=age),
            count=None if count is None or count < 0 else int(count),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplication:
    """At most one job of an id at a time.

    Parameters
    ----------
    id : str
        Jobs with the same id are duplicates of each other.
    ttl : timedelta, optional
        The id is held this long; without it, until the job ended.
    extend : bool, default False
        A duplicate starts `ttl` anew.
    replace : bool, default False
        A duplicate takes the place of a job that is still delayed.
    keep_last_if_active : bool, default False
        While the job runs, the last duplicate is kept and queued afterwards.
    """

    id: str
    ttl: timedelta | None = None
    extend: bool = False
    replace: bool = False
    keep_last_if_active: bool = False

    def __post_init__(self) -> None:
        if not check_text(self.id, "The deduplication id").strip():
            raise InvalidJobError("The deduplication id is empty.")
        if self.ttl is not None and milliseconds(self.ttl) <= 0:
            raise InvalidJobError(f"The deduplication ttl {self.ttl} is not positive.")

    def to_record(self) -> dict[str, object]:
        """Return the form stored in a job's options."""
        record: dict[str, object] = {"id": self.id}
        if self.ttl is not None:
            record["ttl"] = milliseconds(self.ttl)
        for name, value in (
            ("extend", self.extend),
            ("replace", self.replace),
            ("keepLastIfActive", self.keep_last_if_active),
        ):
            if value:
                record[name] = True
        return record

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """Read the stored form; ``None`` when it names no id."""
        if not isinstance(record, Mapping) or not isinstance(record.get("id"), str):
            return None
        ttl = _number(record.get("ttl"))
        try:
            return cls(
                id=record["id"],
                ttl=timedelta(milliseconds=ttl) if ttl and ttl > 0 else None,
                extend=record.get("extend") is True,
                replace=record.get("replace") is True,
                keep_last_if_active=record.get("keepLastIfActive") is True,
            )
        except InvalidJobError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How a job is queued, retried and kept.

    Raises
    ------
    InvalidJobError
        A value is out of its range; the message names it.
    """

    #: Tries in all, the first included.
    attempts: int = 1
    backoff: Backoff | None = None
    #: Earliest start, counted from the creation of the job.
    delay: timedelta = timedelta(0)
    #: 0 runs first, in order of arrival; then 1, 2, ... `MAX_PRIORITY`.
    priority: int = 0
    #: Last in, first out: the job goes to the front of the line.
    lifo: bool = False
    #: Chosen id; ``None`` has one made.
    job_id: str | None = None
    remove_on_complete: Retention | None = None
    remove_on_fail: Retention | None = None
    stack_trace_limit: int | None = None
    keep_logs: int | None = None
    deduplication: Deduplication | None = None
    #: What the failure of this child means for its parent.
    parent_rule: ParentRule | None = None
    #: Creation time; ``None`` is now.
    timestamp: datetime | None = None
    #: Options of other clients, kept as they are.
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.attempts < 0:
            raise InvalidJobError(f"attempts is {self.attempts}; it must be 1 or more.")
        if self.delay < timedelta(0) or self.delay > MAX_DELAY:
            raise InvalidJobError(
                f"delay is {self.delay}; it must be from 0 to {MAX_DELAY.days} days."
            )
        if isinstance(self.priority, bool) or not isinstance(self.priority, int):
            raise InvalidJobError(f"priority is {self.priority!r}; use an integer.")
        if not 0 <= self.priority <= MAX_PRIORITY:
            raise InvalidJobError(
                f"priority is {self.priority}; it must be between 0 and {MAX_PRIORITY}."
            )
        for name in ("stack_trace_limit", "keep_logs"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InvalidJobError(f"{name} is {value}; it must not be negative.")

    @property
    def max_attempts(self) -> int:
        """Tries in all; BullMQ stores 0 for one."""
        return max(self.attempts, 1)

    def check_new(self) -> None:
        """Raise when a producer may not send a job with these options."""
        if self.job_id is not None:
            check_new_job_id(self.job_id)

    def to_record(self) -> dict[str, object]:
        """Return BullMQ's ``opts`` object; what is at its default stays out."""
        record: dict[str, object] = dict(self.extra)
        values: tuple[tuple[str, object], ...] = (
            ("backoff", self.backoff and self.backoff.to_record()),
            ("delay", milliseconds(self.delay)),
            ("priority", self.priority),
            ("lifo", self.lifo),
            ("jobId", self.job_id),
            ("de", self.deduplication and self.deduplication.to_record()),
            (self.parent_rule or "", bool(self.parent_rule)),
            ("timestamp", self.timestamp and epoch_ms(self.timestamp)),
        )
        record.update((name, value) for name, value in values if value)
        said: tuple[tuple[str, object], ...] = (
            ("attempts", None if self.attempts == 1 else self.attempts),
            ("stackTraceLimit", self.stack_trace_limit),
            ("kl", self.keep_logs),
            ("removeOnComplete", _retention_record(self.remove_on_complete)),
            ("removeOnFail", _retention_record(self.remove_on_fail)),
        )
        record.update((name, value) for name, value in said if value is not None)
        return record

    def to_json(self) -> str:
        """Return the ``opts`` field of the job hash."""
        record = self.to_record()
        return encode_json(record) if record else "{}"

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Self:
        """Read the options of any client; values that make no sense are defaults."""
        rules = [rule for rule in PARENT_RULES if record.get(rule) is True]
        return cls(
            attempts=_natural(record.get("attempts")) or 1,
            backoff=Backoff.from_record(record.get("backoff")),
            delay=min(
                timedelta(milliseconds=min(_natural(record.get("delay")) or 0, 2**53)),
                MAX_DELAY,
            ),
            priority=min(_natural(record.get("priority")) or 0, MAX_PRIORITY),
            lifo=record.get("lifo") is True,
            job_id=_text(record.get("jobId")),
            remove_on_complete=Retention.from_record(record.get("removeOnComplete")),
            remove_on_fail=Retention.from_record(record.get("removeOnFail")),
            stack_trace_limit=_natural(record.get("stackTraceLimit")),
            keep_logs=_natural(record.get("kl")),
            deduplication=Deduplication.from_record(record.get("de")),
            parent_rule=rules[0] if rules else None,
            extra={k: v for k, v in record.items() if k not in _KNOWN},
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the ``opts`` field of a job hash.

        Raises
        ------
        ValueError
            The text is not a JSON object.
        """
        is_shared = len(text) <= SHARED_LENGTH and '"jobId"' not in text
        return cls._from_shared(text) if is_shared else cls._from_text(text)

    @classmethod
    @lru_cache(maxsize=256)
    def _from_shared(cls, text: str) -> Self:
        """Most jobs of a queue that have no id of their own share few options."""
        return cls._from_text(text)

    @classmethod
    def _from_text(cls, text: str) -> Self:
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError("opts is not an object")  # noqa: TRY004 - malformed JSON
        return cls.from_record(record)


#: Members of ``opts`` that have an attribute of their own. ``timestamp`` has not:
#: the hash field of that name is the truth.
_KNOWN = frozenset(
    {
        "attempts", "backoff", "delay", "priority", "lifo", "jobId", "de",
        "removeOnComplete", "removeOnFail", "stackTraceLimit", "kl", *PARENT_RULES,
    }
)  # fmt: skip


def _natural(value: object) -> int | None:
    number = _number(value)
    if number is None or not 0 <= number < float("inf"):
        return None
    return int(number)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _retention_record(retention: Retention | None) -> object:
    return None if retention is None else retention.to_record()
