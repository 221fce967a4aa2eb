"""What panels do to jobs: one at a time or many, refusals counted and told."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from myia_sdk.errors import CertificateError, MyiaError, QueueConnectionError
from myia_sdk.panels.jobs.detail import certificate_of
from myia_sdk.panels.jobs.jobform import copied_labels
from myia_sdk.panels.jobs.joboptions import DELAY_LIMIT
from myia_sdk.panels.jobs.rows import job_row
from myia_sdk.panels.live.controller import ids_of, number_of
from myia_sdk.panels.permissions import JOB_ACTIONS, Action, ActionRefusedError
from myia_sdk.queue.jobs import Job, NewJob
from myia_sdk.queue.jobs.options import MAX_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.client import Connection
    from myia_sdk.panels.live import Controller, Event, Handler
    from myia_sdk.queue.store import QueueAdministration

#: Ids listed in a question.
SAMPLE = 5
#: First characters that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class JobActions:
    """Handlers of the events about chosen jobs.

    Parameters
    ----------
    controller : Controller
        Asks, tells, and holds the permissions.
    after : callable
        Loads what the panel shows once something was done.
    """

    def __init__(self, controller: Controller, after: Callable[[], None]) -> None:
        self._controller = controller
        self._connection = controller.connection
        self._after = after

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {
            Action.RETRY: self._direct(Action.RETRY, self._retry),
            Action.PROMOTE: self._direct(Action.PROMOTE, self._promote),
            Action.RERUN: self._direct(Action.RERUN, self._rerun),
            Action.CANCEL: self._confirmed(Action.CANCEL, self._cancel),
            Action.REMOVE: self._confirmed(Action.REMOVE, self._remove),
            Action.CHANGE_DELAY: self._on_change_delay,
            Action.CHANGE_PRIORITY: self._on_change_priority,
            Action.EXPORT: self._on_export,
            Action.VERIFY: self._on_verify,
            Action.DOWNLOAD: self._on_download,
        }

    @property
    def _administration(self) -> QueueAdministration:
        return self._connection.administration

    def _retry(self, job_id: str) -> None:
        self._administration.retry(job_id, reset_attempts=True)

    def _promote(self, job_id: str) -> None:
        self._administration.promote(job_id)

    def _cancel(self, job_id: str) -> None:
        self._administration.cancel(job_id)

    def _remove(self, job_id: str) -> None:
        self._administration.remove(job_id)

    def _rerun(self, job_id: str) -> None:
        job = self._connection.queue.job(job_id)
        if job is None:
            raise ActionRefusedError(f"Job {job_id!r} is gone.")
        self._connection.queue.add(copy_of(job))

    def _direct(self, action: Action, act: Callable[[str], None]) -> Handler:
        def handler(event: Event) -> None:
            ids = self._able(action, event)[0]
            self._act(action, ids, act)

        return handler

    def _confirmed(self, action: Action, act: Callable[[str], None]) -> Handler:
        def handler(event: Event) -> None:
            jobs_ids, refused, rows = self._able(action, event)
            facts = _facts(rows)
            self._controller.ask(
                action,
                {**facts, "refused": refused},
                lambda: self._act(action, jobs_ids, act),
            )

        return handler

    def _able(
        self, action: Action, event: Event
    ) -> tuple[list[str], int, list[dict[str, Any]]]:
        self._controller.permissions.check(action)
        ids = ids_of(event)
        jobs = [job for job in self._connection.queue.jobs(ids) if job is not None]
        able = [job for job in jobs if job.state in JOB_ACTIONS[action]]
        if not able:
            states = sorted({str(job.state or "unknown") for job in jobs}) or ["gone"]
            raise ActionRefusedError(
                f"Cannot {action.value} {', '.join(ids[:SAMPLE])}: the state is "
                f"{', '.join(states)}."
            )
        rows = [job_row(job, self._controller.redaction) for job in able]
        return [job.id for job in able], len(ids) - len(able), rows

    def _act(
        self, action: Action, ids: Sequence[str], act: Callable[[str], None]
    ) -> None:
        done, reasons = 0, []
        for job_id in ids:
            try:
                act(job_id)
            except QueueConnectionError:
                raise
            except MyiaError as error:
                reasons.append(str(error))
            else:
                done += 1
        self._tell(action, done, reasons)
        self._after()

    def _tell(self, action: Action, done: int, reasons: Sequence[str]) -> None:
        say = self._controller.say
        parts = [say(f"done.{action.value}", count=done)] if done else []
        if reasons:
            parts.append(say("done.refused", count=len(reasons), reason=reasons[0]))
        self._controller.notify("error" if reasons else "done", " ".join(parts))

    def _on_change_delay(self, event: Event) -> None:
        seconds = number_of(event, "seconds", 0, DELAY_LIMIT / 1000)
        delay = timedelta(seconds=seconds)
        self._direct(
            Action.CHANGE_DELAY,
            lambda job_id: self._administration.change_delay(job_id, delay),
        )(event)

    def _on_change_priority(self, event: Event) -> None:
        priority = number_of(event, "priority", 0, MAX_PRIORITY)
        if priority != int(priority):
            raise ActionRefusedError(f"priority is {priority}; use a whole number.")
        self._direct(
            Action.CHANGE_PRIORITY,
            lambda job_id: self._administration.change_priority(job_id, int(priority)),
        )(event)

    def _on_export(self, event: Event) -> None:
        self._controller.permissions.check(Action.EXPORT)
        jobs = self._connection.queue.jobs(ids_of(event))
        redaction = self._controller.redaction
        rows = [job_row(job, redaction) for job in jobs if job is not None]
        self._controller.offer_download("jobs.csv", "text/csv", to_csv(rows))

    def _finished(self, action: Action, event: Event) -> Job:
        self._controller.permissions.check(action)
        job_id = ids_of(event)[0]
        job = self._connection.queue.job(job_id)
        if job is None:
            raise ActionRefusedError(f"Job {job_id!r} is gone.")
        return job

    def _on_verify(self, event: Event) -> None:
        job = self._finished(Action.VERIFY, event)
        certificate = self._certificate(job)
        is_valid, text = verify(self._connection, certificate)
        if is_valid:
            say = self._controller.say
            text = say("certificate.valid", verdict=say(f"verdict.{text}"))
        self._controller.verified(job.id, is_valid=is_valid, text=text)

    def _certificate(self, job: Job) -> Certificate:
        certificate = certificate_of(job.return_value)
        if certificate is None:
            raise ActionRefusedError(f"Job {job.id!r} has no certificate.")
        return certificate

    def _on_download(self, event: Event) -> None:
        job = self._finished(Action.DOWNLOAD, event)
        certificate = self._certificate(job)
        self._controller.offer_download(
            f"certificate-{job.id}.json", "application/json", certificate.to_json()
        )


def verify(connection: Connection, certificate: Certificate) -> tuple[bool, str]:
    """Verify a certificate with the keys this machine trusts.

    Returns
    -------
    tuple of bool and str
        Whether signature and time are right and nothing was revoked; the verdict it
        states, or why it is not believed.
    """
    from myia_sdk.certification.certificate import Signer, trusted_keys
    from myia_sdk.certification.verdict import Verdict

    settings = connection.settings
    keys = list(trusted_keys(settings.myia_home))
    if settings.myia_signing_key:
        signer = Signer.load(settings.myia_signing_key, settings.myia_home)
        keys.append(signer.public_key)
    try:
        found = certificate.verify(
            keys,
            None,
            revoked=connection.certificate_store.revocations(),
            accept=tuple(Verdict),
        )
    except CertificateError as error:
        return False, str(error)
    return True, found.verdict.value


def copy_of(job: Job) -> NewJob:
    """Return a new job that asks for the same as `job`, under an id of its own."""
    options = job.options.to_record()
    for key in ("jobId", "delay", "repeat", "deduplication", "parent", "timestamp"):
        options.pop(key, None)
    return NewJob(
        name=job.name,
        data=job.data,
        options=type(job.options).from_record(options),
        labels=copied_labels(job),
        fields={k: v for k, v in job.fields.items() if k == "timeout"},
    )


def to_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV; cells that a spreadsheet would run get a leading quote."""
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    return buffer.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _facts(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    times = [row["created_at"] for row in rows if row["created_at"]]
    return {
        "count": len(rows),
        "oldest": min(times, default=None),
        "newest": max(times, default=None),
        "sample": [f"{row['name']} · {row['id']}" for row in rows[:SAMPLE]],
    }
