"""Predictions without their model: what can be said of it from its answers alone."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from myia_sdk.certification.data.datasets import Dataset, as_column
from myia_sdk.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

_METADATA_KEY = b"myia"
_PREDICTED = "y_pred"
_PROBABILITY = "y_proba_{}"
#: How far a sum of single-precision probabilities is from 1.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered, row by row."""

    predicted: np.ndarray
    #: One column per class.
    probabilities: np.ndarray | None = None
    #: Order of the columns of the probabilities.
    classes: np.ndarray | None = None

    def to_bytes(self) -> bytes:
        """Return the Parquet file of the answers.

        Raises
        ------
        DatasetError
            The predictions are of several types.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            columns = {_PREDICTED: pa.array(self.predicted)}
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
            raise DatasetError(
                f"y_pred cannot be written as Parquet: {exc}. Give values of one type."
            ) from exc
        marks: dict[str, Any] = {"container": "predictions"}
        if self.probabilities is not None and self.classes is not None:
            marks["classes"] = self.classes.tolist()
            for place, column in enumerate(self.probabilities.T):
                columns[_PROBABILITY.format(place)] = pa.array(column)
        table = pa.table(columns).replace_schema_metadata(
            {_METADATA_KEY: json.dumps(marks).encode()}
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote; the file may come from anybody.

        Raises
        ------
        DatasetError
            It is something else.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(io.BytesIO(content))
            marks = json.loads((table.schema.metadata or {})[_METADATA_KEY])
            classes = marks.get("classes")
            predicted = table.column(_PREDICTED).to_numpy()
            if classes is None:
                return cls(predicted)
            columns = [
                table.column(_PROBABILITY.format(place)).to_numpy()
                for place in range(len(classes))
            ]
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as exc:
            raise DatasetError(f"The predictions cannot be read: {exc}") from exc
        return cls(predicted, np.column_stack(columns), np.asarray(classes))


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's answers to test data, to be certified without the model.

    What needs the model (its robustness, its speed, what it refuses) is skipped; the
    certificate is about the predictions, and says that no model was seen.

    Parameters
    ----------
    y_true : array
        Truth, one value per row.
    y_pred : array
        What the model predicted, one value per row.
    y_proba : array or DataFrame, optional
        Of a classifier: probabilities, one column per class, or one value per row for
        the second of two classes. The columns of a frame are named by the classes.
    data : DataFrame or array, optional
        The features, for weak slices and for groups.
    classes : sequence, optional
        Classes in the order of the columns of ``y_proba``; those that occur, sorted,
        if not given.
    sensitive : sequence of str or mapping of str to array, optional
        Columns of ``data``, or groups of the rows, that are compared for fairness.
    family : ``"classifier"`` or ``"regressor"``, optional
        What the model does; taken from the suite, or, without one, told from the
        values: fractions without probabilities are a regressor's.
    name : str
        How reports and the certificate call them.

    Raises
    ------
    DatasetError
        They do not fit together; the message says what and where.

    Examples
    --------
    >>> answers = Predictions(["no", "yes", "no"], ["no", "yes", "yes"])
    >>> answers.rows
    3
    """

    y_true: Any
    y_pred: Any
    y_proba: Any = None
    data: Any = None
    classes: Sequence[object] | None = None
    sensitive: Sequence[str] | Mapping[str, Any] = ()
    family: Literal["classifier", "regressor"] | None = None
    name: str = "predictions"

    def __post_init__(self) -> None:
        if self.family not in {None, "classifier", "regressor"}:
            raise DatasetError(
                f"'family' of the predictions is {self.family!r}; it must be "
                "'classifier' or 'regressor'."
            )
        truth, predicted = self._column("y_true"), self._column("y_pred")
        if len(truth) != len(predicted):
            raise DatasetError(
                f"y_true has {len(truth)} values, y_pred has {len(predicted)}; give "
                "one of each per row."
            )
        if self.y_proba is not None:
            self._probabilities()

    @property
    def rows(self) -> int:
        """Number of observations."""
        return len(self._column("y_true"))

    @property
    def answers(self) -> Answers:
        """What the model answered."""
        predicted = self._column("y_pred")
        if self.y_proba is None:
            return Answers(predicted)
        return Answers(predicted, *self._probabilities())

    @property
    def dataset(self) -> Dataset:
        """Truth, features and groups; without features a table of no columns."""
        import pandas as pd

        given = pd.DataFrame(index=range(self.rows)) if self.data is None else self.data
        return Dataset.of(
            {
                "X": given,
                "y": self.y_true,
                "sensitive": self.sensitive,
                "name": self.name,
            }
        )

    @property
    def digest(self) -> str:
        """``sha256:...`` of what a certificate is about; of the bytes of `save`."""
        return "sha256:" + hashlib.sha256(self.answers.to_bytes()).hexdigest()

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the Parquet file that a certificate is about.

        Its digest depends on the version of pyarrow too: keep the file, and verify
        the certificate with it.

        Returns
        -------
        Path
            Where it was written.
        """
        written = Path(path).expanduser()
        written.write_bytes(self.answers.to_bytes())
        return written

    def told_family(self, wanted: str | None = None) -> str:
        """Return the family, if the values allow the one that is wanted that one."""
        if self.y_proba is not None:
            return "classifier"
        both = (self._column("y_true"), self._column("y_pred"))
        if any(values.dtype.kind not in "iuf" for values in both):
            return "classifier"
        if any(np.any(np.mod(values, 1) != 0) for values in both):
            return "regressor"
        return "regressor" if wanted == "regressor" else "classifier"

    def _column(self, name: str) -> np.ndarray:
        import pandas as pd

        values = as_column(getattr(self, name), name)
        if not len(values):
            raise DatasetError(f"{name} has no values; give one per row.")
        if values.dtype.kind == "U":
            values = values.astype(object)
        missing = np.flatnonzero(pd.isna(values))
        if len(missing):
            raise DatasetError(
                f"{name} has {len(missing)} missing values, the first in row "
                f"{missing[0]}; remove these rows."
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DatasetError(f"{name} is {values[row]} in row {row}.")
        return values

    def _probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        try:
            shares = np.asarray(self.y_proba, dtype=float)
        except (TypeError, ValueError) as exc:
            raise DatasetError(f"y_proba holds what is no number: {exc}") from exc
        if shares.ndim == 1:
            shares = shares[:, None]
        if shares.ndim != 2 or len(shares) != self.rows:  # noqa: PLR2004 - a table
            raise DatasetError(
                f"y_proba has the shape {shares.shape} for {self.rows} rows; give one "
                "row per row and one column per class."
            )
        if shares.shape[1] == 1:
            shares = np.column_stack([1 - shares, shares])
        self._require_shares(shares)
        return shares, self._classes(shares.shape[1])

    def _require_shares(self, shares: np.ndarray) -> None:
        in_range = (shares >= -_ROUNDING) & (shares <= 1 + _ROUNDING)
        wrong = np.flatnonzero(~in_range.all(axis=1))
        if len(wrong):
            raise DatasetError(
                f"y_proba is {shares[wrong[0]].tolist()} in row {wrong[0]}; "
                "probabilities are between 0 and 1."
            )
        sums = shares.sum(axis=1)
        wrong = np.flatnonzero(np.abs(sums - 1) > _ROUNDING)
        if len(wrong):
            raise DatasetError(
                f"y_proba adds up to {sums[wrong[0]]:g} in row {wrong[0]}; the "
                "probabilities of a row add up to 1."
            )

    def _classes(self, count: int) -> np.ndarray:
        given: Any = self.classes
        if given is None and hasattr(self.y_proba, "columns"):
            given = list(self.y_proba.columns)
        if given is None:
            occurring = {
                *self._column("y_true").tolist(),
                *self._column("y_pred").tolist(),
            }
            given = sorted(occurring, key=lambda each: (str(type(each)), each))
        classes = np.asarray(list(given))
        if classes.ndim != 1 or len(classes) != count:
            raise DatasetError(
                f"y_proba has {count} columns, but there are {len(classes)} classes: "
                f"{classes.tolist()[:10]}; give classes=[...] in the order of the "
                "columns."
            )
        return classes
