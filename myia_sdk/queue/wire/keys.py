"""Names of the Redis keys of one queue: the only place where they are built."""

from __future__ import annotations

import re
from dataclasses import dataclass

from myia_sdk.errors import ConfigurationError, InvalidJobError

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
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_SUFFIXES = RESERVED_IDS - {"delay", "priority"}


def check_queue_name(queue: str) -> str:
    """Return `queue`, or raise when it cannot be the name of a queue.

    Raises
    ------
    ConfigurationError
        It is empty, ``sdk`` (the room of the private keys), or holds a colon,
        white space or control characters.
    """
    if not queue or queue == "sdk" or ":" in queue or re.search(r"\s", queue):
        raise ConfigurationError(
            f"{queue!r} cannot name a queue: use letters, digits, '-', '_' or '.', "
            "no colon and no white space; 'sdk' is reserved."
        )
    if _CONTROL.search(queue):
        raise ConfigurationError(f"The queue name {queue!r} holds control characters.")
    return queue


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
    if _CONTROL.search(job_id):
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


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of a queue in BullMQ's layout.

    Parameters
    ----------
    prefix : str
        First part of all keys. A hash tag such as ``{myia}`` puts every queue of
        the prefix into one slot of a Redis cluster.
    queue : str
        Name of the queue.

    Raises
    ------
    ConfigurationError
        A name is empty or holds characters that would break the key names.
    """

    prefix: str
    queue: str

    def __post_init__(self) -> None:
        check_queue_name(self.queue)
        if not self.prefix or re.search(r"[\s\x00-\x1f]", self.prefix):
            raise ConfigurationError(
                f"{self.prefix!r} cannot be the prefix of the queue's keys: it must "
                "not be empty or hold white space."
            )

    def __getattr__(self, name: str) -> str:
        """Key of a fixed suffix: ``keys.wait``, ``keys.waiting_children``."""
        suffix = name.replace("_", "-")
        if suffix in _SUFFIXES:
            return self.base + suffix
        raise AttributeError(f"{type(self).__name__} has no key {name!r}")

    @property
    def base(self) -> str:
        """Start of every key of the queue, with its colon; ``KEYS[1]`` of scripts."""
        return f"{self.prefix}:{self.queue}:"

    @property
    def has_hash_tag(self) -> bool:
        """Whether a cluster keeps all keys of the queue in one slot."""
        return re.search(r"\{[^{}]+\}", self.prefix) is not None

    def job(self, job_id: str) -> str:
        """Key of the hash of a job.

        Raises
        ------
        InvalidJobError
            The id is empty or the name of another key of the queue.
        """
        if not job_id or job_id in RESERVED_IDS:
            raise InvalidJobError(f"{job_id!r} is not the id of a job.")
        return self.base + job_id

    def lock(self, job_id: str) -> str:
        """Key of the lease of a job."""
        return f"{self.job(job_id)}:lock"

    def logs(self, job_id: str) -> str:
        """Key of the log lines of a job."""
        return f"{self.job(job_id)}:logs"

    def dependencies(self, job_id: str) -> str:
        """Key of the unfinished children of a job."""
        return f"{self.job(job_id)}:dependencies"

    def processed(self, job_id: str) -> str:
        """Key of the results of the finished children of a job."""
        return f"{self.job(job_id)}:processed"

    def deduplication(self, deduplication_id: str) -> str:
        """Key that names the job which owns a deduplication id."""
        return f"{self.base}de:{deduplication_id}"

    def scheduler(self, scheduler_id: str) -> str:
        """Key of the definition of a job scheduler."""
        return f"{self.repeat}:{scheduler_id}"

    def metrics(self, state: str) -> str:
        """Key of the counters of finished jobs, ``completed`` or ``failed``."""
        return f"{self.base}metrics:{state}"

    def sdk(self, *parts: str) -> str:
        """Private key, outside the names that BullMQ takes for its own."""
        return ":".join((self.prefix, "sdk", self.queue, *parts))
