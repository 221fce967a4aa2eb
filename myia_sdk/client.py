"""The facade: submit certifications, watch them, read and clean the queue."""

from __future__ import annotations

import getpass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.errors import CertificateError, InvalidJobError, JobNotFoundError
from myia_sdk.handle import JobHandle, wait_for
from myia_sdk.operations import Operations
from myia_sdk.queue.administration import QueueAdministration
from myia_sdk.queue.job import JobOptions, NewJob
from myia_sdk.queue.options import Retention
from myia_sdk.queue.schedule import JobSchedulers
from myia_sdk.queue.store import JobStore
from myia_sdk.registering import Registering
from myia_sdk.server import Server, find_server, start_server
from myia_sdk.settings import Settings
from myia_sdk.submission import BACKOFF, Draft, to_tags, to_timedelta

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from myia_sdk.batch import Batch
    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.certification.comparison import Comparison
    from myia_sdk.panels import (
        BoardPanel,
        CertificatesPanel,
        CleanPanel,
        MonitorPanel,
        SubmitPanel,
    )
    from myia_sdk.panels.controllers.redaction import Redact
    from myia_sdk.plotting import Plots
    from myia_sdk.waiting import Seconds

TASK = "certify"


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
        self._server = server or find_server(settings or Settings())
        self.settings = self._server.settings
        self.queue = JobStore(
            self._server.redis,
            self.settings.certification_queue_name,
            prefix=self.settings.bull_queue_prefix,
        )
        self.administration = QueueAdministration(self.queue)
        self.scheduling = JobSchedulers(self.queue)

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
        if workers < 0:
            raise InvalidJobError(f"workers is {workers}; it must be 0 or more.")
        return cls(server=start_server(settings or Settings(), workers=workers))

    def __repr__(self) -> str:
        return f"<Client {self.queue.queue!r} at {self._server.address}>"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        del include, exclude
        return {"text/plain": self.describe()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; an embedded server ends with its last user."""
        self._server.close()

    def describe(self) -> str:
        """Say which server and queue this is, and why that one."""
        return (
            f"Queue {self.queue.prefix}:{self.queue.queue} at {self._server.address}, "
            f"from {self._server.source}"
        )

    def submit(
        self,
        model: object,
        *,
        suite: object,
        dataset: object = None,
        region: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        priority: int = 0,
        delay: Seconds | None = None,
        timeout: Seconds | None = None,
        max_retries: int | None = None,
        job_id: str | None = None,
        tags: Sequence[str] = (),
    ) -> JobHandle:
        """Put a certification into the queue.

        Everything that can be checked is checked before anything is enqueued.

        Parameters
        ----------
        model : estimator, path, ModelRef, mapping or str
            A fitted scikit-learn estimator; the path of a ``.skops`` or ``.onnx``
            file; a reference to an endpoint or factory; or the name of a registered
            model.
        suite : str, path, mapping or Suite
            Name of a suite (``myia suites`` lists them) or a suite of your own.
        dataset : tuple, mapping or Dataset, optional
            Test data, ``(X, y)``, for suites that need them.
        region : str, optional
            Region of an endpoint.
        name : str, optional
            How the model is called in listings and certificates.
        parameters : mapping, optional
            ``seed``, ``concurrency``, ``max_cost``, and under ``checks`` values that
            differ from the suite's.
        priority : int, default 0
            0 runs first, then 1, 2, ... up to 2,097,151.
        delay : float or timedelta, optional
            Seconds before the job may start.
        timeout : float or timedelta, optional
            Longest run of one attempt, seconds; ``CERTIFICATION_TIMEOUT`` if not
            given.
        max_retries : int, optional
            Retries after the first attempt; ``CERTIFICATION_MAX_RETRIES`` if not
            given.
        job_id : str, optional
            Id of your own. Submitting it again while the job exists adds nothing.
        tags : sequence of str, optional
            Words to find the job by.

        Returns
        -------
        JobHandle
            The job; nothing has been waited for.

        Raises
        ------
        ModelRejectedError, DatasetError, UnknownSuiteError, SuiteError
        InvalidRequestError, UnknownModelError, InvalidJobError, QueueConnectionError
            What is wrong; nothing was enqueued.
        """
        draft = Draft(
            priority=priority,
            delay=to_timedelta(delay, "delay"),
            timeout=to_timedelta(timeout, "timeout"),
            max_retries=max_retries,
            tags=to_tags(tags),
        ).filled(self.administration.defaults())
        new = self.prepare(
            model,
            draft,
            suite=suite,
            dataset=dataset,
            region=region,
            name=name,
            parameters=parameters,
            job_id=job_id,
        )
        return JobHandle(self, self.queue.add(new))

    def prepare(
        self,
        model: object,
        draft: Draft,
        *,
        suite: object,
        dataset: object = None,
        region: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        batch: str | None = None,
    ) -> NewJob:
        """Check a request, store its artifacts, and return the job to be added.

        The parameters are those of :meth:`submit`.
        """
        from myia_sdk.certification.request import CertificationRequest

        options = self._options(draft, job_id)
        model, dataset = self._look_up(model, dataset)
        request = CertificationRequest.build(
            model,
            suite=suite,
            artifacts=self.artifacts,
            dataset=dataset,
            region=region,
            parameters=parameters,
            name=name,
            plugins=self.plugins,
        )
        return NewJob(
            name=TASK,
            data=request.to_record(),
            options=options,
            labels=draft.labels(
                model=request.model.name,
                suite=request.suite_name,
                region=request.region,
                batch=batch,
                submitter=self._submitter(),
            ),
            fields=draft.fields(),
        )

    @property
    def plugins(self) -> tuple[str, ...]:
        """Modules with checks of the user's own."""
        names = (self.settings.myia_plugins or "").split(",")
        return tuple(name.strip() for name in names if name.strip())

    def _options(self, draft: Draft, job_id: str | None) -> JobOptions:
        retries = draft.max_retries
        if retries is None:
            retries = self.settings.certification_max_retries
        options = JobOptions(
            attempts=1 + retries,
            backoff=BACKOFF,
            delay=draft.delay or JobOptions().delay,
            priority=draft.priority,
            job_id=job_id if job_id is not None else self.queue.new_job_id(),
            remove_on_complete=Retention(
                count=self.settings.certification_keep_completed
            ),
            remove_on_fail=Retention(count=self.settings.certification_keep_failed),
        )
        options.check_new()
        return options

    def _look_up(self, model: object, dataset: object) -> tuple[object, object]:
        """Replace the name of a registered model by its reference and its data."""
        if not isinstance(model, str) or Path(model).suffix or Path(model).exists():
            return model, dataset
        entry = self.registry.get(model)
        return entry.model, entry.dataset if dataset is None else dataset

    def _submitter(self) -> str:
        if self.settings.myia_submitter:
            return self.settings.myia_submitter
        try:
            return getpass.getuser()
        except (OSError, KeyError):
            return ""

    def submit_batch(
        self,
        models: Mapping[str, object] | Sequence[object],
        *,
        suite: object,
        regions: Sequence[str | None] = (None,),
        dataset: object = None,
        parameters: Mapping[str, Any] | None = None,
        priority: int = 0,
        delay: Seconds | None = None,
        timeout: Seconds | None = None,
        max_retries: int | None = None,
        batch_id: str | None = None,
        tags: Sequence[str] = (),
    ) -> Batch:
        """Submit every model in every region, one job each, in one round trip.

        Parameters
        ----------
        models : mapping of str to model, or sequence of models
            What :meth:`submit` takes; the keys of a mapping are the names.
        regions : sequence of str, optional
            Regions; without them, one job a model.
        batch_id : str, optional
            Id to find the batch by; made if not given.
        suite, dataset, parameters, priority, delay, timeout, max_retries, tags
            As for :meth:`submit`.

        Raises
        ------
        MyiaError
            As for :meth:`submit`; if one request is not valid none is enqueued.
        """
        from myia_sdk.batch import Batch

        draft = Draft(
            priority=priority,
            delay=to_timedelta(delay, "delay"),
            timeout=to_timedelta(timeout, "timeout"),
            max_retries=max_retries,
            tags=to_tags(tags),
        ).filled(self.administration.defaults())
        return Batch.submit(
            self,
            models,
            draft,
            suite=suite,
            regions=regions,
            dataset=dataset,
            parameters=parameters,
            batch_id=batch_id,
        )

    def batch(self, batch_id: str) -> Batch:
        """Return a batch by its id, for example after a restart of the kernel.

        Raises
        ------
        JobNotFoundError
            No batch has this id.
        """
        from myia_sdk.batch import Batch

        return Batch.load(self, batch_id)

    def suites(self) -> list[str]:
        """Return the names of the suites that come with the SDK."""
        from myia_sdk.certification.suites import list_suites

        return list_suites()

    def job(self, job_id: str) -> JobHandle:
        """Return the handle of a job.

        Raises
        ------
        JobNotFoundError
            No job has this id.
        """
        job = self.queue.job(job_id)
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
        given = [jobs] if isinstance(jobs, JobHandle | str) else list(jobs)
        handles = [
            JobHandle(self, item) if isinstance(item, str) else item for item in given
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

        Raises
        ------
        CertificateError
            None was issued.
        """
        certificate = self.certificate_store.of_job(job_id)
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
        self.certificate_store.revoke(certificate_id, reason)

    def compare(self, before: JobHandle | str, after: JobHandle | str) -> Comparison:
        """Compare the reports of two jobs check by check.

        Raises
        ------
        ComparisonError
            Suites or data differ, so the numbers could not be compared.
        """
        from myia_sdk.certification.comparison import compare

        first, second = (
            self.job(item) if isinstance(item, str) else item
            for item in (before, after)
        )
        return compare(first.report(), second.report())

    @cached_property
    def plot(self) -> Plots:
        """Plots of the queue: ``client.plot.throughput()`` and others."""
        from myia_sdk.plotting import Plots

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
