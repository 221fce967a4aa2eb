"""Asking embedding models, and comparing what they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from myia_sdk.certification.checks.asking import request_timeout
from myia_sdk.certification.checks.material import read_material

if TYPE_CHECKING:
    from collections.abc import Sequence

    from myia_sdk.certification.checks.context import CheckContext
    from myia_sdk.certification.models import EmbeddingAdapter
    from myia_sdk.certification.traffic import RetryPolicy

MATERIAL = read_material("embedding")
#: Unrelated short texts.
TEXTS: tuple[str, ...] = tuple(pair[0] for pair in MATERIAL["paraphrases"])

#: English has about four characters a token; the protocol's counts are not asked for.
_CHARACTERS_PER_TOKEN = 4


def embed(
    context: CheckContext,
    texts: Sequence[str],
    *,
    retry: RetryPolicy | None = None,
    is_alone: bool = False,
) -> np.ndarray:
    """Embed texts, again after temporary errors.

    Parameters
    ----------
    context : CheckContext
        The check that asks.
    texts : sequence of str
        One batch.
    retry : RetryPolicy, optional
        The run's own if not given.
    is_alone : bool, optional
        Whether the caller holds the traffic's ``alone`` already.

    Returns
    -------
    numpy.ndarray
        One row per text.
    """
    model = cast("EmbeddingAdapter", context.model)
    traffic = context.traffic

    def send() -> np.ndarray:
        context.budget.require()
        context.outage.require()
        with traffic.quiet() if is_alone else traffic.request():
            return model.embed(list(texts), timeout=request_timeout(context))

    try:
        answer = (retry or context.retry).run(send)
    except Exception as exc:
        if (retry or context.retry).max_retries:
            # Without retries the errors are what is measured.
            limit = request_timeout(context)
            context.outage.failed(exc, lambda: model.embed(["Hi"], timeout=limit))
        raise
    context.outage.answered()
    characters = sum(map(len, texts))
    context.budget.spend(characters // _CHARACTERS_PER_TOKEN)
    context.sample_log.append(
        context.check_id,
        {
            "texts": len(texts),
            "characters": characters,
            "shape": answer.value.shape,
            "retries": len(answer.retries),
        },
    )
    return answer.value


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean length of each row."""
    return np.asarray(np.linalg.norm(vectors, axis=1))


def cosines(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cosine of each row of one array with each row of another; 0 for null vectors."""
    products = rows @ columns.T
    norms = np.outer(lengths(rows), lengths(columns))
    return _quotient(products, norms)


def paired_cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of each row with the row of the same place in another array."""
    products = np.einsum("ij,ij->i", first, second)
    norms = lengths(first) * lengths(second)
    return _quotient(products, norms)


def _quotient(products: np.ndarray, norms: np.ndarray) -> np.ndarray:
    result = np.zeros_like(products)
    np.divide(products, norms, out=result, where=norms > 0)
    return result


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, ties ranked by their mean; 0 without variation."""
    ranks = np.vstack([_ranks(first), _ranks(second)])
    if (ranks.std(axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places])
