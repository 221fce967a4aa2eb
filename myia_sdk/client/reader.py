"""The queue and its certifications as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myia_sdk.arguments import to_count, to_texts
from myia_sdk.client.handle import jobs_of
from myia_sdk.errors import JobNotFoundError
from myia_sdk.queue.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    import pandas as pd

    from myia_sdk.certification.report import Report
    from myia_sdk.client.connection import Connection
    from myia_sdk.client.handle import JobsLike

#: Rows of a listing when nothing is said: a screenful of thousands helps nobody.
LIMIT = 1_000


class Reader:
    """Frames of a queue; each call reads the server once, no frame updates itself.

    Parameters
    ----------
    connection : Connection
        Reaches the queue.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def jobs(
        self,
        state: JobState | str | Iterable[JobState | str] | None = None,
        *,
        ids: Sequence[str] | None = None,
        model: str | None = None,
        suite: str | None = None,
        region: str | None = None,
        tag: str | None = None,
        batch: str | None = None,
        verdict: str | None = None,
        submitter: str | None = None,
        text: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        newest_first: bool = True,
        limit: int | None = LIMIT,
        columns: Sequence[str] | None = None,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Return one row for each job that meets every condition given.

        Parameters
        ----------
        state : JobState, str or several of them, optional
            Only jobs of these states; all if not given.
        ids : sequence of str, optional
            Only these jobs, in this order; unknown ones are left out.
        model, suite, region, batch, verdict, submitter : str, optional
            Only jobs with exactly this label.
        tag : str, optional
            Only jobs that carry this tag.
        text : str, optional
            Only jobs whose reason of failure has these words, whatever their case.
            Whole words are found among all jobs, parts of words among the newest.
        since, until : datetime or str, optional
            Only jobs created in this time, `until` excluded; with a time zone.
        newest_first : bool, default True
            Within one state: last finished, or last in line, first. Over several
            states: last created first.
        limit : int or None, default 1000
            Rows at most; ``None`` reads all, page by page. ``attrs["truncated"]``
            says whether there were more, ``attrs["as_of"]`` when they were read.
        columns : sequence of str, optional
            Which columns; only their fields are read. ``data``, ``result``,
            ``traceback`` and some others only come when named.
        progress : bool, optional
            Show a progress bar; by default in terminals and notebooks, when more than
            10,000 jobs are read.

        Raises
        ------
        ConfigurationError, InvalidJobError
            A state, verdict or column is unknown, or a value is of the wrong type.
        """
        from myia_sdk.client.query import JobQuery, aware, read_jobs, states_asked

        query = JobQuery(
            states=states_asked(state),
            ids=None if ids is None else to_texts(ids, "ids"),
            since=aware(since, "since"),
            until=aware(until, "until"),
            model=model,
            suite=suite,
            region=region,
            tag=tag,
            batch=batch,
            verdict=verdict,
            submitter=submitter,
            text=text,
            newest_first=newest_first,
        )
        return read_jobs(
            self._connection.queue,
            query,
            limit=limit,
            columns=None if columns is None else to_texts(columns, "columns"),
            progress=progress,
        )

    def counts(self) -> pd.DataFrame:
        """Return one row for each state with the number of its jobs."""
        from myia_sdk.frames import counts_frame

        return counts_frame(self._connection.queue.counts())

    def logs(self, job_id: str, *, limit: int | None = LIMIT) -> pd.DataFrame:
        """Return the last lines a job logged or printed, one a row, oldest first.

        Parameters
        ----------
        job_id : str
            The job.
        limit : int or None, default 1000
            Lines at most; ``None`` reads all that were kept.

        Raises
        ------
        JobNotFoundError
            There is no such job.
        """
        from myia_sdk.client.query import read_logs

        return read_logs(self._connection.queue, job_id, limit=limit)

    def events(self, *, limit: int = LIMIT) -> pd.DataFrame:
        """Return the last events of the queue, oldest first.

        Parameters
        ----------
        limit : int, default 1000
            Events at most; the queue keeps about 10,000.
        """
        from myia_sdk.frames import events_frame
        from myia_sdk.queue.store import Event

        most = to_count(limit, "limit")
        with self._connection.queue.wrap_errors():
            entries: Any = self._connection.queue.redis.xrevrange(
                self._connection.queue.keys.events, count=most + 1
            )
        events = [Event.from_entry(entry, fields) for entry, fields in entries]
        return events_frame(events[:limit][::-1], truncated=len(events) > limit)

    def workers(self) -> pd.DataFrame:
        """Return one row for each worker that is connected now."""
        from myia_sdk.frames import workers_frame

        return workers_frame(self._connection.administration.workers())

    def metrics(self, period: str | timedelta = "1min") -> pd.DataFrame:
        """Return how many jobs ended per period, oldest first.

        Parameters
        ----------
        period : str or timedelta, default "1min"
            Whole minutes; the queue counts by the minute.
        """
        from myia_sdk.frames import metrics_frame

        counters = [
            self._connection.administration.metrics(JobState.COMPLETED),
            self._connection.administration.metrics(JobState.FAILED),
        ]
        return metrics_frame(counters, period=period)

    def checks(self, of: JobsLike) -> pd.DataFrame:
        """Return one row for each check of finished certifications.

        Parameters
        ----------
        of : JobHandle, id, Batch or iterable of handles or ids
            Jobs; those without a report are left out.

        Raises
        ------
        JobNotFoundError
            It is a single job, and it does not exist.
        """
        from myia_sdk.frames import checks_frame

        return checks_frame(self._reports(of))

    def calibration(self, of: JobsLike) -> pd.DataFrame:
        """Return the bins of calibration checks: how sure, and how right.

        Parameters
        ----------
        of : JobHandle, Batch or iterable of handles or ids
            Jobs; those whose report has no calibration are left out.
        """
        from myia_sdk.frames import calibration_frame

        return calibration_frame(self._reports(of))

    def samples(self, of: JobsLike) -> pd.DataFrame:
        """Return one row for each request that certifications made.

        Parameters
        ----------
        of : JobHandle, Batch or iterable of handles or ids
            Jobs; those whose report has no log of samples are left out.

        Raises
        ------
        ArtifactNotFoundError
            The log of samples is no longer in the artifact store.
        """
        from myia_sdk.certification.data.samples import read_samples
        from myia_sdk.frames import samples_frame

        found: list[tuple[str, Mapping[str, object]]] = []
        for job_id, report in self._reports(of):
            digest = (report.sample_log or {}).get("artifact")
            if isinstance(digest, str):
                content = self._connection.artifacts.local_path(digest).read_bytes()
                found += [(job_id, sample) for sample in read_samples(content)]
        return samples_frame(found)

    def _reports(self, of: JobsLike) -> list[tuple[str, Report]]:
        from myia_sdk.certification.report import Report

        given = jobs_of(of)
        ids = [item if isinstance(item, str) else item.id for item in given]
        found = self._connection.queue.jobs(ids, fields=("name", "return_value"))
        if given == [of] and found == [None]:
            raise JobNotFoundError(ids[0], self._connection.queue.queue)
        return [
            (job.id, Report.from_record(job.return_value))
            for job in found
            if job is not None
            and isinstance(job.return_value, dict)
            and "checks" in job.return_value
        ]

    def certificates(self, *, history: bool = False) -> pd.DataFrame:
        """Return one row for each certificate, newest first.

        Parameters
        ----------
        history : bool, default False
            All of them; otherwise the latest of each model, region and suite.
        """
        from myia_sdk.frames import certificates_frame

        rows = self._connection.certificate_store.rows(history=history)
        revoked = [
            entry.id
            for entry in self._connection.certificate_store.revocations().entries
        ]
        return certificates_frame(rows, history=history, revoked=revoked)

    def models(self) -> pd.DataFrame:
        """Return one row for each registered model."""
        from myia_sdk.frames import models_frame

        return models_frame(self._connection.registry.entries())

    def schedulers(self) -> pd.DataFrame:
        """Return one row for each job scheduler."""
        from myia_sdk.frames import schedulers_frame

        return schedulers_frame(self._connection.scheduling.list())
