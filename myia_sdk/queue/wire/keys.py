"""Names of the Redis keys of one queue: the only place where they are built."""

from __future__ import annotations

import re
from dataclasses import dataclass

from myia_sdk.errors import ConfigurationError, InvalidJobError
from myia_sdk.queue.jobs.ids import CONTROL, RESERVED_IDS

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
    if CONTROL.search(queue):
        raise ConfigurationError(f"The queue name {queue!r} holds control characters.")
    return queue


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
