"""BullConsumer: what ``huey_consumer`` runs for a BullHuey.

Slots are threads that claim jobs, one at a time at the marker, and see each through
its sandbox child. A supervisor thread renews leases, looks for stalled jobs and for
cancels, and sends progress and logs. All waits on Redis are bounded.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from huey.constants import WORKER_GREENLET, WORKER_PROCESS, WORKER_THREAD
from huey.consumer import Consumer, Worker, WorkerRecycle

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.consumer.attempt import TaskRunner
from myia_sdk.queue.consumer.claim import TURN_SECONDS, ClaimLoop
from myia_sdk.queue.consumer.doorbell import Doorbell
from myia_sdk.queue.consumer.ending import Endings
from myia_sdk.queue.consumer.leases import Leases, StopCause
from myia_sdk.queue.consumer.slot import Executor
from myia_sdk.queue.consumer.supervision import Supervisor
from myia_sdk.queue.huey.periodic import register_periodic
from myia_sdk.queue.sandbox.processes import PR_SET_DUMPABLE, set_process_flag
from myia_sdk.queue.sandbox.sandbox import Sandbox
from myia_sdk.queue.store import JobSchedulers, QueueAdministration
from myia_sdk.queue.wire import Outage

if TYPE_CHECKING:
    from types import FrameType

    from myia_sdk.queue.huey.hueyqueue import HueyQueue

logger = logging.getLogger("huey.consumer")

#: Time that running jobs have to end after a signal when Huey's ``-t`` is not given,
#: seconds: below the 30 s after which Kubernetes kills.
DEFAULT_GRACE_SECONDS = 25.0
#: Time for killed jobs to go back in line, seconds.
RETURN_SECONDS = 3.0
#: A claim loop that has not come round for this long is not alive, seconds.
STALE_SECONDS = 15.0
#: Entry point of every child.
PRELOAD = "myia_sdk.queue.huey.tasks"


class Slot(Worker):
    """One place of a worker: runs one job at a time."""

    def __init__(
        self,
        *,
        claims: ClaimLoop,
        executor: Executor,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._claims = claims
        self._executor = executor

    def loop(self, now: object = None) -> None:
        """Take one job and see it through (Huey's hook)."""
        entry = self._claims.next()
        if entry is None:
            return
        try:
            self._executor.run(entry)
        except Exception:
            logger.exception("The end of job %s was not stored.", entry.job.id)
        finally:
            self._claims.leases.end(entry)
        self._claims.free_slot()
        self.task_count += 1
        if self.max_tasks and self.task_count >= self.max_tasks:
            raise WorkerRecycle


class Idle:
    """Stands where Huey has its scheduler: due jobs are promoted by every claim."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def initialize(self) -> None:
        """Nothing to prepare."""

    def loop(self) -> None:
        """Wait for the end."""
        self._stop.wait()

    def shutdown(self) -> None:
        """Nothing to put away."""


class BullConsumer(Consumer):
    """The worker process of a BullHuey.

    Takes the options of Huey's consumer; ``huey_consumer`` creates it.

    Parameters
    ----------
    huey : HueyQueue
        The queue and its tasks.
    workers : int, default 1
        Slots: jobs that run at the same time.
    worker_type : {"thread", "process"}
        ``process`` also runs tasks with ``isolate=False`` in children.
    shutdown_timeout : float, optional
        Seconds that running jobs have after a signal; 25 by default.
    **options
        As Huey's consumer.

    Raises
    ------
    ConfigurationError
        The worker type is ``greenlet``.
    """

    def __init__(self, huey: HueyQueue, **options: Any) -> None:
        if options.get("worker_type") in {WORKER_GREENLET, "gevent"}:
            raise ConfigurationError(
                "BullHuey has no greenlet workers: each task runs in a process of its "
                "own. Use -k thread (the default) or -k process."
            )
        self.huey = huey
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:4]}"
        self._isolates_all = options.get("worker_type") == WORKER_PROCESS
        options["worker_type"] = WORKER_THREAD
        self._hard_stop = threading.Event()
        self._signals_seen = 0
        self._last_signal = 0
        self._is_restarting = False
        self._prepare()
        super().__init__(huey, **options)
        self._supervisor = Supervisor(
            huey,
            self.leases,
            self.outage,
            self.name,
            setup=[self.doorbell.announce, self.register_periodic],
            beat=self._living_beat,
        )
        self._claims.stop = self.stop_flag

    def _prepare(self) -> None:
        """Build what slots need before Huey's constructor creates them."""
        huey = self.huey
        self.store = huey.store
        self.administration = QueueAdministration(self.store)
        self.schedulers = JobSchedulers(self.store)
        self.outage = Outage()
        self.leases = Leases(self.store, self.administration, huey.lease)
        self.doorbell = Doorbell(self.store, self.name)
        self.sandbox = Sandbox(
            [PRELOAD, *huey.preload, *self._isolated_modules()],
            huey.limits,
            allowed_environment=huey.allowed_environment,
        )
        self._announced = dict(huey.announce())
        self._claims = ClaimLoop(
            self.store,
            self.leases,
            self.doorbell,
            self.outage,
            self.name,
            huey,
            threading.Event(),
        )
        self._executor = Executor(
            huey=huey,
            runner=TaskRunner(huey, self.sandbox, isolates_all=self._isolates_all),
            endings=Endings(huey, self.outage, self._hard_stop),
            schedulers=self.schedulers,
        )

    def _isolated_modules(self) -> list[str]:
        known = self.huey._registry._registry.values()
        return [
            task_class.bull_function.__module__
            for task_class in known
            if self._isolates_all or task_class.bull.is_isolated
        ]

    def _create_worker(self) -> Slot:
        return Slot(
            huey=self.huey,
            stop_flag=self.stop_flag,
            default_delay=self.default_delay,
            max_delay=self.max_delay,
            backoff=self.backoff,
            max_tasks=self.max_tasks,
            claims=self._claims,
            executor=self._executor,
        )

    def _create_scheduler(self) -> Idle:
        return Idle(self.stop_flag)

    def start(self) -> None:
        """Start slots and supervision, and return; `stop` ends them."""
        if not self.huey.immediate:
            if self._isolated_modules():
                for failure in self.sandbox.start():
                    logger.warning("Could not be preloaded: %s", failure)
            self._supervisor.start()
        super().start()

    def register_periodic(self) -> None:
        """Create the schedulers of the periodic tasks, unless ``-n`` was given."""
        if self.periodic:
            register_periodic(self.huey, self.schedulers)

    def stop(self, graceful: bool = False) -> None:
        """Stop claiming; let running jobs end, or put them back in line.

        Parameters
        ----------
        graceful : bool
            Wait for running jobs, as long as the grace time allows.
        """
        self.stop_flag.set()
        self.doorbell.close()
        if graceful:
            logger.info("Shutting down: %d jobs still run.", len(self.leases.running))
            self._await_jobs(self._grace)
        if self.leases.running:
            logger.warning("Putting back %d jobs.", len(self.leases.running))
        self.leases.halt_all(StopCause.SHUTDOWN)
        self._join(time.monotonic() + RETURN_SECONDS)
        self._put_back_rest()
        self._hard_stop.set()
        self._supervisor.stop()
        self.sandbox.close()
        logger.info("Shut down.")

    @property
    def _grace(self) -> float:
        given = self.shutdown_timeout
        return DEFAULT_GRACE_SECONDS if given is None else float(given)

    def _await_jobs(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        # The first one began this; a second may have come before it was begun.
        before = min(self._signals_seen, 1)
        while self.leases.running and time.monotonic() < deadline:
            if self._signals_seen > before:
                logger.warning("Second signal: stopping now.")
                return
            time.sleep(0.05)

    def _join(self, deadline: float) -> None:
        threads = [thread for _, thread in self.worker_threads]
        while any(t.is_alive() for t in threads) and time.monotonic() < deadline:
            # A slot may have begun to wait after the last time.
            self.doorbell.close()
            for thread in threads:
                thread.join(TURN_SECONDS / len(threads))

    def _put_back_rest(self) -> None:
        """Give back what a slot's thread still runs; its own end will be refused."""
        for entry in self.leases.running:
            try:
                self.store.put_back(entry.job.id, entry.token)
            except QueueError as exc:
                # Each try may take long; the leases run out by themselves.
                logger.warning("Jobs were not put back: %s", exc)
                return

    def _set_signal_handlers(self) -> None:
        """Leave the signals of whoever calls `start` alone; `run` takes them."""

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle_signal)

    def _handle_signal(self, signum: int, frame: FrameType | None) -> None:
        self._signals_seen += 1
        self._last_signal = signum
        self._is_restarting = signum == signal.SIGHUP

    def run(self) -> None:
        """Run until a signal (Huey's method, called by ``huey_consumer``)."""
        self._take_signals()
        # Model code runs under the same user: it must not read this process's
        # environment and memory, where the passwords are. Debuggers cannot either.
        set_process_flag(PR_SET_DUMPABLE, 0)
        self.start()
        checked = time.monotonic()
        while not self.stop_flag.wait(self._stop_flag_timeout):
            if self._signals_seen:
                logger.info("Received %s.", signal.Signals(self._last_signal).name)
                break
            if self._health_check and (
                time.monotonic() >= checked + self._health_check_interval
            ):
                checked = time.monotonic()
                self.check_worker_health()
        self.stop(graceful=True)
        if self._is_restarting:
            logger.info("The worker starts again.")
            os.execl(sys.executable, sys.executable, *sys.argv)  # noqa: S606  # as Huey does

    def health(self) -> dict[str, Any]:
        """Tell how the worker is; cheap and without I/O.

        Returns
        -------
        dict
            ``is_alive``, ``worker``, ``slots``, ``running`` (ids), ``is_redis_up``,
            ``seconds_since_claim`` (of the claim loop; None while every slot is
            busy), ``is_stopping``.
        """
        running = [entry.job.id for entry in self.leases.running]
        is_busy = len(running) >= self.workers
        age = time.monotonic() - self._claims.last_beat
        is_redis_up = not self.outage.is_on
        return {
            "is_alive": is_redis_up and (is_busy or age < STALE_SECONDS),
            "worker": self.name,
            "slots": self.workers,
            "running": running,
            "is_redis_up": is_redis_up,
            "seconds_since_claim": None if is_busy else round(age, 1),
            "is_stopping": self.stop_flag.is_set(),
        }

    def _living_beat(self) -> str | None:
        return self.beat() if self.health()["is_alive"] else None

    def beat(self) -> str:
        """Return what other processes are told about this worker, as JSON."""
        return json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "slots": self.workers,
                "running": [entry.job.id for entry in self.leases.running],
                "beat": self.store.clock(),
                **self._announced,
            }
        )
