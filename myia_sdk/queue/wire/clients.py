"""Connections to Redis in all its shapes; the only place that makes clients."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from myia_sdk.errors import ConfigurationError, QueueConnectionError, QueueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RedisClient = redis.Redis | RedisCluster

#: Seconds. Long enough for a slow network, short enough for a person who waits.
SOCKET_TIMEOUT = 5.0
#: A command whose reply was lost is sent again so often. Every script of the queue
#: may be sent twice.
RETRIES = 2

_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Where the server is and how to talk to it.

    Parameters
    ----------
    url : str, optional
        ``redis://``, ``rediss://`` or ``unix://`` URL; it wins over host and port.
    host, port : str and int
        Address of the server.
    username, password : str, optional
        ACL user, or the server's password alone. Both stay out of reprs and errors.
    db : int, default 0
        Number of the database; a cluster has only 0.
    tls : bool, default False
        Encrypt; the certificate and the host name are checked.
    tls_ca_certs, tls_certfile, tls_keyfile : str, optional
        Files: trusted authorities, client certificate and its key.
    tls_check_hostname : bool, default True
        ``False`` for certificates that name another host, as in test set-ups.
    socket_path : str, optional
        Unix socket instead of host and port.
    sentinels : sequence of (str, int), optional
        Addresses of Sentinels; they name the server of `sentinel_service`.
    sentinel_service : str, default "mymaster"
        Name under which the Sentinels watch the server.
    cluster : bool, default False
        The server is a node of a Redis cluster; the prefix then needs a hash tag.
    client_name : str, optional
        Name in ``CLIENT LIST``; workers show themselves with it.
    socket_timeout : float, default 5.0
        Seconds to wait for a connection and for each reply.
    """

    url: str | None = field(default=None, repr=False)
    host: str = "localhost"
    port: int = _DEFAULT_PORT
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    db: int = 0
    tls: bool = False
    tls_ca_certs: str | None = None
    tls_certfile: str | None = None
    tls_keyfile: str | None = None
    tls_check_hostname: bool = True
    socket_path: str | None = None
    sentinels: Sequence[tuple[str, int]] = ()
    sentinel_service: str = "mymaster"
    cluster: bool = False
    client_name: str | None = None
    socket_timeout: float = SOCKET_TIMEOUT

    @property
    def address(self) -> str:
        """The server's address for people, without any secret."""
        if self.url:
            return mask_url(self.url)
        if self.socket_path:
            return f"unix://{self.socket_path}"
        if self.sentinels:
            names = ",".join(f"{host}:{port}" for host, port in self.sentinels)
            return f"sentinel://{names}/{self.sentinel_service}"
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self.host}:{self.port}/{self.db}"


def mask_url(url: str) -> str:
    """Return `url` without user name, password and query."""
    parts = urlsplit(url)
    if not parts.netloc:
        return f"{parts.scheme}://{parts.path}"
    try:
        where = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        where, port = "***", ""
    who = "***@" if "@" in parts.netloc else ""
    netloc = f"{who}{where}{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def connect(options: ConnectionOptions | None = None) -> RedisClient:
    """Return a client; no connection is opened before its first command.

    A cluster is the exception: its slots are asked for at once.

    Parameters
    ----------
    options : ConnectionOptions, optional
        Without them, a server at localhost:6379 without password.

    Raises
    ------
    ConfigurationError
        The options contradict each other or the URL is malformed.
    QueueConnectionError
        No node of the cluster answers.
    """
    options = options or ConnectionOptions()
    try:
        with wrap_errors(options.address):
            return _client(options)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"The Redis address {options.address} is malformed; use "
            "redis://host:port/db, rediss://host:port/db or unix:///path."
        ) from error


