"""Predictions in place of a model: they are all that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from myia_sdk.certification.data.predictions import Answers
from myia_sdk.errors import ModelNotSeenError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import JSON, ModelRef


class PredictionsModel:
    """What a model answered to the test data; it cannot be asked anything else.

    Parameters
    ----------
    answers : Answers
        One per row of the data.
    family : str
        ``classifier`` or ``regressor``.
    """

    n_features = None
    feature_names = ()

    def __init__(self, answers: Answers, family: str) -> None:
        self.answers = answers
        self.family = family

    @property
    def classes(self) -> np.ndarray:
        """The classes in the order of the probabilities."""
        if self.answers.classes is None:
            raise ModelRejectedError("Predictions do not say what the classes are.")
        return self.answers.classes

    @property
    def has_probabilities(self) -> bool:
        """Whether there are any."""
        return self.answers.probabilities is not None

    def predict(self, X: object) -> NoReturn:  # noqa: ARG002
        """Refuse: there is no model."""
        raise ModelNotSeenError

    def predict_proba(self, X: object) -> NoReturn:  # noqa: ARG002
        """Refuse: there is no model."""
        raise ModelNotSeenError

    def describe(self) -> Mapping[str, JSON]:
        """Say that these are predictions."""
        facts: dict[str, JSON] = {
            "type": "predictions",
            "rows": len(self.answers.predicted),
            "model_seen": False,
        }
        if self.answers.classes is not None:
            facts["classes"] = self.answers.classes[:50].tolist()
        return facts

    def close(self) -> None:
        """Nothing to give back."""


def load(reference: ModelRef, surroundings: Surroundings) -> PredictionsModel:
    """Read the predictions that a reference names."""
    if surroundings.artifacts is None or reference.artifact is None:
        raise ModelRejectedError("Predictions need an artifact store.")
    content = surroundings.artifacts.read_bytes(reference.artifact)
    return PredictionsModel(Answers.from_bytes(content), str(reference.family))
