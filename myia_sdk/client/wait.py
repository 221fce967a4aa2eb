"""Waiting for jobs by following the events stream, with a progress bar."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.arguments import to_patience
from myia_sdk.errors import (
    JobNotFoundError,
    QueueConnectionError,
    QueueError,
    WaitTimeoutError,
)
from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.jobs.states import PENDING_STATES
from myia_sdk.queue.store import EventReader

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from myia_sdk.arguments import Seconds
    from myia_sdk.client.connection import Connection
    from myia_sdk.queue.jobs import Job
    from myia_sdk.queue.store import JobStore

#: One blocking read of the stream; short, so that an interrupt is felt.
BLOCK = timedelta(seconds=1)
#: The jobs are read again this often even without events: a trimmed stream or a
#: server that came back empty must not make anybody wait for ever.
REREAD_SECONDS = 5.0
#: A server that restarts is back within this time; then the wait gives up.
OUTAGE_SECONDS = 60.0
OUTAGE_PAUSE_SECONDS = 0.5
#: How long a job waits before the bar says that no worker is there.
PATIENCE_SECONDS = 5.0

#: What an event may change in the picture of a job.
ATTRIBUTES = (
    *("name", "state", "created_at", "processed_at", "finished_at", "progress"),
    *("attempts_made", "max_attempts", "failed_reason", "labels"),
)


def progress_share(job: Job) -> float:
    """How far a job is, 0.0 to 1.0, from whatever its task reported.

    Objects with ``percent``, numbers up to 1 as shares, and greater ones as
    percent, as BullMQ's clients report them.
    """
    if job.state is JobState.COMPLETED:
        return 1.0
    value = job.progress
    if isinstance(value, dict):
        value = value.get("percent", 0)
        scale = 100.0
    else:
        scale = 100.0 if isinstance(value, int | float) and value > 1 else 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return min(max(value / scale, 0.0), 1.0)


def follow(
    store: JobStore,
    job_ids: Sequence[str],
    *,
    timeout: Seconds | None = None,
    on_change: Callable[[Mapping[str, Job]], None] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Job]:
    """Return the jobs once all of them have ended.

    Parameters
    ----------
    store : JobStore
        The queue.
    job_ids : sequence of str
        Which jobs.
    timeout : float or timedelta, optional
        Longest wait, seconds; without it, as long as it takes.
    on_change : callable, optional
        Called with all jobs at the start and whenever some changed.
    stop : threading.Event, optional
        Ends the wait early; the jobs are returned as they are.

    Raises
    ------
    InvalidJobError
        The timeout is negative, or no duration.
    WaitTimeoutError
        Time is up. The jobs go on.
    JobNotFoundError
        A job does not exist, or was removed meanwhile.
    """
    limit = to_patience(timeout)
    deadline = None if limit is None else time.monotonic() + limit
    reader = EventReader(store.redis, store.keys)
    jobs = _first_look(reader, store, job_ids, deadline)
    read_at = time.monotonic()
    away_since: float | None = None
    changed = set(job_ids)
    while True:
        if changed and on_change is not None:
            on_change(jobs)
        pending = {job_id for job_id, job in jobs.items() if not job.is_finished}
        if not pending or (stop is not None and stop.is_set()):
            return jobs
        block = _next_block(deadline, limit, jobs, pending)
        try:
            events = reader.read(block=block, count=1000)
            changed = {event.job_id for event in events if event.job_id} & pending
            if away_since or time.monotonic() - read_at > REREAD_SECONDS:
                changed = pending
                read_at = time.monotonic()
            if changed:
                jobs |= look_at(store, sorted(changed))
            away_since = None
        except QueueConnectionError:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > OUTAGE_SECONDS:
                raise
            changed = set()
            time.sleep(min(block.total_seconds(), OUTAGE_PAUSE_SECONDS))


def _first_look(
    reader: EventReader,
    store: JobStore,
    job_ids: Sequence[str],
    deadline: float | None,
) -> dict[str, Job]:
    """Pin the stream and read the jobs, also while the server is restarting."""
    give_up = time.monotonic() + OUTAGE_SECONDS
    if deadline is not None:
        give_up = min(give_up, deadline)
    while True:
        try:
            reader.pin()
            return look_at(store, job_ids)
        except QueueConnectionError:
            if time.monotonic() > give_up:
                raise
            time.sleep(OUTAGE_PAUSE_SECONDS)


def look_at(store: JobStore, job_ids: Sequence[str]) -> dict[str, Job]:
    """Read jobs with their states.

    Raises
    ------
    JobNotFoundError
        One of them does not exist.
    """
    found = store.jobs(job_ids, fields=ATTRIBUTES)
    jobs = {}
    for job_id, job in zip(job_ids, found, strict=True):
        if job is None:
            raise JobNotFoundError(job_id, store.queue)
        jobs[job_id] = job
    return jobs


def _next_block(
    deadline: float | None,
    limit: float | None,
    jobs: Mapping[str, Job],
    pending: set[str],
) -> timedelta:
    if deadline is None:
        return BLOCK
    left = deadline - time.monotonic()
    if left > 0:
        return min(BLOCK, max(timedelta(seconds=left), timedelta(milliseconds=1)))
    first = min(pending)
    others = f" and {len(pending) - 1} others" if len(pending) > 1 else ""
    raise WaitTimeoutError(
        f"Job {first!r}{others} did not end within {limit:g} s (it is "
        f"{jobs[first].state}); it goes on, wait again or cancel it."
    )


def is_in_notebook() -> bool:
    """Whether this is the kernel of a notebook, without importing IPython."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return False
    shell = ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def is_watched() -> bool:
    """Whether somebody sees a progress bar: in a terminal or a notebook."""
    return is_in_notebook() or sys.stderr.isatty()


