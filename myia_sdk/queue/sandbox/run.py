"""One run in the sandbox, seen from the consumer: pump the pipes, mind the clock."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.queue.sandbox import channel
from myia_sdk.queue.sandbox.forkserver import KILL
from myia_sdk.queue.sandbox.outcome import Outcome, RemoteError
from myia_sdk.queue.sandbox.output import LogBudget, OutputLines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: How often cancel is looked at, seconds.
TICK_SECONDS = 0.1
#: Time for a child that has reported its result, or closed its socket, to end.
LINGER_SECONDS = 1.0
#: Time for the fork server to fork, or to report a kill, before it counts as stuck;
#: one that merely waits for its turn on a busy machine does not.
SERVER_PATIENCE_SECONDS = 30.0
#: Time to read what is left in the pipes of a dead child.
DRAIN_SECONDS = 0.5
#: A frame is the result plus a little protocol, or a traceback.
FRAME_SLACK_BYTES = 256 * 1024


@dataclass(slots=True, kw_only=True)
class Attempt:
    """The request of one run, and the loop that sees it through."""

    reference: str
    arguments: list[object]
    keywords: dict[str, object]
    job: dict[str, Any]
    environment: dict[str, str]
    limits: dict[str, Any]
    timeout: timedelta | None
    on_progress: Callable[[Any], None] | None
    on_log: Callable[[list[str]], None] | None
    on_call: Callable[[str, Mapping[str, Any]], object] | None
    cancel: threading.Event

    def run(self, control: socket.socket) -> Outcome:
        """Fork through the server's control socket and wait for the end."""
        request = channel.encode_frame(
            "run",
            reference=self.reference,
            arguments=self.arguments,
            keywords=self.keywords,
            job=self.job,
            environment=self.environment,
        )
        line, child_line = socket.socketpair()
        fate, child_fate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, child_output = os.pipe2(os.O_CLOEXEC)
        with line, fate:
            try:
                with child_line, child_fate:
                    descriptors = [child_line.fileno(), child_output]
                    descriptors.append(child_fate.fileno())
                    limits = json.dumps(self.limits).encode()
                    socket.send_fds(control, [limits], descriptors)
            except OSError as exc:
                os.close(output)
                return Outcome(sandbox_fault=f"the fork server is gone: {exc}")
            finally:
                os.close(child_output)
            pump = Pump(self, request, line, fate, output)
            try:
                return pump.run()
            finally:
                os.close(output)


