"""JobStore: every change of the queue, each one atomic script."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from myia_sdk.errors import (
    InvalidJobError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
)
from myia_sdk.queue.job import (
    Job,
    JobState,
    RateLimit,
    Retention,
    check_labels,
    epoch_ms,
    milliseconds,
)
from myia_sdk.queue.options import DEFAULT_STACK_TRACE_LIMIT
from myia_sdk.queue.payload import DEFAULT_PAYLOAD_LIMIT, encode_json, printable
from myia_sdk.queue.producing import JobProducer, flat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from myia_sdk.queue.connection import RedisClient
    from myia_sdk.queue.searching import Labeller

logger = logging.getLogger(__name__)

#: Longest result stored with a job, bytes of JSON; larger ones are artifacts.
RESULT_LIMIT = 4 * 1024 * 1024
#: Longest progress value, bytes of JSON: it is part of every listing and event.
PROGRESS_LIMIT = 16 * 1024
#: Longest log line and failure reason, and longest stack trace, characters.
LINE_LIMIT = 8_000
TRACE_LIMIT = 20_000
#: Log lines kept when the job does not say.
DEFAULT_KEEP_LOGS = 10_000
#: Minutes of metrics kept, as BullMQ recommends: two weeks.
METRICS_POINTS = 14 * 24 * 60
_LINES_AT_ONCE = 1_000


class Claim(NamedTuple):
    """What a worker got when it asked for a job."""

    #: The job, now active under the worker's lease; ``None`` when there is none.
    job: Job | None
    #: When the next delayed job is due, epoch ms; 0 when there is none.
    next_due_at: int
    #: How long the rate limit binds, ms; 0 when it does not.
    limited_for: int
    #: Ids without a job that were taken out of the line.
    dropped: int = 0


class JobStore(JobProducer):
    """The queue in Redis.

    Parameters
    ----------
    redis : RedisClient
        Connection, as `connect` makes it.
    queue : str
        Name of the queue.
    prefix : str, default "myia"
        First part of all keys.
    clock : callable, optional
        Epoch time in milliseconds; the server's by default.
    payload_limit : int, default 1 MiB
        Largest job data accepted, bytes of JSON.
    metrics_points : int, default two weeks
        Minutes of metrics kept for charts; 0 keeps none.
    labeller : callable, optional
        Makes the labels of a job that another client added without them, so that
        `find` finds it.

    Notes
    -----
    Every method raises `QueueConnectionError` when the server does not answer.
    """

    def __init__(
        self,
        redis: RedisClient,
        queue: str,
        prefix: str = "myia",
        *,
        clock: Callable[[], int] | None = None,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        metrics_points: int = METRICS_POINTS,
        labeller: Labeller | None = None,
    ) -> None:
        super().__init__(redis, queue, prefix, clock=clock, labeller=labeller)
        self.payload_limit = payload_limit
        self.metrics_points = metrics_points

    def claim(
        self,
        token: str,
        lease: timedelta,
        worker: str | None = None,
        *,
        limiter: RateLimit | None = None,
    ) -> Claim:
        """Take the next job: it is active, under the lease of `token`.

        Delayed jobs that are due get in line first.

        Parameters
        ----------
        token : str
            Names the holder of the lease; make a new one for every claim.
        lease : timedelta
            Time after which others may take the job if the lease is not renewed.
        worker : str, optional
            Name shown with the job.
        limiter : RateLimit, optional
            Limit on starts; the queue's own maximum wins over it.
        """
        if token in {"", "0"}:
            raise InvalidJobError(f"{token!r} cannot be the token of a lease.")
        maximum, duration = ("", "") if limiter is None else limiter
        job_id, due, limited, dropped, *flat = self.run(
            "claim",
            self.clock(),
            token,
            milliseconds(lease),
            printable(worker or ""),
            maximum,
            milliseconds(duration) if isinstance(duration, timedelta) else "",
        )
        if dropped:
            logger.warning(
                "Dropped %d ids without a job from queue %s", dropped, self.queue
            )
        if not job_id:
            return Claim(None, due, limited, dropped)
        mapping = dict(zip(flat[::2], flat[1::2], strict=True))
        job = Job.from_hash(job_id, mapping, JobState.ACTIVE)
        return Claim(job, due, limited, dropped)

    def renew(self, tokens: Mapping[str, str], lease: timedelta) -> list[str]:
        """Prolong the leases of running jobs and return the ids that are lost.

        Parameters
        ----------
        tokens : mapping of str to str
            Token of each job id.
        lease : timedelta
            Time from now.
        """
        if not tokens:
            return []
        pairs = [text for pair in tokens.items() for text in pair]
        return list(self.run("renew", milliseconds(lease), *pairs))

    def progress(self, job_id: str, value: object) -> None:
        """Store how far a job is: a number, text, truth value or object.

        Raises
        ------
        JobNotFoundError
            The job was removed.
        InvalidJobError
            The value is not JSON, or larger than 16 KiB.
        """
        text = encode_json(value, limit=PROGRESS_LIMIT)
        self._check(job_id, "report progress of", self.run("progress", job_id, text))

    def log(
        self, job_id: str, lines: str | Sequence[str], keep: int | None = None
    ) -> int:
        """Append lines to the log of a job and return how many it has.

        Parameters
        ----------
        job_id : str
            The job.
        lines : str or sequence of str
            One line or several; each is cut at 8,000 characters.
        keep : int, optional
            Only the last so many lines are kept; 10,000 by default.
        """
        given = [lines] if isinstance(lines, str) else list(lines)
        texts = [_bounded(line, LINE_LIMIT) for line in given]
        kept = DEFAULT_KEEP_LOGS if keep is None else keep
        count = 0
        for first in range(0, max(len(texts), 1), _LINES_AT_ONCE):
            some = texts[first : first + _LINES_AT_ONCE]
            count = self.run("log", job_id, kept, *some)
            self._check(job_id, "log to", min(count, 0))
        return count

    def set_labels(self, job_id: str, labels: Mapping[str, str]) -> None:
        """Set labels of a job, for listings and search; empty text removes one."""
        check_labels(labels)
        answer = self.run("set-labels", job_id, *flat(labels))
        self._check(job_id, "label", answer)

    def complete(
        self,
        job_id: str,
        token: str,
        value: object,
        *,
        retention: Retention | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """End a job with a value.

        Parameters
        ----------
        job_id, token : str
            The job and the token it was claimed with.
        value : object
            JSON value, at most 4 MiB.
        retention : Retention, optional
            What to keep when the job does not say; everything by default.
        labels : mapping of str to str, optional
            Labels set with the end, such as the verdict.

        Raises
        ------
        LeaseLostError
            Another worker has the job now; the value is dropped.
        JobNotFoundError
            The job was removed.
        InvalidTransitionError
            The job is not active, or has children that did not complete.
        InvalidJobError
            The value is not JSON, or too large; the job is still active.
        """
        text = encode_json(value, limit=RESULT_LIMIT)
        self._finish(
            job_id, token, text, traces=None, retention=retention, labels=labels or {}
        )

    def fail(
        self,
        job_id: str,
        token: str,
        reason: str,
        stacktrace: str | Sequence[str] = "",
        *,
        retention: Retention | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """End a job with the reason of its failure; errors as `complete`.

        Parameters
        ----------
        job_id, token : str
            The job and the token it was claimed with.
        reason : str
            One line for people: type and message of the error.
        stacktrace : str or sequence of str, optional
            Trace of this attempt; it is appended to those before.
        retention : Retention, optional
            What to keep when the job does not say; everything by default.
        labels : mapping of str to str, optional
            Labels set with the end, such as the category of the error.
        """
        traces = self._traces(job_id, stacktrace)
        text = _bounded(reason, LINE_LIMIT)
        self._finish(
            job_id,
            token,
            text,
            traces=traces,
            retention=retention,
            labels=labels or {},
        )

    def retry_now(
        self, job_id: str, token: str, reason: str, stacktrace: str | Sequence[str] = ""
    ) -> None:
        """End a failed attempt and put the job back in line; errors as `complete`."""
        answer = self.run(
            "retry-now",
            job_id,
            token,
            self.clock(),
            _bounded(reason, LINE_LIMIT),
            self._traces(job_id, stacktrace),
        )
        self._check(job_id, "retry", answer)

    def retry_later(
        self,
        job_id: str,
        token: str,
        delay: timedelta,
        reason: str,
        stacktrace: str | Sequence[str] = "",
    ) -> None:
        """End a failed attempt; the next one is due after `delay`."""
        answer = self.run(
            "retry-later",
            job_id,
            token,
            self.clock(),
            max(milliseconds(delay), 0),
            1,
            _bounded(reason, LINE_LIMIT),
            self._traces(job_id, stacktrace),
        )
        self._check(job_id, "retry", answer)

    def put_back(self, job_id: str, token: str) -> None:
        """Give a job back, next in line, without charging an attempt.

        One that was cancelled meanwhile ends instead.
        """
        answer = self.run("put-back", job_id, token, self.clock())
        self._check(job_id, "put back", answer)

    def delay(self, job_id: str, token: str, until: datetime) -> None:
        """Move a running job to delayed, without charging an attempt."""
        now = self.clock()
        wait = max(epoch_ms(until) - now, 0)
        answer = self.run("retry-later", job_id, token, now, wait, 0)
        self._check(job_id, "delay", answer)

    def check_stalled(
        self, interval: timedelta, max_stalled_count: int = 1
    ) -> list[str]:
        """Put jobs whose worker has gone back in line and return their ids.

        A job is recovered one to two intervals after its lease ended. Call it at
        least every `interval`; calls in between, by any worker, do nothing.

        Parameters
        ----------
        interval : timedelta
            Time between two checks of the queue.
        max_stalled_count : int, default 1
            A job that stalled more often is failed by whoever claims it next.
        """
        answer = self.run(
            "stalled", self.clock(), milliseconds(interval), max_stalled_count
        )
        return list(answer or ())

    def _finish(
        self,
        job_id: str,
        token: str,
        value: str,
        *,
        traces: str | None,
        retention: Retention | None,
        labels: Mapping[str, str],
    ) -> None:
        check_labels(labels)
        kept = retention or Retention()
        state = JobState.COMPLETED if traces is None else JobState.FAILED
        code, _ = self.run(
            "finish",
            job_id,
            token,
            self.clock(),
            state,
            value,
            traces or "",
            "" if kept.count is None else kept.count,
            "" if kept.age is None else round(kept.age.total_seconds(), 3),
            self.metrics_points,
            *flat(labels),
        )
        self._check(job_id, "complete" if traces is None else "fail", code)

    def _traces(self, job_id: str, stacktrace: str | Sequence[str]) -> str:
        """Stack traces of a job with the new ones; only its worker writes them."""
        row = self.command("HMGET", self.keys.job(job_id), "stacktrace", "opts")
        known = {
            name: text
            for name, text in zip(("stacktrace", "opts"), row, strict=True)
            if text is not None
        }
        job = Job.from_hash(job_id, known)
        new = (stacktrace,) if isinstance(stacktrace, str) else tuple(stacktrace)
        traces = [
            *job.stacktrace,
            *(_bounded(one, TRACE_LIMIT) for one in new if one),
        ]
        limit = job.options.stack_trace_limit
        limit = DEFAULT_STACK_TRACE_LIMIT if limit is None else limit
        return json.dumps(traces[len(traces) - min(limit, len(traces)) :])

    def _check(self, job_id: str, operation: str, code: int) -> None:
        if code < 0:
            self._refuse(job_id, operation, code)

    def _refuse(self, job_id: str, operation: str, code: int) -> NoReturn:
        if code == -1:
            raise JobNotFoundError(job_id, self.queue)
        if code in (-2, -6):
            raise LeaseLostError(
                f"The lease of job {job_id!r} was lost before it could be used to "
                f"{operation} the job: it ran out, or another worker has the job."
            )
        hints = {
            -4: "It has children that have not ended.",
            -9: "It has children that failed.",
        }
        state = self.state(job_id)
        raise InvalidTransitionError(
            job_id, operation, state or "in no state", hints.get(code, "")
        )


def _bounded(text: str, limit: int) -> str:
    text = printable(text)
    if len(text) <= limit:
        return text
    # The end of a trace names the error, its beginning the place: both stay.
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
