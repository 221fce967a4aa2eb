"""Cleaning: preview what would go, confirm, remove in steps, say what went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from myia_sdk.panels.jobs.rows import to_ms
from myia_sdk.panels.live import Controller, ControllerOptions, Event, Handler
from myia_sdk.panels.live.controller import number_of
from myia_sdk.panels.permissions import Action, ActionRefusedError
from myia_sdk.queue.jobs import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.client import Connection

#: States that can be cleaned: all but active, which run, and parents that wait.
CLEANABLE = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.WAITING,
    JobState.PRIORITIZED,
    JobState.DELAYED,
)
#: Longest grace accepted, seconds: ten years.
GRACE_LIMIT = 10 * 365 * 86_400
#: Jobs removed in one step, so that progress is seen and the server stays free.
STEP = 500
#: Removed jobs that are named.
SAMPLE = 5
#: Bytes of a job on the server beside its texts: hash, keys, entries of sets.
JOB_OVERHEAD = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanPreview:
    """What a clean would remove."""

    state: JobState
    #: Jobs that ended (or were created) before this time go.
    cutoff: datetime
    #: How many go, the limit applied.
    count: int
    oldest: datetime | None
    newest: datetime | None
    #: Estimate from the oldest jobs' texts, bytes on the server.
    size: int

    def to_facts(self) -> dict[str, Any]:
        """Return what a question shows."""
        return {
            "state": self.state.value,
            "count": self.count,
            "oldest": to_ms(self.oldest),
            "newest": to_ms(self.newest),
            "bytes": self.size,
        }


def _age_time(job: Job) -> datetime | None:
    return job.finished_at if job.is_finished else job.created_at


def preview_clean(
    connection: Connection, state: JobState, grace: timedelta, limit: int, now: datetime
) -> CleanPreview:
    """Find out what a clean would remove, reading a few single jobs only.

    Finished jobs are kept in the order they ended, waiting ones in the order they
    came, so the border between old and young is found by halving.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    state : JobState
        One of :data:`CLEANABLE`.
    grace : timedelta
        Jobs younger than this stay.
    limit : int
        Most jobs to remove; 0 for all.
    now : datetime
        The time now, aware.
    """
    cutoff = now - grace
    total = connection.queue.counts().get(state, 0)

    def at(position: int) -> Job | None:
        page = connection.queue.page(state, position, position, newest_first=False)
        return page[0] if page else None

    count = _border(total, cutoff, at)
    if limit:
        count = min(count, limit)
    first = (
        connection.queue.page(
            state, 0, min(count, 10) - 1, newest_first=False, fields=None
        )
        if count
        else []
    )
    last = at(count - 1) if count else None
    return CleanPreview(
        state=state,
        cutoff=cutoff,
        count=count,
        oldest=_age_time(first[0]) if first else None,
        newest=_age_time(last) if last else None,
        size=_estimate(connection, [job.id for job in first], count),
    )


def _border(total: int, cutoff: datetime, at: Callable[[int], Job | None]) -> int:
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        job = at(middle)
        moment = None if job is None else _age_time(job)
        if moment is not None and moment <= cutoff:
            low = middle + 1
        else:
            high = middle
    return low


def _estimate(connection: Connection, ids: list[str], count: int) -> int:
    jobs = [connection.queue.job(job_id) for job_id in ids]
    sizes = [
        JOB_OVERHEAD
        + len(str(job.data))
        + len(str(job.return_value or ""))
        + sum(map(len, job.stacktrace))
        for job in jobs
        if job is not None
    ]
    return round(sum(sizes) / len(sizes) * count) if sizes else 0


class QueueCleaning:
    """Preview and run cleans, drain, retry all, promote all, obliterate.

    Parameters
    ----------
    controller : Controller
        Asks, tells, publishes, and holds the permissions.
    after : callable
        Loads what the panel shows once something was done.
    """

    def __init__(self, controller: Controller, after: Callable[[], None]) -> None:
        self._controller = controller
        self._connection = controller.connection
        self._after = after

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {
            Action.CLEAN: self._on_clean,
            Action.DRAIN: self._on_drain,
            Action.RETRY_ALL: self._on_retry_all,
            Action.PROMOTE_ALL: self._on_promote_all,
            Action.OBLITERATE: self._on_obliterate,
        }

    def _now(self) -> datetime:
        # The clock by which jobs ended, which may not be the one of this machine.
        return datetime.fromtimestamp(self._connection.queue.clock() / 1000, UTC)

    def _on_clean(self, event: Event) -> None:
        self._controller.permissions.check(Action.CLEAN)
        if event.get("state") not in CLEANABLE:
            names = ", ".join(state.value for state in CLEANABLE)
            raise ActionRefusedError(
                f"State {event.get('state')!r} cannot be cleaned; choose from {names}."
            )
        grace = timedelta(seconds=number_of(event, "grace", 0, GRACE_LIMIT))
        limit = int(number_of(event, "limit", 0, 10_000_000))
        state = JobState(event["state"])
        preview = preview_clean(self._connection, state, grace, limit, self._now())
        self._controller.ask(
            Action.CLEAN, preview.to_facts(), lambda: self._clean(preview)
        )

    def _clean(self, preview: CleanPreview) -> None:
        removed: list[str] = []
        say = self._controller.say
        while len(removed) < preview.count:
            # The cutoff of the preview holds: jobs that aged since then stay.
            grace = self._now() - preview.cutoff
            step = min(STEP, preview.count - len(removed))
            ids = self._connection.administration.clean(grace, step, preview.state)
            removed += ids
            if len(ids) < step:
                break
            if len(removed) < preview.count:
                facts = {"count": len(removed), "total": preview.count}
                self._controller.notify("busy", say("busy.clean", **facts))
                self._controller.publish_now()
        shown = ", ".join(removed[:SAMPLE]) + (" …" if removed[SAMPLE:] else "")
        state = say(f"state.{preview.state.value}")
        self._done("clean", count=len(removed), state=state, ids=shown)

    def _on_drain(self, _: Event) -> None:
        self._controller.permissions.check(Action.DRAIN)
        counts = self._connection.queue.counts()
        count = counts.get(JobState.WAITING, 0) + counts.get(JobState.PRIORITIZED, 0)
        self._controller.ask(Action.DRAIN, {"count": count}, self._drain)

    def _drain(self) -> None:
        self._done("drain", count=self._connection.administration.drain())

    def _on_retry_all(self, event: Event) -> None:
        wanted = event.get("state", JobState.FAILED)
        if wanted == JobState.FAILED:
            run, state = self._retry_failed, JobState.FAILED
        elif wanted == JobState.COMPLETED:
            run, state = self._retry_completed, JobState.COMPLETED
        else:
            raise ActionRefusedError(
                f"State {wanted!r} cannot be retried; choose failed or completed."
            )
        self._ask_all(Action.RETRY_ALL, state, run)

    def _retry_failed(self) -> None:
        count = self._connection.administration.retry_all(reset_attempts=True)
        self._done("retry_all", count=count)

    def _retry_completed(self) -> None:
        count = self._connection.administration.retry_all(
            JobState.COMPLETED, reset_attempts=True
        )
        self._done("retry_all", count=count)

    def _on_promote_all(self, _: Event) -> None:
        self._ask_all(Action.PROMOTE_ALL, JobState.DELAYED, self._promote_all)

    def _promote_all(self) -> None:
        self._done("promote_all", count=self._connection.administration.promote_all())

    def _ask_all(
        self, action: Action, state: JobState, run: Callable[[], None]
    ) -> None:
        self._controller.permissions.check(action)
        count = self._connection.queue.counts().get(state, 0)
        self._controller.ask(action, {"count": count, "state": state.value}, run)

    def _on_obliterate(self, _: Event) -> None:
        self._controller.permissions.check(Action.OBLITERATE)
        name = self._connection.queue.queue
        counts = self._connection.queue.counts()
        running = counts.get(JobState.ACTIVE, 0)
        facts = {"name": name, "count": sum(counts.values()), "running": running}
        # Who typed the name after reading that jobs run wants them gone as well;
        # one that starts meanwhile was not read about and refuses it.
        run = self._obliterate_all if running else self._obliterate
        self._controller.ask(Action.OBLITERATE, facts, run, typed=name)

    def _obliterate(self) -> None:
        self._connection.administration.obliterate()
        self._done("obliterate", name=self._connection.queue.queue)

    def _obliterate_all(self) -> None:
        self._connection.administration.obliterate(force=True)
        self._done("obliterate", name=self._connection.queue.queue)

    def _done(self, key: str, **values: object) -> None:
        self._controller.notify("done", self._controller.say(f"done.{key}", **values))
        self._after()


class CleanController(Controller):
    """What the clean form knows: counts, the question, the last result."""

    kind: ClassVar[str] = "clean"

    def __init__(
        self, connection: Connection, options: ControllerOptions | None = None
    ) -> None:
        super().__init__(connection, options)
        self._counts: dict[str, int] = {}
        self._cleaning = QueueCleaning(self, self.load)

    def load(self) -> None:
        """Load the counts by state."""
        counts = self.connection.queue.counts()
        self._counts = {state.value: count for state, count in counts.items()}

    def body(self) -> dict[str, Any]:
        """Return the counts and the queue's name."""
        return {"counts": dict(self._counts), "queue": self.connection.queue.queue}

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return self._cleaning.handlers()
