"""Models registered by name, as the queue keeps them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.errors import UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.queue.store import JobStore

#: As long as a label of a job may be.
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered model."""

    name: str
    #: Record of the model's reference.
    model: Mapping[str, Any]
    #: Name of its suite, or the suite itself.
    suite: str | Mapping[str, Any]
    #: Record of its test data's reference.
    dataset: Mapping[str, Any] | None = None
    regions: tuple[str, ...] = ()
    registered_at: datetime

    @property
    def kind(self) -> str:
        """Which adapter speaks to the model."""
        return str(self.model.get("kind", ""))

    def to_json(self) -> str:
        """Return the stored form."""
        return json.dumps(
            {
                "name": self.name,
                "model": self.model,
                "suite": self.suite,
                "dataset": self.dataset,
                "regions": list(self.regions),
                "registered_at": self.registered_at.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the stored form."""
        record = json.loads(text)
        return cls(
            name=record["name"],
            model=record["model"],
            suite=record["suite"],
            dataset=record.get("dataset"),
            regions=tuple(record.get("regions", ())),
            registered_at=datetime.fromisoformat(record["registered_at"]),
        )


class Registry:
    """The registered models of a queue, kept in Redis.

    Parameters
    ----------
    queue : JobStore
        Gives the connection and the names of the keys.
    """

    def __init__(self, queue: JobStore) -> None:
        self._queue = queue

    @property
    def _key(self) -> str:
        return self._queue.keys.sdk("models")

    def put(self, entry: Entry) -> None:
        """Keep an entry; it replaces one of the same name."""
        self._queue.command("HSET", self._key, entry.name, entry.to_json())

    def get(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises
        ------
        UnknownModelError
            No model is registered under it.
        """
        text = self._queue.command("HGET", self._key, name)
        if not isinstance(text, str):
            known = ", ".join(entry.name for entry in self.entries()) or "none yet"
            raise UnknownModelError(
                f"No model is registered as {name!r} and no file has that name; "
                f"registered: {known}."
            )
        return Entry.from_json(text)

    def entries(self) -> list[Entry]:
        """Return all entries by name."""
        texts = self._queue.command("HVALS", self._key)
        return sorted(map(Entry.from_json, texts), key=lambda entry: entry.name)

    def remove(self, name: str) -> bool:
        """Forget a model; whether there was one."""
        return bool(self._queue.command("HDEL", self._key, name))
