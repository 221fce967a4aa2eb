"""The handle of one job: what ``client.submit`` returns."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from myia_sdk.arguments import to_id, to_timedelta
from myia_sdk.client.wait import follow, progress_share, watch
from myia_sdk.errors import (
    InvalidJobError,
    InvalidTransitionError,
    JobFailedError,
    JobNotFoundError,
)
from myia_sdk.queue.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    import pandas as pd

    from myia_sdk.arguments import Seconds
    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.certification.report import Report
    from myia_sdk.client.connection import Connection
    from myia_sdk.queue.jobs import Job


_ERROR_TYPE = re.compile(r"([A-Za-z_][\w.]*): ")


class JobHandle:
    """One job of the queue.

    The properties show the job as it was when it was last read: at submission, by
    :meth:`refresh`, or while waiting. Reprs never read anything.

    Parameters
    ----------
    connection : Connection
        Reaches the queue.
    job_id : str
        The job.
    job : Job, optional
        What is known of it.
    notes : tuple of str, optional
        What was chosen or changed when it was submitted.
    """

    def __init__(
        self,
        connection: Connection,
        job_id: str,
        job: Job | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._connection = connection
        self._job = job
        self.id = job_id
        self.notes = notes

    @classmethod
    def load(cls, connection: Connection, job_id: str) -> Self:
        """Return the handle of a job.

        Parameters
        ----------
        job_id : str
            As ``job.id``, and the column ``id`` of ``client.jobs()``, say it.

        Raises
        ------
        JobNotFoundError
            No job has this id.
        """
        job = connection.queue.job(to_id(job_id))
        if job is None:
            raise JobNotFoundError(job_id, connection.queue.queue)
        return cls(connection, job_id, job)

    def __repr__(self) -> str:
        return f"<Job {self.id} {self._summary()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def _repr_html_(self) -> str:
        job = self._job
        cells = [("job", self.id), ("state", self._summary())]
        if job is not None:
            cells += [(name, text) for name, text in sorted(job.labels.items()) if text]
            if job.failed_reason and job.state is JobState.FAILED:
                cells.append(("reason", job.failed_reason))
        cells += [("note", note) for note in self.notes]
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in cells
        )
        percent = 0 if job is None else round(100 * progress_share(job))
        return (
            f"<table>{rows}</table>"
            f"<progress value='{percent}' max='100'>{percent} %</progress>"
        )

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        del include, exclude
        return mime_bundle(self._connection, repr(self), self._repr_html_())

    def _summary(self) -> str:
        job = self._job
        if job is None or job.state is None:
            return "submitted"
        verdict = job.labels.get("verdict")
        if verdict:
            return f"{job.state}, verdict {verdict}"
        if job.state is JobState.ACTIVE:
            return f"{job.state} {progress_share(job):.0%}"
        return str(job.state)

    @property
    def state(self) -> JobState:
        """State of the job now; reads the server."""
        state = self.refresh().job.state
        if state is None:
            raise JobNotFoundError(self.id, self._connection.queue.queue)
        return state

    @property
    def progress(self) -> float:
        """How far the job is now, 0.0 to 1.0; reads the server."""
        return progress_share(self.refresh().job)

    @property
    def job(self) -> Job:
        """The job as it was last read; the first time reads the server."""
        if self._job is None:
            self.refresh()
        assert self._job is not None  # noqa: S101 -- refresh sets it or raises
        return self._job

    @property
    def labels(self) -> Mapping[str, str]:
        """Model, suite, region, tags, and at the end verdict, score and rating."""
        return self.job.labels

    @property
    def verdict(self) -> str | None:
        """Verdict of the certification, ``None`` before it is known."""
        return self.job.labels.get("verdict") or None

    def refresh(self) -> Self:
        """Read the job again.

        Raises
        ------
        JobNotFoundError
            The job was removed.
        """
        job = self._connection.queue.job(self.id)
        if job is None:
            raise JobNotFoundError(self.id, self._connection.queue.queue)
        self._job = job
        return self

    def wait(
        self, timeout: Seconds | None = None, *, progress: bool | None = None
    ) -> Self:
        """Wait until the job has ended, whatever the end.

        Interrupting the wait leaves the job alone.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Longest wait, seconds. Without it, as long as it takes.
        progress : bool, optional
            Show a progress bar; by default in terminals and notebooks.

        Raises
        ------
        WaitTimeoutError
            Time is up; the job goes on.
        """
        wait_for(self._connection, [self], timeout=timeout, progress=progress)
        return self.refresh()

    def remember(self, job: Job) -> None:
        """Show the job as it was read elsewhere."""
        self._job = job

    def result(
        self, timeout: Seconds | None = None, *, progress: bool | None = None
    ) -> Report | Any:
        """Wait for the job and return what it returned.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Longest wait, seconds. Without it, as long as it takes.
        progress : bool, optional
            Show a progress bar; by default in terminals and notebooks.

        Returns
        -------
        Report
            For certifications; the JSON value for any other task.

        Raises
        ------
        JobFailedError
            The job failed. A verdict ``failed`` is a result, not a failure.
        WaitTimeoutError
            Time is up; the job goes on.
        """
        self.wait(timeout, progress=progress)
        return self._finished_value()

    def __await__(self) -> Generator[Any, None, Report | Any]:
        """Wait without blocking the event loop, then return the result."""
        return self._wait_in_thread().__await__()

    async def _wait_in_thread(self) -> Report | Any:
        stop = threading.Event()
        try:
            await asyncio.to_thread(
                follow, self._connection.queue, [self.id], stop=stop
            )
        except asyncio.CancelledError:
            stop.set()
            raise
        await asyncio.to_thread(self.refresh)
        return self._finished_value()

    def report(self) -> Report:
        """Return the report of a finished certification.

        Raises
        ------
        JobFailedError
            The job failed before there was a report.
        InvalidTransitionError
            The job has not ended yet, or is no certification.
        """
        if self._job is None or self._job.return_value is None:
            self.refresh()
        if not self.job.is_finished:
            raise InvalidTransitionError(
                self.id, "read the report of", str(self.job.state), "Wait for it first."
            )
        value = self._finished_value()
        if isinstance(value, dict) or not hasattr(value, "checks"):
            raise InvalidTransitionError(
                self.id, "read the report of", "not a certification"
            )
        return value

    def certificate(self) -> Certificate:
        """Return the signed certificate; it outlives the job.

        Raises
        ------
        CertificateError
            None was issued (yet).
        """
        return self._connection.certificate_store.require(self.id)

    def logs(self, *, limit: int = 1_000) -> pd.DataFrame:
        """Return the last lines the job logged or printed, one a row.

        Parameters
        ----------
        limit : int, default 1000
            Lines at most.
        """
        from myia_sdk.client.query import read_logs

        return read_logs(self._connection.queue, self.id, limit=limit)

    def cancel(self, reason: str = "cancelled") -> Self:
        """Cancel the job: a pending one at once, a running one within a second.

        A running one is asked to stop: it is still ``active`` when this returns, and
        `wait` tells how it ended. If it returned within that second it is
        ``completed``.

        Parameters
        ----------
        reason : str, default "cancelled"
            What listings and the log say about it.

        Raises
        ------
        InvalidTransitionError
            The job has ended already.
        """
        self._connection.administration.cancel(self.id, reason=reason)
        return self.refresh()

    def retry(self, *, reset_attempts: bool = True) -> Self:
        """Run a finished job again, with the same id.

        Parameters
        ----------
        reset_attempts : bool, default True
            Give it all its attempts again.

        Raises
        ------
        InvalidTransitionError
            The job has not ended.
        """
        self._connection.administration.retry(self.id, reset_attempts=reset_attempts)
        return self.refresh()

    def promote(self) -> Self:
        """Run a delayed job now.

        Raises
        ------
        InvalidTransitionError
            The job is not delayed.
        """
        self._connection.administration.promote(self.id)
        return self.refresh()

    def update_data(self, data: object) -> Self:
        """Replace the data the job will run with.

        Parameters
        ----------
        data : object
            What JSON can say.

        Raises
        ------
        InvalidJobError
            The data cannot travel as JSON.
        """
        self._connection.administration.update_data(self.id, data)
        return self.refresh()

    def change_delay(self, delay: Seconds) -> Self:
        """Let a delayed job wait anew.

        Parameters
        ----------
        delay : float or timedelta
            Seconds from now until it may start.

        Raises
        ------
        InvalidTransitionError
            The job is not delayed.
        """
        wanted = to_timedelta(delay, "delay") or timedelta(0)
        self._connection.administration.change_delay(self.id, wanted)
        return self.refresh()

    def change_priority(self, priority: int) -> Self:
        """Move a pending job in line.

        Parameters
        ----------
        priority : int
            0 runs first, then 1, 2, ... up to 2,097,151.
        """
        self._connection.administration.change_priority(self.id, priority)
        return self.refresh()

    def remove(self) -> None:
        """Delete the job. Its certificate stays.

        Raises
        ------
        InvalidTransitionError
            A worker is running it; cancel it first.
        """
        self._connection.administration.remove(self.id)

    def _finished_value(self) -> Report | Any:
        job = self.job
        if job.state is JobState.FAILED:
            reason = job.failed_reason or "no reason was given"
            match = _ERROR_TYPE.match(reason)
            raise JobFailedError(
                job.id,
                reason,
                attempts_made=job.attempts_made,
                error_type=match.group(1) if match else None,
                traceback_text=job.stacktrace[-1] if job.stacktrace else None,
            )
        if job.name != "certify":
            return job.return_value
        from myia_sdk.certification.report import Report

        return Report.from_record(job.return_value)


def mime_bundle(connection: Connection, text: str, rich: str) -> dict[str, str]:
    """Return what a notebook shows: text, and HTML where ``MYIA_NOTEBOOK`` allows."""
    bundle = {"text/plain": text}
    if connection.settings.myia_notebook:
        bundle["text/html"] = rich
    return bundle


#: What stands for jobs: a handle, an id, or several of them, such as a batch.
JobsLike: TypeAlias = "JobHandle | str | Iterable[JobHandle | str]"


def wait(
    connection: Connection,
    jobs: JobsLike,
    *,
    timeout: Seconds | None = None,
    progress: bool | None = None,
) -> list[JobHandle]:
    """Wait until all jobs have ended, and return their handles.

    Parameters
    ----------
    jobs : handles or ids
        What to wait for.
    timeout : float or timedelta, optional
        Longest wait, seconds.
    progress : bool, optional
        Show one bar for all; by default in terminals and notebooks.

    Raises
    ------
    WaitTimeoutError
        Time is up; the jobs go on.
    """
    handles = [
        item if isinstance(item, JobHandle) else JobHandle(connection, item)
        for item in jobs_of(jobs)
    ]
    wait_for(connection, handles, timeout=timeout, progress=progress)
    return handles


def wait_for(
    connection: Connection,
    handles: Sequence[JobHandle],
    *,
    timeout: Seconds | None = None,
    progress: bool | None = None,
    title: str | None = None,
) -> None:
    """Wait for handles, which show how far their jobs are; see :func:`wait`."""
    known = {handle.id: handle for handle in handles}

    def remember(jobs: Mapping[str, Job]) -> None:
        for job_id, job in jobs.items():
            known[job_id].remember(job)

    watch(
        connection,
        list(known),
        timeout=timeout,
        progress=progress,
        title=title,
        on_change=remember,
    )


def jobs_of(given: JobsLike) -> list[JobHandle | str]:
    """Return jobs given one by one, as a batch or as several.

    Raises
    ------
    InvalidJobError
        Something else was given.
    """
    if isinstance(given, JobHandle | str):
        return [given]
    try:
        jobs = list(given)
    except TypeError:
        jobs = [given]  # type: ignore[list-item]  # named in the error below
    for job in jobs:
        if not isinstance(job, JobHandle | str):
            raise InvalidJobError(
                f"{job!r} is no job; give handles or ids, as client.jobs() lists them."
            )
    return jobs
