"""Everything about one job that somebody looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from myia_sdk.panels.jobs.relatives import family_record, flow_record
from myia_sdk.panels.jobs.rows import (
    assurance_row,
    check_row,
    check_rows,
    job_row,
    timeline,
    to_ms,
)
from myia_sdk.panels.permissions.redaction import pretty
from myia_sdk.queue.jobs import Job, JobState
from myia_sdk.queue.store import Event
from myia_sdk.queue.store.flow import Family, Flow, read_family, read_flow

if TYPE_CHECKING:
    from datetime import datetime

    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.client import Connection
    from myia_sdk.panels.live import Changes
    from myia_sdk.panels.permissions import Redaction

#: Newest events of the queue that are read for the checks that a run had finished
#: before it was looked at.
EVENTS_READ = 1_000
#: Last lines of a log that are shown.
LOG_LINES = 500


class JobDetail:
    """One job: row, timeline, checks, log, error, data, options, result, certificate.

    Parameters
    ----------
    connection : Connection
        Where the job is.
    job_id : str
        The job.
    redaction : Redaction
        What may be shown of its values.
    """

    def __init__(
        self, connection: Connection, job_id: str, redaction: Redaction
    ) -> None:
        self._connection = connection
        self.job_id = job_id
        self._redaction = redaction
        self._job = Job(id=job_id)
        self._values: dict[str, Any] = {}
        self._result: object = None
        self._family = Family()
        self._flow = Flow()
        #: Whether the whole flow is read with the job; it costs more round trips.
        self.shows_flow = False
        self._is_cancelling = False
        self._lines: list[str] = []
        self._log_total = 0
        self._checks: dict[str, dict[str, Any]] = {}
        #: Start of the run that the checks belong to.
        self._run: datetime | None = None
        self._verification: dict[str, Any] | None = None

    @property
    def job(self) -> Job:
        """The job as it was last read; its state is None once it was removed."""
        return self._job

    def load(self) -> None:
        """Read the job, its relatives and its log."""
        job = self._connection.queue.job(self.job_id)
        self._job = job or Job(id=self.job_id, name=self._job.name)
        self._family = read_family(self._connection.queue, self.job_id)
        self.load_flow()
        is_active = self._job.state is JobState.ACTIVE
        requested = self._connection.administration.cancel_requested
        self._is_cancelling = is_active and self.job_id in requested([self.job_id])
        self._load_checks()
        self._redact()
        self.load_log()

    def _load_checks(self) -> None:
        """Keep the checks of the last run; a failed job shows how far it got."""
        has_run = self._job.state in {JobState.ACTIVE, JobState.FAILED}
        run = self._job.processed_at if has_run else None
        if run != self._run:
            self._run = run
            self._checks.clear()
            if run is not None:
                self._recall()
        if has_run and self._job.attempts_started <= 1:
            # Else it may be what an attempt before told last.
            self._note_progress(self._job.progress)

    def _recall(self) -> None:
        """Note the checks that this run finished before anybody looked."""
        store = self._connection.queue
        entries = store.command(
            "XREVRANGE", store.keys.events, "+", "-", "COUNT", EVENTS_READ
        )
        told: list[str] = []
        for entry in entries:
            event = Event.from_entry(*entry)
            if event.job_id != self.job_id:
                continue
            if event.name == "active":
                break  # what is older belongs to an attempt before
            if event.name == "progress":
                told.append(event.fields.get("data", ""))
        for text in reversed(told):
            with suppress(ValueError):
                self._note_progress(json.loads(text))

    def load_flow(self) -> None:
        """Read the flow of the job, when it is shown and there is one."""
        is_needed = self.shows_flow and not self._family.is_alone
        self._flow = (
            read_flow(self._connection.queue, self.job_id, before=self._flow)
            if is_needed
            else Flow()
        )

    def _redact(self) -> None:
        """Keep what may be shown: a hook may be slow, and repaints are many."""
        job, redaction = self._job, self._redaction
        data = redaction.json("data", job.data)
        has_result = job.return_value is not None
        self._result = redaction.value("result", job.return_value)
        self._values = {
            "data": data.text,
            "is_data_whole": data.is_whole,
            "options": redaction.json("options", job.options.to_record()).text,
            "result": pretty(self._result).text if has_result else "",
            "error": self._error(),
            "progress": self._progress(),
        }

    def _progress(self) -> str:
        """Return a progress that no bar can show, as text."""
        progress = self._job.progress
        is_shown = isinstance(progress, Mapping) and "percent" in progress
        if is_shown or not isinstance(progress, Mapping | list | str) or not progress:
            return ""
        return self._redaction.json("progress", progress).text

    def load_log(self) -> None:
        """Read the lines that were added since the last time."""
        start = self._log_total if self._lines else -LOG_LINES
        lines, total = self._connection.queue.logs(self.job_id, start, -1)
        if total < self._log_total:
            lines, total = self._connection.queue.logs(self.job_id, -LOG_LINES, -1)
            self._lines = []
        shown = [self._redaction.text("log", line) for line in lines]
        self._lines = [*self._lines, *shown][-LOG_LINES:]
        self._log_total = total

    def apply(self, changes: Changes) -> None:
        """Read what changed, when it is about this job."""
        for text in changes.progress.get(self.job_id, ()):
            with suppress(ValueError):
                self._note_progress(json.loads(text))
        if (
            changes.is_reset
            or self.job_id in changes.moved
            or self.job_id in changes.progress
            or not self._family.ids().isdisjoint(changes.moved)
            or not self._flow.ids().isdisjoint(changes.moved)
        ):
            self.load()

    def _note_progress(self, told: object) -> None:
        progress = self._redaction.value("progress", told)
        if isinstance(progress, Mapping) and progress.get("outcome"):
            name = str(progress.get("check", ""))
            self._checks[name] = check_row({"id": name, **progress})

    def verified(self, *, is_valid: bool, text: str) -> None:
        """Remember the result of verifying the certificate."""
        self._verification = {"is_valid": is_valid, "text": text}

    def to_record(self) -> dict[str, Any]:
        """Return the JSON that panel.js shows; no I/O."""
        job = self._job
        row = job_row(job, self._redaction, is_cancelling=self._is_cancelling)
        return {
            "row": row,
            "timeline": timeline(job, row),
            "family": family_record(self._family),
            "flow": flow_record(self._flow),
            "assurance": assurance_row(self._result),
            "checks": check_rows(self._result) or list(self._checks.values()),
            "log": {"lines": self._lines, "total": self._log_total},
            **self._values,
            "certificate": self._certificate(),
        }

    def _error(self) -> dict[str, Any] | None:
        job = self._job
        if not job.failed_reason and not job.stacktrace:
            return None
        text = self._redaction.text
        return {
            "reason": text("error", job.failed_reason or "")[:5_000],
            "category": job.labels.get("category", ""),
            "stacktrace": [
                text("stacktrace", one)[:20_000] for one in job.stacktrace[-10:]
            ],
        }

    def _certificate(self) -> dict[str, Any] | None:
        facts = certificate_facts(self._result)
        if facts is not None:
            facts["verification"] = self._verification
        return facts


def certificate_of(return_value: object) -> Certificate | None:
    """Return the certificate in a report, None when there is none or it is unreadable.

    The signature is not checked here: that is what *verify* is for.
    """
    from myia_sdk.certification.certificate import Certificate
    from myia_sdk.errors import CertificateError

    record = (
        return_value.get("certificate") if isinstance(return_value, Mapping) else None
    )
    if not isinstance(record, Mapping):
        return None
    try:
        return Certificate.from_record(record)
    except CertificateError:
        return None


def certificate_facts(return_value: object) -> dict[str, Any] | None:
    """Return what a report's certificate claims, None when there is none."""
    certificate = certificate_of(return_value)
    if certificate is None:
        return None
    subjects = certificate.subjects
    signatures = certificate.envelope.signatures
    return {
        "subject": ", ".join(f"{one.name} sha256:{one.sha256}" for one in subjects),
        "key": ", ".join(signature.key_id for signature in signatures),
        "issued_at": to_ms(certificate.issued_at),
        "expires_at": to_ms(certificate.expires_at),
    }
