"""Registered models: certifying them together, again, and on a timetable."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from myia_sdk.arguments import to_id, to_texts, to_timedelta
from myia_sdk.client.submit import Submitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.arguments import Seconds
    from myia_sdk.client.batch import Batch
    from myia_sdk.facade import Client


class Registering(Submitting):
    """What the client offers for models registered by name."""

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
        from myia_sdk.client.registry import make_entry

        entry = make_entry(
            cast("Client", self),
            name,
            model,
            regions=regions,
            suite=suite,
            dataset=dataset,
        )
        self.registry.put(entry)

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
        from myia_sdk.client.registry import certify_entries

        chosen = None if regions is None else to_texts(regions, "regions")
        return certify_entries(
            cast("Client", self), self.registry.entries(), regions=chosen
        )

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
        from myia_sdk.client.registry import recertify

        time = to_timedelta(within, "within") or timedelta(0)
        return recertify(cast("Client", self), time)

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
        from myia_sdk.client.registry import schedule_entry

        if pattern is not None:
            to_texts([pattern], "pattern")

        return schedule_entry(
            cast("Client", self),
            self.registry.get(to_id(model, "registered model")),
            every=to_timedelta(every, "every"),
            pattern=pattern,
            tz=tz,
            region=region,
            scheduler_id=scheduler_id,
        )
