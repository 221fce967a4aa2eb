"""Data brought into the shape that their model takes, and what was done to them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from myia_sdk.certification.data.features import Features
from myia_sdk.certification.models.files.onnx import OnnxGraph
from myia_sdk.certification.models.predictions import PredictionsModel
from myia_sdk.errors import DatasetError, ModelRejectedError

if TYPE_CHECKING:
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models.estimators import EstimatorModel

    Live: TypeAlias = EstimatorModel | OnnxGraph | PredictionsModel

_SHOWN = 5


def aligned(dataset: Dataset, model: Live) -> tuple[Dataset, list[str]]:
    """Put columns into the order of the model, and one column of texts into a list.

    Parameters
    ----------
    dataset : Dataset
        Test data, perhaps with training data.
    model : EstimatorModel or OnnxGraph
        The model, which may know the names of its columns.

    Returns
    -------
    tuple of Dataset and list of str
        The data, and a sentence for each thing that was done.

    Raises
    ------
    DatasetError
        A column is missing or unknown; the message names it.
    """
    notes: list[str] = []
    if isinstance(model, PredictionsModel):
        return dataset, notes
    train = dataset.train
    if train is not None:
        train = replace(train, X=_shaped(train.X, model, "the training data", notes))
    X = _shaped(dataset.X, model, "the dataset", notes)
    return replace(dataset, X=X, train=train), notes


def settled(model: object, dataset: Dataset) -> list[str]:
    """Let a graph find out by the data what it does not say of its outputs.

    Returns
    -------
    list of str
        A sentence for each thing that was found; none of other models.
    """
    return model.settle(dataset.X) if isinstance(model, OnnxGraph) else []


def class_notes(dataset: Dataset, model: Live) -> list[str]:
    """Say which classes only the model or only the data have."""
    if model.family != "classifier" or dataset.y is None:
        return []
    try:
        known = set(model.classes.tolist())
    except ModelRejectedError:
        return []
    given = set(pd.unique(dataset.truth).tolist())
    if not known & given:
        return []
    notes = []
    if known - given:
        notes.append(
            f"The data have no rows of {_listed(_texts(known - given))}: nothing is "
            "measured about what the model knows of them."
        )
    if given - known:
        notes.append(
            f"The model does not know {_listed(_texts(given - known))}: its answers "
            "for these rows count as wrong."
        )
    return notes


def _texts(classes: set[object]) -> list[str]:
    return sorted(map(str, classes))


def _shaped(X: Any, model: Live, what: str, notes: list[str]) -> Any:
    if not hasattr(X, "columns"):
        return X
    if _is_one_text(X, model):
        notes.append(
            f"The column {X.columns[0]!r} of {what} is given to the model as a list of "
            "texts."
        )
        return Features(X).column(0).astype(object)
    wanted = list(model.feature_names)
    given = [str(name) for name in X.columns]
    if not wanted or given == wanted:
        return X
    places = _places(given, wanted, what)
    if places == list(range(len(given))):
        return X
    notes.append(f"The columns of {what} were put into the order of the model.")
    return X.select(places) if Features(X).is_mapped else X.iloc[:, places]


def _is_one_text(X: pd.DataFrame, model: Live) -> bool:
    """Whether a vectoriser that takes texts would get a table, and read its heads."""
    if X.shape[1] != 1 or model.n_features is not None or model.feature_names:
        return False
    texts = Features(X).column(0)
    return bool(pd.api.types.infer_dtype(texts, skipna=True) == "string")


def _places(given: list[str], wanted: list[str], what: str) -> list[int]:
    """Return where in the data each column of the model is."""
    known = given
    if not set(wanted) <= set(given):
        # LightGBM writes names without white space.
        known = [re.sub(r"\s", "_", name) for name in given]
    missing = [name for name in wanted if name not in known]
    unknown = [
        name for name, plain in zip(given, known, strict=True) if plain not in wanted
    ]
    if missing or unknown:
        parts = []
        if missing:
            parts.append(f"lacks {_listed(missing)}, which the model was fitted with")
        if unknown:
            parts.append(f"has {_listed(unknown)}, which the model does not know")
        raise DatasetError(
            f"X of {what} {' and '.join(parts)}; give the columns that the model was "
            "fitted with, in any order: X[list(model.feature_names_in_)]."
        )
    return [known.index(name) for name in wanted]


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
