"""Registered models: certifying them together, again, and on a timetable."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.arguments import to_id, to_texts, to_timedelta
from myia_sdk.client.batch import Batch
from myia_sdk.client.registry import LONGEST_NAME, Entry
from myia_sdk.client.submit import Draft, Notes, Submissions
from myia_sdk.errors import InvalidRequestError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from myia_sdk.arguments import Seconds
    from myia_sdk.client.connection import Connection
    from myia_sdk.queue.jobs import NewJob


class RegisteredModels:
    """Registers models, and certifies what is registered.

    Parameters
    ----------
    connection : Connection
        Reaches the queue and the artifact store.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._submissions = Submissions(connection)

    def register(
        self,
        name: str,
        model: object,
        *,
        regions: Sequence[str] = (),
        suite: object = None,
        dataset: object = None,
    ) -> None:
        """Remember a model under a name, for submissions and certifications of all.

        Parameters
        ----------
        name : str
            The name; registering it again replaces the entry.
        model : estimator, path, ModelRef or mapping
            As for :meth:`submit`; files and estimators are stored as artifacts.
        regions : sequence of str, optional
            Where it is deployed.
        suite : str, optional
            Its suite; the baseline of what the model does if not given.
        dataset : tuple, mapping or Dataset, optional
            Its test data, stored as an artifact.

        Raises
        ------
        MyiaError
            The model or the data are not valid; nothing was registered.
        """
        entry = self._entry(name, model, regions=regions, suite=suite, dataset=dataset)
        self._connection.registry.put(entry)

    def _entry(
        self,
        name: str,
        model: object,
        *,
        regions: Sequence[str],
        suite: object,
        dataset: object,
    ) -> Entry:
        from myia_sdk.certification.admission import build_request

        given: Any = name
        if not (isinstance(given, str) and given.strip() and given.isprintable()):
            raise InvalidRequestError(f"{name!r} is not a name; use text, not empty.")
        if len(name) > LONGEST_NAME:
            raise InvalidRequestError(
                f"The name has {len(name)} characters, more than {LONGEST_NAME}."
            )
        request = build_request(
            model,
            suite=suite,
            artifacts=self._connection.artifacts,
            dataset=dataset,
            name=name,
            plugins=self._connection.plugins,
            accepted=self._connection.accepted,
        )
        return Entry(
            name=name,
            model=request.model.to_record(),
            suite=request.suite,
            dataset=request.dataset.to_record() if request.dataset else None,
            regions=to_texts(regions, "regions"),
            registered_at=datetime.now(UTC),
        )

    def certify_all(self, regions: Sequence[str] | None = None) -> Batch:
        """Submit every registered model in its regions, as one batch.

        Parameters
        ----------
        regions : sequence of str, optional
            Only these regions; all of each model if not given.

        Raises
        ------
        UnknownModelError
            No model is registered, or none in these regions.
        """
        chosen = None if regions is None else to_texts(regions, "regions")
        entries = self._connection.registry.entries()
        if not entries:
            raise UnknownModelError(
                "No model is registered; client.register(name, model) does it."
            )
        places = [
            (entry, region)
            for entry, region in _places(entries)
            if chosen is None or region is None or region in chosen
        ]
        if not places:
            known = sorted({region for entry in entries for region in entry.regions})
            raise UnknownModelError(
                f"No registered model is deployed in {', '.join(chosen or ())}; there "
                f"are models in {', '.join(known)}."
            )
        return self._certify(places)

    def recertify_expiring(self, within: Seconds) -> Batch:
        """Submit what is registered and whose certificate expires soon or has.

        Parameters
        ----------
        within : timedelta or float
            Certificates that expire within this time, or so many seconds, count as
            expiring.

        Returns
        -------
        Batch
            May have no jobs, when all certificates last longer.
        """
        time = to_timedelta(within, "within") or timedelta(0)
        limit = datetime.now(UTC) + time
        expiring = {
            (row["model"], row["region"])
            for row in self._connection.certificate_store.rows()
            if row["expires_at"] and datetime.fromisoformat(row["expires_at"]) <= limit
        }
        entries = self._connection.registry.entries()
        return self._certify(
            [
                (entry, region)
                for entry, region in _places(entries)
                if (entry.name, region) in expiring
            ]
        )

    def _certify(self, places: Sequence[tuple[Entry, str | None]]) -> Batch:
        batch_id = Batch.new_id()
        jobs = [
            self._job(entry, region, Draft(), batch=batch_id)
            for entry, region in places
        ]
        return Batch.add(self._connection, batch_id, jobs)

    def _job(
        self, entry: Entry, region: str | None, draft: Draft, batch: str | None = None
    ) -> NewJob:
        return self._submissions.prepare(
            entry.model,
            draft.filled(self._connection.administration.defaults()),
            Notes(),
            suite=entry.suite,
            dataset=entry.dataset,
            region=region,
            name=entry.name,
            batch=batch,
        )

    def schedule(
        self,
        model: str,
        *,
        every: Seconds | None = None,
        pattern: str | None = None,
        tz: str | None = None,
        region: str | None = None,
        scheduler_id: str | None = None,
    ) -> str:
        """Certify a registered model again and again.

        Parameters
        ----------
        model : str
            Name of the registered model; its suite and data are fixed now.
        every : timedelta or float, optional
            Time between two runs, or seconds. Either this or `pattern`.
        pattern : str, optional
            Cron pattern of five fields, as in ``"0 3 * * *"``.
        tz : str, optional
            Time zone of the pattern; UTC if not given.
        region : str, optional
            Region to certify in.
        scheduler_id : str, optional
            Id of the scheduler; ``certify-<model>`` if not given. Scheduling again
            under the same id replaces it.

        Returns
        -------
        str
            Id of the scheduler.

        Raises
        ------
        UnknownModelError
            No model has this name.
        ConfigurationError, InvalidJobError
            The times make no sense.
        """
        if pattern is not None:
            to_texts([pattern], "pattern")
        interval = to_timedelta(every, "every")
        entry = self._connection.registry.get(to_id(model, "registered model"))
        place = f"-{region}" if region else ""
        chosen = scheduler_id or f"certify-{entry.name}{place}"
        job = self._job(entry, region, Draft(tags=("scheduled",)))
        template = replace(job, options=replace(job.options, job_id=None))
        self._connection.scheduling.upsert(
            chosen, every=interval, pattern=pattern, tz=tz, template=template
        )
        return chosen


def _places(entries: Iterable[Entry]) -> Iterator[tuple[Entry, str | None]]:
    """Each model in each of its regions; one without any in none."""
    for entry in entries:
        for region in entry.regions or (None,):
            yield entry, region
