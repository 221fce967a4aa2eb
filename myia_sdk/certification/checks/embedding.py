"""Whether vectors are well made: finite, repeatable, independent of their batch."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.certification.checks.asking import whole_number
from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.outcomes import Outcome
from myia_sdk.certification.checks.predictions import number
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.checks.vectors import TEXTS, cosines, embed, lengths
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.statistics.intervals import quantile_interval
from myia_sdk.certification.traffic import sends
from myia_sdk.certification.traffic.retries import NO_RETRIES

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = ("embedding",)
#: How far the length of a vector that should be 1 may be from it.
_UNIT_TOLERANCE = 1e-3
_UNICODE = "Ünïcödé 漢字 عربى 🙂 \u200b e\u0301"


@check(
    "schema",
    version="1.0.0",
    title="Takes unusual texts",
    kinds=_KINDS,
    params={"long_words": 20_000},
    threshold=Threshold(comparator=">=", passed=1.0),
    material=_UNICODE,
    effort=sends(4, question=5_000, answer=0),
)
def schema(context: CheckContext) -> Measurement:
    """Share of unusual inputs that give finite vectors or a clear refusal.

    An empty and a very long text may be refused; a batch and unusual letters may not.
    """
    words = whole_number(context, "long_words")
    probes: list[tuple[str, list[str], bool]] = [
        ("an empty text", [""], True),
        (f"{words} words", ["word " * words], True),
        ("unusual letters", [_UNICODE], False),
        ("a batch of 16", list(TEXTS[:16]), False),
    ]
    found = {
        name: _reaction(context, texts, may_refuse=may) for name, texts, may in probes
    }
    bad = {name: text for name, (is_good, text) in found.items() if not is_good}
    return Measurement(
        value=1 - len(bad) / len(found),
        n=len(found),
        message="; ".join(f"{name}: {text}" for name, (_, text) in found.items()),
        details={name: text for name, (_, text) in found.items()},
    )


@check(
    "dimension",
    version="1.0.0",
    title="Has finite vectors of one size",
    kinds=_KINDS,
    threshold=Threshold(comparator=">=", passed=1.0),
    material=list(TEXTS[:16]),
    effort=sends(1, question=200, answer=0),
)
def dimension(context: CheckContext) -> Measurement:
    """Share of good vectors: finite, not null, and as long as declared.

    ``options.dimensions`` and ``options.unit_norm`` of the model's reference are
    promises; without them any size and length do.
    """
    vectors = embed(context, TEXTS[:16])
    options = context.request.model.options
    norms = lengths(vectors)
    good = np.isfinite(vectors).all(axis=1) & (norms > 0)
    if options.get("unit_norm"):
        good &= np.abs(norms - 1) <= _UNIT_TOLERANCE
    wanted = options.get("dimensions")
    is_size = not isinstance(wanted, int) or vectors.shape[1] == wanted
    return Measurement(
        value=float(good.mean()) if is_size else 0.0,
        n=len(vectors),
        message=f"{vectors.shape[1]} dimensions"
        + ("" if is_size else f" instead of the declared {wanted}")
        + f", lengths from {norms.min():.4g} to {norms.max():.4g}.",
        details={"dimensions": int(vectors.shape[1])},
    )


@check(
    "determinism",
    version="1.0.0",
    title="Repeats itself",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=1e-6, warned=1e-3),
    material=list(TEXTS[:8]),
    effort=sends(2, question=100, answer=0),
)
def determinism(context: CheckContext) -> Measurement:
    """Greatest difference between two runs, of vectors scaled to length 1."""
    first, second = (_scaled(embed(context, TEXTS[:8])) for _ in range(2))
    return _difference(first, second, "two runs")


@check(
    "batch-invariance",
    version="1.0.0",
    title="Does not depend on the batch",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=1e-4, warned=1e-2),
    material=list(TEXTS[:8]),
    effort=sends(9, question=25, answer=0),
)
def batch_invariance(context: CheckContext) -> Measurement:
    """Greatest difference between texts alone and in one batch, scaled to length 1."""
    together = _scaled(embed(context, TEXTS[:8]))
    alone = np.vstack([_scaled(embed(context, [text])) for text in TEXTS[:8]])
    return replace(
        _difference(together, alone, "alone and in a batch"),
        suggestions=(
            "Send one text a request until the server computes each text by itself.",
        ),
    )


@check(
    "anisotropy",
    version="1.0.0",
    title="Uses the space",
    kinds=_KINDS,
    threshold=Threshold(comparator="<=", passed=0.5, warned=1.0),
    material=list(TEXTS),
    effort=sends(1, question=600, answer=0),
)
def anisotropy(context: CheckContext) -> Measurement:
    """Mean cosine of unrelated texts; near 1 all texts look alike (Ethayarajh 2019)."""
    vectors = embed(context, TEXTS)
    matrix = cosines(vectors, vectors)
    above = matrix[np.triu_indices(len(matrix), k=1)]
    return Measurement(
        value=float(above.mean()),
        n=len(above),
        message=f"Unrelated texts have a cosine of {above.mean():.3f} in the mean.",
        details={"sd": float(above.std())},
    )


@check(
    "latency",
    version="2.0.0",
    title="Time of one text",
    kinds=_KINDS,
    params={"requests": 72, "max_seconds": 60.0},
    threshold=Threshold(comparator="<=", passed=1.0, warned=5.0, rule="bound"),
    material=list(TEXTS),
    effort=sends("requests", question=40, answer=0, more=2),
)
def latency(context: CheckContext) -> Measurement:
    """95th percentile of the seconds for one short text, with nothing else running.

    Its interval is that of order statistics, which has an upper bound from 72 requests
    on; a slow endpoint is asked less often, no longer than ``max_seconds``.
    """
    seconds: list[float] = []
    with context.traffic.alone():
        embed(context, TEXTS[:1], is_alone=True)
        end = time.monotonic() + number(context, "max_seconds")
        for place in range(whole_number(context, "requests")):
            seconds.append(_timed(context, [TEXTS[place % len(TEXTS)]]))
            if time.monotonic() > end:
                break
        batch = _timed(context, TEXTS)
    median, slowest = np.quantile(seconds, [0.5, 0.95])
    low, high = quantile_interval(np.array(seconds), 0.95)
    return Measurement(
        value=float(slowest),
        ci=(max(low, 0.0), high),
        unit="s",
        n=len(seconds),
        message=f"{median * 1000:.1f} ms for one text in the median, "
        f"{slowest * 1000:.1f} ms at the 95th percentile; "
        f"{len(TEXTS) / batch:.0f} texts a second in a batch.",
        details={"p50": float(median), "texts_per_second": len(TEXTS) / batch},
    )


def _timed(context: CheckContext, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    embed(context, texts, is_alone=True)
    return time.perf_counter() - started


def _reaction(
    context: CheckContext, texts: list[str], *, may_refuse: bool
) -> tuple[bool, str]:
    try:
        vectors = embed(context, texts, retry=NO_RETRIES)
    except Exception as exc:
        found = diagnose(exc)
        if found.is_refusal or isinstance(exc, ValueError):
            return may_refuse, f"refused ({found.status or type(exc).__name__})"
        if found.is_server_fault:
            return False, f"answered with {found.status}"
        raise
    if not np.isfinite(vectors).all():
        return False, "vectors that are not finite"
    return True, f"{len(vectors)} finite vectors"


def _scaled(vectors: np.ndarray) -> np.ndarray:
    norms = lengths(vectors)[:, None]
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))


def _difference(first: np.ndarray, second: np.ndarray, what: str) -> Measurement:
    if first.shape != second.shape:
        return Measurement(
            outcome=Outcome.FAILED,
            message=f"The sizes differ between {what}: {first.shape}, {second.shape}.",
        )
    greatest = float(np.abs(first - second).max())
    return Measurement(
        value=greatest,
        n=len(first),
        message=f"The greatest difference between {what} is {greatest:.2g}.",
    )
