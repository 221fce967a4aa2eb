"""One background reader of the events stream for all panels of a process and queue.

Two threads at most: the *reader* blocks on the stream, the *worker* runs everything
that talks to the server on behalf of panels (their handlers and their repaints), so
that neither the kernel nor the tornado loop ever waits for Redis. Both end when no
panel is watched.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from myia_sdk.errors import MyiaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.queue.store import Event, JobStore

logger = logging.getLogger(__name__)

#: Shortest time between two repaints, seconds: two a second.
REPAINT_INTERVAL = 0.5
#: Longest wait for events in one call, below redis-py's socket time-out of 5 s.
READ_BLOCK = timedelta(seconds=2)
#: Progress values of a job kept between two repaints.
PROGRESS_LIMIT = 200
#: First and longest pause between two tries while the server is away, seconds.
RECONNECT_DELAYS = (0.5, 5.0)


class Reachability(NamedTuple):
    """Whether the server answers.

    Attributes
    ----------
    is_up : bool
        The last call succeeded.
    since_ms : int
        When it became so, epoch milliseconds.
    message : str
        Why not, empty when it is up.
    """

    is_up: bool
    since_ms: int
    message: str


@dataclass(slots=True)
class Changes:
    """What happened in the queue since the last repaint."""

    #: Jobs with an event that may have moved them to another state.
    moved: set[str] = field(default_factory=set)
    #: Progress values of jobs, in the order they came.
    progress: dict[str, list[str]] = field(default_factory=dict)
    #: Something about the whole queue changed, or events were lost: load all anew.
    is_reset: bool = False

    def __bool__(self) -> bool:
        return bool(self.is_reset or self.moved or self.progress)

    def add(self, event: Event) -> None:
        """Merge one event of the stream."""
        if not event.job_id:
            self.is_reset = True
        elif event.name == "progress":
            values = self.progress.setdefault(event.job_id, [])
            values.append(str(event.fields.get("data", "")))
            del values[:-PROGRESS_LIMIT]
        else:
            self.moved.add(event.job_id)

    def merge(self, later: Changes) -> None:
        """Add what happened after these changes."""
        self.is_reset |= later.is_reset
        self.moved |= later.moved
        for job_id, texts in later.progress.items():
            values = [*self.progress.get(job_id, ()), *texts]
            self.progress[job_id] = values[-PROGRESS_LIMIT:]


class Subscriber(Protocol):
    """What a feed drives; every method is called on the feed's worker thread."""

    def refresh(self, changes: Changes) -> None:
        """Load what changed and send it on."""

    def reachability_changed(self, reachability: Reachability) -> None:
        """Say that the server went away or came back."""

    def due_at(self) -> float | None:
        """Return the time of the next :meth:`tick` by the feed's clock, None: never."""

    def tick(self) -> None:
        """Do what is due by time and not by an event."""

    def is_watched(self) -> bool:
        """Return whether somebody looks at it and wants to see changes."""


