"""Whether a dataset is complete and fits its model, before anything is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from myia_sdk.errors import DatasetError, ModelRejectedError

if TYPE_CHECKING:
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models.estimators import EstimatorModel
    from myia_sdk.certification.models.files.onnx import OnnxModel

    Live: TypeAlias = EstimatorModel | OnnxModel

#: Rows on which a live estimator is tried at submission.
_PROBE_ROWS = 2
_MIN_CLASSES = 2


def require_valid(
    dataset: Dataset,
    family: str,
    model: Live | None = None,
    *,
    probe: bool = True,
) -> None:
    """Refuse a dataset that a suite for ``family`` cannot measure on.

    Parameters
    ----------
    dataset : Dataset
        The test data.
    family : str
        ``classifier`` or ``regressor``.
    model : EstimatorModel or OnnxModel, optional
        The model, if it is at hand: its width and names are compared, and it must
        predict the first rows.
    probe : bool
        Whether it must predict them; off in a run, where a model that cannot be asked
        is told apart from data that do not fit.

    Raises
    ------
    DatasetError
        What is wrong, with the numbers.
    """
    for part, what in ((dataset, "the dataset"), (dataset.train, "the training data")):
        if part is not None:
            _require_complete(part, family, what)
            _require_width(part, model, what)
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
    if model is not None:
        _require_known_classes(dataset, family, model)
        if probe:
            _require_prediction(dataset, model)


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
            f"y of {what} holds fractions such as {truth[np.mod(truth, 1) != 0][0]:g}; "
            "a classifier needs class labels. For a regressor choose "
            "suite='regressor-baseline'."
        )
    classes = pd.unique(truth).tolist()
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


def _require_width(dataset: Dataset, model: Live | None, what: str) -> None:
    if model is None or dataset.features.is_text:
        return
    expected, found = model.n_features, dataset.features.width
    if expected is not None and expected != found:
        raise DatasetError(
            f"X of {what} has {found} features, but the model was fitted with "
            f"{expected}; give the same columns in the same order."
        )
    wanted = list(getattr(model, "feature_names", ()))
    given = list(dataset.features.names)
    if not wanted or not dataset.features.is_frame:
        return
    if wanted != given:
        wrong = [name for name in given if name not in wanted]
        raise DatasetError(
            f"The columns of X of {what} are not those the model was fitted with"
            + (f"; unknown: {', '.join(wrong[:5])}" if wrong else ", in their order")
            + f". Give X[{wanted[:3]}...]."
        )


def _require_known_classes(dataset: Dataset, family: str, model: Live) -> None:
    if family != "classifier":
        return
    try:
        known = model.classes.tolist()
    except ModelRejectedError:
        return
    given = pd.unique(dataset.truth).tolist()
    if not set(known) & set(given):
        raise DatasetError(
            f"None of the classes in y ({', '.join(map(repr, given[:5]))}) is known to "
            f"the model, which predicts {', '.join(map(repr, known[:5]))}; "
            "encode y as it was when the model was fitted."
        )


def _require_prediction(dataset: Dataset, model: Live) -> None:
    rows = dataset.features.take(np.arange(min(_PROBE_ROWS, dataset.rows)))
    try:
        predicted = model.predict(rows.data)
    except Exception as exc:
        raise DatasetError(
            f"The model cannot predict the first rows of X: {type(exc).__name__}: {exc}"
        ) from exc
    if predicted.ndim != 1 or len(predicted) != rows.rows:
        raise DatasetError(
            f"The model predicts an array of shape {predicted.shape} for {rows.rows} "
            "rows; models with several outputs are not supported."
        )
