"""Whether a dataset is complete and fits its model, before anything is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from myia_sdk.certification.models.estimators import EstimatorModel, feature_count
from myia_sdk.errors import DatasetError

if TYPE_CHECKING:
    from myia_sdk.certification.datasets import Dataset

#: Rows on which a live estimator is tried at submission.
_PROBE_ROWS = 2
_MIN_CLASSES = 2


def require_valid(dataset: Dataset, family: str, estimator: Any = None) -> None:  # noqa: ANN401
    """Refuse a dataset that a suite for ``family`` cannot measure on.

    Parameters
    ----------
    dataset : Dataset
        The test data.
    family : str
        ``classifier`` or ``regressor``.
    estimator : estimator, optional
        The live model, if there is one: its width and names are compared, and it must
        predict the first rows.

    Raises
    ------
    DatasetError
        What is wrong, with the numbers.
    """
    for part, what in ((dataset, "the dataset"), (dataset.train, "the training data")):
        if part is not None:
            _require_complete(part, family, what)
            _require_width(part, estimator, what)
    if dataset.train is not None and dataset.train.features.width != (
        dataset.features.width
    ):
        raise DatasetError(
            f"The training data have {dataset.train.features.width} features, "
            f"the test data {dataset.features.width}."
        )
    for name, groups in dataset.sensitive.items():
        if len(groups) != dataset.rows:
            raise DatasetError(
                f"sensitive[{name!r}] has {len(groups)} values for {dataset.rows} rows."
            )
    if estimator is not None:
        _require_known_classes(dataset, family, estimator)
        _require_prediction(dataset, family, estimator)


def _require_complete(dataset: Dataset, family: str, what: str) -> None:
    rows = dataset.rows
    if rows == 0 or dataset.features.width == 0:
        raise DatasetError(
            f"X of {what} has the shape {tuple(dataset.X.shape)}; "
            "it needs at least one row and one column."
        )
    truth = dataset.truth
    if len(truth) != rows:
        raise DatasetError(
            f"X of {what} has {rows} rows, but y has {len(truth)} values; "
            "give one value of y per row of X."
        )
    missing = int(pd.isna(truth).sum())
    if missing:
        raise DatasetError(
            f"y of {what} has {missing} missing values; remove their rows."
        )
    if family == "classifier":
        _require_labels(truth, what)
    else:
        _require_numbers(truth, what)


def _require_labels(truth: np.ndarray, what: str) -> None:
    if truth.dtype.kind == "f" and not np.all(np.mod(truth, 1) == 0):
        raise DatasetError(
            f"y of {what} holds fractions such as {truth[np.mod(truth, 1) != 0][0]}; "
            "a classifier needs class labels. For a regressor choose "
            "suite='regressor-baseline'."
        )
    classes = pd.unique(truth)
    if len(classes) < _MIN_CLASSES:
        raise DatasetError(
            f"y of {what} has the single class {classes[0]!r}; a classifier is "
            "measured on at least two."
        )


def _require_numbers(truth: np.ndarray, what: str) -> None:
    if truth.dtype.kind not in "iuf":
        raise DatasetError(
            f"y of {what} holds {truth.dtype} values; a regressor needs numbers."
        )
    if not np.all(np.isfinite(truth)):
        raise DatasetError(f"y of {what} holds infinite values; remove their rows.")


def _require_width(dataset: Dataset, estimator: object, what: str) -> None:
    expected = None if estimator is None else feature_count(estimator)
    found = dataset.features.width
    if expected is not None and not dataset.features.is_text and expected != found:
        raise DatasetError(
            f"X of {what} has {found} features, but the model was fitted with "
            f"{expected}; give the same columns in the same order."
        )
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or not dataset.features.is_frame:
        return
    wanted, given = [str(name) for name in names], list(dataset.features.names)
    if wanted != given:
        wrong = [name for name in given if name not in wanted]
        raise DatasetError(
            f"The columns of X of {what} are not those the model was fitted with"
            + (f"; unknown: {', '.join(wrong[:5])}" if wrong else ", in their order")
            + f". Give X[{wanted[:3]}...]."
        )


def _require_known_classes(dataset: Dataset, family: str, estimator: Any) -> None:  # noqa: ANN401
    known = getattr(estimator, "classes_", None)
    if family != "classifier" or known is None or isinstance(known, list):
        return
    given = pd.unique(dataset.truth)
    if not set(np.asarray(known).tolist()) & set(given.tolist()):
        raise DatasetError(
            f"None of the classes in y ({', '.join(map(repr, given[:5].tolist()))}) is "
            "known to the model, which predicts "
            f"{', '.join(map(repr, np.asarray(known)[:5].tolist()))}; "
            "encode y as it was when the model was fitted."
        )


def _require_prediction(dataset: Dataset, family: str, estimator: object) -> None:
    rows = dataset.features.take(np.arange(min(_PROBE_ROWS, dataset.rows)))
    try:
        predicted = EstimatorModel(estimator, family).predict(rows.data)
    except Exception as exc:
        raise DatasetError(
            f"The model cannot predict the first rows of X: {type(exc).__name__}: {exc}"
        ) from exc
    if predicted.ndim != 1 or len(predicted) != rows.rows:
        raise DatasetError(
            f"The model predicts an array of shape {predicted.shape} for {rows.rows} "
            "rows; models with several outputs are not supported."
        )
