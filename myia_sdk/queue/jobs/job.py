"""Jobs as frozen records: those to be added and those that were read, without I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs.options import (
    JobOptions,
)
from myia_sdk.queue.jobs.payload import check_text
from myia_sdk.queue.jobs.states import (
    FINISHED_STATES,
    JobState,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: Labels that listings show: what was certified, then what came out.
LABELS = (
    "model", "suite", "region", "tags", "batch", "submitter",
    "verdict", "score", "rating", "category",
)  # fmt: skip
#: Longest label accepted, characters: a label is part of a key of the search index.
MAX_LABEL_LENGTH = 200
LABEL_PREFIX = "label:"
#: Label of a failed job that tells what kind of failure it was, and its value for jobs
#: that somebody cancelled; the scripts write it, too.
CATEGORY = "category"
CANCELLED_CATEGORY = "CANCELLED"

#: Hash fields that each attribute of `Job` is read from.
ATTRIBUTE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": (),
    "state": (),
    "name": ("name",),
    "data": ("data",),
    "options": ("opts",),
    "created_at": ("timestamp",),
    "delay": ("delay",),
    "priority": ("priority",),
    "processed_at": ("processedOn",),
    "processed_by": ("pb",),
    "finished_at": ("finishedOn",),
    "attempts_started": ("ats",),
    "attempts_made": ("atm",),
    "max_attempts": ("opts",),
    "stalled_count": ("stc",),
    "progress": ("progress",),
    "return_value": ("returnvalue",),
    "failed_reason": ("failedReason",),
    "stacktrace": ("stacktrace",),
    "deferred_failure": ("defa",),
    "parent_key": ("parentKey",),
    "scheduler_id": ("rjk",),
    "deduplication_id": ("deid",),
    "labels": tuple(LABEL_PREFIX + name for name in LABELS),
}
#: Attributes of a listing: all but payload, result and stack traces, which may be big.
LISTING = tuple(
    name
    for name in ATTRIBUTE_FIELDS
    if name not in {"data", "return_value", "stacktrace"}
)
_PUBLIC = frozenset(
    wire
    for name, wires in ATTRIBUTE_FIELDS.items()
    if name != "labels"
    for wire in wires
) | {"parent", "nrjid", "tm", "nonce"}


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidJobError when a label's name or text cannot be stored."""
    for name, value in labels.items():
        check_text(name, "A label name")
        check_text(value, f"The label {name!r}")
        if not name or ":" in name or len(name) > MAX_LABEL_LENGTH:
            raise InvalidJobError(
                f"{name!r} cannot name a label: it is empty, too long or has a colon."
            )
        if len(value) > MAX_LABEL_LENGTH:
            raise InvalidJobError(
                f"The label {name!r} has {len(value)} characters, more than "
                f"{MAX_LABEL_LENGTH}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be added.

    Parameters
    ----------
    name : str
        Name of the task that runs it.
    data : object
        JSON value handed to the task.
    options : JobOptions, optional
        Attempts, delay, order, retention.
    labels : mapping of str to str, optional
        What listings show and searches filter on; ``tags`` are separated by commas.
    fields : mapping of str to str, optional
        Private hash fields; other clients ignore and keep them.
    parent_key : str, optional
        Full key of the job that waits for this one.

    Raises
    ------
    InvalidJobError
        A name, label or field cannot be stored.
    """

    name: str
    data: object = field(default_factory=dict)
    options: JobOptions = field(default_factory=JobOptions)
    labels: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    parent_key: str | None = None

    def __post_init__(self) -> None:
        if not check_text(self.name, "The job name"):
            raise InvalidJobError("The job name is empty; it must name a task.")
        check_labels(self.labels)
        for name, value in self.fields.items():
            check_text(value, f"The field {name!r}")
            if name in _PUBLIC or name in {"id", "attemptsMade"} or not name:
                raise InvalidJobError(
                    f"{name!r} is a field that other clients read; choose another."
                )
        if self.parent_key and self.options.deduplication:
            raise InvalidJobError("A child job cannot be deduplicated.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was when it was read."""

    #: Text that is unique in the queue.
    id: str
    #: Name of the task that runs it.
    name: str = ""
    #: What the task is given; ``None`` in listings.
    data: Any = None
    options: JobOptions = field(default_factory=JobOptions)
    #: ``None`` when it was not asked for, or when the id is in no state.
    state: JobState | None = None
    created_at: datetime | None = None
    #: The current delay; zero once promoted.
    delay: timedelta = timedelta(0)
    priority: int = 0
    #: Last start.
    processed_at: datetime | None = None
    #: Name of the worker of the last start.
    processed_by: str | None = None
    finished_at: datetime | None = None
    #: Starts, those that stalled included.
    attempts_started: int = 0
    #: Attempts that ended, completed or failed.
    attempts_made: int = 0
    max_attempts: int = 1
    stalled_count: int = 0
    #: Number, text, truth value or object, as the task reported it.
    progress: Any = 0
    return_value: Any = None
    failed_reason: str | None = None
    #: Oldest first.
    stacktrace: tuple[str, ...] = ()
    #: Reason to fail the job at once instead of running it.
    deferred_failure: str | None = None
    parent_key: str | None = None
    scheduler_id: str | None = None
    deduplication_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Private hash fields.
    fields: Mapping[str, str] = field(default_factory=dict)
    #: Hash fields that could not be read; their attributes have the default value.
    malformed: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINISHED_STATES

    @property
    def is_cancelled(self) -> bool:
        """Whether the job failed because somebody cancelled it."""
        label = self.labels.get(CATEGORY)
        return self.state is JobState.FAILED and label == CANCELLED_CATEGORY

    @classmethod
    def from_hash(
        cls, job_id: str, mapping: Mapping[str, str], state: JobState | None = None
    ) -> Self:
        """Read a job hash; malformed fields never raise, `malformed` names them.

        Parameters
        ----------
        job_id : str
            Suffix of the key.
        mapping : mapping of str to str
            Hash fields, all or some.
        state : JobState, optional
            The state the id was found in.
        """
        read = _Reader(mapping)
        options = read.options()
        return cls(
            id=job_id,
            name=mapping.get("name", ""),
            data=read.json("data", None),
            options=options,
            state=state,
            created_at=read.time("timestamp"),
            delay=timedelta(milliseconds=min(read.number("delay"), 2**53)),
            priority=read.number("priority"),
            processed_at=read.time("processedOn"),
            processed_by=mapping.get("pb"),
            finished_at=read.time("finishedOn"),
            attempts_started=read.number("ats"),
            attempts_made=read.number("atm"),
            max_attempts=options.max_attempts,
            stalled_count=read.number("stc"),
            progress=read.json("progress", 0),
            return_value=read.json("returnvalue", None),
            failed_reason=mapping.get("failedReason"),
            stacktrace=read.traces(),
            deferred_failure=mapping.get("defa"),
            parent_key=mapping.get("parentKey"),
            scheduler_id=mapping.get("rjk"),
            deduplication_id=mapping.get("deid"),
            labels=_labels(mapping),
            fields={
                name: value
                for name, value in mapping.items()
                if name not in _PUBLIC and not name.startswith(LABEL_PREFIX)
            },
            malformed=tuple(read.malformed),
        )


def wire_fields(attributes: Collection[str] | None) -> tuple[str, ...]:
    """Return the hash fields that these attributes of `Job` are read from.

    ``label:<name>`` asks for one label, ``field:<name>`` for a private field.
    `name` and `created_at` are always read: they tell that the job exists.
    """
    wires = dict.fromkeys(("name", "timestamp"))
    for attribute in LISTING if attributes is None else attributes:
        if attribute.startswith(LABEL_PREFIX):
            wires[attribute] = None
        elif attribute.startswith("field:"):
            wires[attribute.removeprefix("field:")] = None
        elif attribute in ATTRIBUTE_FIELDS:
            wires.update(dict.fromkeys(ATTRIBUTE_FIELDS[attribute]))
        else:
            raise InvalidJobError(
                f"{attribute!r} is not an attribute of a job; choose from "
                f"{', '.join(ATTRIBUTE_FIELDS)}, label:<name> or field:<name>."
            )
    return tuple(wires)


def job_from_values(
    job_id: str,
    names: Sequence[str],
    values: Sequence[str | None],
    state: JobState | None = None,
) -> Job | None:
    """Build a job from an ``HMGET`` answer; ``None`` when there is no such hash."""
    mapping = {
        name: value
        for name, value in zip(names, values, strict=True)
        if value is not None
    }
    return Job.from_hash(job_id, mapping, state) if mapping else None


def _labels(mapping: Mapping[str, str]) -> dict[str, str]:
    start = len(LABEL_PREFIX)
    return {
        name[start:]: value
        for name, value in mapping.items()
        if name.startswith(LABEL_PREFIX)
    }


class _Reader:
    """Reads hash fields and remembers the ones that make no sense."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.mapping = mapping
        self.malformed: list[str] = []

    def json(self, name: str, default: object) -> Any:
        text = self.mapping.get(name)
        if text is None:
            return default
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            self.malformed.append(name)
            return default

    def options(self) -> JobOptions:
        text = self.mapping.get("opts")
        if text is None:
            return JobOptions()
        try:
            return JobOptions.from_json(text)
        except (ValueError, RecursionError, OverflowError):
            self.malformed.append("opts")
            return JobOptions()

    def number(self, name: str) -> int:
        text = self.mapping.get(name)
        if text is None:
            return 0
        try:
            return max(int(float(text)), 0)
        except (ValueError, OverflowError):
            self.malformed.append(name)
            return 0

    def time(self, name: str) -> datetime | None:
        text = self.mapping.get(name)
        if text is None:
            return None
        try:
            return datetime.fromtimestamp(float(text) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            self.malformed.append(name)
            return None

    def traces(self) -> tuple[str, ...]:
        value = self.json("stacktrace", [])
        if not isinstance(value, list):
            return ()
        return tuple(item for item in value if isinstance(item, str))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
