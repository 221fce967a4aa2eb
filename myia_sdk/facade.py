"""The facade: submit certifications, watch them, read and clean the queue."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self

from myia_sdk.arguments import to_count, to_id
from myia_sdk.client.handle import JobHandle
from myia_sdk.client.operations import Operations
from myia_sdk.client.reader import jobs_of
from myia_sdk.client.registration import Registering
from myia_sdk.client.wait import wait_for
from myia_sdk.errors import CertificateError, ConfigurationError, JobNotFoundError
from myia_sdk.server.server import Server, find_server, start_server
from myia_sdk.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from myia_sdk.arguments import Seconds
    from myia_sdk.certification.certificate.certificate import Certificate
    from myia_sdk.certification.report.comparison import Comparison
    from myia_sdk.client.batch import Batch
    from myia_sdk.client.plots import Plots
    from myia_sdk.panels import (
        BoardPanel,
        CertificatesPanel,
        CleanPanel,
        MonitorPanel,
        SubmitPanel,
    )
    from myia_sdk.panels.redaction import Redact

#: A machine is used up long before; a typing mistake should not use it up.
MOST_WORKERS = 256


class Client(Registering, Operations):
    """A connection to one queue of certifications.

    The server is, in this order: the one that the settings name (``REDIS_*`` in
    arguments, environment or ``.env``); the embedded one that runs in
    ``MYIA_HOME``; ``localhost:6379``. ``client.describe()`` says which it is.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment and ``.env`` if not given.
    server : Server, optional
        A server that was already found; the settings are then its own.

    Raises
    ------
    QueueConnectionError
        No server answered; the message names what was tried.
    ConfigurationError
        The settings are not valid.

    Examples
    --------
    >>> with Client.local() as client:  # doctest: +SKIP
    ...     job = client.submit(model, suite="classifier-baseline", dataset=(X, y))
    ...     job.result().verdict
    """

    def __init__(
        self, settings: Settings | None = None, *, server: Server | None = None
    ) -> None:
        super().__init__(server or find_server(_settings_of(settings)))

    @classmethod
    def local(cls, settings: Settings | None = None, *, workers: int = 1) -> Self:
        """Connect to a server of this machine, starting it and workers if need be.

        An explicitly configured server that is alive is taken as it is. Otherwise
        the embedded server of ``MYIA_HOME`` is found or started; it keeps its data
        and ends with its last user. Also a context manager.

        Parameters
        ----------
        settings : Settings, optional
            Read from the environment and ``.env`` if not given.
        workers : int, default 1
            Worker processes to run while this client is open; each runs
            ``certification_concurrency`` jobs at once. 0 only queues.

        Raises
        ------
        LocalServerError
            The embedded server could not be started.
        """
        to_count(workers, "workers", least=0, most=MOST_WORKERS)
        return cls(server=start_server(_settings_of(settings), workers=workers))

    def batch(self, batch_id: str) -> Batch:
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
        from myia_sdk.client.batch import Batch

        return Batch.load(self, batch_id)

    def job(self, job_id: str) -> JobHandle:
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
        job = self.queue.job(to_id(job_id))
        if job is None:
            raise JobNotFoundError(job_id, self.queue.queue)
        return JobHandle(self, job_id, job)

    def wait(
        self,
        jobs: Iterable[JobHandle | str] | JobHandle | str,
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
            item if isinstance(item, JobHandle) else JobHandle(self, item)
            for item in jobs_of(jobs)
        ]
        self.wait_for(handles, timeout=timeout, progress=progress)
        return handles

    def wait_for(
        self,
        handles: list[JobHandle],
        *,
        timeout: Seconds | None = None,
        progress: bool | None = None,
        title: str | None = None,
    ) -> None:
        """Wait for handles; see :meth:`wait`."""
        if not handles:
            return
        if title is None:
            title = (
                f"job {handles[0].id}" if len(handles) == 1 else f"{len(handles)} jobs"
            )
        wait_for(self, handles, timeout=timeout, progress=progress, title=title)

    def certificate_of(self, job_id: str) -> Certificate:
        """Return the certificate of a job, also after the job was cleaned.

        Parameters
        ----------
        job_id : str
            The job.

        Raises
        ------
        CertificateError
            None was issued.
        """
        certificate = self.certificate_store.of_job(to_id(job_id))
        if certificate is None:
            raise CertificateError(
                f"Job {job_id!r} has no certificate: it has not completed, or its "
                "model could not be measured."
            )
        return certificate

    def revoke(self, certificate_id: str, reason: str = "") -> None:
        """Withdraw a certificate; ``client.certificates()`` shows it as not valid.

        Parameters
        ----------
        certificate_id : str
            As ``client.certificates()`` lists it.
        reason : str, optional
            Why.

        Raises
        ------
        CertificateError
            None has this id.
        """
        self.certificate_store.revoke(to_id(certificate_id, "certificate"), reason)

    def compare(self, before: JobHandle | str, after: JobHandle | str) -> Comparison:
        """Compare the reports of two jobs check by check.

        Parameters
        ----------
        before, after : JobHandle or str
            Finished certifications, as handles or ids.

        Raises
        ------
        ComparisonError
            Suites or data differ, so the numbers could not be compared.
        """
        from myia_sdk.certification.report.comparison import compare

        first, second = (
            item if isinstance(item, JobHandle) else self.job(item)
            for item in (before, after)
        )
        return compare(first.report(), second.report())

    @cached_property
    def plot(self) -> Plots:
        """Plots of the queue: ``client.plot.throughput()`` and others."""
        from myia_sdk.client.plots import Plots

        return Plots(self)

    def board(
        self, *, is_read_only: bool = False, redact: Redact | None = None
    ) -> BoardPanel:
        """Show submitting, monitoring and cleaning in tabs.

        Parameters
        ----------
        is_read_only : bool, optional
            Show everything, change nothing.
        redact : callable, optional
            As for :meth:`monitor`.
        """
        from myia_sdk.panels import BoardPanel

        return BoardPanel(self, is_read_only=is_read_only, redact=redact)

    def certificates_panel(self) -> CertificatesPanel:
        """Show the certificates, live."""
        from myia_sdk.panels import CertificatesPanel

        return CertificatesPanel(self)

    def submit_panel(self) -> SubmitPanel:
        """Show a form that submits a model found in the notebook."""
        from myia_sdk.panels import SubmitPanel

        return SubmitPanel(self)

    def monitor(
        self, *, is_read_only: bool = False, redact: Redact | None = None
    ) -> MonitorPanel:
        """Show the live table of jobs.

        Parameters
        ----------
        is_read_only : bool, optional
            Show everything, change nothing.
        redact : callable, optional
            ``redact(field, value) -> value`` decides what is shown of a job's
            ``data``, ``options``, ``result``, ``progress``, ``log`` lines, ``error``
            and ``stacktrace``; values of keys that look secret are masked in any case.
        """
        from myia_sdk.panels import MonitorPanel

        return MonitorPanel(self, is_read_only=is_read_only, redact=redact)

    def clean_panel(self) -> CleanPanel:
        """Show a form that cleans the queue in two steps."""
        from myia_sdk.panels import CleanPanel

        return CleanPanel(self)


def _settings_of(settings: Settings | None) -> Settings:
    if settings is None:
        return Settings()
    if isinstance(settings, Settings):
        return settings
    raise ConfigurationError(
        f"settings is a {type(settings).__name__}; give Settings(redis_host=...), or "
        "nothing to read them from the environment and .env."
    )
