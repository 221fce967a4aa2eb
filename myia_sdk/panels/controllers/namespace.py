"""Models and data among the variables of a notebook, told by what they can do.

No library is imported for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names that come first as test data and as their target.
_TEST_NAMES = ("X_test", "x_test", "X_valid", "X_val", "X")
_TARGET_NAMES = ("y_test", "y_valid", "y_val", "y", "target")
_MATRIX = 2
_FAMILIES = frozenset({"classifier", "regressor"})


class ModelVariable(NamedTuple):
    """A fitted estimator."""

    name: str
    type_name: str
    #: Features it was fitted with, None when it does not say.
    width: int | None
    #: ``"classifier"`` or ``"regressor"``, None for anything else.
    family: str | None

    @property
    def label(self) -> str:
        """What a list shows."""
        return f"{self.name} ({self.type_name})"


class TableVariable(NamedTuple):
    """A table or matrix."""

    name: str
    rows: int
    width: int
    #: Names of the columns, empty for arrays.
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a list shows."""
        return f"{self.name} ({self.rows:,} × {self.width:,})"


class ColumnVariable(NamedTuple):
    """A series, vector or list that can be a target."""

    name: str
    rows: int

    @property
    def label(self) -> str:
        """What a list shows."""
        return f"{self.name} ({self.rows:,})"


def _variables(namespace: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in list(namespace.items())
        if not name.startswith("_") and not isinstance(value, type)
    ]


def find_models(namespace: Mapping[str, Any]) -> list[ModelVariable]:
    """Return the fitted estimators, in the order they were made.

    Parameters
    ----------
    namespace : mapping
        Names and values, as in ``globals()``.
    """
    return [
        ModelVariable(name, type(value).__name__, _width(value), _family(value))
        for name, value in _variables(namespace)
        if _is_fitted(value)
    ]


def _is_fitted(value: object) -> bool:
    if not (hasattr(value, "predict") and hasattr(value, "get_params")):
        return False
    steps = getattr(value, "steps", None)
    if isinstance(steps, list) and steps:
        return _is_fitted(steps[-1][-1])
    attributes = getattr(value, "__dict__", {})
    return any(name.endswith("_") and not name.startswith("_") for name in attributes)


def _width(value: object) -> int | None:
    try:
        width = getattr(value, "n_features_in_", None)
    except AttributeError:
        return None
    return int(width) if isinstance(width, int) else None


def _family(value: object) -> str | None:
    tags = getattr(value, "__sklearn_tags__", None)
    try:
        # scikit-learn before 1.6 has an attribute instead of tags.
        kind = tags().estimator_type if tags else getattr(value, "_estimator_type", "")
    except Exception:  # noqa: BLE001 - foreign estimators may raise anything
        return None
    return kind if kind in _FAMILIES else None


def _shape(value: object) -> tuple[int, ...] | None:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(side, int) for side in shape):
        return shape
    return None


def find_tables(namespace: Mapping[str, Any]) -> list[TableVariable]:
    """Return two-dimensional data, likely test data first.

    Parameters
    ----------
    namespace : mapping
        Names and values, as in ``globals()``.
    """
    found = []
    for name, value in _variables(namespace):
        shape = _shape(value)
        if shape is None or len(shape) != _MATRIX or 0 in shape:
            continue
        columns = getattr(value, "columns", ())
        rows, width = shape
        found.append(TableVariable(name, rows, width, tuple(map(str, columns))))
    return sorted(found, key=lambda one: _rank(one.name, _TEST_NAMES))


def find_columns(namespace: Mapping[str, Any], rows: int) -> list[ColumnVariable]:
    """Return one-dimensional data of a length, likely targets first.

    Parameters
    ----------
    namespace : mapping
        Names and values, as in ``globals()``.
    rows : int
        Length wanted.
    """
    found = []
    for name, value in _variables(namespace):
        shape = _shape(value)
        is_list = isinstance(value, list | tuple) and len(value) == rows
        if shape == (rows,) or is_list:
            found.append(ColumnVariable(name, rows))
    return sorted(found, key=lambda one: _rank(one.name, _TARGET_NAMES))


def _rank(name: str, preferred: tuple[str, ...]) -> int:
    return preferred.index(name) if name in preferred else len(preferred)


def count_missing(values: Iterable[object]) -> int:
    """Return how many entries of a target are missing (None or NaN)."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return sum(1 for one in listed if one is None or one != one)  # noqa: PLR0124 - NaN
