"""What runs inside the sandbox child: set-up, the function, its outcome as JSON.

The process has no queue credentials. It speaks to the consumer through one socket
(:mod:`myia_sdk.queue.sandbox.channel`); file descriptors 1 and 2 are a pipe whose text
becomes the job's log.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import os
import random
import resource
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from myia_sdk.errors import QueueError
from myia_sdk.queue.sandbox import channel, processes
from myia_sdk.queue.sandbox.current import MAX_PROGRESS_BYTES, CurrentJob, adopt_process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

#: The kernel's memory killer takes the job before the consumer (range -1000..1000).
OOM_SCORE = 500
#: A reason is a sentence, not a dump: longer messages are cut.
MAX_MESSAGE_CHARACTERS = 8 * 1024
MAX_TRACEBACK_CHARACTERS = 32 * 1024
#: What a frame adds to the value it carries.
ENVELOPE_BYTES = 256
#: The consumer's frames are trusted; this only bounds a broken length.
MAX_REQUEST_BYTES = 1 << 30


class RemoteFaultError(QueueError):
    """A call to the consumer was refused.

    Parameters
    ----------
    type_name : str
        Name of the exception the consumer raised.
    message : str
        Its message.
    details : mapping
        Facts that rebuild it, for the types both sides know.
    """

    def __init__(
        self, type_name: str, message: str, details: Mapping[str, Any]
    ) -> None:
        self.type_name = type_name
        self.details = details
        super().__init__(f"{type_name}: {message}")


class ChildChannel:
    """The child's end of the socket: reports, calls, and the one final frame."""

    def __init__(self, sock: socket.socket, result_limit: int) -> None:
        self._socket = sock
        self.result_limit = result_limit
        self._owner = os.getpid()
        self._send_lock = threading.Lock()
        self._call_lock = threading.Lock()
        self._reader = channel.FrameReader(MAX_REQUEST_BYTES)
        self._frames: list[dict[str, Any]] = []

    @property
    def is_owner(self) -> bool:
        """False in a process that the job forked: frames must not mix."""
        return os.getpid() == self._owner

    def receive(self) -> dict[str, Any]:
        """Wait for the next frame of the consumer."""
        while not self._frames:
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                os._exit(1)
            self._frames.extend(self._reader.feed(chunk))
        return self._frames.pop(0)

    def send(self, kind: str, **fields: object) -> None:
        """Send one frame."""
        frame = channel.encode_frame(kind, **fields)
        with self._send_lock:
            self._socket.sendall(frame)

    def progress(self, value: object) -> None:
        """Send a progress value; refuse one that is too large or not JSON."""
        text = channel.dump_json(value)
        if len(text) > MAX_PROGRESS_BYTES:
            raise ValueError(
                f"A progress value of {len(text):,} bytes is over the limit of "
                f"{MAX_PROGRESS_BYTES:,}; report a summary."
            )
        if self.is_owner:
            self.send("progress", value=value)

    def log(self, text: str) -> None:
        """Send lines for the log."""
        if self.is_owner:
            self.send("log", lines=text.splitlines() or [""])
        else:
            sys.stdout.write(f"{text}\n")

    def call(self, method: str, **arguments: object) -> Any:
        """Ask the consumer for something that needs the queue, and wait for it.

        Raises
        ------
        RemoteFaultError
            The consumer refused or failed.
        """
        if not self.is_owner:
            raise QueueError(
                f"{method} needs the worker, and a process that the job forked "
                "cannot reach it; call it from the job's own process."
            )
        with self._call_lock:
            self.send("call", method=method, arguments=arguments)
            reply = self.receive()
        if reply["kind"] == "fault":
            raise RemoteFaultError(reply["type"], reply["message"], reply["details"])
        return reply["value"]

    def send_result(self, value: object) -> None:
        """Send the return value, or the reason why it cannot be sent."""
        try:
            frame = channel.encode_frame("result", value=value)
        except (TypeError, ValueError, RecursionError) as exc:
            self.send(
                "error",
                **error_record(
                    exc,
                    message="The return value cannot be sent as JSON "
                    f"({type(value).__name__}): {safe_text(exc)}",
                ),
            )
            return
        if len(frame) > self.result_limit + ENVELOPE_BYTES:
            self.send(
                "error",
                type="ResultTooLargeError",
                message=f"The return value ({type(value).__name__}) takes "
                f"{len(frame):,} bytes of JSON, more than the limit of "
                f"{self.result_limit:,}; return a reference instead.",
                traceback="",
                is_unrecoverable=False,
                category=None,
            )
            return
        with self._send_lock:
            self._socket.sendall(frame)


_channels: list[ChildChannel] = []


