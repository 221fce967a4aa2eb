"""Single requests of a certification, from the log of samples of its report."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from myia_sdk.frames.columns import INTEGER, SPAN, TEXT, Column, build_frame, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd


def _text(key: str) -> Callable[[Mapping[str, Any]], str | None]:
    def getter(sample: Mapping[str, Any]) -> str | None:
        value = sample.get(key)
        return None if value is None else str(value)

    return getter


def _span(key: str) -> Callable[[Mapping[str, Any]], timedelta | None]:
    def getter(sample: Mapping[str, Any]) -> timedelta | None:
        value = sample.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return timedelta(milliseconds=value)

    return getter


def _tokens(sample: Mapping[str, Any]) -> int | None:
    usage = sample.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else None


def _retries(sample: Mapping[str, Any]) -> int:
    retries = sample.get("retries")
    return len(retries) if isinstance(retries, list) else 0


def _messages(sample: Mapping[str, Any]) -> str | None:
    messages = sample.get("messages")
    return None if messages is None else json.dumps(messages, ensure_ascii=False)


SAMPLE_COLUMNS: tuple[Column, ...] = (
    Column("job_id", TEXT, itemgetter("job_id"), "job that made the request"),
    Column("sample", INTEGER, itemgetter("sample"), "place in the log, from 0"),
    Column("check", TEXT, _text("check"), "check it was made for"),
    Column("outcome", TEXT, _text("outcome"), "answered, passed, failed or error"),
    Column("first_token", SPAN, _span("first_text_ms"), "time to the first text"),
    Column("latency", SPAN, _span("elapsed_ms"), "time to the end of the answer"),
    Column("tokens", INTEGER, _tokens, "tokens of the answer"),
    Column("finish_reason", TEXT, _text("finish_reason"), "why the answer ended"),
    Column("retries", INTEGER, _retries, "requests sent again"),
    Column("error", TEXT, _text("error"), "why there is no answer"),
    Column("messages", TEXT, _messages, "what was asked, JSON", opt_in=True),
    Column("answer", TEXT, _text("answer"), "what was answered", opt_in=True),
)


def samples_frame(
    samples: Iterable[tuple[str, Mapping[str, object]]],
    *,
    columns: Sequence[str] | None = None,
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Return one row for each sample, in the order of the log.

    Parameters
    ----------
    samples : iterable of (job id, mapping)
        Samples as ``read_samples`` returns them.
    columns : sequence of str, optional
        Names of `SAMPLE_COLUMNS`; all but messages and answers by default.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    places: Counter[str] = Counter()
    rows = []
    for job_id, sample in samples:
        rows.append({**sample, "job_id": job_id, "sample": places[job_id]})
        places[job_id] += 1
    chosen = choose(SAMPLE_COLUMNS, columns, frame="samples")
    return build_frame(rows, chosen, as_of=as_of)
