"""Adding jobs: alone, many in one round trip, once only."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import DuplicateJobError, InvalidJobError
from myia_sdk.queue.jobs.ids import new_job_id
from myia_sdk.queue.jobs.job import LABEL_PREFIX
from myia_sdk.queue.jobs.options import epoch_ms, milliseconds
from myia_sdk.queue.jobs.payload import DEFAULT_PAYLOAD_LIMIT, encode_json
from myia_sdk.queue.store.search import JobSearcher
from myia_sdk.queue.wire import scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from myia_sdk.queue.jobs import JobOptions, NewJob

#: Jobs sent in one round trip of `JobProducer.add_many`.
ADD_AT_ONCE = 5_000


class JobProducer(JobSearcher):
    """A reader that can also add jobs."""

    #: Largest job data accepted, bytes of JSON.
    payload_limit: int = DEFAULT_PAYLOAD_LIMIT

    @staticmethod
    def new_job_id() -> str:
        """Return a new id, later than those before."""
        return new_job_id()

    def add(self, job: NewJob, *, must_be_new: bool = False) -> str:
        """Add a job and return its id.

        Sending the same call again is harmless. An id that is in use, or a
        deduplication id that is held, adds nothing and returns the job that exists.

        Parameters
        ----------
        job : NewJob
            The job.
        must_be_new : bool, default False
            Raise instead when the chosen id is in use.

        Raises
        ------
        InvalidJobError
            The job cannot be stored, or its parent does not exist.
        PayloadTooLargeError
            The data exceed `payload_limit`.
        DuplicateJobError
            The id is in use and `must_be_new` was asked.
        """
        answer = self.run("add", *self._add_arguments(job, must_be_new=must_be_new))
        return self._added(job, answer)

    def add_many(
        self, jobs: Sequence[NewJob], *, must_be_new: bool = False
    ) -> list[str]:
        """Add jobs in one round trip (per 5,000) and return their ids in order.

        Nothing is sent when one of them cannot be stored. Each is added by itself:
        readers may see some before the others.

        Raises
        ------
        InvalidJobError, PayloadTooLargeError, DuplicateJobError
            As `add`; of the jobs that were sent, the others are added.
        """
        calls = [self._add_arguments(job, must_be_new=must_be_new) for job in jobs]
        answers: list[Any] = []
        with self.wrap_errors():
            for first in range(0, len(calls), ADD_AT_ONCE):
                some = calls[first : first + ADD_AT_ONCE]
                answers += scripts.run_many(self.redis, "add", self.keys.base, some)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return [
            self._added(job, answer) for job, answer in zip(jobs, answers, strict=True)
        ]

    def _add_arguments(
        self, job: NewJob, *, must_be_new: bool
    ) -> list[scripts.Argument]:
        options = job.options
        options.check_new()
        once = options.deduplication
        return [
            self.clock() if options.timestamp is None else epoch_ms(options.timestamp),
            options.job_id or new_job_id(),
            int(options.job_id is not None),
            job.name,
            encode_json(job.data, limit=self.payload_limit),
            options.to_json(),
            milliseconds(options.delay),
            options.priority,
            int(options.lifo),
            job.parent_key or "",
            _parent_json(job.parent_key, options) if job.parent_key else "",
            secrets.token_urlsafe(9) if must_be_new and options.job_id else "",
            once.id if once else "",
            milliseconds(once.ttl) if once and once.ttl else 0,
            int(bool(once and once.extend)),
            int(bool(once and once.replace)),
            int(bool(once and once.keep_last_if_active)),
            *flat({LABEL_PREFIX + k: v for k, v in job.labels.items()}),
            *flat(job.fields),
        ]

    def _added(self, job: NewJob, answer: Sequence[str]) -> str:
        job_id, outcome = answer
        if outcome == "-5":
            raise InvalidJobError(
                f"The parent {job.parent_key!r} of job {job_id!r} does not exist."
            )
        if outcome == "-7":
            raise InvalidJobError(
                f"Job {job_id!r} exists and has another parent that still lives."
            )
        if outcome == "-12":
            raise DuplicateJobError(
                f"Job {job_id!r} exists already in queue {self.queue!r}; choose "
                "another id, or leave it out to have one made."
            )
        return job_id


def flat(mapping: Mapping[str, str]) -> list[str]:
    """Return keys and values of `mapping` in turn, as scripts take them."""
    return [text for pair in mapping.items() for text in pair]


def _parent_json(parent_key: str, options: JobOptions) -> str:
    queue_key, _, parent_id = parent_key.rpartition(":")
    record: dict[str, object] = {"id": parent_id, "queueKey": queue_key}
    if options.parent_rule:
        record[options.parent_rule] = True
    return encode_json(record)
