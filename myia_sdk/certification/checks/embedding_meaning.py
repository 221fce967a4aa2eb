"""Whether vectors carry meaning: likeness, ranking, finding, steadiness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myia_sdk.certification.checks.asking import whole_number
from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.registry import check
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.checks.vectors import (
    MATERIAL,
    TEXTS,
    cosines,
    embed,
    paired_cosines,
    rank_correlation,
)
from myia_sdk.certification.statistics.intervals import wilson_interval
from myia_sdk.certification.traffic import sends

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = ("embedding",)
_PAIRS: list[list[str]] = MATERIAL["paraphrases"]
_DOCUMENTS: list[list[str]] = MATERIAL["documents"]
#: The unrelated sentence of a pair is the partner of the pair so many places on.
_OFFSET = 7
#: Letters that are exchanged with the next one in a misspelt text: every ninth.
_TYPO_EVERY = 9


@check(
    "paraphrase",
    version="1.0.0",
    title="Tells a paraphrase from another sentence",
    kinds=_KINDS,
    threshold=Threshold(comparator=">=", passed=0.8, rule="bound"),
    material=[_PAIRS, _OFFSET],
    effort=sends(2, question=600, answer=0),
)
def paraphrase(context: CheckContext) -> Measurement:
    """Share of sentences that are nearer to their paraphrase than to another sentence.

    The lower bound of the share decides.
    """
    sentences = embed(context, [pair[0] for pair in _PAIRS])
    partners = embed(context, [pair[1] for pair in _PAIRS])
    near = paired_cosines(sentences, partners)
    far = paired_cosines(sentences, np.roll(partners, -_OFFSET, axis=0))
    right = int((near > far).sum())
    return Measurement(
        value=right / len(near),
        ci=wilson_interval(right, len(near)),
        n=len(near),
        message=f"{right} of {len(near)} are nearer; the cosine is {near.mean():.3f} "
        f"with the paraphrase and {far.mean():.3f} with another sentence.",
        details={"paraphrase": float(near.mean()), "other": float(far.mean())},
    )


@check(
    "retrieval",
    version="1.0.0",
    title="Finds the document that answers",
    kinds=_KINDS,
    params={"among": 5},
    threshold=Threshold(comparator=">=", passed=0.8, warned=0.6),
    material=_DOCUMENTS,
    effort=sends(2, question=400, answer=0),
)
def retrieval(context: CheckContext) -> Measurement:
    """Recall among the nearest documents: share of questions whose answer is there."""
    documents = embed(context, [pair[0] for pair in _DOCUMENTS])
    questions = embed(context, [pair[1] for pair in _DOCUMENTS])
    likeness = cosines(questions, documents)
    own = np.diag(likeness)[:, None]
    places = (likeness > own).sum(axis=1)
    among = whole_number(context, "among")
    found = int((places < among).sum())
    return Measurement(
        value=found / len(places),
        ci=wilson_interval(found, len(places)),
        n=len(places),
        message=f"{found} of {len(places)} answers are among the nearest {among}, "
        f"{int((places == 0).sum())} are the nearest of all.",
    )


@check(
    "sts",
    version="1.0.0",
    title="Ranks likeness as people do",
    kinds=_KINDS,
    threshold=Threshold(comparator=">=", passed=0.6, warned=0.4),
    material=MATERIAL["likeness"],
    effort=sends(2, question=300, answer=0),
)
def semantic_likeness(context: CheckContext) -> Measurement:
    """Spearman's correlation of cosines with degrees of likeness given by people."""
    pairs = MATERIAL["likeness"]
    first = embed(context, [str(pair[0]) for pair in pairs])
    second = embed(context, [str(pair[1]) for pair in pairs])
    degrees = np.array([float(pair[2]) for pair in pairs])
    correlation = rank_correlation(paired_cosines(first, second), degrees)
    return Measurement(
        value=correlation,
        n=len(degrees),
        message=f"The rank correlation over {len(degrees)} pairs is {correlation:.3f}.",
    )


@check(
    "robustness",
    version="1.0.0",
    title="Stands capitals and misspellings",
    kinds=_KINDS,
    threshold=Threshold(comparator=">=", passed=0.8, warned=0.6),
    material=_TYPO_EVERY,
    effort=sends(3, question=250, answer=0),
)
def robustness(context: CheckContext) -> Measurement:
    """Mean cosine of texts with themselves in capitals and misspelt, the lower one."""
    texts = list(TEXTS[:20])
    plain = embed(context, texts)
    capitals = paired_cosines(plain, embed(context, [text.upper() for text in texts]))
    misspelt = paired_cosines(plain, embed(context, _misspelt(texts)))
    lower = min(capitals.mean(), misspelt.mean())
    return Measurement(
        value=float(lower),
        n=len(texts),
        message=f"The mean cosine is {capitals.mean():.3f} in capitals and "
        f"{misspelt.mean():.3f} with letters exchanged.",
        details={"capitals": float(capitals.mean()), "typos": float(misspelt.mean())},
    )


def _misspelt(texts: Sequence[str]) -> list[str]:
    return ["".join(_exchanged(list(text))) for text in texts]


def _exchanged(letters: list[str]) -> list[str]:
    for place in range(_TYPO_EVERY, len(letters) - 1, _TYPO_EVERY):
        if letters[place].isalpha() and letters[place + 1].isalpha():
            letters[place : place + 2] = letters[place + 1], letters[place]
    return letters
