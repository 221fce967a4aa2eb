"""Ids of jobs and tokens of leases, made by the client."""

from __future__ import annotations

import secrets
import threading

from myia_sdk.queue.wire.clock import now_ms

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
#: Base-36 digits of the time: 8 last until 2059 and never begin with a number now.
_TIME_LENGTH = 8
#: 51 random bits: with 100 jobs in every millisecond of a billion jobs, the chance of
#: one collision is about 1 in 70,000.
_RANDOM_LENGTH = 10
_RANDOM_RANGE = 36**_RANDOM_LENGTH
_STEP = 2**20

_lock = threading.Lock()  # guards _last
_last = (0, 0)


def new_job_id() -> str:
    """Return a new id; ids made one after another sort in that order.

    An id made by the client makes adding idempotent: a command that is sent again,
    because its reply was lost, finds its job in place.
    """
    global _last  # noqa: PLW0603 - order within a process needs a memory
    with _lock:
        moment, number = now_ms(), secrets.randbelow(_RANDOM_RANGE // 2)
        if moment <= _last[0]:
            moment, number = _last[0], _last[1] + 1 + secrets.randbelow(_STEP)
        _last = (moment, number)
    return _base36(moment, _TIME_LENGTH) + _base36(number, _RANDOM_LENGTH)


#: Start of our own tokens: tells that the holder of a lease obeys requests to cancel.
TOKEN_MARK = "myia:"  # noqa: S105 - a public mark, not a secret


def new_token() -> str:
    """Return a new lease token; nobody can guess it."""
    return TOKEN_MARK + secrets.token_urlsafe(12)


def _base36(number: int, length: int) -> str:
    pairs = []
    for _ in range(length // 2):
        number, rest = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[rest])
    return "".join(reversed(pairs))
