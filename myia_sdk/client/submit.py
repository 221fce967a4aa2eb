"""Submitting: from a model and its data to a job in the queue."""

from __future__ import annotations

import getpass
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.arguments import to_count, to_id, to_texts, to_timedelta
from myia_sdk.client.batch import Batch
from myia_sdk.client.handle import JobHandle
from myia_sdk.errors import InvalidJobError, InvalidRequestError, SubmissionWarning
from myia_sdk.queue.jobs import Backoff, JobOptions, NewJob, Retention
from myia_sdk.queue.jobs.options import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.arguments import Seconds
    from myia_sdk.client.connection import Connection
    from myia_sdk.queue.jobs import QueueDefaults

#: From 2 s as in the original system; half of it random, so that jobs which failed
#: together do not come back together; at most five minutes.
BACKOFF = Backoff(
    type="exponential",
    delay=timedelta(seconds=2),
    jitter=0.5,
    cap=timedelta(minutes=5),
)
#: As CERTIFICATION_MAX_RETRIES and CERTIFICATION_TIMEOUT allow.
MOST_RETRIES = 100
LONGEST_RUN = timedelta(days=7)
#: Name of the task that runs certifications.
TASK = "certify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Order, timing and labels of jobs that are yet to be added."""

    priority: int = 0
    delay: timedelta | None = None
    timeout: timedelta | None = None
    max_retries: int | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout is not None and not timedelta(0) < self.timeout <= LONGEST_RUN:
            raise InvalidJobError(
                f"timeout is {self.timeout}; it must be positive, at most 7 days."
            )
        if self.max_retries is not None:
            to_count(self.max_retries, "max_retries", least=0, most=MOST_RETRIES)
        for tag in self.tags:
            if not tag.strip() or "," in tag:
                raise InvalidJobError(
                    f"{tag!r} is not a tag: use text without commas, not empty."
                )

    def filled(self, defaults: QueueDefaults) -> Self:
        """Return the draft with the queue's defaults where it says nothing."""
        return replace(
            self,
            timeout=defaults.timeout if self.timeout is None else self.timeout,
            max_retries=(
                defaults.max_retries if self.max_retries is None else self.max_retries
            ),
        )

    def labels(self, **facts: str | None) -> dict[str, str]:
        """Return the labels of a job; empty ones are left out."""
        labels = {name: value for name, value in facts.items() if value}
        if self.tags:
            labels["tags"] = ",".join(tag.strip() for tag in self.tags)
        return labels

    def fields(self) -> dict[str, str]:
        """Return the private hash fields of a job."""
        if self.timeout is None:
            return {}
        return {"timeout": str(milliseconds(self.timeout))}


@dataclass(slots=True)
class Notes:
    """What was done for a submitter who did not ask for it."""

    #: Left open by the submitter.
    chosen: list[str] = field(default_factory=list)
    #: Given otherwise.
    changed: list[str] = field(default_factory=list)

    @property
    def all(self) -> tuple[str, ...]:
        """Both, as sentences."""
        return (*self.chosen, *self.changed)


def to_tags(value: Sequence[str]) -> tuple[str, ...]:
    """Return tags as a tuple; one text is one tag, not its letters.

    Raises
    ------
    InvalidJobError
        They are not texts.
    """
    return (value,) if isinstance(value, str) else to_texts(value, "tags")


