"""Ending attempts: completed, failed, to be tried again; each one atomic script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from myia_sdk.errors import InvalidTransitionError, JobNotFoundError, LeaseLostError
from myia_sdk.queue.jobs import Job, JobState, Retention
from myia_sdk.queue.jobs.job import check_labels
from myia_sdk.queue.jobs.options import (
    DEFAULT_STACK_TRACE_LIMIT,
    epoch_ms,
    milliseconds,
)
from myia_sdk.queue.jobs.payload import encode_json, printable
from myia_sdk.queue.store.add import JobProducer, flat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

#: Longest result stored with a job, bytes of JSON; larger ones are artifacts.
RESULT_LIMIT = 4 * 1024 * 1024
#: Longest log line and failure reason, and longest stack trace, characters.
LINE_LIMIT = 8_000
TRACE_LIMIT = 20_000
#: Minutes of metrics kept, as BullMQ recommends: two weeks.
METRICS_POINTS = 14 * 24 * 60


class JobFinisher(JobProducer):
    """A producer that can also end the attempts of jobs it holds the lease of."""

    #: Minutes of metrics kept for charts; 0 keeps none.
    metrics_points: int = METRICS_POINTS

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
        text = shortened(reason, LINE_LIMIT)
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
            shortened(reason, LINE_LIMIT),
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
            shortened(reason, LINE_LIMIT),
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
            *(shortened(one, TRACE_LIMIT) for one in new if one),
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


def shortened(text: str, limit: int) -> str:
    """Return a text that can be stored, without its middle where it is too long."""
    text = printable(text)
    if len(text) <= limit:
        return text
    # The end of a trace names the error, its beginning the place: both stay.
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
