"""The one object that everything of a client works on: a server and its queue."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from myia_sdk.client.certificates import CertificateStore
from myia_sdk.client.registry import Registry
from myia_sdk.queue.store import JobSchedulers, JobStore, QueueAdministration

if TYPE_CHECKING:
    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.models.files.acceptance import Acceptance
    from myia_sdk.server import Server


class Connection:
    """A connection to one queue of certifications, until it is closed.

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
        #: The models registered by name.
        self.registry = Registry(self.queue)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Where models, datasets and certificates are kept."""
        from myia_sdk.certification.data import ArtifactStore

        return ArtifactStore(self.settings.artifacts_url)

    @cached_property
    def certificate_store(self) -> CertificateStore:
        """The certificates of the queue."""
        return CertificateStore(self.queue, self.artifacts)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Modules with checks of the user's own."""
        return self.settings.plugins

    def accepted(self) -> Acceptance:
        """Return what all of the workers can load.

        While none has announced itself, what this environment's settings allow.
        """
        from myia_sdk.certification.models.files.acceptance import Acceptance

        told = [
            Acceptance.from_record(beat.get("accepts"))
            for beat in self.administration.beats().values()
        ]
        known = [one for one in told if one is not None]
        if known:
            return Acceptance.of_all(known)
        return Acceptance.here(self.settings.trusted_packages)

    @property
    def address(self) -> str:
        """Where the server is, without credentials."""
        return self._server.address

    @property
    def is_closed(self) -> bool:
        """Whether it was closed; a closed connection is not opened again."""
        return self._is_closed

    def __repr__(self) -> str:
        closed = ", closed" if self._is_closed else ""
        return f"<Connection {self.queue.queue!r} at {self.address}{closed}>"

    def close(self) -> None:
        """Close the connection; an embedded server ends with its last user."""
        if not self._is_closed:
            self._is_closed = True
            self._server.close()

    def describe(self) -> str:
        """Say which server and queue this is, and why that one."""
        queue = self.queue
        text = (
            f"Queue {queue.prefix}:{queue.queue} at {self.address}, "
            f"from {self._server.source}"
        )
        return f"{text} (closed)" if self._is_closed else text
