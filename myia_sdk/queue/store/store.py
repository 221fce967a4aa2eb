"""JobStore: every change of the queue, each one atomic script."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from myia_sdk.errors import InvalidJobError
from myia_sdk.queue.jobs import Job, JobState, RateLimit
from myia_sdk.queue.jobs.job import check_labels
from myia_sdk.queue.jobs.options import milliseconds
from myia_sdk.queue.jobs.payload import DEFAULT_PAYLOAD_LIMIT, encode_json, printable
from myia_sdk.queue.store.add import flat
from myia_sdk.queue.store.finish import (
    LINE_LIMIT,
    METRICS_POINTS,
    JobFinisher,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from myia_sdk.queue.store.search import Labeller
    from myia_sdk.queue.wire import RedisClient

logger = logging.getLogger(__name__)

#: Longest progress value, bytes of JSON: it is part of every listing and event.
PROGRESS_LIMIT = 16 * 1024
#: Log lines kept when the job does not say.
DEFAULT_KEEP_LOGS = 10_000
_LINES_AT_ONCE = 1_000


class Claim(NamedTuple):
    """What a worker got when it asked for a job."""

    #: The job, now active under the worker's lease; ``None`` when there is none.
    job: Job | None
    #: When the next delayed job is due, epoch ms; 0 when there is none.
    next_due_at: int
    #: How long the rate limit binds, ms; 0 when it does not.
    limited_for: int
    #: Ids without a job that were taken out of the line.
    dropped: int = 0


class JobStore(JobFinisher):
    """The queue in Redis.

    Parameters
    ----------
    redis : RedisClient
        Connection, as `connect` makes it.
    queue : str
        Name of the queue.
    prefix : str, default "myia"
        First part of all keys.
    clock : callable, optional
        Epoch time in milliseconds; the server's by default.
    payload_limit : int, default 1 MiB
        Largest job data accepted, bytes of JSON.
    metrics_points : int, default two weeks
        Minutes of metrics kept for charts; 0 keeps none.
    labeller : callable, optional
        Makes the labels of a job that another client added without them, so that
        `find` finds it.

    Notes
    -----
    Every method raises `QueueConnectionError` when the server does not answer.
    """

    def __init__(
        self,
        redis: RedisClient,
        queue: str,
        prefix: str = "myia",
        *,
        clock: Callable[[], int] | None = None,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        metrics_points: int = METRICS_POINTS,
        labeller: Labeller | None = None,
    ) -> None:
        super().__init__(redis, queue, prefix, clock=clock, labeller=labeller)
        self.payload_limit = payload_limit
        self.metrics_points = metrics_points

    def claim(
        self,
        token: str,
        lease: timedelta,
        worker: str | None = None,
        *,
        limiter: RateLimit | None = None,
    ) -> Claim:
        """Take the next job: it is active, under the lease of `token`.

        Delayed jobs that are due get in line first.

        Parameters
        ----------
        token : str
            Names the holder of the lease; make a new one for every claim.
        lease : timedelta
            Time after which others may take the job if the lease is not renewed.
        worker : str, optional
            Name shown with the job. With it, a claim that is sent again because its
            answer was lost gets the same job.
        limiter : RateLimit, optional
            Limit on starts; the queue's own maximum wins over it.
        """
        if token in {"", "0"}:
            raise InvalidJobError(f"{token!r} cannot be the token of a lease.")
        maximum, duration = ("", "") if limiter is None else limiter
        job_id, due, limited, dropped, *flat = self.run(
            "claim",
            self.clock(),
            token,
            milliseconds(lease),
            printable(worker or ""),
            maximum,
            milliseconds(duration) if isinstance(duration, timedelta) else "",
        )
        if dropped:
            logger.warning(
                "Dropped %d ids without a job from queue %s", dropped, self.queue
            )
        if not job_id:
            return Claim(None, due, limited, dropped)
        mapping = dict(zip(flat[::2], flat[1::2], strict=True))
        job = Job.from_hash(job_id, mapping, JobState.ACTIVE)
        return Claim(job, due, limited, dropped)

    def renew(self, tokens: Mapping[str, str], lease: timedelta) -> list[str]:
        """Prolong the leases of running jobs and return the ids that are lost.

        Parameters
        ----------
        tokens : mapping of str to str
            Token of each job id.
        lease : timedelta
            Time from now.
        """
        if not tokens:
            return []
        pairs = [text for pair in tokens.items() for text in pair]
        return list(self.run("renew", milliseconds(lease), *pairs))

    def progress(self, job_id: str, value: object) -> None:
        """Store how far a job is: a number, text, truth value or object.

        Raises
        ------
        JobNotFoundError
            The job was removed.
        InvalidJobError
            The value is not JSON, or larger than 16 KiB.
        """
        text = encode_json(value, limit=PROGRESS_LIMIT)
        self._check(job_id, "report progress of", self.run("progress", job_id, text))

    def log(
        self, job_id: str, lines: str | Sequence[str], keep: int | None = None
    ) -> int:
        """Append lines to the log of a job and return how many it has.

        Parameters
        ----------
        job_id : str
            The job.
        lines : str or sequence of str
            One line or several; each is cut at 8,000 characters.
        keep : int, optional
            Only the last so many lines are kept; 10,000 by default.
        """
        given = [lines] if isinstance(lines, str) else list(lines)
        texts = [shortened(line, LINE_LIMIT) for line in given]
        kept = DEFAULT_KEEP_LOGS if keep is None else keep
        count = 0
        for first in range(0, max(len(texts), 1), _LINES_AT_ONCE):
            some = texts[first : first + _LINES_AT_ONCE]
            count = self.run("log", job_id, kept, *some)
            self._check(job_id, "log to", min(count, 0))
        return count

    def set_labels(self, job_id: str, labels: Mapping[str, str]) -> None:
        """Set labels of a job, for listings and search; empty text removes one."""
        check_labels(labels)
        answer = self.run("set-labels", job_id, *flat(labels))
        self._check(job_id, "label", answer)

    def check_stalled(
        self, interval: timedelta, max_stalled_count: int = 1
    ) -> list[str]:
        """Put jobs whose worker has gone back in line and return their ids.

        A job is recovered one to two intervals after its lease ended. Call it at
        least every `interval`; calls in between, by any worker, do nothing.

        Parameters
        ----------
        interval : timedelta
            Time between two checks of the queue.
        max_stalled_count : int, default 1
            A job that stalled more often is failed by whoever claims it next.
        """
        answer = self.run(
            "stalled", self.clock(), milliseconds(interval), max_stalled_count
        )
        return list(answer or ())