class Pump:
    """Moves bytes between a child and the consumer until the child's end is known."""

    def __init__(
        self,
        attempt: Attempt,
        request: bytes,
        line: socket.socket,
        fate: socket.socket,
        output: int,
    ) -> None:
        self._attempt = attempt
        self._unsent = memoryview(request)
        self._line = line
        self._fate = fate
        self._output = output
        limits = attempt.limits
        self._reader = channel.FrameReader(limits["result_bytes"] + FRAME_SLACK_BYTES)
        self._budget = LogBudget(limits["log_lines"], limits["log_bytes"])
        self._lines = OutputLines()
        self._poll = select.poll()
        self._open = {line.fileno(), fate.fileno(), output}
        self._poll.register(line, select.POLLIN | select.POLLOUT)
        self._poll.register(fate, select.POLLIN)
        self._poll.register(output, select.POLLIN)
        self._is_answering = False
        self._launched = time.monotonic()
        self._forked: float | None = None
        #: What ends the run, once known: fields of Outcome.
        self._verdict: dict[str, Any] | None = None
        self._kill_at: float | None = None
        self._killed_at: float | None = None
        self._status: int | None = None
        self._ended: float | None = None
        self._max_rss = 0

    def run(self) -> Outcome:
        """Pump until the child is dead and its pipes are empty."""
        while not self._is_over():
            # A consumer that was held up takes what came until now before it judges.
            now = time.monotonic()
            for descriptor, event in self._poll.poll(TICK_SECONDS * 1000):
                self._serve(descriptor, event)
            self._look_at_clock(now)
        self._emit(self._lines.finish())
        self._emit_rest()
        begun = self._forked or self._launched
        return Outcome(
            **(self._verdict or self._exit_verdict()),
            duration=timedelta(seconds=(self._ended or time.monotonic()) - begun),
            max_rss=self._max_rss,
        )

    def _is_over(self) -> bool:
        if self._verdict is not None and "sandbox_fault" in self._verdict:
            return True
        if self._ended is None:
            return False
        is_drained = not self._open & {self._line.fileno(), self._output}
        return is_drained or time.monotonic() > self._ended + DRAIN_SECONDS

    def _exit_verdict(self) -> dict[str, Any]:
        status = self._status or 0
        if os.WIFSIGNALED(status):
            return {"signal": os.WTERMSIG(status)}
        return {"exit_code": os.waitstatus_to_exitcode(status)}

    def _look_at_clock(self, now: float) -> None:
        if self._ended is not None:
            return
        if self._killed_at is not None or self._forked is None:
            self._watch_server(now, self._killed_at or self._launched)
            return
        timeout = self._attempt.timeout
        if self._attempt.cancel.is_set():
            self._decide(is_cancelled=True)
            self._kill()
        elif timeout is not None and now >= self._forked + timeout.total_seconds():
            self._decide(timed_out_after=timeout)
            self._kill()
        elif self._kill_at is not None and now >= self._kill_at:
            self._kill()

    def _watch_server(self, now: float, since: float) -> None:
        if now > since + SERVER_PATIENCE_SECONDS:
            task = "fork a child" if self._forked is None else "end the child"
            self._fault(f"the fork server did not {task}")

    def _decide(self, **verdict: object) -> None:
        """Settle the outcome; what was settled first stands."""
        if self._verdict is None:
            self._verdict = verdict

    def _fault(self, text: str) -> None:
        self._verdict = {"sandbox_fault": text}

    def _kill(self) -> None:
        self._killed_at = time.monotonic()
        with contextlib.suppress(OSError):
            self._fate.send(KILL)

    def _linger(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + LINGER_SECONDS

    def _serve(self, descriptor: int, event: int) -> None:
        if descriptor == self._fate.fileno():
            self._read_fate()
        elif descriptor == self._output:
            self._read_output()
        else:
            if event & select.POLLOUT:
                self._send_request()
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read_line()

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            self._poll.unregister(descriptor)

    def _send_request(self) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionError):
            sent = self._line.send(self._unsent[: 1 << 18], socket.MSG_DONTWAIT)
            self._unsent = self._unsent[sent:]
        if not self._unsent and self._line.fileno() in self._open:
            self._poll.modify(self._line, select.POLLIN)

    def _read_fate(self) -> None:
        try:
            message = self._fate.recv(4096)
        except OSError:
            message = b""
        if not message:
            self._close(self._fate.fileno())
            if self._ended is None:
                self._fault("the fork server ended, and with it the child")
            return
        fate = json.loads(message)
        if "error" in fate:
            self._fault(fate["error"])
        elif "pid" in fate:
            self._forked = time.monotonic()
        else:
            self._ended = time.monotonic()
            if fate["crowded_beyond"] is not None:
                self._decide(crowded_beyond=fate["crowded_beyond"])
            self._status = fate["status"]
            self._max_rss = fate["max_rss"]

    def _read_output(self) -> None:
        chunk = os.read(self._output, 1 << 16)
        if chunk:
            self._emit(self._lines.feed(chunk))
        else:
            self._close(self._output)

    def _read_line(self) -> None:
        try:
            chunk = self._line.recv(1 << 18, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._close(self._line.fileno())
            self._linger()
            return
        try:
            for frame in self._reader.feed(chunk):
                self._take(frame)
        except (channel.MalformedFrameError, KeyError, TypeError, ValueError) as exc:
            self._decide(malformed=f"{type(exc).__name__}: {exc}")
            self._close(self._line.fileno())
            self._kill()

    def _take(self, frame: Mapping[str, Any]) -> None:
        kind = frame["kind"]
        if kind == "progress":
            if self._attempt.on_progress is not None:
                self._attempt.on_progress(frame["value"])
        elif kind == "log":
            self._emit([str(line) for line in frame["lines"]])
        elif kind == "call":
            self._answer(str(frame["method"]), dict(frame["arguments"]))
        elif kind == "result":
            self._decide(value=frame["value"], is_success=True)
            self._linger()
        elif kind == "error":
            self._decide(error=remote_error(frame))
            self._linger()
        else:
            raise channel.MalformedFrameError(f"unknown kind {kind[:50]!r}")

    def _answer(self, method: str, arguments: Mapping[str, Any]) -> None:
        if self._is_answering:
            raise channel.MalformedFrameError("a call before the answer to the last")
        self._is_answering = True
        threading.Thread(
            target=self._answer_call, args=(method, arguments), daemon=True
        ).start()

    def _answer_call(self, method: str, arguments: Mapping[str, Any]) -> None:
        try:
            if self._attempt.on_call is None:
                raise LookupError(f"{method} is not offered to this job")  # noqa: TRY301  # answered like any refusal
            value = self._attempt.on_call(method, arguments)
            answer = channel.encode_frame("reply", value=value)
        except Exception as exc:  # noqa: BLE001  # every refusal is answered
            answer = channel.encode_frame(
                "fault",
                type=type(exc).__name__,
                message=str(exc),
                details=getattr(exc, "details", {}),
            )
        # The child may call again as soon as it has read the answer.
        self._is_answering = False
        with contextlib.suppress(OSError):
            self._line.sendall(answer)

    def _emit(self, lines: list[str]) -> None:
        accepted = self._budget.take(lines)
        if accepted and self._attempt.on_log is not None:
            self._attempt.on_log(accepted)

    def _emit_rest(self) -> None:
        note = self._budget.note()
        if note and self._attempt.on_log is not None:
            self._attempt.on_log([note])


def remote_error(frame: Mapping[str, Any]) -> RemoteError:
    """Build the record of an exception from the child's words."""
    category = frame.get("category")
    return RemoteError(
        type=str(frame["type"])[:200],
        message=str(frame["message"]),
        traceback=str(frame.get("traceback", "")),
        is_unrecoverable=frame.get("is_unrecoverable") is True,
        category=None if category is None else str(category)[:200],
    )
