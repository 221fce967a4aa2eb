"""What a job scheduler is in Redis: its definition, and the runs made from it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from myia_sdk.errors import ConfigurationError
from myia_sdk.queue.jobs import JobOptions, NewJob
from myia_sdk.queue.jobs.job import LABEL_PREFIX
from myia_sdk.queue.jobs.options import epoch_ms
from myia_sdk.queue.jobs.payload import DEFAULT_PAYLOAD_LIMIT, encode_json
from myia_sdk.queue.jobs.timetable import Tick, Timetable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from myia_sdk.queue.wire.scripts import Argument

logger = logging.getLogger(__name__)

#: Field of the definition that keeps labels and private fields of the template.
PRIVATE_FIELD = "myia"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScheduler:
    """A scheduler as it was when it was read."""

    id: str
    #: Name of the task that its runs call.
    name: str
    timetable: Timetable
    #: Shift of the grid of ``every``, milliseconds.
    offset_ms: int = 0
    #: The pending tick; in the past when a run is late or the scheduler has ended.
    next_run_at: datetime
    #: Runs made, the pending one included.
    iterations: int = 0
    #: What each run is given.
    data: Any = field(default_factory=dict)
    options: JobOptions = field(default_factory=JobOptions)
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Private hash fields of each run.
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def next_run_id(self) -> str:
        """Id of the job of the pending tick."""
        return run_id(self.id, epoch_ms(self.next_run_at))


class StoredScheduler(NamedTuple):
    """The definition and the tick, read together."""

    fields: dict[str, str]
    tick: str

    @property
    def tick_ms(self) -> int:
        """The pending tick, epoch milliseconds."""
        return int(float(self.tick))


class ScheduledRun:
    """A run to be made: the arguments that its script takes."""

    def __init__(
        self, name: str, options: dict[str, object], private: Mapping[str, str]
    ) -> None:
        self.name = name
        self.options = options
        self.private = private
        self.data = "{}"

    def repeat_as(
        self,
        timetable: Timetable,
        tick: Tick,
        scheduler_id: str,
        *,
        count: int,
        now: int,
    ) -> None:
        """Say in the options what BullMQ's workers read to make the run after this."""
        repeat: dict[str, object] = {**timetable.to_record(), "count": count}
        before = self.options.get("repeat")
        if timetable.offset is not None:
            repeat["offset"] = tick.offset_ms
        elif isinstance(before, dict) and "offset" in before:
            repeat["offset"] = before["offset"]
        self.options |= {
            "repeat": repeat,
            "repeatJobKey": scheduler_id,
            "jobId": run_id(scheduler_id, tick.at_ms),
            "delay": max(tick.at_ms - now, 0),
            "timestamp": now,
            "prevMillis": tick.at_ms,
        }

    def arguments(self, tick: Tick, now: int) -> Sequence[Argument]:
        """Return what ``add_run`` reads, in its order."""
        priority, lifo = self.options.get("priority", 0), self.options.get("lifo")
        private = (part for pair in self.private.items() for part in pair)
        return [
            *(self.name, self.data, encode_json(self.options)),
            *(int(str(priority)), int(lifo is True), max(tick.at_ms - now, 0), now),
            *private,
        ]


def run_id(scheduler_id: str, tick: str | int) -> str:
    """Return the id of the run of a tick, as every BullMQ client makes it."""
    return f"repeat:{scheduler_id}:{tick}"


def definition_of(
    timetable: Timetable,
    stored: StoredScheduler | None,
    tick: Tick,
    template: NewJob,
    *,
    pending: bool,
) -> dict[str, Argument]:
    """Return the fields of the definition to be stored."""
    fields = {name: str(value) for name, value in timetable.to_record().items()}
    if not pending:
        fields["offset"] = str(tick.offset_ms)
    elif timetable.offset is not None:
        fields["offset"] = str(round(timetable.offset / timedelta(milliseconds=1)))
    elif stored is not None and "offset" in stored.fields:
        fields["offset"] = stored.fields["offset"]
    data = encode_json(template.data, limit=DEFAULT_PAYLOAD_LIMIT)
    said = {
        "data": data,
        "opts": template.options.to_json(),
        PRIVATE_FIELD: encode_json(private_of(template)),
    }
    fields |= {name: text for name, text in said.items() if text != "{}"}
    return {"name": template.name, **fields}


def private_of(template: NewJob) -> dict[str, str]:
    """Return the hash fields of a run that only we know: labels and private fields."""
    labels = {LABEL_PREFIX + name: value for name, value in template.labels.items()}
    return labels | dict(template.fields)


def read_private(stored: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that `private_of` gave, as the definition keeps them."""
    try:
        found = json.loads(stored.get(PRIVATE_FIELD, "{}"))
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: str(value) for name, value in found.items()}


def runs_made(options: Mapping[str, object]) -> int:
    """Return the number of a run, counted from 1, as its options tell; 0 if not."""
    repeat = options.get("repeat")
    count = repeat.get("count") if isinstance(repeat, dict) else None
    return int(count) if isinstance(count, int | float) else 0


def scheduler_of(scheduler_id: str, stored: StoredScheduler) -> JobScheduler | None:
    """Read a definition; ``None``, with a warning, when it makes no sense."""
    fields = stored.fields
    try:
        timetable = Timetable.from_hash(fields)
        template = JobOptions.from_json(fields.get("opts", "{}"))
        data = json.loads(fields.get("data", "{}"))
        offset, iterations = int(fields.get("offset", 0)), int(fields.get("ic", 0))
    except (ConfigurationError, ValueError):
        logger.warning("The definition of scheduler %s is malformed.", scheduler_id)
        return None
    private = read_private(fields)
    labels = {
        name.removeprefix(LABEL_PREFIX): value
        for name, value in private.items()
        if name.startswith(LABEL_PREFIX)
    }
    return JobScheduler(
        id=scheduler_id,
        name=fields.get("name", ""),
        timetable=timetable,
        offset_ms=offset,
        next_run_at=datetime.fromtimestamp(stored.tick_ms / 1000, UTC),
        iterations=iterations,
        data=data,
        options=template,
        labels=labels,
        fields={
            name: value
            for name, value in private.items()
            if not name.startswith(LABEL_PREFIX)
        },
    )