def _client(options: ConnectionOptions) -> RedisClient:
    common = _common(options)
    if options.sentinels:
        return _sentinel_client(options, common)
    if options.cluster:
        return _cluster_client(options, common)
    if options.socket_path or (options.url or "").startswith("unix:"):
        del common["socket_keepalive"]
    if options.url:
        tls = _tls(options) if options.url.startswith("rediss:") else {}
        return redis.Redis.from_url(options.url, **common, **tls)
    if options.socket_path:
        return redis.Redis(
            unix_socket_path=options.socket_path, **_login(options), **common
        )
    return redis.Redis(
        host=options.host,
        port=options.port,
        **_login(options),
        **common,
        **({"ssl": True, **_tls(options)} if options.tls else {}),
    )


def _common(options: ConnectionOptions) -> dict[str, Any]:
    return {
        "decode_responses": True,
        # Foreign bytes must be shown, not stop the reader.
        "encoding_errors": "replace",
        "socket_timeout": options.socket_timeout,
        "socket_connect_timeout": options.socket_timeout,
        "socket_keepalive": True,
        "client_name": options.client_name,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES),
        "retry_on_error": [
            RedisConnectionError,
            RedisTimeoutError,
            BusyLoadingError,
            ReadOnlyError,
        ],
    }


def _login(options: ConnectionOptions) -> dict[str, Any]:
    return {
        "db": options.db,
        "username": options.username or None,
        "password": options.password or None,
    }


def _tls(options: ConnectionOptions) -> dict[str, Any]:
    return {
        "ssl_ca_certs": options.tls_ca_certs,
        "ssl_certfile": options.tls_certfile,
        "ssl_keyfile": options.tls_keyfile,
        "ssl_check_hostname": options.tls_check_hostname,
    }


def _sentinel_client(options: ConnectionOptions, common: dict[str, Any]) -> RedisClient:
    tls = {"ssl": True, **_tls(options)} if options.tls else {}
    make: Callable[..., Sentinel] = Sentinel
    sentinel = make(
        list(options.sentinels),
        # A sentinel that is down is passed over at once: the next one knows.
        sentinel_kwargs={
            "socket_timeout": options.socket_timeout,
            "retry": Retry(NoBackoff(), 0),
            **tls,
        },
    )
    master_for: Callable[..., redis.Redis] = sentinel.master_for
    return master_for(options.sentinel_service, **_login(options), **common, **tls)


def _cluster_client(options: ConnectionOptions, common: dict[str, Any]) -> RedisClient:
    if options.db:
        raise ConfigurationError(
            f"A cluster has only database 0, but db is {options.db}; unset REDIS_DB."
        )
    del common["retry_on_error"]
    if options.url:
        tls = _tls(options) if options.url.startswith("rediss:") else {}
        return RedisCluster.from_url(options.url, **common, **tls)
    login = {name: value for name, value in _login(options).items() if name != "db"}
    tls = {"ssl": True, **_tls(options)} if options.tls else {}
    return RedisCluster(host=options.host, port=options.port, **login, **common, **tls)


def named_client(client: RedisClient, name: str) -> RedisClient:
    """Return a client like another, whose connections carry a name.

    Meant for one blocking wait at a time: what was cut off is not sent again. A
    cluster's client is returned as it is.
    """
    if isinstance(client, RedisCluster):
        return client
    pool: Any = client.connection_pool
    settings: dict[str, Any] = {
        **pool.connection_kwargs,
        "connection_class": pool.connection_class,
        "client_name": name,
        # A wait that was cut off must end, not begin again.
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
    }
    settings.pop("connection_pool", None)
    if hasattr(pool, "sentinel_manager"):
        settings["service_name"] = pool.service_name
        settings["sentinel_manager"] = pool.sentinel_manager
    return redis.Redis(connection_pool=type(pool)(**settings))


def hang_up(client: RedisClient) -> None:
    """End what a client waits for in other threads; it may connect again."""
    if isinstance(client, RedisCluster):
        client.close()
        return
    with suppress(RedisError, OSError):
        client.connection_pool.disconnect(inuse_connections=True)


def is_cluster(client: RedisClient) -> bool:
    """Whether a client talks to a cluster, where keys have slots."""
    return isinstance(client, RedisCluster)


