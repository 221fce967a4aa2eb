"""Workers of a queue, read from the names of the server's client connections."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMED = ":w:"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker that is connected to the server."""

    #: Name of the worker; empty for one that gave none.
    name: str
    #: Address of the connection as the server sees it, ``host:port``.
    address: str
    #: Since when the connection stands.
    connected_for: timedelta
    #: Since when the connection has sent nothing; it waits for jobs in between.
    idle_for: timedelta
    #: Number of the connection in the server.
    client_id: int
    #: Client library and version, when the server knows them.
    library: str
    #: Whether it names itself as BullMQ's Node client does, so that Bull Board lists
    #: it. The official Python client does not.
    is_listed: bool


def worker_client_name(prefix: str, queue: str, worker: str = "") -> str:
    """Return the connection name by which every BullMQ client finds a worker.

    Parameters
    ----------
    prefix : str
        Prefix of the queue's keys.
    queue : str
        Name of the queue; it travels in base64, which has no colons.
    worker : str, optional
        Name of the worker; white space becomes ``-``, which the server demands.
    """
    start = f"{prefix}:{b64encode(queue.encode()).decode()}"
    return f"{start}{_NAMED}{'-'.join(worker.split())}" if worker else start


def workers_of(
    clients: Iterable[Mapping[str, str]], prefix: str, queue: str
) -> list[WorkerRecord]:
    """Return the workers of a queue among the clients of ``CLIENT LIST``.

    The official Python client names both of its connections alike: of those from
    one host the oldest counts.
    """
    found: dict[object, WorkerRecord] = {}
    for client in sorted(clients, key=lambda client: int(client.get("id", 0))):
        record = _record(client, prefix, queue)
        if record is not None:
            host = record.address.rpartition(":")[0]
            key = record.client_id if record.is_listed else (host, record.name)
            found.setdefault(key, record)
    return list(found.values())


def _record(client: Mapping[str, str], prefix: str, queue: str) -> WorkerRecord | None:
    connection = client.get("name", "")
    listed = worker_client_name(prefix, queue)
    for start in (listed, f"{prefix}:{queue}"):
        if connection == start or connection.startswith(start + _NAMED):
            library = f"{client.get('lib-name', '')} {client.get('lib-ver', '')}"
            return WorkerRecord(
                name=connection[len(start + _NAMED) :],
                address=client.get("addr", ""),
                connected_for=timedelta(seconds=int(client.get("age", 0))),
                idle_for=timedelta(seconds=int(client.get("idle", 0))),
                client_id=int(client.get("id", 0)),
                library=library.strip(),
                is_listed=start == listed,
            )
    return None
