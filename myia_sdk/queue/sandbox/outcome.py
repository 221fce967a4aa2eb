"""How one run in the sandbox ended, in one record."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from myia_sdk.queue.sandbox.processes import signal_name

_HINTS: dict[int, str] = {
    signal.SIGKILL: "most often the system ran out of memory",
    signal.SIGXCPU: "the CPU time limit was reached",
    signal.SIGXFSZ: "the file size limit was reached",
    signal.SIGSEGV: "native code crashed; the log may show where",
    signal.SIGABRT: "native code gave up; the log may show why",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteError:
    """An exception of the child, as text: it is never rebuilt here."""

    #: Name of the type: ``ValueError``.
    type: str
    message: str
    #: Text of the traceback, may be empty.
    traceback: str = ""
    #: True: another attempt would not help.
    is_unrecoverable: bool = False
    #: Error category the exception carries, if it does.
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one run ended; exactly one of the ways is set."""

    #: The function returned, and this is the value (any JSON).
    value: Any = None
    is_success: bool = False
    #: The function raised.
    error: RemoteError | None = None
    #: The child was killed by this signal, not by us.
    signal: int | None = None
    #: The child ended with this code before the function returned.
    exit_code: int | None = None
    #: Time the run was allowed, when it took longer.
    timed_out_after: timedelta | None = None
    is_cancelled: bool = False
    #: Processes and threads the run was allowed, when it had more.
    crowded_beyond: int | None = None
    #: The child broke the protocol: what it sent.
    malformed: str | None = None
    #: The sandbox itself failed: how.
    sandbox_fault: str | None = None
    #: Wall-clock time from the fork to the end.
    duration: timedelta = timedelta()
    #: Greatest resident memory of the child, bytes; 0 when unknown.
    max_rss: int = 0

    @property
    def is_timed_out(self) -> bool:
        """True when the time limit ended the run."""
        return self.timed_out_after is not None

    @property
    def is_sandbox_fault(self) -> bool:
        """True when the run failed for a reason outside the function."""
        return self.sandbox_fault is not None

    @property
    def reason(self) -> str:
        """One sentence for ``failedReason``; empty after a success.

        Examples
        --------
        >>> Outcome(signal=9).reason
        'killed by SIGKILL (signal 9): most often the system ran out of memory'
        """
        if self.error is not None:
            return f"{self.error.type}: {self.error.message}".rstrip(": ")
        if self.is_cancelled:
            return "cancelled"
        if self.timed_out_after is not None:
            seconds = self.timed_out_after.total_seconds()
            return f"timed out after {seconds:g} s: give it a longer timeout"
        if self.crowded_beyond is not None:
            return f"it had more than {self.crowded_beyond} processes and threads"
        return self._process_reason()

    def _process_reason(self) -> str:
        if self.signal is not None:
            hint = _HINTS.get(self.signal)
            name = f"killed by {signal_name(self.signal)} (signal {self.signal})"
            return f"{name}: {hint}" if hint else name
        if self.exit_code is not None:
            return (
                f"the process ended with exit code {self.exit_code} "
                "before the task returned"
            )
        if self.malformed is not None:
            return f"the child broke the protocol: {self.malformed}"
        return self.sandbox_fault or ""