def close_for_good(client: RedisClient) -> None:
    """Close a client, and refuse its further commands: by itself it would reconnect."""
    client.close()
    if not isinstance(client, RedisCluster):
        pool: Any = client.connection_pool
        pool.get_connection = _refuse


def _refuse(*_: object, **__: object) -> NoReturn:
    raise QueueConnectionError(
        "This client is closed, and an embedded server that it used may have ended "
        "with it; make a new one: Client() or Client.local()."
    )


def address_of(client: RedisClient) -> str:
    """Return the address a client talks to, without any secret."""
    if isinstance(client, RedisCluster):
        default: Callable[[], Any] = client.get_default_node
        node = default()
        return f"cluster {node.name}" if node is not None else "cluster"
    settings = client.connection_pool.connection_kwargs
    if "path" in settings:
        return f"unix://{settings['path']}"
    service = getattr(client.connection_pool, "service_name", None)
    if service is not None:
        return f"sentinel service {service!r}"
    host, port = settings.get("host", "localhost"), settings.get("port", _DEFAULT_PORT)
    return f"redis://{host}:{port}/{settings.get('db') or 0}"


_LOGIN_ERRORS = (AuthenticationError, AuthorizationError)
_OUTAGE_ERRORS = (
    RedisConnectionError,
    RedisTimeoutError,
    MasterNotFoundError,
    MasterDownError,
    ReadOnlyError,
    RedisClusterException,
    socket.gaierror,
)


@contextmanager
def wrap_errors(address: str) -> Iterator[None]:
    """Turn the errors of the Redis library into ours, once, at the boundary.

    Parameters
    ----------
    address : str
        What to call the server in messages; must not hold a secret.

    Raises
    ------
    QueueConnectionError
        The server does not answer, or refuses the login.
    QueueError
        It answered, but refuses the command.
    """
    try:
        yield
    except NoPermissionError as error:
        raise QueueError(_no_permission(address, error)) from error
    except _LOGIN_ERRORS as error:
        raise QueueConnectionError(
            f"Redis at {address} refused the login; check REDIS_USERNAME and "
            "REDIS_PASSWORD, or those in REDIS_URL."
        ) from error
    except BusyLoadingError as error:
        raise QueueConnectionError(
            f"Redis at {address} is still loading its data; try again in a moment."
        ) from error
    except _OUTAGE_ERRORS as error:
        cause = _cause(error)
        if "CERTIFICATE_VERIFY_FAILED" in cause:
            raise QueueConnectionError(
                f"The certificate of Redis at {address} is not trusted ({cause}); set "
                "REDIS_TLS_CA_CERTS to the PEM file of who issued it."
            ) from error
        raise QueueConnectionError(
            f"Redis at {address} does not answer ({cause}); start it, or set "
            "REDIS_HOST and REDIS_PORT."
        ) from error
    except RedisError as error:
        if _FORBIDDEN.search(str(error)):
            raise QueueError(_no_permission(address, error)) from error
        raise QueueError(f"Redis at {address} refused: {_advice(error)}") from error


#: How servers name a command that a script may not run for this user.
_FORBIDDEN = re.compile(r"ACL failure|NOPERM|user executing the script can't run")


def _no_permission(address: str, error: RedisError) -> str:
    return (
        f"The Redis user at {address} may not do this: {str(error).rstrip('.')}. Grant "
        "the commands of its role; `myia acl ROLE` prints them."
    )


def _cause(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.rstrip(".")


def _advice(error: RedisError) -> str:
    text = str(error)
    if text.startswith("WRONGTYPE") or "WRONGTYPE" in text:
        return (
            f"{text} A key of this queue was written by something else; use another "
            "queue name or prefix, or delete that key."
        )
    if "OOM" in text or "maxmemory" in text:
        return (
            "its memory is full (maxmemory). Clean finished jobs or raise the limit; "
            "nothing was stored."
        )
    if "MISCONF" in text:
        return f"it cannot write to its disk: {text}"
    return text