class LiveFeed:
    """Reader and worker threads of one queue, shared by its panels.

    Use :meth:`acquire` and :meth:`release`; the object counts its users.

    Parameters
    ----------
    store : JobStore
        The queue that is read.
    clock : callable, optional
        Monotonic time, seconds.
    """

    _feeds: ClassVar[dict[tuple[int, str], LiveFeed]] = {}
    _feeds_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, store: JobStore, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Kept: a reader in its blocking read outlives a client that was closed.
        self._store = store
        self.clock = clock
        #: Panels that hold this feed.
        self.users = 0
        self._subscribers: list[Subscriber] = []
        self._tasks: list[Callable[[], None]] = []
        self._changes = Changes()
        self._condition = threading.Condition()
        self._reader: threading.Thread | None = None
        self._worker: threading.Thread | None = None
        self._is_reading_wanted = False
        self._last_repaint = -1e9
        self.reachability = Reachability(is_up=True, since_ms=0, message="")

    @classmethod
    def acquire(cls, store: JobStore) -> LiveFeed:
        """Return the feed of a queue, made when it is the first user."""
        key = (id(store.redis), store.keys.sdk("feed"))
        with cls._feeds_lock:
            feed = cls._feeds.get(key)
            if feed is None:
                feed = cls._feeds[key] = cls(store)
            feed.users += 1
        return feed

    @classmethod
    def open_feeds(cls) -> int:
        """Return how many queues are being followed in this process."""
        with cls._feeds_lock:
            return sum(feed.users > 0 for feed in cls._feeds.values())

    def release(self) -> None:
        """Give the feed back; without users both threads end."""
        with self._feeds_lock:
            self.users -= 1
        self.wake()
        self._forget_if_unused()

    def _forget_if_unused(self) -> None:
        # Threads that have not ended yet stay known: a panel made meanwhile takes them
        # over, instead of second ones with connections of their own.
        with self._feeds_lock:
            is_alone = self._reader is None and self._worker is None
            if self.users == 0 and is_alone:
                for key, feed in list(self._feeds.items()):
                    if feed is self:
                        del self._feeds[key]

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that are alive now."""
        both = (self._reader, self._worker)
        return [thread for thread in both if thread is not None and thread.is_alive()]

    def attach(self, subscriber: Subscriber) -> None:
        """Start feeding `subscriber`; attaching twice changes nothing."""
        with self._condition:
            if subscriber not in self._subscribers:
                self._subscribers.append(subscriber)
        self.wake()

    def detach(self, subscriber: Subscriber) -> None:
        """Stop feeding `subscriber`; unknown ones are ignored."""
        with self._condition, suppress(ValueError):
            self._subscribers.remove(subscriber)
        self.wake()

    def submit(self, task: Callable[[], None]) -> None:
        """Run `task` on the worker thread, after those submitted before.

        Parameters
        ----------
        task : callable
            Must not raise; what it raises is logged and dropped.
        """
        with self._condition:
            self._tasks.append(task)
        self.wake()

    def wake(self) -> None:
        """Look at the subscribers again: start, resume or stop the threads."""
        with self._condition:
            watched = self._is_watched()
            if self._worker is None and (self._tasks or watched):
                self._worker = self._start(self._work, "worker")
            self._is_reading_wanted = watched
            if watched and self._reader is None:
                self._reader = self._start(self._read, "reader")
            self._condition.notify_all()

    def _start(self, target: Callable[[], None], role: str) -> threading.Thread:
        name = f"myia-feed-{role}-{self._store.queue}"
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    # The reader.

    def _read(self) -> None:
        from myia_sdk.queue.store import EventReader

        store = self._store
        delay = RECONNECT_DELAYS[0]
        reader: EventReader | None = None
        while self._goes_on_reading():
            try:
                if reader is None:
                    reader = EventReader(store.redis, store.keys)
                    reader.pin()
                    self._connected()
                events = reader.read(block=READ_BLOCK, count=1000)
            except Exception as error:
                reader = None
                if not self._is_reading_wanted:
                    # Its client was closed after the last panel.
                    continue
                if not isinstance(error, MyiaError):
                    logger.exception("The events of the queue cannot be read")
                self._disconnected(str(error), delay)
                delay = min(delay * 2, RECONNECT_DELAYS[1])
                continue
            delay = RECONNECT_DELAYS[0]
            if events or reader.has_gap:
                self._offer(events, is_reset=reader.has_gap)
        self._forget_if_unused()

    def _goes_on_reading(self) -> bool:
        with self._condition:
            if not self._is_reading_wanted:
                self._reader = None
            return self._is_reading_wanted

    def _offer(self, events: list[Event], *, is_reset: bool) -> None:
        with self._condition:
            self._changes.is_reset |= is_reset
            for event in events:
                self._changes.add(event)
            self._condition.notify_all()

    def _connected(self) -> None:
        self._set_reachability(is_up=True, message="")
        with self._condition:
            self._changes.is_reset = True
            self._condition.notify_all()

    def _disconnected(self, message: str, delay: float) -> None:
        self._set_reachability(is_up=False, message=message)
        with self._condition:
            self._condition.wait_for(lambda: not self._is_reading_wanted, delay)

    def _set_reachability(self, *, is_up: bool, message: str) -> None:
        if is_up == self.reachability.is_up:
            return
        reachability = Reachability(is_up, time.time_ns() // 1_000_000, message)
        self.reachability = reachability
        self.submit(lambda: self._tell_all(reachability))

    def _tell_all(self, reachability: Reachability) -> None:
        for subscriber in self._watched():
            subscriber.reachability_changed(reachability)

    # The worker.

    def _work(self) -> None:
        while self._goes_on_working():
            with self._condition:
                tasks, self._tasks = self._tasks, []
                changes = self._due_changes()
            for task in tasks:
                self._run(task)
            if changes:
                for subscriber in self._watched():
                    self._run(partial(subscriber.refresh, changes))
            self._tick()
        self._forget_if_unused()

    def _goes_on_working(self) -> bool:
        with self._condition:
            if not self._has_work():
                # Once: what arrives meanwhile may be due before the pause is over.
                self._condition.wait(self._pause())
            if self._tasks or self._is_watched():
                return True
            self._worker = None
            self._is_reading_wanted = False
            self._condition.notify_all()
            return False

    def _is_watched(self) -> bool:
        return any(s.is_watched() for s in self._subscribers)

    def _has_work(self) -> bool:
        # Called with the condition held.
        if self._tasks or not self._is_watched():
            return True
        return bool(self._changes) and self._repaint_in() <= 0

    def _repaint_in(self) -> float:
        return self._last_repaint + REPAINT_INTERVAL - self.clock()

    def _pause(self) -> float:
        # Called with the condition held.
        pause = self._repaint_in() if self._changes else 1.0
        for subscriber in self._subscribers:
            # One that nobody watches is never ticked: its time stays in the past.
            due = subscriber.due_at() if subscriber.is_watched() else None
            if due is not None:
                pause = min(pause, due - self.clock())
        return max(0.0, min(pause, 1.0))

    def _due_changes(self) -> Changes | None:
        # Called with the condition held.
        if not self._changes or self._repaint_in() > 0:
            return None
        changes, self._changes = self._changes, Changes()
        self._last_repaint = self.clock()
        return changes

    def _watched(self) -> list[Subscriber]:
        with self._condition:
            return [s for s in self._subscribers if s.is_watched()]

    def _tick(self) -> None:
        now = self.clock()
        for subscriber in self._watched():
            due = subscriber.due_at()
            if due is not None and due <= now:
                self._run(subscriber.tick)

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:  # a thread has no caller to raise to
            logger.exception("A panel failed to update")
