"""Certificates by model and region: what holds, what expires, what changed."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from myia_sdk.errors import MyiaError
from myia_sdk.panels.controllers.actions import copy_of, verify
from myia_sdk.panels.jobs.rows import COLORS, to_ms
from myia_sdk.panels.live import Controller, ControllerOptions, Event, Handler
from myia_sdk.panels.live.controller import ids_of, text_of
from myia_sdk.panels.permissions import Action, ActionRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.checks import CheckRecord
    from myia_sdk.certification.report import Report
    from myia_sdk.client import Connection
    from myia_sdk.panels.live import Changes

#: Most models and regions shown; a filter finds the others.
MODELS_LIMIT = 100
REGIONS_LIMIT = 30
_PAIR = 2


class CertificatesController(Controller):
    """The matrix of certificates and what is done with them."""

    kind: ClassVar[str] = "certificates"

    def __init__(
        self, connection: Connection, options: ControllerOptions | None = None
    ) -> None:
        super().__init__(connection, options)
        self._cells: dict[str, dict[str, Any]] = {}
        self._query = ""
        self._chosen: dict[str, Any] | None = None
        self._comparison: dict[str, Any] | None = None

    def load(self) -> None:
        """Load the latest certificate of each model, region and suite."""
        from myia_sdk.certification.certificate.revocation import RevocationKind

        cells: dict[str, dict[str, Any]] = {}
        store = self.connection.certificate_store
        revoked = store.revocations()
        for row in store.rows():
            cell = certificate_cell(row)
            found = revoked.find(RevocationKind.CERTIFICATE, cell["id"])
            cell["is_revoked"] = found is not None
            key = json.dumps(
                [cell["model"], cell["region"]],
                ensure_ascii=False,
                separators=(",", ":"),
            )
            cells.setdefault(key, cell)
        self._cells = cells

    def apply(self, changes: Changes) -> None:
        """Load anew when a job ended; progress changes no certificate."""
        if changes.is_reset or changes.moved:
            self.load()

    def _shown(self) -> dict[str, dict[str, Any]]:
        words = self._query.lower().split()
        return {
            key: cell
            for key, cell in self._cells.items()
            if all(word in self._text(cell) for word in words)
        }

    def _text(self, cell: Mapping[str, Any]) -> str:
        verdict = self.say(f"verdict.{cell['verdict']}")
        parts = (cell["model"], cell["region"], cell["suite"], verdict)
        return " ".join((*parts, cell["verdict"])).lower()

    def body(self) -> dict[str, Any]:
        """Return the matrix; no I/O."""
        cells = self._shown()
        models = sorted({cell["model"] for cell in cells.values()})[:MODELS_LIMIT]
        regions = sorted({cell["region"] for cell in cells.values()})[:REGIONS_LIMIT]
        return {
            "colors": COLORS,
            "models": models,
            "regions": regions,
            "cells": cells,
            "query": self._query,
            "chosen": self._chosen,
            "comparison": self._comparison,
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {
            "search": self._on_search,
            "open": self._on_open,
            "compare": self._on_compare,
            Action.VERIFY: self._on_verify,
            Action.DOWNLOAD: self._on_download,
            Action.RERUN: self._on_rerun,
        }

    def _on_search(self, event: Event) -> None:
        self._query = text_of(event, "query")

    def _on_open(self, event: Event) -> None:
        job_id = text_of(event, "id")
        self._chosen = dict(self._cell(job_id)) if job_id else None

    def _cell(self, job_id: str) -> dict[str, Any]:
        for cell in self._cells.values():
            if cell["job_id"] == job_id:
                return cell
        raise ActionRefusedError(f"No certificate is from job {job_id!r}.")

    def _on_verify(self, event: Event) -> None:
        self.permissions.check(Action.VERIFY)
        cell = self._cell(ids_of(event)[0])
        certificate = self.connection.certificate_store.get(cell["id"])
        is_valid, text = verify(self.connection, certificate)
        if is_valid:
            verdict = self.say(f"verdict.{text}")
            text = self.say("certificate.valid", verdict=verdict)
        self._chosen = {
            **cell,
            "verification": {"is_valid": is_valid, "text": text},
        }

    def _on_download(self, event: Event) -> None:
        self.permissions.check(Action.DOWNLOAD)
        cell = self._cell(ids_of(event)[0])
        certificate = self.connection.certificate_store.get(cell["id"])
        name = f"certificate-{cell['job_id']}.json"
        self.offer_download(name, "application/json", certificate.to_json())

    def _on_rerun(self, event: Event) -> None:
        self.permissions.check(Action.RERUN)
        job_id = self._cell(ids_of(event)[0])["job_id"]
        job = self.connection.queue.job(job_id)
        if job is None:
            raise ActionRefusedError(
                f"Job {job_id!r} was cleaned, and its request with it; submit the "
                "model again."
            )
        self.connection.queue.add(copy_of(job))
        self.notify("done", self.say("done.rerun", count=1))

    def _on_compare(self, event: Event) -> None:
        if event.get("ids") == []:
            self._comparison = None
            return
        ids = ids_of(event)
        if len(ids) != _PAIR:
            raise ActionRefusedError(self.say("compare.two"))
        cells = sorted((self._cell(one) for one in ids), key=lambda c: c["issued_at"])
        self._comparison = self._compare(*cells)

    def _compare(self, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        from myia_sdk.certification.report import compare

        first, second = self._report(before), self._report(after)
        found = compare(first, second)
        return {
            "first": self._title(before),
            "second": self._title(after),
            "text": self.say(
                "compare.score",
                first=f"{first.score:.1f}",
                second=f"{second.score:.1f}",
            ),
            "rows": [
                {
                    "check": check.before.title or check.id,
                    "first": self._value(check.before),
                    "second": self._value(check.after),
                    "change": check.change.value,
                }
                for check in found.checks
            ],
        }

    def _title(self, cell: Mapping[str, Any]) -> str:
        return " · ".join(filter(None, (cell["model"], cell["region"])))

    def _value(self, check: CheckRecord) -> str:
        outcome = self.say(f"outcome.{check.outcome.value}")
        return outcome if check.value is None else f"{check.value:.4g} ({outcome})"

    def _report(self, cell: Mapping[str, Any]) -> Report:
        from myia_sdk.certification.report import Report

        job = self.connection.queue.job(cell["job_id"])
        if job is None:
            raise ActionRefusedError(
                f"Job {cell['job_id']!r} was cleaned, and its report with it."
            )
        try:
            return Report.from_record(job.return_value)
        except MyiaError as error:
            raise ActionRefusedError(
                f"The result of job {job.id!r} is no report: {error}"
            ) from error


def certificate_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the matrix shows of one stored certificate.

    Parameters
    ----------
    row : mapping
        A row of the certificate store.
    """
    return {
        "id": str(row["id"]),
        "job_id": str(row.get("job") or ""),
        "model": str(row.get("model") or ""),
        "region": str(row.get("region") or ""),
        "suite": f"{row.get('suite') or ''} {row.get('suite_version') or ''}".strip(),
        "verdict": str(row.get("verdict") or "none"),
        "score": row.get("score"),
        "rating": str(row.get("rating") or ""),
        "issued_at": _moment(row.get("issued_at")) or 0,
        "expires_at": _moment(row.get("expires_at")),
        "subject": str(row.get("subject") or ""),
        "key": str(row.get("key_id") or ""),
        "is_revoked": False,
    }


def _moment(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        return to_ms(datetime.fromisoformat(text))
    except ValueError:
        return None