class Submissions:
    """Puts certifications into the queue.

    Parameters
    ----------
    connection : Connection
        Reaches the queue and the artifact store.
    warn : bool, default True
        Say what was chosen or changed as a Python warning too.
    """

    def __init__(self, connection: Connection, *, warn: bool = True) -> None:
        self._connection = connection
        self._warn = warn

    def submit(
        self,
        model: object,
        *,
        suite: object = None,
        dataset: object = None,
        region: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        priority: int = 0,
        delay: Seconds | None = None,
        timeout: Seconds | None = None,
        max_retries: int | None = None,
        job_id: str | None = None,
        tags: Sequence[str] = (),
    ) -> JobHandle:
        """Put a certification into the queue.

        Everything that can be checked is checked before anything is enqueued.

        Parameters
        ----------
        model : estimator, path, ModelRef, mapping or str
            A fitted scikit-learn estimator; the path of a ``.skops`` or ``.onnx``
            file; a reference to an endpoint or factory; or the name of a registered
            model.
        suite : str, path, mapping or Suite, optional
            Name of a suite (``myia suites`` lists them) or a suite of your own;
            the registered one, or the baseline of the model's kind, if not given.
        dataset : tuple, mapping or Dataset, optional
            Test data, ``(X, y)``, for suites that need them.
        region : str, optional
            Region of an endpoint.
        name : str, optional
            How the model is called in listings and certificates.
        parameters : mapping, optional
            ``seed``, ``concurrency``, ``max_cost``, and under ``checks`` values that
            differ from the suite's.
        priority : int, default 0
            0 runs first, then 1, 2, ... up to 2,097,151.
        delay : float or timedelta, optional
            Seconds before the job may start.
        timeout : float or timedelta, optional
            Longest run of one attempt, seconds; ``CERTIFICATION_TIMEOUT`` if not
            given.
        max_retries : int, optional
            Retries after the first attempt; ``CERTIFICATION_MAX_RETRIES`` if not
            given.
        job_id : str, optional
            Id of your own. Submitting it again while the job exists adds nothing.
        tags : sequence of str, optional
            Words to find the job by.

        Returns
        -------
        JobHandle
            The job; nothing has been waited for. Its ``notes`` say what was chosen or
            changed, such as the order of columns.

        Raises
        ------
        ModelRejectedError, DatasetError, UnknownSuiteError, SuiteError
        InvalidRequestError, UnknownModelError, InvalidJobError, QueueConnectionError
            What is wrong; nothing was enqueued.
        """
        draft = Draft(
            priority=priority,
            delay=to_timedelta(delay, "delay"),
            timeout=to_timedelta(timeout, "timeout"),
            max_retries=max_retries,
            tags=to_tags(tags),
        ).filled(self._connection.administration.defaults())
        notes = Notes()
        new = self.prepare(
            model,
            draft,
            notes,
            suite=suite,
            dataset=dataset,
            region=region,
            name=name,
            parameters=parameters,
            job_id=job_id,
        )
        job = JobHandle(
            self._connection, self._connection.queue.add(new), notes=notes.all
        )
        self._say(job.id, notes)
        return job

    def _say(self, job_id: str, notes: Notes) -> None:
        """Keep what was chosen or changed in the job's log; warn of what was changed.

        The submitter did not ask for it and may want to know.
        """
        if not notes.all:
            return
        self._connection.queue.log(job_id, notes.all)
        for note in notes.changed if self._warn else ():
            warnings.warn(note, SubmissionWarning, stacklevel=4)

    def prepare(
        self,
        model: object,
        draft: Draft,
        notes: Notes,
        *,
        suite: object,
        dataset: object = None,
        region: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        batch: str | None = None,
    ) -> NewJob:
        """Check a request, store its artifacts, and return the job to be added.

        The parameters are those of :meth:`submit`; what was chosen or changed is
        added to ``notes``.
        """
        from myia_sdk.certification.admission import build_request

        options = self._options(draft, job_id)
        model, dataset, suite = self._look_up(model, dataset, suite)
        given = dict(parameters or {})
        if "baseline" in given:
            given["baseline"], _, _ = self._look_up(given["baseline"], None, None)
        request = build_request(
            model,
            suite=suite,
            artifacts=self._connection.artifacts,
            dataset=dataset,
            region=region,
            parameters=given,
            name=name,
            plugins=self._connection.plugins,
            accepted=self._connection.accepted,
            tell=notes.changed.append,
        )
        if suite is None:
            notes.chosen.append(
                f"No suite was given: {request.suite_name!r} is taken, the baseline of "
                "the model's kind."
            )
        return NewJob(
            name=TASK,
            data=request.to_record(),
            options=options,
            labels=draft.labels(
                model=request.model.name,
                suite=request.suite_name,
                region=request.region,
                batch=batch,
                submitter=self._submitter(),
            ),
            fields=draft.fields(),
        )

    def _options(self, draft: Draft, job_id: str | None) -> JobOptions:
        retries = draft.max_retries
        if retries is None:
            retries = self._connection.settings.certification_max_retries
        options = JobOptions(
            attempts=1 + retries,
            backoff=BACKOFF,
            delay=draft.delay or JobOptions().delay,
            priority=draft.priority,
            job_id=job_id
            if job_id is not None
            else self._connection.queue.new_job_id(),
            remove_on_complete=Retention(
                count=self._connection.settings.certification_keep_completed
            ),
            remove_on_fail=Retention(
                count=self._connection.settings.certification_keep_failed
            ),
        )
        options.check_new()
        return options

    def _look_up(
        self, model: object, dataset: object, suite: object
    ) -> tuple[object, object, object]:
        """Replace the name of a registered model by what was registered."""
        is_file = isinstance(model, str) and (Path(model).suffix or _exists(model))
        if not isinstance(model, str) or is_file:
            return model, dataset, suite
        entry = self._connection.registry.get(model)
        return (
            entry.model,
            entry.dataset if dataset is None else dataset,
            entry.suite if suite is None else suite,
        )

    def _submitter(self) -> str:
        if self._connection.settings.myia_submitter:
            return self._connection.settings.myia_submitter
        try:
            return getpass.getuser()
        except (OSError, KeyError):
            return ""

    def submit_batch(
        self,
        models: Mapping[str, object] | Sequence[object],
        *,
        suite: object = None,
        regions: Sequence[str | None] = (None,),
        dataset: object = None,
        parameters: Mapping[str, Any] | None = None,
        priority: int = 0,
        delay: Seconds | None = None,
        timeout: Seconds | None = None,
        max_retries: int | None = None,
        batch_id: str | None = None,
        tags: Sequence[str] = (),
    ) -> Batch:
        """Submit every model in every region, one job each, in one round trip.

        Parameters
        ----------
        models : mapping of str to model, or sequence of models
            What :meth:`submit` takes; the keys of a mapping are the names.
        suite : str, path, mapping or Suite, optional
            As for :meth:`submit`, for all of them; so are the others.
        regions : sequence of str, optional
            Regions; without them, one job a model.
        dataset : tuple, mapping or Dataset, optional
            Test data.
        parameters : mapping, optional
            Of the request.
        priority : int, default 0
            0 runs first.
        delay, timeout : float or timedelta, optional
            Seconds before they may start, and of the longest attempt.
        max_retries : int, optional
            Retries after the first attempt.
        batch_id : str, optional
            Id to find the batch by; made if not given.
        tags : sequence of str, optional
            Words to find the jobs by.

        Raises
        ------
        MyiaError
            As for :meth:`submit`; if one request is not valid none is enqueued.
        """
        draft = Draft(
            priority=priority,
            delay=to_timedelta(delay, "delay"),
            timeout=to_timedelta(timeout, "timeout"),
            max_retries=max_retries,
            tags=to_tags(tags),
        ).filled(self._connection.administration.defaults())
        named = _named(models)
        if not isinstance(regions, list | tuple) or not regions:
            raise InvalidRequestError(
                f"regions is {regions!r}; give a list of at least one region."
            )
        chosen = Batch.new_id() if batch_id is None else to_id(batch_id, "batch")
        told: list[Notes] = []
        jobs = [
            self.prepare(
                model,
                draft,
                _appended(told),
                suite=suite,
                dataset=dataset,
                region=region,
                name=name,
                parameters=parameters,
                batch=chosen,
            )
            for name, model in named
            for region in regions
        ]
        batch = Batch.add(self._connection, chosen, jobs)
        for job, notes in zip(batch.jobs, told, strict=True):
            self._say(job.id, notes)
        return batch


def _appended(told: list[Notes]) -> Notes:
    told.append(Notes())
    return told[-1]


def _named(
    models: Mapping[str, object] | Sequence[object],
) -> list[tuple[str | None, object]]:
    """Pairs of name and model; without a mapping the models name themselves."""
    if isinstance(models, Mapping):
        named: list[tuple[str | None, object]] = list(models.items())
    elif isinstance(models, list | tuple):
        named = [(None, model) for model in models]
    else:
        raise InvalidRequestError(
            f"models is a {type(models).__name__}; give a list of models, or a mapping "
            "of names to models. For one model use client.submit."
        )
    if not named:
        raise InvalidRequestError("models is empty; give at least one.")
    return named


def _exists(name: str) -> bool:
    """Whether a file has this name; texts that cannot be one have none."""
    try:
        return bool(name.strip()) and Path(name).exists()
    except (OSError, ValueError):
        return False