def current_channel() -> ChildChannel | None:
    """Return the way to the consumer, or None outside a sandbox child."""
    return _channels[-1] if _channels else None


def safe_text(value: object) -> str:
    """Return ``str(value)`` also when ``__str__`` raises."""
    try:
        text = str(value)
    except BaseException as exc:  # noqa: BLE001  # user code; the job's boundary
        text = f"<__str__ of {type(value).__name__} raised {type(exc).__name__}>"
    if len(text) > MAX_MESSAGE_CHARACTERS:
        text = f"{text[:MAX_MESSAGE_CHARACTERS]}... ({len(text):,} characters)"
    return text


def safe_traceback(exc: BaseException) -> str:
    """Return the text of a traceback; the end of it when it is very long."""
    try:
        text = "".join(traceback.format_exception(exc))
    except BaseException:  # noqa: BLE001  # user code; the job's boundary
        text = "".join(traceback.format_tb(exc.__traceback__))
    return text[-MAX_TRACEBACK_CHARACTERS:]


def error_record(exc: BaseException, message: str | None = None) -> dict[str, Any]:
    """Return an exception as plain values, whatever the exception does."""
    category = safe_attribute(exc, "category")
    return {
        "type": type(exc).__name__,
        "message": safe_text(exc) if message is None else message,
        "traceback": safe_traceback(exc),
        "is_unrecoverable": safe_attribute(exc, "unrecoverable") is True,
        "category": None if category is None else safe_text(category),
    }


def safe_attribute(exc: BaseException, name: str) -> object:
    """Return an attribute of an exception, None when reading it raises."""
    try:
        return getattr(exc, name, None)
    except BaseException:  # noqa: BLE001  # user code; the job's boundary
        return None


def resolve(reference: str) -> Callable[..., Any]:
    """Import ``package.module:name.attribute``.

    Raises
    ------
    ImportError, AttributeError
        There is no such thing.
    """
    module, _, path = reference.partition(":")
    if module == "__main__" and "__mp_main__" in sys.modules:
        module = "__mp_main__"
    found: Any = functools.reduce(
        getattr, path.split("."), importlib.import_module(module)
    )
    if not callable(found):
        raise TypeError(f"{reference} is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function


def run(
    sock: socket.socket, output: int, limits: Mapping[str, Any], parent: int
) -> NoReturn:
    """Be the child: set up, receive the request, run it, report, end.

    Parameters
    ----------
    sock : socket.socket
        The channel to the consumer.
    output : int
        File descriptor that takes what the job prints.
    limits : mapping of str to int
        The record of :class:`myia_sdk.queue.sandbox.sandbox.Limits`.
    parent : int
        Process id of the fork server, to notice that it died during the fork.
    """
    owner = os.getpid()
    try:
        _confine(output, limits, parent)
        line = ChildChannel(sock, limits["result_bytes"])
        _channels.append(line)
        request = line.receive()
        os.environ.update(request["environment"])
        job = CurrentJob(reporter=line, **request["job"])
        adopt_process(job)
        _run_request(line, request)
    finally:
        with contextlib.suppress(BaseException):
            _flush()
        os._exit(0 if os.getpid() == owner else 1)


def _run_request(line: ChildChannel, request: Mapping[str, Any]) -> None:
    try:
        function = resolve(request["reference"])
        value = function(*request["arguments"], **request["keywords"])
    except BaseException as exc:  # noqa: BLE001  # the job's boundary
        if line.is_owner:
            line.send("error", **error_record(exc))
    else:
        _flush()
        if line.is_owner:
            line.send_result(value)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _confine(output: int, limits: Mapping[str, Any], parent: int) -> None:
    os.setsid()
    processes.set_process_flag(processes.PR_SET_PDEATHSIG, signal.SIGKILL)
    processes.set_process_flag(processes.PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _redirect(output)
    _limit_resources(limits)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123  # one write, no Path needed
        score.write(str(OOM_SCORE))
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _redirect(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = open(  # noqa: SIM115  # lives as long as the process
            descriptor,
            "w",
            buffering=1,
            encoding="utf-8",
            errors="backslashreplace",
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    faulthandler.enable(file=2)


def _limit_resources(limits: Mapping[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chosen = {
        resource.RLIMIT_AS: limits.get("memory_bytes"),
        resource.RLIMIT_CPU: limits.get("cpu_seconds"),
        resource.RLIMIT_FSIZE: limits.get("file_bytes"),
        resource.RLIMIT_NOFILE: limits.get("open_files"),
    }
    for name, value in chosen.items():
        if value is None:
            continue
        # At the hard CPU limit the kernel sends SIGKILL, which names nothing.
        wanted = value + 1 if name == resource.RLIMIT_CPU else value
        _, hard = resource.getrlimit(name)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(name, (min(value, most), most))
