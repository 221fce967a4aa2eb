"""Boosters of XGBoost, LightGBM and CatBoost in their libraries' own files.

None of these formats holds code. A file knows no labels: classes are 0, 1, ... unless
the model's options name them.
"""

from __future__ import annotations

import json
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.certification.models.estimators import EstimatorModel
from myia_sdk.certification.request import ModelRef
from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import JSON

#: Kind of model by the suffix of its file.
KINDS = {".ubj": "xgboost", ".json": "xgboost", ".txt": "lightgbm", ".cbm": "catboost"}
#: First words of the objectives of classifiers and of regressors.
_CLASSIFIERS = ("binary", "cross_entropy", "multi", "Logloss", "CrossEntropy", "Multi")
_REGRESSORS = (
    *("reg", "count", "huber", "fair", "poisson", "quantile", "mape", "gamma"),
    *("tweedie", "survival", "RMSE", "MAE", "MAPE", "Huber", "Poisson", "Quantile"),
    *("Tweedie", "Expectile", "LogCosh", "Lq", "LogLinQuantile"),
)
_MATRIX = 2


class LightGBMEstimator:
    """A booster of LightGBM that predicts as its classifiers and regressors do.

    Parameters
    ----------
    booster : lightgbm.Booster
        The model.
    classes : sequence
        Labels in the order of the scores; empty for a regressor.
    """

    def __init__(self, booster: Any, classes: Sequence[object]) -> None:
        self._booster = booster
        self.n_features_in_ = int(booster.num_feature())
        if len(classes):
            self.classes_ = np.asarray(classes)
            self.predict_proba = self._probabilities

    def predict(self, X: object) -> np.ndarray:
        """Return one class or number per row."""
        if not hasattr(self, "classes_"):
            return np.asarray(self._booster.predict(X))
        best = np.argmax(self._probabilities(X), axis=1)
        return np.asarray(self.classes_[best])

    def _probabilities(self, X: object) -> np.ndarray:
        scores = np.asarray(self._booster.predict(X))
        if scores.ndim == _MATRIX:
            return scores
        return np.column_stack([1 - scores, scores])


def load(reference: ModelRef, surroundings: Surroundings) -> EstimatorModel:
    """Load the booster that a reference names."""
    if surroundings.artifacts is None or reference.artifact is None:
        raise ModelRejectedError("A booster needs an artifact store.")
    content = surroundings.artifacts.read_bytes(reference.artifact)
    return read(content, reference.kind, reference.options.get("classes"))


def read(content: bytes, kind: str, classes: JSON = None) -> EstimatorModel:
    """Read the file of a booster.

    Parameters
    ----------
    content : bytes
        The file.
    kind : str
        ``"xgboost"``, ``"lightgbm"`` or ``"catboost"``.
    classes : list, optional
        Labels in the order of the scores, instead of 0, 1, ...

    Raises
    ------
    MissingExtraError
        The library is not installed.
    ModelRejectedError
        It is no file of that library, or neither classifier nor regressor.
    """
    library = _library(kind)
    if kind == "lightgbm" and b"end of trees" not in content:
        # LightGBM would not raise an error, but end the process.
        raise ModelRejectedError(
            "The file is no complete model of LightGBM: it lacks the line 'end of "
            "trees'."
        )
    labels = classes if isinstance(classes, list) else []
    try:
        estimator, family = _READERS[kind](library, content, labels)
    except ModelRejectedError:
        raise
    except Exception as exc:
        raise ModelRejectedError(
            f"The file cannot be read as a model of {kind} {library.__version__}: "
            f"{str(exc).strip().splitlines()[0] if str(exc).strip() else exc!r}."
        ) from exc
    return EstimatorModel(estimator, family)


def reference(content: bytes, kind: str, path: Path, name: str | None) -> ModelRef:
    """Return the reference of a file, before it is stored."""
    import hashlib

    return ModelRef(
        kind=kind,
        name=name or path.stem,
        family=read(content, kind).family,
        artifact="sha256:" + hashlib.sha256(content).hexdigest(),
        format=path.suffix.lower().removeprefix("."),
    )


def _xgboost(library: Any, content: bytes, classes: list[JSON]) -> tuple[Any, str]:
    booster = library.Booster()
    booster.load_model(bytearray(content))
    config = json.loads(booster.save_config())
    family = _family_of(config["learner"]["objective"]["name"])
    is_classifier = family == "classifier"
    estimator = library.XGBClassifier() if is_classifier else library.XGBRegressor()
    estimator.load_model(bytearray(content))
    return _labelled(estimator, classes) if is_classifier else estimator, family


def _lightgbm(library: Any, content: bytes, classes: list[JSON]) -> tuple[Any, str]:
    text = content.decode()
    booster = library.Booster(model_str=text)
    lines = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    family = _family_of(lines.get("objective", ""))
    count = max(int(lines.get("num_class", 1)), _MATRIX)
    labels = classes or list(range(count))
    return LightGBMEstimator(booster, labels if family == "classifier" else ()), family


def _catboost(library: Any, content: bytes, classes: list[JSON]) -> tuple[Any, str]:
    with tempfile.NamedTemporaryFile(suffix=".cbm") as file:
        file.write(content)
        file.flush()
        plain = library.CatBoost().load_model(file.name)
    family = _family_of(str(plain.get_all_params().get("loss_function", "")))
    is_classifier = family == "classifier"
    estimator = (
        library.CatBoostClassifier if is_classifier else library.CatBoostRegressor
    )()
    estimator.load_model(blob=content)
    return _labelled(estimator, classes) if classes else estimator, family


_READERS: dict[str, Callable[[Any, bytes, list[JSON]], tuple[Any, str]]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}


class _Relabelled:
    """A classifier whose classes 0, 1, ... have names."""

    def __init__(self, estimator: Any, classes: list[JSON]) -> None:
        self._estimator = estimator
        self.classes_ = np.asarray(classes)
        self.n_features_in_ = estimator.n_features_in_

    def predict(self, X: object) -> np.ndarray:
        """Return one label per row."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: object) -> np.ndarray:
        """Return one probability per row and class."""
        return np.asarray(self._estimator.predict_proba(X))


def _labelled(estimator: Any, classes: list[JSON]) -> Any:
    return _Relabelled(estimator, classes) if classes else estimator


def _family_of(objective: str) -> str:
    if objective.startswith(_CLASSIFIERS):
        return "classifier"
    if objective.startswith(_REGRESSORS):
        return "regressor"
    raise ModelRejectedError(
        f"The model's objective is {objective!r}; only classifiers and regressors can "
        "be certified."
    )


def _library(kind: str) -> Any:
    try:
        return import_module(kind)
    except ImportError as exc:
        raise MissingExtraError(kind, f"{kind} models") from exc
