"""One row for each certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from myia_sdk.frames.columns import (
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    TIME,
    Column,
    build_frame,
)
from myia_sdk.frames.jobs import RATINGS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd


def _entry(key: str) -> Callable[[Mapping[str, Any]], object]:
    def getter(row: Mapping[str, Any]) -> object:
        value = row.get(key)
        return None if value == "" else value

    return getter


def _moment(key: str) -> Callable[[Mapping[str, Any]], datetime | None]:
    def getter(row: Mapping[str, Any]) -> datetime | None:
        value = row.get(key)
        if isinstance(value, datetime) or not value:
            return value or None
        return datetime.fromisoformat(value)

    return getter


CERTIFICATE_COLUMNS: tuple[Column, ...] = (
    Column("id", TEXT, _entry("id"), "identity of the certificate"),
    Column("model", TEXT, _entry("model"), "model it is about"),
    Column("region", TEXT, _entry("region"), "region of the endpoint"),
    Column("suite", TEXT, _entry("suite"), "suite of checks"),
    Column("suite_version", TEXT, _entry("suite_version"), "version of the suite"),
    Column("verdict", VERDICTS, _entry("verdict"), "what it states"),
    Column("score", NUMBER, _entry("score"), "score, 0 to 100"),
    Column("rating", RATINGS, _entry("rating"), "rating"),
    Column("coverage", NUMBER, _entry("coverage"), "share of the suite measured"),
    Column("level", INTEGER, _entry("level"), "level of assurance, 1 to 3"),
    Column("suite_origin", TEXT, _entry("suite_origin"), "official, changed or own"),
    Column("error_category", TEXT, _entry("category"), "why not certified"),
    Column("issued_at", TIME, _moment("issued_at"), "when it was signed"),
    Column("expires_at", TIME, _moment("expires_at"), "when it stops to count"),
    Column(
        "is_valid", FLAG, _entry("is_valid"), "neither expired nor revoked at as_of"
    ),
    Column("is_development", FLAG, _entry("is_development"), "by a development key"),
    Column("key_id", TEXT, _entry("key_id"), "key that signed it"),
    Column("subject", TEXT, _entry("subject"), "digest of what was certified"),
    Column("artifact", TEXT, _entry("artifact"), "digest of the certificate's file"),
    Column("job_id", TEXT, _entry("job"), "job that earned it"),
)


def certificates_frame(
    rows: Iterable[Mapping[str, Any]],
    *,
    history: bool = False,
    revoked: Iterable[str] = (),
    as_of: datetime | None = None,
    truncated: bool = False,
) -> pd.DataFrame:
    """Return one row for each certificate, newest first.

    Parameters
    ----------
    rows : iterable of mappings
        As ``CertificateStore.rows`` returns them.
    history : bool, default False
        All of them; otherwise the latest of each model, region and suite.
    revoked : iterable of str, optional
        Ids of revoked certificates.
    as_of : datetime, optional
        Time that ``is_valid`` refers to; now when not given. Kept in ``attrs``.
    truncated : bool, default False
        Kept in ``attrs``.

    Notes
    -----
    ``is_valid`` repeats what the rows say. Only verifying the certificate itself, with
    a key you trust, proves anything.
    """
    now, refused = as_of or datetime.now(UTC), frozenset(revoked)
    frame = build_frame(
        [{**row, "is_valid": _is_valid(row, now, refused)} for row in rows],
        CERTIFICATE_COLUMNS,
        as_of=now,
        truncated=truncated,
    )
    frame = frame.sort_values("issued_at", ascending=False, kind="stable")
    if not history:
        frame = frame.drop_duplicates(["model", "region", "suite"])
    return frame.reset_index(drop=True)


def _is_valid(
    row: Mapping[str, Any], now: datetime, revoked: frozenset[str]
) -> bool | None:
    expires = _moment("expires_at")(row)
    if row.get("id") in revoked:
        return False
    return None if expires is None else bool(expires > now)
