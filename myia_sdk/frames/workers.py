"""One row for each connected worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from myia_sdk.frames.columns import FLAG, INTEGER, SPAN, TEXT, TIME, Column, build_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from myia_sdk.queue.workers import WorkerRecord

WORKER_COLUMNS: tuple[Column, ...] = (
    Column("client_id", INTEGER, lambda item: item[0].client_id, "its connection"),
    Column("name", TEXT, lambda item: item[0].name or None, "name it gave itself"),
    Column("address", TEXT, lambda item: item[0].address, "address the server sees"),
    Column("connected_at", TIME, lambda item: item[1], "since when it is connected"),
    Column("idle", SPAN, lambda item: item[0].idle_for, "since its last command"),
    Column("library", TEXT, lambda item: item[0].library or None, "client library"),
    Column(
        "is_listed", FLAG, lambda item: item[0].is_listed, "Bull Board lists it too"
    ),
)


def workers_frame(
    workers: Sequence[WorkerRecord], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each worker, in the order given.

    Parameters
    ----------
    workers : sequence of WorkerRecord
        As ``QueueAdministration.workers`` returns them.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    now = as_of or datetime.now(UTC)
    rows = [(worker, now - worker.connected_for) for worker in workers]
    return build_frame(rows, WORKER_COLUMNS, as_of=now)
