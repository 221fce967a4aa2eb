"""What a job prints, cut into bounded log lines."""

from __future__ import annotations

#: Longer lines are cut: a log row is read by people.
MAX_LINE_BYTES = 8 * 1024


class OutputLines:
    r"""Cut a byte stream into lines; a carriage return rewrites its line.

    Progress bars repaint one line thousands of times: only its last state counts.

    Examples
    --------
    >>> OutputLines().feed(b"10%\r20%\r100%\ndone\n")
    ['100%', 'done']
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Take bytes; return the lines they complete."""
        *complete, rest = (self._rest + chunk).split(b"\n")
        lines = [self._text(line) for line in complete]
        # Whatever comes next still has to overwrite it.
        rest = _last_repaint(rest) + rest[-1:] * rest.endswith(b"\r")
        if len(rest) > MAX_LINE_BYTES:
            lines.append(self._text(rest))
            rest = b""
        self._rest = rest
        return lines

    def finish(self) -> list[str]:
        """Return the last line when it did not end with a newline."""
        rest, self._rest = self._text(self._rest), b""
        return [rest] if rest else []

    @staticmethod
    def _text(line: bytes) -> str:
        painted = _last_repaint(line.rstrip(b"\r"))
        return painted[:MAX_LINE_BYTES].decode("utf-8", "backslashreplace")


def _last_repaint(line: bytes) -> bytes:
    """Return what is visible of a line that carriage returns rewrote."""
    return next((part for part in reversed(line.split(b"\r")) if part), b"")


class LogBudget:
    """Lets a bounded number of lines and bytes through, and counts the rest.

    Parameters
    ----------
    max_lines, max_bytes : int
        Bounds for one attempt.
    """

    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self._lines_left = max_lines
        self._bytes_left = max_bytes
        self._dropped = 0

    def take(self, lines: list[str]) -> list[str]:
        """Return the lines that still fit; a line is cut at 8 KiB."""
        accepted = []
        for line in lines:
            text = line[:MAX_LINE_BYTES]
            size = len(text.encode("utf-8", "surrogatepass")) + 1
            if self._dropped or self._lines_left < 1 or self._bytes_left < size:
                self._dropped += 1
                continue
            self._lines_left -= 1
            self._bytes_left -= size
            accepted.append(text)
        return accepted

    def note(self) -> str | None:
        """Return the sentence about what was dropped, or None."""
        if not self._dropped:
            return None
        return f"... {self._dropped:,} more log lines were dropped: over the limit"
