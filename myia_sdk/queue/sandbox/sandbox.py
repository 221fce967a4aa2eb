"""Run one function in a fresh child process that can be stopped, bounded, survived.

A :class:`Sandbox` owns a fork server (module :mod:`.forkserver`) that has imported
 what the functions need; each run forks from it, so a child starts within
tens of milliseconds and dies with the consumer. Linux only.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from myia_sdk.errors import ConfigurationError, QueueError
from myia_sdk.queue.sandbox import processes
from myia_sdk.queue.sandbox.run import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from myia_sdk.queue.sandbox.outcome import Outcome

logger = logging.getLogger(__name__)

#: Importing scikit-learn, pandas and the like takes seconds on a busy machine.
START_TIMEOUT_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use. None means: as much as the consumer itself.

    Examples
    --------
    >>> Limits(memory_bytes=2 << 30).result_bytes
    4194304
    """

    #: Address space, bytes (RLIMIT_AS). Reserved memory counts, not only used.
    memory_bytes: int | None = None
    #: CPU time of the child, seconds (RLIMIT_CPU).
    cpu_seconds: int | None = None
    #: Greatest size of a file the child writes, bytes (RLIMIT_FSIZE).
    file_bytes: int | None = None
    #: Open file descriptors (RLIMIT_NOFILE).
    open_files: int | None = None
    #: Processes and threads of the run at once. No certification uses as many; a fork
    #: bomb would fill the host's process table (32,768 by default) within seconds.
    processes: int | None = 2000
    #: Return value as JSON, bytes. Larger content belongs into an artifact store.
    result_bytes: int = 4 << 20
    #: Log and captured output of one attempt, lines; more are counted and dropped.
    log_lines: int = 2000
    #: The same in bytes of text.
    log_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value <= 0:
                raise ConfigurationError(
                    f"Sandbox limit {name}={value!r} must be a positive number"
                    " (or None for no limit)."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIdentity:
    """What the child may know about the job besides its arguments."""

    id: str = "-"
    name: str = "-"
    #: Number of this attempt, counted from 1.
    attempt: int = 1


@dataclass(slots=True)
class _Server:
    """A running fork server and the socket that commands it."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    is_ready: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stop(self) -> None:
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        processes.kill_tree(self.process.pid)
        self.process.wait()


class Sandbox:
    """Runs functions in children of a pre-warmed fork server.

    Safe to use from several threads; the server starts with the first run.

    Parameters
    ----------
    preload : iterable of str, optional
        Modules that the server imports once, so that children need not.
    limits : Limits, optional
        Bounds of each run.
    allowed_environment : iterable of str, optional
        Names or shell patterns of variables the children may see besides the
        harmless ones; see :mod:`myia_sdk.queue.sandbox.processes`.

    Examples
    --------
    >>> with Sandbox() as sandbox:
    ...     sandbox.run("math:sqrt", [9]).value
    3.0
    """

    def __init__(
        self,
        preload: Iterable[str] = (),
        limits: Limits | None = None,
        *,
        allowed_environment: Iterable[str] = (),
    ) -> None:
        self._preload = tuple(dict.fromkeys(preload))
        self._limits = limits or Limits()
        self._allowed = tuple(allowed_environment)
        self._server: _Server | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def limits(self) -> Limits:
        """The bounds of each run."""
        return self._limits

    @property
    def server_pid(self) -> int | None:
        """Process id of the fork server while it runs."""
        server = self._server
        return None if server is None else server.process.pid

    def run(
        self,
        reference: str,
        arguments: Sequence[object] = (),
        keywords: Mapping[str, object] | None = None,
        *,
        job: JobIdentity | None = None,
        env: Mapping[str, str] | None = None,
        timeout: timedelta | None = None,
        on_progress: Callable[[Any], None] | None = None,
        on_log: Callable[[list[str]], None] | None = None,
        on_call: Callable[[str, Mapping[str, Any]], object] | None = None,
        cancel: threading.Event | None = None,
    ) -> Outcome:
        """Run a function in a fresh child and wait for its outcome.

        Parameters
        ----------
        reference : str
            ``package.module:name`` of the function; never taken from Redis.
        arguments, keywords : sequence and mapping, optional
            JSON values for the call.
        job : JobIdentity, optional
            What ``current_job()`` tells in the child.
        env : mapping of str to str, optional
            Environment of this child only, besides the scrubbed one.
        timeout : timedelta, optional
            Wall-clock time after which the whole process tree is killed.
        on_progress, on_log : callable, optional
            Take progress values, and lines of log or printed output, as they come.
            They run between reads of the pipes and must not block.
        on_call : callable, optional
            Answers ``call(method, arguments)`` of the child, in a thread of its own.
        cancel : threading.Event, optional
            Setting it kills the tree within a fraction of a second.

        Returns
        -------
        Outcome
            Never an exception for what the function did.

        Raises
        ------
        QueueError
            The fork server cannot be started, or the sandbox is closed.
        TypeError, ValueError
            Arguments are not JSON.
        """
        attempt = Attempt(
            reference=reference,
            arguments=list(arguments),
            keywords=dict(keywords or {}),
            job=asdict(job or JobIdentity()),
            environment=dict(env or {}),
            limits=asdict(self._limits),
            timeout=timeout,
            on_progress=on_progress,
            on_log=on_log,
            on_call=on_call,
            cancel=cancel or threading.Event(),
        )
        server = self._ready_server()
        outcome = attempt.run(server.control)
        if outcome.is_sandbox_fault:
            self._discard(server)
        return outcome

    def start(self) -> list[str]:
        """Start the fork server now; return what it could not preload, as texts."""
        return self._wait_ready(self._live_server())

    def close(self) -> None:
        """Stop the fork server; runs that are still going are killed."""
        with self._lock:
            server, self._server = self._server, None
            self._is_closed = True
        if server is not None:
            server.stop()

    def _ready_server(self) -> _Server:
        server = self._live_server()
        for failure in self._wait_ready(server):
            logger.warning("Could not be preloaded: %s", failure)
        return server

    def _live_server(self) -> _Server:
        with self._lock:
            if self._is_closed:
                raise QueueError("The sandbox is closed; create a new one.")
            server = self._server
            if server is None or server.process.poll() is not None:
                if server is not None:
                    server.control.close()
                server = self._server = self._launch()
            return server

    def _discard(self, server: _Server) -> None:
        """Kill a server that does not do its work; the next run starts another."""
        with self._lock:
            if self._server is server:
                self._server = None
        server.kill()
        server.control.close()

    def _launch(self) -> _Server:
        if not sys.platform.startswith("linux"):
            raise ConfigurationError(
                "Tasks run in sandbox children, which need Linux, and this is "
                f"{sys.platform}; run the worker on Linux or in a container, or give "
                "trusted tasks isolate=False."
            )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(START_TIMEOUT_SECONDS)
        command = [sys.executable, "-m", "myia_sdk.queue.sandbox.forkserver"]
        with theirs:
            process = subprocess.Popen(  # noqa: S603  # our own module
                [*command, str(theirs.fileno()), str(os.getpid())],
                env=processes.scrubbed_environment(os.environ, self._allowed),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr if _has_descriptor(sys.stderr) else None,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        start = {
            "path": list(sys.path),
            "preload": [name for name in self._preload if name != "__main__"],
            "main_path": _main_path() if "__main__" in self._preload else None,
        }
        ours.send(json.dumps(start).encode())
        return _Server(process, ours)

    def _wait_ready(self, server: _Server) -> list[str]:
        with server.lock:
            if server.is_ready:
                return []
            try:
                message = server.control.recv(1 << 18)
            except OSError:
                message = b""
            if message:
                server.is_ready = True
                failures: list[str] = json.loads(message)["failures"]
                return failures
        self._discard(server)
        code = server.process.returncode
        raise QueueError(
            "The sandbox's fork server did not start "
            f"({describe_exit(code)}); its last words are on the standard error of "
            "this process. Check the modules it preloads: "
            f"{', '.join(self._preload) or 'none'}."
        )


def describe_exit(code: int) -> str:
    """Tell how a process ended from ``Popen.returncode``."""
    if code < 0:
        return f"killed by {processes.signal_name(-code)}"
    return f"exit code {code}"


def _has_descriptor(stream: object) -> bool:
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _main_path() -> str | None:
    path = getattr(sys.modules["__main__"], "__file__", None)
    return None if path is None else os.path.abspath(path)  # noqa: PTH100
