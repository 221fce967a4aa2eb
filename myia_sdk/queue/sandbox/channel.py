"""JSON frames over a socket pair: the only language of consumer and child.

The child is not trusted, so the reader bounds every frame, parses JSON only and
reports anything else as malformed. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Length of the frame that follows, bytes, big-endian.
HEADER = struct.Struct(">I")


class MalformedFrameError(ValueError):
    """The other end sent something that is not a frame of the protocol."""


def _refuse_constant(text: str) -> NoReturn:
    raise MalformedFrameError(f"{text} is not JSON")


def dump_json(value: object) -> str:
    """Return compact JSON that every JSON parser reads: no NaN, ASCII only.

    Raises
    ------
    TypeError, ValueError, RecursionError
        The value is not JSON; the message names the type.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def load_json(text: str | bytes) -> Any:
    """Parse strict JSON: ``NaN`` and ``Infinity`` are refused.

    Raises
    ------
    MalformedFrameError
        The text is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise MalformedFrameError(f"not JSON: {exc}") from exc


def encode_frame(kind: str, **fields: object) -> bytes:
    """Return one frame as bytes."""
    body = dump_json({"kind": kind, **fields}).encode()
    return HEADER.pack(len(body)) + body


class FrameReader:
    """Cut a byte stream into frames.

    Parameters
    ----------
    limit : int
        Greatest accepted length of a frame, bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """Take bytes and yield the frames they complete.

        Raises
        ------
        MalformedFrameError
            A frame is too long, not JSON, or not an object with a ``kind``.
        """
        self._buffer += chunk
        while len(self._buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer)
            if length > self._limit:
                raise MalformedFrameError(
                    f"a frame of {length:,} bytes is over the limit of {self._limit:,}"
                )
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            frame = load_json(body)
            if not isinstance(frame, dict) or not isinstance(frame.get("kind"), str):
                raise MalformedFrameError("a frame is not an object with a kind")
            yield frame
