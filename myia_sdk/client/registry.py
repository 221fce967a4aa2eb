"""Models registered by name, and certifying them together or again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.arguments import to_texts
from myia_sdk.client.submit import Draft
from myia_sdk.errors import InvalidRequestError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from myia_sdk.certification.request.request import CertificationRequest
    from myia_sdk.client.batch import Batch
    from myia_sdk.facade import Client
    from myia_sdk.queue.store.store import JobStore

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


def make_entry(
    client: Client,
    name: str,
    model: object,
    *,
    regions: Sequence[str],
    suite: object,
    dataset: object,
) -> Entry:
    """Check a model with its suite and data, store their artifacts, build the entry."""
    from myia_sdk.certification.request.request import CertificationRequest

    given: Any = name
    if not (isinstance(given, str) and given.strip() and given.isprintable()):
        raise InvalidRequestError(f"{name!r} is not a name; use text, not empty.")
    if len(name) > LONGEST_NAME:
        raise InvalidRequestError(
            f"The name has {len(name)} characters, more than {LONGEST_NAME}."
        )
    request: CertificationRequest = CertificationRequest.build(
        model,
        suite=_baseline(client, model) if suite is None else suite,
        artifacts=client.artifacts,
        dataset=dataset,
        name=name,
        plugins=client.plugins,
    )
    return Entry(
        name=name,
        model=request.model.to_record(),
        suite=request.suite,
        dataset=request.dataset.to_record() if request.dataset else None,
        regions=to_texts(regions, "regions"),
        registered_at=datetime.now(UTC),
    )


def _baseline(client: Client, model: object) -> str:
    from myia_sdk.certification.request.references import ModelRef

    if isinstance(model, ModelRef):
        family = model.family
    elif isinstance(model, dict):
        family = ModelRef.from_record(model).family
    elif hasattr(model, "predict"):
        family = client.artifacts.put_model(model).family
    else:
        family = None
    if family is None:
        raise InvalidRequestError(
            "What the model does is not known from it; give suite=..., "
            "for example 'classifier-baseline'."
        )
    return f"{family}-baseline"


def certify_entries(
    client: Client,
    entries: Iterable[Entry],
    *,
    regions: Sequence[str] | None,
) -> Batch:
    """Submit entries in their regions as one batch."""
    from myia_sdk.client.batch import Batch

    chosen = list(entries)
    if not chosen:
        raise UnknownModelError(
            "No model is registered; client.register(name, model) does it."
        )
    pairs = [
        (entry, region)
        for entry in chosen
        for region in (entry.regions or (None,))
        if regions is None or region is None or region in regions
    ]
    if not pairs:
        known = sorted({region for entry in chosen for region in entry.regions})
        raise UnknownModelError(
            f"No registered model is deployed in {', '.join(regions or ())}; there "
            f"are models in {', '.join(known)}."
        )
    return _submit(client, pairs, Batch)


def recertify(client: Client, within: timedelta) -> Batch:
    """Submit the registered models whose certificate has expired or soon will."""
    from myia_sdk.client.batch import Batch

    limit = datetime.now(UTC) + within
    expiring = {
        (row["model"], row["region"])
        for row in client.certificate_store.rows()
        if row["expires_at"] and datetime.fromisoformat(row["expires_at"]) <= limit
    }
    pairs = [
        (entry, region)
        for entry in client.registry.entries()
        for region in (entry.regions or (None,))
        if (entry.name, region) in expiring
    ]
    return _submit(client, pairs, Batch)


def _submit(
    client: Client, pairs: Sequence[tuple[Entry, str | None]], batch: type[Batch]
) -> Batch:
    batch_id = batch.new_id()
    jobs = [
        client.prepare(
            entry.model,
            Draft().filled(client.administration.defaults()),
            suite=entry.suite,
            dataset=entry.dataset,
            region=region,
            name=entry.name,
            batch=batch_id,
        )
        for entry, region in pairs
    ]
    return batch.add(client, batch_id, jobs)


def schedule_entry(
    client: Client,
    entry: Entry,
    *,
    every: timedelta | None,
    pattern: str | None,
    tz: str | None,
    region: str | None,
    scheduler_id: str | None,
) -> str:
    """Upsert the scheduler that certifies an entry; return its id."""
    place = f"-{region}" if region else ""
    chosen = scheduler_id or f"certify-{entry.name}{place}"
    job = client.prepare(
        entry.model,
        Draft(tags=("scheduled",)).filled(client.administration.defaults()),
        suite=entry.suite,
        dataset=entry.dataset,
        region=region,
        name=entry.name,
    )
    template = replace(job, options=replace(job.options, job_id=None))
    client.scheduling.upsert(
        chosen, every=every, pattern=pattern, tz=tz, template=template
    )
    return chosen
