"""What fitted scikit-learn estimators are, and how the checks speak to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.request import JSON

_SHOWN_CLASSES = 50
_TABLE = 2


class EstimatorModel:
    """A fitted scikit-learn estimator as classifier or regressor.

    Parameters
    ----------
    estimator : estimator
        Fitted; anything with ``predict``, ``get_params`` and ``fit``.
    family : str
        ``classifier`` or ``regressor``.
    """

    def __init__(self, estimator: Any, family: str) -> None:
        self._estimator = estimator
        self.family = family

    @property
    def classes(self) -> np.ndarray:
        """The classes, in the order of the columns of `predict_proba`."""
        found = getattr(self._estimator, "classes_", None)
        if found is None or isinstance(found, list):
            raise ModelRejectedError(
                f"{type(self._estimator).__name__} has no attribute classes_ that "
                "lists the classes of one output."
            )
        return np.asarray(found)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns it was fitted with, empty when it knows none."""
        names = getattr(self._estimator, "feature_names_in_", None)
        if names is not None:
            return tuple(str(name) for name in names)
        columns = _columns_of_catboost(self._estimator)
        is_numbered = columns == tuple(str(place) for place in range(len(columns)))
        return () if is_numbered else columns

    @property
    def n_features(self) -> int | None:
        """Number of features of a row, ``None`` when the model does not say."""
        return feature_count(self._estimator)

    @property
    def has_probabilities(self) -> bool:
        """Whether `predict_proba` works."""
        return hasattr(self._estimator, "predict_proba")

    def predict(self, X: object) -> np.ndarray:
        """Return one class or number per row."""
        predicted = np.asarray(self._estimator.predict(self._conform(X)))
        # CatBoost gives a column of classes.
        is_column = predicted.ndim == _TABLE and predicted.shape[1] == 1
        return predicted[:, 0] if is_column else predicted

    def predict_proba(self, X: object) -> np.ndarray:
        """Return one probability per row and class."""
        return np.asarray(self._estimator.predict_proba(self._conform(X)))

    def describe(self) -> Mapping[str, JSON]:
        """Say what was loaded."""
        import sklearn

        facts: dict[str, JSON] = {
            "type": type(self._estimator).__name__,
            "features": self.n_features,
            "scikit-learn": sklearn.__version__,
        }
        if self.family == "classifier":
            shown = self.classes[:_SHOWN_CLASSES].tolist()
            facts["classes"] = [
                item if isinstance(item, int | float | str) else str(item)
                for item in shown
            ]
        return facts

    def close(self) -> None:
        """Nothing to give back."""

    def _conform(self, X: object) -> object:
        """Give named columns to a model that knows names, arrays to others."""
        names = getattr(self._estimator, "feature_names_in_", None)
        is_frame = hasattr(X, "columns")
        if names is None and is_frame and not _takes_frames(self._estimator):
            return X.to_numpy()  # type: ignore[attr-defined]
        if names is not None and not is_frame and getattr(X, "ndim", 0) == _TABLE:
            return _framed(X, names)
        return X


def feature_count(estimator: object) -> int | None:
    """Width of the rows the estimator was fitted with, if it says so."""
    try:
        count = getattr(estimator, "n_features_in_", None)
    except AttributeError:
        return None
    # A CatBoost model that was loaded has columns, but no width.
    return None if count is None else int(count) or len(_columns_of_catboost(estimator))


def _columns_of_catboost(estimator: object) -> tuple[str, ...]:
    """Return the columns of a CatBoost model, which numbers those without names."""
    if not type(estimator).__module__.startswith("catboost."):
        return ()
    return tuple(getattr(estimator, "feature_names_", None) or ())


def family_of(estimator: object) -> str:
    """Return ``classifier`` or ``regressor``.

    Raises
    ------
    ModelRejectedError
        It is neither.
    """
    base = _sklearn_base()
    if base.is_classifier(estimator):
        return "classifier"
    if base.is_regressor(estimator):
        return "regressor"
    name = type(estimator).__name__
    if base.is_clusterer(estimator):
        raise ModelRejectedError(
            f"{name} groups rows without a truth to compare with, so there is nothing "
            "to certify it by; where groups are known, submit a classifier of them."
        )
    if base.is_outlier_detector(estimator):
        raise ModelRejectedError(
            f"{name} finds outliers without a truth to compare with; where outliers "
            "are known, submit a classifier of them."
        )
    raise ModelRejectedError(
        f"{name} is neither a classifier nor a regressor of "
        "scikit-learn; submit a fitted estimator with predict()."
    )


def require_fitted(estimator: object) -> None:
    """Refuse an estimator that was not fitted.

    Raises
    ------
    ModelRejectedError
        It was not, or it is a class, or no estimator at all.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise ModelRejectedError(
            f"The model is the class {estimator.__name__}, not an instance of it; "
            f"submit {estimator.__name__}().fit(X, y)."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as exc:
        raise ModelRejectedError(
            f"{name} is not fitted; call fit(X, y) before submitting it."
        ) from exc
    except TypeError as exc:
        raise ModelRejectedError(
            f"{name} is not a scikit-learn estimator: it has no fit(). Submit an "
            "estimator, a .skops or .onnx file, or a ModelRef."
        ) from exc


def _takes_frames(estimator: object) -> bool:
    return feature_count(estimator) is None


def _framed(X: Any, names: Any) -> object:
    import pandas as pd

    if X.shape[1] != len(names):
        return X
    return pd.DataFrame(X, columns=list(names))


def _sklearn_base() -> Any:
    try:
        import sklearn.base
    except ImportError as exc:
        raise MissingExtraError("sklearn", "scikit-learn models") from exc
    return sklearn.base
