"""Many jobs submitted together: models x regions."""

from __future__ import annotations

import html
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.arguments import to_id
from myia_sdk.client.handle import JobHandle, mime_bundle
from myia_sdk.client.wait import progress_share
from myia_sdk.errors import (
    BatchNotFoundError,
    InvalidRequestError,
    InvalidTransitionError,
    JobNotFoundError,
)
from myia_sdk.queue.jobs.job import FINISHED_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from myia_sdk.arguments import Seconds
    from myia_sdk.client.submit import Draft
    from myia_sdk.facade import Client
    from myia_sdk.queue.jobs.job import Job, NewJob

#: A batch can be found again this long; its jobs follow their own retention.
KEPT = timedelta(days=90)


class Batch:
    """Jobs that belong together; ``client.batch(id)`` finds them again.

    Parameters
    ----------
    client : Client
        Reaches the queue.
    batch_id : str
        Id of the batch.
    job_ids : sequence of str
        Its jobs, in the order of submission.
    """

    def __init__(self, client: Client, batch_id: str, job_ids: Sequence[str]) -> None:
        self._client = client
        self.id = batch_id
        self.jobs = [JobHandle(client, job_id) for job_id in job_ids]

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
        return mime_bundle(self._client, repr(self), self._repr_html_())

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
    def submit(
        cls,
        client: Client,
        models: Mapping[str, object] | Sequence[object],
        draft: Draft,
        *,
        suite: object,
        regions: Sequence[str | None],
        dataset: object,
        parameters: Mapping[str, Any] | None,
        batch_id: str | None,
    ) -> Self:
        """Check and add all jobs; see ``Client.submit_batch``."""
        named = _named(models)
        if not isinstance(regions, list | tuple) or not regions:
            raise InvalidRequestError(
                f"regions is {regions!r}; give a list of at least one region."
            )
        chosen = cls.new_id() if batch_id is None else to_id(batch_id, "batch")
        jobs = [
            client.prepare(
                model,
                draft,
                suite=suite,
                dataset=dataset,
                region=region,
                name=name,
                parameters=parameters,
                batch=chosen,
            )
            for name, model in named
            for region in regions
        ]
        return cls.add(client, chosen, jobs)

    @classmethod
    def add(cls, client: Client, batch_id: str, jobs: Sequence[NewJob]) -> Self:
        """Remember the batch, then add its jobs in one round trip."""
        ids = [str(job.options.job_id) for job in jobs]
        key = client.queue.keys.sdk("batch", batch_id)
        seconds = int(KEPT.total_seconds())
        client.queue.command("SET", key, json.dumps(ids), "EX", seconds)
        if jobs:
            ids = client.queue.add_many(list(jobs))
        return cls(client, batch_id, ids)

    @classmethod
    def load(cls, client: Client, batch_id: str) -> Self:
        """Find a batch again; see ``Client.batch``."""
        key = client.queue.keys.sdk("batch", to_id(batch_id, "batch"))
        text = client.queue.command("GET", key)
        if not isinstance(text, str):
            raise BatchNotFoundError(batch_id, client.queue.queue)
        return cls(client, batch_id, json.loads(text))

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
        self._client.wait_for(
            self.jobs, timeout=timeout, progress=progress, title=f"batch {self.id}"
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
                self._client.administration.cancel(job.id, reason=reason)
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
            self._client.administration.retry(job.id, reset_attempts=True)
        return len(failed)

    def _read(self) -> list[Job]:
        ids = [job.id for job in self.jobs]
        return [job for job in self._client.queue.jobs(ids) if job is not None]


def _named(
    models: Mapping[str, object] | Sequence[object],
) -> list[tuple[str | None, object]]:
    """Pairs of name and model; without a mapping the models name themselves."""
    if isinstance(models, Mapping):
        named: list[tuple[str | None, object]] = list(models.items())
    elif isinstance(models, list | tuple):
        named = [(None, model) for model in models]
    else:
        raise InvalidRequestError(
            f"models is a {type(models).__name__}; give a list of models, or a mapping "
            "of names to models. For one model use client.submit."
        )
    if not named:
        raise InvalidRequestError("models is empty; give at least one.")
    return named