class ProgressBar:
    """One bar for one job or many; silent where nobody watches.

    Parameters
    ----------
    title : str
        Stands before the bar.
    is_shown : bool, optional
        Decided by the surroundings if not given: a terminal or a notebook.
    """

    def __init__(self, title: str, *, is_shown: bool | None = None) -> None:
        self._title = title
        self._bar: Any = None
        if is_shown is None:
            is_shown = is_watched()
        if is_shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=100,
                desc=title,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed} {postfix}",
            )

    @property
    def is_shown(self) -> bool:
        """Whether anybody sees it."""
        return self._bar is not None

    def show(self, jobs: Mapping[str, Job], note: str = "") -> None:
        """Draw the state of the jobs."""
        if self._bar is None:
            return
        share = sum(map(progress_share, jobs.values())) / max(len(jobs), 1)
        self._bar.n = round(100 * share, 1)
        self._bar.set_postfix_str(note or _caption(jobs), refresh=False)
        self._bar.refresh()

    def write(self, text: str) -> None:
        """Say something that stays, if anything is shown at all."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _caption(jobs: Mapping[str, Job]) -> str:
    if len(jobs) == 1:
        (job,) = jobs.values()
        verdict = job.labels.get("verdict")
        if verdict:
            return f"{job.state}, verdict {verdict}"
        check = job.progress.get("check") if isinstance(job.progress, dict) else None
        running = job.state is JobState.ACTIVE and check
        return f"{job.state}, {check}" if running else str(job.state)
    counts: dict[str, int] = {}
    for job in jobs.values():
        counts[str(job.state)] = counts.get(str(job.state), 0) + 1
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))


def _hint(connection: Connection, jobs: Mapping[str, Job]) -> str:
    """Say why nothing happens, if nothing does."""
    if any(job.state not in PENDING_STATES for job in jobs.values()):
        return ""
    with suppress(QueueError):
        if not connection.administration.workers():
            return "no worker is running; `myia worker` starts one"
        if connection.queue.is_paused():
            return "the queue is paused"
    return ""


def watch(
    connection: Connection,
    job_ids: Sequence[str],
    *,
    timeout: Seconds | None = None,
    progress: bool | None = None,
    title: str | None = None,
    on_change: Callable[[Mapping[str, Job]], None] | None = None,
) -> None:
    """Follow jobs with a bar; an interrupt detaches and says how to come back.

    Parameters
    ----------
    connection : Connection
        Reaches the queue.
    job_ids : sequence of str
        Which jobs.
    timeout : float or timedelta, optional
        Longest wait, seconds; without it, as long as it takes.
    progress : bool, optional
        Show a bar; by default in terminals and notebooks.
    title : str, optional
        What the bar and the note of an interrupt call them.
    on_change : callable, optional
        Called with all jobs at the start and whenever some changed.
    """
    if not job_ids:
        return
    if title is None:
        is_one = len(job_ids) == 1
        title = f"job {job_ids[0]}" if is_one else f"{len(job_ids)} jobs"
    if progress is None and not connection.settings.myia_notebook:
        progress = False
    bar = ProgressBar(title, is_shown=progress)
    started = time.monotonic()

    def show(jobs: Mapping[str, Job]) -> None:
        if on_change is not None:
            on_change(jobs)
        is_long = time.monotonic() - started > PATIENCE_SECONDS
        bar.show(jobs, _hint(connection, jobs) if is_long and bar.is_shown else "")

    try:
        follow(connection.queue, job_ids, timeout=timeout, on_change=show)
    except KeyboardInterrupt as interrupt:
        text = (
            f"Detached; {title} goes on. client.job({job_ids[0]!r}).wait() or "
            f"`myia wait {job_ids[0]}` comes back to it."
        )
        interrupt.add_note(text)
        if is_in_notebook():
            # Not every front end shows the notes of an exception.
            bar.write(text)
        raise
    finally:
        bar.close()
