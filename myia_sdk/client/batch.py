"""Many jobs submitted together: models x regions."""

from __future__ import annotations

import html
import json
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from myia_sdk.arguments import to_id
from myia_sdk.client.handle import JobHandle, mime_bundle, wait_for
from myia_sdk.client.wait import progress_share
from myia_sdk.errors import (
    BatchNotFoundError,
    InvalidTransitionError,
    JobNotFoundError,
)
from myia_sdk.queue.jobs import FINISHED_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from myia_sdk.arguments import Seconds
    from myia_sdk.client.connection import Connection
    from myia_sdk.queue.jobs import Job, NewJob

#: A batch can be found again this long; its jobs follow their own retention.
KEPT = timedelta(days=90)


class Batch:
    """Jobs that belong together; ``client.batch(id)`` finds them again.

    Parameters
    ----------
    connection : Connection
        Reaches the queue.
    batch_id : str
        Id of the batch.
    job_ids : sequence of str
        Its jobs, in the order of submission.
    """

    def __init__(
        self, connection: Connection, batch_id: str, job_ids: Sequence[str]
    ) -> None:
        self._connection = connection
        self.id = batch_id
        self.jobs = [JobHandle(connection, job_id) for job_id in job_ids]

    def __repr__(self) -> str:
        return f"<Batch {self.id} of {len(self.jobs)} jobs>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{html.escape(repr(job))}</li>" for job in self.jobs[:100])
        title = html.escape(repr(self))
        return f"<details><summary>{title}</summary><ul>{rows}</ul></details>"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        del include, exclude
        return mime_bundle(self._connection, repr(self), self._repr_html_())

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[JobHandle]:
        return iter(self.jobs)

    @staticmethod
    def new_id() -> str:
        """Make an id that sorts by time."""
        now = datetime.now(UTC)
        return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"

    @classmethod
    def add(cls, connection: Connection, batch_id: str, jobs: Sequence[NewJob]) -> Self:
        """Remember the batch, then add its jobs in one round trip."""
        ids = [str(job.options.job_id) for job in jobs]
        key = connection.queue.keys.sdk("batch", batch_id)
        seconds = int(KEPT.total_seconds())
        connection.queue.command("SET", key, json.dumps(ids), "EX", seconds)
        if jobs:
            ids = connection.queue.add_many(list(jobs))
        return cls(connection, batch_id, ids)

    @classmethod
    def load(cls, connection: Connection, batch_id: str) -> Self:
        """Return a batch by its id, for example after a restart of the kernel.

        Parameters
        ----------
        batch_id : str
            As ``batch.id``, and the column ``batch`` of ``client.jobs()``, say it.

        Raises
        ------
        BatchNotFoundError
            No batch has this id.
        """
        key = connection.queue.keys.sdk("batch", to_id(batch_id, "batch"))
        text = connection.queue.command("GET", key)
        if not isinstance(text, str):
            raise BatchNotFoundError(batch_id, connection.queue.queue)
        return cls(connection, batch_id, json.loads(text))

    def wait(
        self, timeout: Seconds | None = None, *, progress: bool | None = None
    ) -> Self:
        """Wait until all jobs have ended, whatever the ends.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Longest wait for all of them, seconds. Without it, as long as it takes.
        progress : bool, optional
            Show one bar for all; by default in terminals and notebooks.

        Raises
        ------
        WaitTimeoutError
            Time is up; the jobs go on.
        """
        wait_for(
            self._connection,
            self.jobs,
            timeout=timeout,
            progress=progress,
            title=f"batch {self.id}",
        )
        return self

    @property
    def progress(self) -> float:
        """How far the batch is now, 0.0 to 1.0; reads the server."""
        jobs = self._read()
        return sum(map(progress_share, jobs)) / len(jobs) if jobs else 1.0

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state; those removed are left out."""
        found = Counter(job.state for job in self._read() if job.state is not None)
        return {state: found[state] for state in JobState if found[state]}

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each job that still exists."""
        from myia_sdk.frames import batch_frame

        return batch_frame(self._read())

    def cancel(self, reason: str = "cancelled") -> int:
        """Cancel what has not ended, and return how many jobs that were.

        Parameters
        ----------
        reason : str, default "cancelled"
            What listings say about them.
        """
        cancelled = 0
        for job in self._read():
            if job.state in FINISHED_STATES:
                continue
            try:
                self._connection.administration.cancel(job.id, reason=reason)
            except (InvalidTransitionError, JobNotFoundError):
                continue
            cancelled += 1
        return cancelled

    def retry_failed(self, *, cancelled: bool = False) -> int:
        """Run the failed jobs again, and return how many they are.

        Parameters
        ----------
        cancelled : bool, default False
            Those that somebody cancelled, too.
        """
        failed = [
            job
            for job in self._read()
            if job.state is JobState.FAILED and (cancelled or not job.is_cancelled)
        ]
        for job in failed:
            self._connection.administration.retry(job.id, reset_attempts=True)
        return len(failed)

    def _read(self) -> list[Job]:
        ids = [job.id for job in self.jobs]
        return [job for job in self._connection.queue.jobs(ids) if job is not None]
