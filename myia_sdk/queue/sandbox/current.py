"""The job that is running here: identity, progress and log, in child and thread."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from myia_sdk.errors import QueueError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Greatest size of a progress value, bytes of JSON: it is sent in every listing.
MAX_PROGRESS_BYTES = 16 * 1024


class Reporter(Protocol):
    """Where a running job sends what it has to say."""

    def progress(self, value: object) -> None:
        """Take the newest progress value."""

    def log(self, text: str) -> None:
        """Take a text for the job's log."""


class CurrentJob:
    """The running job, as its own function sees it.

    Parameters
    ----------
    id : str
        Id of the job.
    name : str
        Name of the task.
    attempt : int
        Number of this attempt, counted from 1.
    reporter : Reporter
        Takes progress and log.
    """

    __slots__ = ("_reporter", "attempt", "id", "name")

    def __init__(self, id: str, name: str, attempt: int, reporter: Reporter) -> None:  # noqa: A002  # the glossary's word
        self.id = id
        self.name = name
        self.attempt = attempt
        self._reporter = reporter

    def __repr__(self) -> str:
        return f"<CurrentJob {self.id} {self.name} attempt {self.attempt}>"

    def progress(self, value: object) -> None:
        """Show how far the job is.

        Parameters
        ----------
        value : float or JSON value
            Usually a share of 1 (``0.4``) or an object; at most 16 KiB of JSON.
            Values that follow each other quickly are merged: the last one wins.
        """
        self._reporter.progress(value)

    def log(self, text: object) -> None:
        """Add a text to the job's log; each line of it becomes a row."""
        self._reporter.log(str(text))


_current: ContextVar[CurrentJob | None] = ContextVar("myia_current_job", default=None)
#: In a sandbox child one job owns the process, threads included.
_process_jobs: list[CurrentJob] = []


def current_job() -> CurrentJob:
    """Return the job that is running in this child or thread.

    Raises
    ------
    QueueError
        No job is running here: the function was called directly.
    """
    job = _current.get() or (_process_jobs[-1] if _process_jobs else None)
    if job is None:
        raise QueueError(
            "No job is running here: current_job() works inside a task that a "
            "worker (or immediate mode) runs."
        )
    return job


def adopt_process(job: CurrentJob) -> None:
    """Make `job` the current one of all threads of this process."""
    _process_jobs.append(job)


@contextmanager
def running(job: CurrentJob) -> Iterator[CurrentJob]:
    """Make `job` the current one of this thread for the time of a block."""
    token = _current.set(job)
    try:
        yield job
    finally:
        _current.reset(token)
