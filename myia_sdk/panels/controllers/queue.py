"""The queue as a whole: counts, throughput, workers, limits, schedulers, server."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.panels.controllers.schedulers import SchedulerActions, scheduler_row
from myia_sdk.panels.jobs.rows import to_ms
from myia_sdk.panels.live.controller import number_of
from myia_sdk.panels.permissions import Action
from myia_sdk.queue.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.panels.live import Controller, Event, Handler
    from myia_sdk.queue.jobs import Metrics
    from myia_sdk.queue.wire import ServerInfo

#: Minutes of throughput shown.
MINUTES = 60
#: Workers, limits and the server's figures have no events; they are looked at again
#: after this many seconds.
SLOW_SECONDS = 10.0
#: A worker whose heartbeat is older than this may hang, milliseconds.
SILENT_MS = 60_000


class QueueFacts:
    """What panels show of the queue, and the settings they change.

    Parameters
    ----------
    controller : Controller
        Tells, and holds the permissions.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._connection = controller.connection
        self._looked_at = -1e9
        self.counts: dict[str, int] = {state.value: 0 for state in JobState}
        self._is_paused = False
        self._oldest_waiting_at: int | None = None
        self._concurrency: int | None = None
        self._rate_limit: dict[str, int] | None = None
        self._throughput = {"completed": [0] * MINUTES, "failed": [0] * MINUTES}
        self._workers: list[dict[str, Any]] = []
        self._schedulers: list[dict[str, Any]] = []
        self._server: dict[str, Any] | None = None
        self._is_open = False
        self._scheduler_actions = SchedulerActions(
            controller, lambda: self.load_slow(is_forced=True)
        )

    def load(self) -> None:
        """Load what changes with every job."""
        store = self._connection.queue
        counts = store.counts()
        self.counts = {state.value: counts.get(state, 0) for state in JobState}
        self._is_paused = store.is_paused()
        self._oldest_waiting_at = None
        if self.counts[JobState.WAITING]:
            first = store.page(JobState.WAITING, 0, 0, newest_first=False)
            if first:
                self._oldest_waiting_at = to_ms(first[0].created_at)

    def load_slow(self, *, is_forced: bool = False) -> None:
        """Load what has no events, not oftener than every ten seconds."""
        if not is_forced and time.monotonic() - self._looked_at < SLOW_SECONDS:
            return
        self._looked_at = time.monotonic()
        administration = self._connection.administration
        self._concurrency = administration.concurrency()
        limit = administration.rate_limit()
        self._rate_limit = limit and {
            "maximum": limit.maximum,
            "duration": round(limit.duration.total_seconds() * 1000),
        }
        self._load_workers()
        for state in (JobState.COMPLETED, JobState.FAILED):
            metrics = administration.metrics(state)
            self._throughput[state.value] = by_minute(
                metrics, self._controller.now_ms()
            )
        if self._is_open:
            self._load_open()

    def _load_workers(self) -> None:
        now = self._controller.now_ms()
        beats = self._connection.administration.beats()
        self._workers = [
            {
                "id": worker.client_id,
                "name": worker.name or worker.address,
                "address": worker.address,
                **last_beat(beats.get(worker.name or "", {}), now),
                "since": moment_ago(worker.connected_for, now),
            }
            for worker in self._connection.administration.workers()
        ]

    def _load_open(self) -> None:
        info = self._connection.administration.info()
        self._server = server_row(info, self._controller.now_ms())
        self._schedulers = [
            scheduler_row(scheduler) for scheduler in self._connection.scheduling.list()
        ]

    def to_record(self) -> dict[str, Any]:
        """Return the JSON that panel.js shows; no I/O."""
        return {
            "queue": {
                "name": self._connection.queue.queue,
                "environment": self._connection.settings.myia_profile,
                "is_paused": self._is_paused,
                "oldest_waiting_at": self._oldest_waiting_at,
                "concurrency": self._concurrency,
                "rate_limit": self._rate_limit,
            },
            "counts": dict(self.counts),
            "throughput": {name: list(v) for name, v in self._throughput.items()},
            "workers": self._workers,
            "schedulers": self._schedulers,
            "server": self._server,
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        administration = self._connection.administration
        return {
            Action.PAUSE: lambda _: self._set(Action.PAUSE, administration.pause),
            Action.RESUME: lambda _: self._set(Action.RESUME, administration.resume),
            Action.CONCURRENCY: self._on_concurrency,
            Action.RATE_LIMIT: self._on_rate_limit,
            **self._scheduler_actions.handlers(),
            "queue_details": self._on_queue_details,
        }

    def _set(self, action: Action, change: Callable[[], object]) -> None:
        self._controller.permissions.check(action)
        change()
        self._controller.notify("done", self._controller.say(f"done.{action.value}"))
        self.load()
        self.load_slow(is_forced=True)

    def _on_concurrency(self, event: Event) -> None:
        wanted = event.get("concurrency")
        count = (
            None if wanted is None else int(number_of(event, "concurrency", 1, 100_000))
        )
        administration = self._connection.administration
        self._set(Action.CONCURRENCY, lambda: administration.set_concurrency(count))

    def _on_rate_limit(self, event: Event) -> None:
        administration = self._connection.administration
        if event.get("maximum") is None:
            self._set(Action.RATE_LIMIT, lambda: administration.set_rate_limit(None))
            return
        maximum = int(number_of(event, "maximum", 1, 1_000_000))
        seconds = number_of(event, "seconds", 0.001, 86_400)
        self._set(
            Action.RATE_LIMIT,
            lambda: administration.set_rate_limit(maximum, timedelta(seconds=seconds)),
        )

    def _on_queue_details(self, event: Event) -> None:
        self._is_open = event.get("is_open") is True
        self.load_slow(is_forced=True)


def moment_ago(age: timedelta, now_ms: int) -> int:
    """Return when something began that is `age` old, epoch milliseconds.

    Rounded to ten seconds: a difference of two clocks changes at every look.
    """
    return round((now_ms - age / timedelta(milliseconds=1)) / 10_000) * 10_000


def server_row(info: ServerInfo, now_ms: int) -> dict[str, Any]:
    """Return what the server tells about itself, rounded so that it rarely changes.

    Parameters
    ----------
    info : ServerInfo
        What it told; sizes in bytes.
    now_ms : int
        The time now, epoch milliseconds.
    """
    return {
        "version": f"{info.product} {info.version}".strip(),
        "mode": info.mode,
        "os": info.os,
        "started_at": moment_ago(info.uptime, now_ms),
        "memory": round(info.used_memory, -5),
        "peak": round(info.used_memory_peak, -5),
        "limit": info.max_memory,
        "fragmentation": round(info.fragmentation_ratio, 1),
        "clients": info.connected_clients,
        "blocked": info.blocked_clients,
        "policy": info.eviction_policy,
        "is_evicting": info.is_evicting,
        "is_persistence_healthy": info.is_persistence_healthy,
    }


def last_beat(beat: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Return what a worker last told about itself.

    Parameters
    ----------
    beat : mapping
        The worker's heartbeat; other clients' workers have none.
    now_ms : int
        The time now, epoch milliseconds.

    Returns
    -------
    dict
        ``running`` and ``slots`` (None when unknown), ``is_silent``.
    """
    try:
        running, slots = len(beat.get("running", ())), beat.get("slots")
        age = now_ms - int(beat["beat"])
    except (ValueError, TypeError, AttributeError, KeyError):
        return {"running": None, "slots": None, "is_silent": False}
    return {"running": running, "slots": slots, "is_silent": age > SILENT_MS}


def by_minute(metrics: Metrics, now_ms: int) -> list[int]:
    """Return jobs ended in each of the last full minutes, oldest first.

    Parameters
    ----------
    metrics : Metrics
        What the queue counted.
    now_ms : int
        The time now, epoch milliseconds.
    """
    last = now_ms // 60_000
    counts = [0] * MINUTES
    for point in metrics.points:
        age = last - int(point.minute_at.timestamp()) // 60
        if 0 <= age < MINUTES:
            counts[MINUTES - 1 - age] += point.jobs
    return counts
