"""Single requests of a certification, from the log of samples of its report."""

from __future__ import annotations

from datetime import timedelta
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


def _count(key: str) -> Callable[[Mapping[str, Any]], int | None]:
    def getter(sample: Mapping[str, Any]) -> int | None:
        value = sample.get(key)
        if isinstance(value, list):
            return len(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    return getter


SAMPLE_COLUMNS: tuple[Column, ...] = (
    Column("job_id", TEXT, _text("job_id"), "job that made the request"),
    Column("sample", INTEGER, _count("sample"), "place in the log, from 0"),
    Column("check", TEXT, _text("check"), "check it was made for"),
    Column("outcome", TEXT, _text("outcome"), "what came of it"),
    Column("first_token", SPAN, _span("ttft_ms"), "time to the first token"),
    Column("latency", SPAN, _span("latency_ms"), "time to the end of the answer"),
    Column("tokens", INTEGER, _count("completion_tokens"), "tokens of the answer"),
    Column("retries", INTEGER, _count("retries"), "requests sent again"),
    Column("error_category", TEXT, _text("category"), "why there is no answer"),
    Column("prompt", TEXT, _text("prompt"), "what was asked", opt_in=True),
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
        Names of `SAMPLE_COLUMNS`; all but prompts and answers by default.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    rows = [
        {**sample, "job_id": job_id, "sample": place}
        for place, (job_id, sample) in enumerate(samples)
    ]
    chosen = choose(SAMPLE_COLUMNS, columns, frame="samples")
    return build_frame(rows, chosen, as_of=as_of)
