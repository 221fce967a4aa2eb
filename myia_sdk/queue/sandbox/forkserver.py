"""The pre-warmed process that forks one child for each job.

Run as ``python -m myia_sdk.queue.sandbox.forkserver <control fd> <consumer pid>``. It
has imported what the tasks need, holds no queue connection, and its environment was
scrubbed before it started. It is a child subreaper: whatever a job leaves behind
becomes its child and is killed. When the consumer dies, everything dies.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
import types
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from myia_sdk.queue.sandbox import child, processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: How often the death of the consumer is looked for besides the closed socket,
#: milliseconds: a fork of the consumer may hold the socket open.
PARENT_WATCH_MS = 1000
#: How often the processes of jobs are counted, seconds: half a millisecond each.
COUNT_SECONDS = 1.0
#: How often it is looked whether the system has many more than at the last count.
GLANCE_SECONDS = 0.1
MAX_MESSAGE_BYTES = 256 * 1024
#: Sent by the consumer to end a job's process tree at once.
KILL = b"kill"


class ForkServer:
    """Fork, watch, kill and reap; single-threaded, so that a fork is safe.

    Parameters
    ----------
    control : socket.socket
        Takes one message a job: limits, and three file descriptors (the child's
        channel, its output pipe, and the socket on which its fate is reported).
    consumer : int
        Process id of the consumer; its death ends this process.
    """

    def __init__(self, control: socket.socket, consumer: int) -> None:
        self._control = control
        self._consumer = consumer
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._fates: dict[int, socket.socket] = {}
        self._by_descriptor: dict[int, int] = {}
        #: Processes and threads that a child's tree may have, by its process id.
        self._allowed: dict[int, int] = {}
        self._crowded: set[int] = set()
        self._glanced = self._counted = 0.0
        self._in_system = 0

    def serve(self) -> None:
        """Serve until the consumer is gone, then kill every job's tree."""
        processes.set_process_flag(processes.PR_SET_CHILD_SUBREAPER, 1)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        try:
            while os.getppid() == self._consumer and self._serve_once():
                pass
        finally:
            for pid in list(self._fates):
                processes.kill_tree(pid)
            self._kill_orphans()

    def _serve_once(self) -> bool:
        wait = GLANCE_SECONDS * 1000 if self._allowed else PARENT_WATCH_MS
        for descriptor, _ in self._poll.poll(wait):
            if descriptor == self._control.fileno():
                if not self._accept():
                    return False
            elif descriptor == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._obey(descriptor)
        self._reap()
        self._count()
        return True

    def _count(self) -> None:
        """Kill the trees that have grown too large."""
        now = time.monotonic()
        if not self._allowed or now < self._glanced + GLANCE_SECONDS:
            return
        self._glanced = now
        in_system = processes.threads_of_system()
        has_grown = in_system > self._in_system + min(self._allowed.values()) / 4
        if not has_grown and now < self._counted + COUNT_SECONDS:
            return
        self._counted, self._in_system = now, in_system
        for pid, allowed in self._allowed.items():
            if processes.tree_size(pid, allowed) > allowed:
                self._crowded.add(pid)
                processes.kill_tree(pid)

    def _accept(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(
            self._control, MAX_MESSAGE_BYTES, 3
        )
        if not message:
            return False
        line, output, fate = descriptors
        self._fork(
            json.loads(message),
            socket.socket(fileno=line),
            output,
            socket.socket(fileno=fate),
        )
        return True

    def _fork(
        self,
        limits: Mapping[str, Any],
        line: socket.socket,
        output: int,
        fate: socket.socket,
    ) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as exc:
            report(fate, error=f"no child could be forked: {exc}")
            fate.close()
        else:
            if pid == 0:
                fate.close()
                self._become_child(line, output, limits, parent)
            self._fates[pid] = fate
            self._by_descriptor[fate.fileno()] = pid
            self._poll.register(fate, select.POLLIN)
            if limits["processes"] is not None:
                self._allowed[pid] = limits["processes"]
            report(fate, pid=pid)
        line.close()
        os.close(output)

    def _become_child(
        self, line: socket.socket, output: int, limits: Mapping[str, Any], parent: int
    ) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            self._control.close()
            for other in self._fates.values():
                other.close()
            for descriptor in (self._wake_read, self._wake_write):
                os.close(descriptor)
            child.run(line, output, limits, parent)
        finally:
            os._exit(1)

    def _obey(self, descriptor: int) -> None:
        pid = self._by_descriptor.get(descriptor)
        if pid is None:
            return
        fate = self._fates[pid]
        try:
            order = fate.recv(64)
        except OSError:
            order = b""
        if not order:
            self._poll.unregister(fate)
        processes.kill_tree(pid)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            fate = self._fates.pop(pid, None)
            if fate is None:
                continue
            self._kill_orphans()
            self._by_descriptor.pop(fate.fileno(), None)
            with contextlib.suppress(KeyError, ValueError):
                self._poll.unregister(fate)
            allowed = self._allowed.pop(pid, None)
            report(
                fate,
                status=status,
                max_rss=usage.ru_maxrss * 1024,
                crowded_beyond=allowed if pid in self._crowded else None,
            )
            self._crowded.discard(pid)
            fate.close()

    def _kill_orphans(self) -> None:
        """Kill what dead jobs left: children of ours that we never forked."""
        own = os.getpid()
        for _ in range(processes.MAX_ROUNDS):
            orphans = processes.children_of(own) - self._fates.keys()
            alive = {pid for pid in orphans if not self._is_reaped(pid)}
            if not alive:
                return
            for pid in alive:
                processes.kill_tree(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    @staticmethod
    def _is_reaped(pid: int) -> bool:
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return True


def report(fate: socket.socket, **fields: object) -> None:
    """Send one message about a child; the consumer may have lost interest."""
    with contextlib.suppress(OSError):
        fate.send(json.dumps(fields).encode())


def preload(modules: Iterable[str], main_path: str | None) -> list[str]:
    """Import what the jobs will need; return what could not be imported.

    A module that fails here is imported again by the child of the job that needs
    it, whose attempt then fails with the reason.
    """
    failures = []
    if main_path is not None:
        main = types.ModuleType("__mp_main__")
        content = runpy.run_path(main_path, run_name="__mp_main__")
        main.__dict__.update(content)
        sys.modules["__mp_main__"] = sys.modules["__main__"] = main
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as exc:  # noqa: BLE001  # user code at import
            failures.append(f"{name}: {type(exc).__name__}: {exc}")
    return failures


def main() -> None:
    """Start as the fork server: settings first, then the loop."""
    descriptor, consumer = int(sys.argv[1]), int(sys.argv[2])
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    start = json.loads(control.recv(MAX_MESSAGE_BYTES) or b"{}")
    sys.path[:] = start.get("path", sys.path)
    failures = preload(start.get("preload", ()), start.get("main_path"))
    # A native thread pool of a preloaded library must not fill the job's log.
    warnings.filterwarnings("ignore", r".*fork\(\)", DeprecationWarning)
    gc.collect()
    gc.freeze()
    report(control, ready=True, failures=failures)
    ForkServer(control, consumer).serve()


if __name__ == "__main__":
    main()
