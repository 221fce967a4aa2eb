"""Which server a client or worker uses, and how that was decided."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from myia_sdk.errors import QueueConnectionError

if TYPE_CHECKING:
    from myia_sdk.queue.wire import RedisClient
    from myia_sdk.server.local import LocalServer, LocalWorkers
    from myia_sdk.settings import Settings

_INSTALL = (
    "Use Client.local() or `myia up` for an embedded server, or install Redis: "
    "Debian `sudo apt install redis-server && sudo systemctl start redis-server`, "
    "macOS `brew install redis && brew services start redis`, "
    "Docker `docker run -d -p 6379:6379 redis:7-alpine`."
)


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that answered, and the settings that lead to it."""

    redis: RedisClient
    settings: Settings
    #: How it was chosen, one phrase.
    source: str
    #: Where it is, without credentials.
    address: str
    local: LocalServer | None = None
    workers: LocalWorkers | None = None

    def close(self) -> None:
        """Close connections, end workers of ours, give the lease back."""
        from myia_sdk.queue.wire.clients import close_for_good

        close_for_good(self.redis)
        if self.workers is not None:
            self.workers.close()
        if self.local is not None:
            self.local.close()


def find_server(settings: Settings) -> Server:
    """Return the server to use.

    In this order: the one that the settings name; the embedded one that runs in
    ``MYIA_HOME``; ``localhost:6379``.

    Raises
    ------
    QueueConnectionError
        None answered; the message names what was tried and what to do.
    """
    if settings.explicit_server:
        try:
            return _connect(settings, "the settings (REDIS_*)")
        except QueueConnectionError as error:
            raise QueueConnectionError(
                f"{error} The settings name this server (REDIS_* in the arguments, "
                f"the environment or .env). {_advice(settings)}".rstrip()
            ) from error
    embedded = find_embedded(settings)
    if embedded is not None:
        return embedded
    try:
        return _connect(settings, "the default, since nothing is configured")
    except QueueConnectionError as error:
        raise QueueConnectionError(
            "No server was found. Tried: REDIS_* (not set); the embedded server of "
            f"{str(settings.myia_home)!r} (not running); {settings.redis_host}:"
            f"{settings.redis_port} ({error}). {_INSTALL}"
        ) from error


def _advice(settings: Settings) -> str:
    embedded = find_embedded(settings)
    if embedded is None:
        # What answers need not be installed.
        return "" if _is_listening(settings) else _INSTALL
    embedded.close()
    return (
        f"An embedded server runs in {str(settings.myia_home)!r}: without REDIS_* it "
        "would be used."
    )


def find_embedded(settings: Settings) -> Server | None:
    """Return the embedded server that runs in ``MYIA_HOME``, if one does."""
    from myia_sdk.server.local import LocalServer

    local = LocalServer.find(settings)
    if local is None:
        return None
    with suppress(QueueConnectionError):
        return _embedded(local)
    local.close()
    return None


def start_server(settings: Settings, *, workers: int) -> Server:
    """Return the configured server if it is alive, else the embedded one.

    Parameters
    ----------
    settings : Settings
        Where to look, and what the workers run with.
    workers : int
        Worker processes to run beside it.

    Raises
    ------
    QueueConnectionError
        The configured server is alive but refuses the credentials.
    LocalServerError
        The embedded server cannot be started.
    """
    from myia_sdk.server.local import LocalServer, LocalWorkers

    if not settings.explicit_server:
        return _embedded(LocalServer.start(settings, workers=workers))
    if _is_listening(settings):
        server = _connect(settings, "the settings (REDIS_*)")
        if workers:
            server.workers = LocalWorkers(settings, workers)
        return server
    server = _embedded(LocalServer.start(settings, workers=workers))
    absent = settings.connection_options().address
    server.source += f", since {absent} of the settings does not answer"
    return server


def _embedded(local: LocalServer) -> Server:
    return _connect(
        local.settings, f"the embedded server of {str(local.home)!r}", local
    )


def _connect(
    settings: Settings, source: str, local: LocalServer | None = None
) -> Server:
    from myia_sdk.queue.wire import connect, wrap_errors

    options = settings.connection_options()
    client = connect(options)
    try:
        with wrap_errors(options.address):
            client.ping()
    except QueueConnectionError:
        client.close()
        raise
    return Server(
        redis=client,
        settings=settings,
        source=source,
        address=options.address,
        local=local,
    )


def _is_listening(settings: Settings) -> bool:
    """Whether something answers at all, even if it refuses the password."""
    import redis

    from myia_sdk.queue.wire import connect

    with connect(settings.connection_options()) as client:
        try:
            client.ping()
        except (
            redis.AuthenticationError,
            redis.ResponseError,
            redis.BusyLoadingError,
        ):
            return True
        except redis.RedisError as error:
            return "CERTIFICATE_VERIFY_FAILED" in str(error)
        else:
            return True
