"""Ids of jobs and tokens of leases: made by the client, or chosen and then checked."""

from __future__ import annotations

import re
import secrets
import threading
from time import time

from myia_sdk.errors import InvalidJobError

#: Key suffixes of BullMQ's layout. A job with such an id would share their key.
RESERVED_IDS = frozenset(
    {
        "active", "completed", "delay", "delayed", "events", "failed", "id",
        "limiter", "marker", "meta", "paused", "pc", "prioritized", "priority",
        "repeat", "stalled", "stalled-check", "wait", "waiting-children",
    }
)  # fmt: skip
#: First parts of ids and keys that schedulers, deduplication and metrics use.
RESERVED_FIRST_PARTS = frozenset({"de", "dn", "metrics", "repeat"})
#: Longest job id a producer may choose, characters.
MAX_ID_LENGTH = 200

#: A custom id has no colon or exactly so many.
_COLONS = 2
#: What no name of a queue and no id may hold.
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")

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
        moment, number = int(time() * 1000), secrets.randbelow(_RANDOM_RANGE // 2)
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


def check_new_job_id(job_id: str) -> str:
    """Return `job_id`, or raise when a producer may not choose it.

    BullMQ's own rules (no plain integer, which its counter makes; colons only as
    exactly two) and ours (no key of the queue, no control characters, at most
    `MAX_ID_LENGTH` characters).

    Raises
    ------
    InvalidJobError
        The id breaks one of these rules.
    """
    reason = _refusal(job_id)
    if reason:
        raise InvalidJobError(
            f"{job_id!r} cannot be a job id: {reason}. Choose another, or leave it "
            "out to have one made."
        )
    return job_id


def _refusal(job_id: object) -> str:
    if not isinstance(job_id, str) or not job_id.strip():
        return "an id is text that is not empty"
    if len(job_id) > MAX_ID_LENGTH:
        return f"it has {len(job_id)} characters, more than {MAX_ID_LENGTH}"
    if CONTROL.search(job_id):
        return "it holds control characters"
    if _INTEGER.fullmatch(job_id):
        return "plain integers are made by the queue's own counter"
    return _key_conflict(job_id)


def _key_conflict(job_id: str) -> str:
    if job_id in RESERVED_IDS:
        return "it is the name of a key of the queue"
    first, *rest = job_id.split(":")
    if rest and (len(rest) != _COLONS or first == "0" or first in RESERVED_FIRST_PARTS):
        return "colons separate the parts of Redis keys"
    return ""
