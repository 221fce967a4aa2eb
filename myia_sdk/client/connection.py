"""What a client holds while it is open: a server, its queue, who administers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from myia_sdk.queue.store.administration import QueueAdministration
from myia_sdk.queue.store.schedulers import JobSchedulers
from myia_sdk.queue.store.store import JobStore

if TYPE_CHECKING:
    from myia_sdk.server.server import Server


class Connected:
    """A connection to one queue, until it is closed.

    Parameters
    ----------
    server : Server
        A server that answered, with the settings that name the queue.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_closed = False
        self.settings = server.settings
        #: The jobs of the queue.
        self.queue = JobStore(
            server.redis,
            self.settings.certification_queue_name,
            prefix=self.settings.bull_queue_prefix,
        )
        #: What changes jobs and the queue.
        self.administration = QueueAdministration(self.queue)
        #: The timetables of the queue.
        self.scheduling = JobSchedulers(self.queue)

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called; a closed client is not opened again."""
        return self._is_closed

    def __repr__(self) -> str:
        closed = ", closed" if self._is_closed else ""
        return f"<Client {self.queue.queue!r} at {self._server.address}{closed}>"

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
        if not self._is_closed:
            self._is_closed = True
            self._server.close()

    def describe(self) -> str:
        """Say which server and queue this is, and why that one."""
        queue = self.queue
        text = (
            f"Queue {queue.prefix}:{queue.queue} at {self._server.address}, "
            f"from {self._server.source}"
        )
        return f"{text} (closed)" if self._is_closed else text
