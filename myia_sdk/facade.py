"""`Client`, the facade: what works on a connection, under one name."""

from __future__ import annotations

from functools import cached_property, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from myia_sdk.arguments import to_count
from myia_sdk.client import (
    Batch,
    CertificateStore,
    Connection,
    JobHandle,
    Operations,
    Reader,
    RegisteredModels,
    Submissions,
    handle,
)
from myia_sdk.errors import ConfigurationError
from myia_sdk.server import Server, find_server, start_server
from myia_sdk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.report.comparison import Comparison
    from myia_sdk.client import Plots, Registry
    from myia_sdk.panels import (
        BoardPanel,
        CertificatesPanel,
        CleanPanel,
        MonitorPanel,
        SubmitPanel,
    )
    from myia_sdk.panels.permissions import Redact
    from myia_sdk.queue.store import JobSchedulers, JobStore, QueueAdministration

#: A machine is used up long before; a typing mistake should not use it up.
MOST_WORKERS = 256

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Part = TypeVar("_Part")


def _of(
    part: Callable[[Client], _Part], method: Callable[Concatenate[_Part, _P], _R]
) -> Callable[Concatenate[Client, _P], _R]:
    """Offer the method of a part of the client, with its signature and docstring."""

    @wraps(method)
    def call(self: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return method(part(self), *args, **kwargs)

    return call


def _submissions(client: Client) -> Submissions:
    return Submissions(client.connection)


def _reader(client: Client) -> Reader:
    return Reader(client.connection)


def _registered(client: Client) -> RegisteredModels:
    return RegisteredModels(client.connection)


def _operations(client: Client) -> Operations:
    return Operations(client.connection.administration)


def _connection(client: Client) -> Connection:
    return client.connection


def _certificates(client: Client) -> CertificateStore:
    return client.connection.certificate_store


class Client:
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
        #: What handles, panels and plots work on.
        self.connection = Connection(server or find_server(_settings_of(settings)))

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

    submit = _of(_submissions, Submissions.submit)
    submit_batch = _of(_submissions, Submissions.submit_batch)

    job = _of(_connection, JobHandle.load)
    batch = _of(_connection, Batch.load)
    wait = _of(_connection, handle.wait)

    jobs = _of(_reader, Reader.jobs)
    counts = _of(_reader, Reader.counts)
    logs = _of(_reader, Reader.logs)
    events = _of(_reader, Reader.events)
    workers = _of(_reader, Reader.workers)
    metrics = _of(_reader, Reader.metrics)
    checks = _of(_reader, Reader.checks)
    calibration = _of(_reader, Reader.calibration)
    samples = _of(_reader, Reader.samples)
    certificates = _of(_reader, Reader.certificates)
    models = _of(_reader, Reader.models)
    schedulers = _of(_reader, Reader.schedulers)

    register = _of(_registered, RegisteredModels.register)
    certify_all = _of(_registered, RegisteredModels.certify_all)
    recertify_expiring = _of(_registered, RegisteredModels.recertify_expiring)
    schedule = _of(_registered, RegisteredModels.schedule)

    pause = _of(_operations, Operations.pause)
    resume = _of(_operations, Operations.resume)
    clean = _of(_operations, Operations.clean)
    drain = _of(_operations, Operations.drain)
    retry_all = _of(_operations, Operations.retry_all)
    promote_all = _of(_operations, Operations.promote_all)
    obliterate = _of(_operations, Operations.obliterate)
    set_concurrency = _of(_operations, Operations.set_concurrency)
    set_rate_limit = _of(_operations, Operations.set_rate_limit)

    certificate_of = _of(_certificates, CertificateStore.require)
    revoke = _of(_certificates, CertificateStore.revoke)

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
        from myia_sdk.certification.report import compare

        jobs = [j if isinstance(j, JobHandle) else self.job(j) for j in (before, after)]
        return compare(jobs[0].report(), jobs[1].report())

    def suites(self) -> list[str]:
        """Return the names of the suites that come with the SDK."""
        from myia_sdk.certification.suites import list_suites

        return list_suites()

    @cached_property
    def plot(self) -> Plots:
        """Plots of the queue: ``client.plot.throughput()`` and others."""
        from myia_sdk.client import Plots

        return Plots(Reader(self.connection))

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

        return BoardPanel(self.connection, is_read_only=is_read_only, redact=redact)

    def certificates_panel(self) -> CertificatesPanel:
        """Show the certificates, live."""
        from myia_sdk.panels import CertificatesPanel

        return CertificatesPanel(self.connection)

    def submit_panel(self) -> SubmitPanel:
        """Show a form that submits a model found in the notebook."""
        from myia_sdk.panels import SubmitPanel

        return SubmitPanel(self.connection)

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

        return MonitorPanel(self.connection, is_read_only=is_read_only, redact=redact)

    def clean_panel(self) -> CleanPanel:
        """Show a form that cleans the queue in two steps."""
        from myia_sdk.panels import CleanPanel

        return CleanPanel(self.connection)

    close = _of(_connection, Connection.close)
    describe = _of(_connection, Connection.describe)

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called; a closed client is not opened again."""
        return self.connection.is_closed

    @property
    def plugins(self) -> tuple[str, ...]:
        """Modules with checks of the user's own."""
        return self.connection.plugins

    @property
    def settings(self) -> Settings:
        """What the connection was made with."""
        return self.connection.settings

    @property
    def queue(self) -> JobStore:
        """The jobs of the queue."""
        return self.connection.queue

    @property
    def administration(self) -> QueueAdministration:
        """What changes jobs and the queue."""
        return self.connection.administration

    @property
    def scheduling(self) -> JobSchedulers:
        """The timetables of the queue."""
        return self.connection.scheduling

    @property
    def artifacts(self) -> ArtifactStore:
        """Where models, datasets and certificates are kept."""
        return self.connection.artifacts

    @property
    def certificate_store(self) -> CertificateStore:
        """The certificates of the queue."""
        return self.connection.certificate_store

    @property
    def registry(self) -> Registry:
        """The models registered by name."""
        return self.connection.registry

    def __repr__(self) -> str:
        return repr(self.connection).replace("<Connection", "<Client", 1)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        del include, exclude
        return {"text/plain": self.describe()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _settings_of(settings: Settings | None) -> Settings:
    if settings is None:
        return Settings()
    if isinstance(settings, Settings):
        return settings
    raise ConfigurationError(
        f"settings is a {type(settings).__name__}; give Settings(redis_host=...), or "
        "nothing to read them from the environment and .env."
    )
