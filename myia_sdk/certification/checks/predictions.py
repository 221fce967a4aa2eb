"""Predictions on the test data, made once per run and shared by the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from myia_sdk.errors import DatasetError, ModelRejectedError

if TYPE_CHECKING:
    from myia_sdk.certification.checks.context import CheckContext
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models import ClassifierModel, RegressorModel


def classifier_of(context: CheckContext) -> ClassifierModel:
    """Return the model of a run of a classifier suite."""
    return cast("ClassifierModel", context.model)


def regressor_of(context: CheckContext) -> RegressorModel:
    """Return the model of a run of a regressor suite."""
    return cast("RegressorModel", context.model)


def data_of(context: CheckContext) -> Dataset:
    """Return the dataset of a run that cannot do without one."""
    if context.dataset is None:
        raise DatasetError(
            f"The check {context.check_id!r} measures on data; "
            "give dataset=(X_test, y_test)."
        )
    return context.dataset


def number(context: CheckContext, name: str) -> float:
    """Return a parameter that is a number."""
    value = context.params[name]
    if not isinstance(value, int | float):
        raise TypeError(f"The parameter {name!r} is {value!r}, not a number.")
    return float(value)


def predictions(context: CheckContext) -> np.ndarray:
    """Return what the model predicts for the test data."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "predictions",
            lambda: classifier_of(context).predict(data_of(context).X),
        ),
    )


def train_predictions(context: CheckContext, train: Dataset) -> np.ndarray:
    """Return what the model predicts for the training data."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "train predictions", lambda: classifier_of(context).predict(train.X)
        ),
    )


def probabilities(context: CheckContext) -> np.ndarray:
    """Return the probabilities for the test data, one column per class."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "probabilities",
            lambda: np.asarray(
                classifier_of(context).predict_proba(data_of(context).X), dtype=float
            ),
        ),
    )


def class_positions(context: CheckContext) -> np.ndarray:
    """Column of the true class in `probabilities`, -1 for a class unknown to it."""
    place = {
        label: position
        for position, label in enumerate(classifier_of(context).classes.tolist())
    }
    return np.array([place.get(label, -1) for label in data_of(context).truth.tolist()])


def known_classes(context: CheckContext) -> np.ndarray:
    """Return the model's classes; where it does not say, those that occur."""
    try:
        return classifier_of(context).classes
    except ModelRejectedError:
        occurring = {*data_of(context).truth.tolist(), *predictions(context).tolist()}
        return np.array(sorted(occurring, key=str))


def is_right(context: CheckContext) -> np.ndarray:
    """Tell for each prediction whether it is right."""
    return np.asarray(predictions(context) == data_of(context).truth, dtype=bool)


def some_rows(context: CheckContext, most: int) -> np.ndarray:
    """Positions of at most ``most`` rows of the test data, in order."""
    rows = data_of(context).rows
    if rows <= most:
        return np.arange(rows)
    return np.sort(context.rng.choice(rows, most, replace=False))
