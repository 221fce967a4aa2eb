"""Predictions on the test data, made once per run and shared by the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from myia_sdk.certification.models.predictions import PredictionsModel
from myia_sdk.certification.statistics.metrics import Labels
from myia_sdk.errors import DatasetError, ModelRejectedError

if TYPE_CHECKING:
    from myia_sdk.certification.checks.context import CheckContext
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models import (
        ClassifierAdapter,
        Model,
        RegressorAdapter,
    )


def classifier_of(context: CheckContext) -> ClassifierAdapter:
    """Return the model of a run of a classifier suite."""
    return cast("ClassifierAdapter", context.model)


def regressor_of(context: CheckContext) -> RegressorAdapter:
    """Return the model of a run of a regressor suite."""
    return cast("RegressorAdapter", context.model)


def data_of(context: CheckContext) -> Dataset:
    """Return the dataset of a run that cannot do without one."""
    if context.dataset is None:
        raise DatasetError(
            f"The check {context.check_id!r} measures on data; "
            "give dataset=(X_test, y_test)."
        )
    return context.dataset


def training_data(context: CheckContext) -> Dataset:
    """Return the training data of a check that the runner skips without them."""
    return cast("Dataset", data_of(context).train)


def number(context: CheckContext, name: str) -> float:
    """Return a parameter that is a number."""
    value = context.params[name]
    if not isinstance(value, int | float):
        raise TypeError(f"The parameter {name!r} is {value!r}, not a number.")
    return float(value)


def answers_to(model: Model, data: Dataset) -> np.ndarray:
    """Return what a model predicts for the data, or was recorded to have predicted."""
    if isinstance(model, PredictionsModel):
        return model.answers.predicted
    predict = cast("ClassifierAdapter", model).predict
    return np.concatenate([predict(part.data) for part in data.features.parts()])


def probabilities_of(model: Model, data: Dataset) -> np.ndarray:
    """Return a model's probabilities for the data, or those recorded."""
    if isinstance(model, PredictionsModel) and model.answers.probabilities is not None:
        return model.answers.probabilities
    predict = cast("ClassifierAdapter", model).predict_proba
    parts = [predict(part.data) for part in data.features.parts()]
    return np.concatenate(parts).astype(float, copy=False)


def predictions(context: CheckContext) -> np.ndarray:
    """Return what the model predicts for the test data."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "predictions",
            lambda: answers_to(context.model, data_of(context)),
        ),
    )


def train_predictions(context: CheckContext, train: Dataset) -> np.ndarray:
    """Return what the model predicts for the training data."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "train predictions", lambda: answers_to(context.model, train)
        ),
    )


def probabilities(context: CheckContext) -> np.ndarray:
    """Return the probabilities for the test data, one column per class."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "probabilities",
            lambda: probabilities_of(context.model, data_of(context)),
        ),
    )


def class_positions(context: CheckContext) -> np.ndarray:
    """Column of the true class in `probabilities`, -1 for a class unknown to it."""
    return cast(
        "np.ndarray",
        context.shared.get(
            "class positions",
            lambda: positions_of(data_of(context).truth, classifier_of(context)),
        ),
    )


def positions_of(truth: np.ndarray, model: ClassifierAdapter) -> np.ndarray:
    """Position of each true class among a model's, -1 for a class unknown to it."""
    place = {label: position for position, label in enumerate(model.classes.tolist())}
    return np.array([place.get(label, -1) for label in truth.tolist()])


def labels(context: CheckContext) -> Labels:
    """Return true and predicted classes of the test data."""
    return cast(
        "Labels",
        context.shared.get(
            "labels", lambda: Labels.of(data_of(context).truth, predictions(context))
        ),
    )


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
