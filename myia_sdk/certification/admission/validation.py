"""Whether a dataset is complete and fits its model, before anything is measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from myia_sdk.certification.models.predictions import PredictionsModel
from myia_sdk.errors import DatasetError, ModelRejectedError

if TYPE_CHECKING:
    from myia_sdk.certification.admission.alignment import Live
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.data.features import Features

#: Fewer say nothing: ten right answers of ten leave an accuracy of 0.72 possible
#: (Wilson's lower bound of 95 %).
MIN_ROWS = 10
#: Seconds in which a submitter's model predicts its data; what is not reached then is
#: first predicted by the worker.
PROBE_SECONDS = 5.0
_FIRST_ROWS = 2
_BATCH_ROWS = 10_000
_MIN_CLASSES = 2
_SHOWN_COLUMNS = 100


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
    model : EstimatorModel or OnnxGraph, optional
        The model, if it is at hand: its width is compared, and it must predict the
        rows.
    probe : bool
        Whether it must predict them, all that `PROBE_SECONDS` allow; off in a run,
        where a model that cannot be asked is told apart from data that do not fit.

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
    _require_something(dataset, model)
    if model is not None:
        _require_known_classes(dataset, family, model)
        if probe and not isinstance(model, PredictionsModel):
            _require_predictions(dataset, model, family)


def _require_something(dataset: Dataset, model: Live | None) -> None:
    """Refuse data that say nothing of a row: neither features nor predictions."""
    if isinstance(model, PredictionsModel):
        given = len(model.answers.predicted)
        if given != dataset.rows:
            raise DatasetError(
                f"There are {given} predictions for {dataset.rows} rows; give one for "
                "each."
            )
    elif not dataset.features.width:
        raise DatasetError("X of the dataset has no columns; it needs at least one.")


def _require_complete(dataset: Dataset, family: str, what: str) -> None:
    rows = dataset.rows
    if rows == 0:
        raise DatasetError(
            f"X of {what} has the shape {tuple(dataset.X.shape)}; it needs at least "
            "one row."
        )
    truth = dataset.truth
    if len(truth) != rows:
        raise DatasetError(
            f"X of {what} has {rows} rows, but y has {len(truth)} values; "
            "give one value of y per row of X."
        )
    if rows < MIN_ROWS and what == "the dataset":
        raise DatasetError(
            f"The dataset has {rows} rows; give at least {MIN_ROWS}, and some hundred "
            "for a verdict that says something."
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
    if what == "the dataset" and truth.min() == truth.max():
        raise DatasetError(
            f"y of {what} has the single value {truth[0]:g}; a regressor is measured "
            "on a target that varies."
        )


def _require_width(dataset: Dataset, model: Live | None, what: str) -> None:
    if model is None or dataset.features.is_text:
        return
    expected, found = model.n_features, dataset.features.width
    if expected is not None and expected != found:
        raise DatasetError(
            f"X of {what} has {found} features, but the model was fitted with "
            f"{expected}; give the same columns in the same order."
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


def _require_predictions(dataset: Dataset, model: Live, family: str) -> None:
    """Have the rows predicted in batches, until all are or the time is over."""
    features, deadline = dataset.features, time.monotonic() + PROBE_SECONDS
    start, size = 0, _FIRST_ROWS
    while start < features.rows and (start == 0 or time.monotonic() < deadline):
        places = np.arange(start, min(start + size, features.rows))
        _require_batch(features, places, model, family)
        start, size = start + size, _BATCH_ROWS


def _require_batch(
    features: Features, places: np.ndarray, model: Live, family: str
) -> None:
    rows = features.take(places)
    try:
        predicted = model.predict(rows.data)
    except Exception as exc:
        raise DatasetError(_where(features, places, model, exc)) from exc
    if predicted.ndim != 1 or len(predicted) != rows.rows:
        raise DatasetError(
            f"The model predicts an array of shape {predicted.shape} for {rows.rows} "
            "rows; it must give one value per row. A model with several outputs is "
            "certified output by output: submit one model for each."
        )
    if family == "regressor" and predicted.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(predicted))
        if len(wrong):
            raise DatasetError(
                f"The model predicts {predicted[wrong[0]]} for row "
                f"{places[wrong[0]]} of X."
            )


def _where(
    features: Features, places: np.ndarray, model: Live, error: Exception
) -> str:
    """Say which row the model refuses, and for which column."""
    row = _first_refused(features, places, model)
    text = f"{type(error).__name__}: {error}"
    if row is None:
        return f"The model cannot predict rows {places[0]} to {places[-1]} of X: {text}"
    rest = np.setdiff1d([0, places[0], places[-1], features.rows - 1], [row])
    good = next((one for one in rest if _predicts(features, one, model)), None)
    if good is None:
        return f"The model cannot predict the first rows of X: {text}"
    column = _refused_column(features, row, int(good), model)
    where = f"row {row} of X" + (f", column {column}" if column else "")
    return (
        f"The model cannot predict {where}: {text}. Put what prepares such values into "
        "the model, or leave the rows out."
    )


def _first_refused(features: Features, places: np.ndarray, model: Live) -> int | None:
    """Halve a batch that is refused until one row is left."""
    while len(places) > 1:
        half = places[: len(places) // 2]
        if _predicts(features, half, model):
            half = places[len(places) // 2 :]
            if _predicts(features, half, model):
                return None
        places = half
    return int(places[0])


def _predicts(features: Features, places: int | np.ndarray, model: Live) -> bool:
    try:
        model.predict(features.take(np.atleast_1d(places)).data)
    except Exception:  # noqa: BLE001 - the model's own refusal, whatever it is
        return False
    return True


def _refused_column(features: Features, row: int, good: int, model: Live) -> str:
    """Name the column without whose value the model takes the row.

    Where no single one is to blame, the first that is missing or infinite.
    """
    if features.is_sparse or features.is_text:
        return ""
    odd = ""
    for place in range(min(features.width, _SHOWN_COLUMNS)):
        value = features.take(np.array([row])).column(place)[0]
        shown = f"{features.names[place]!r} ({value})"
        if _predicts(_exchanged(features, row, good, place), 0, model):
            return shown
        is_infinite = isinstance(value, float | np.floating) and np.isinf(value)
        if not odd and (is_infinite or bool(pd.isna(value))):
            odd = shown
    return odd


def _exchanged(features: Features, row: int, good: int, place: int) -> Features:
    """Return one row with the value of another in one column."""
    both = features.take(np.array([row, good])).data
    if not features.is_frame:
        mixed = both[:1].copy()
        mixed[0, place] = both[1, place]
        return type(features)(mixed)
    columns = [
        both.iloc[[1 if one == place else 0], [one]].reset_index(drop=True)
        for one in range(features.width)
    ]
    return type(features)(pd.concat(columns, axis=1))
