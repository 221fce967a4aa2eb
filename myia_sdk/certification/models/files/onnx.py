"""ONNX models through onnxruntime, as classifiers and regressors.

A file holds a graph of known operators and no code. It must be complete in itself:
weights in other files and operators of other libraries are refused before it is
loaded, see ``onnx_content``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.certification.models.files.onnx_content import (
    OnnxContent,
    require_self_contained,
)
from myia_sdk.certification.request import ModelRef
from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import JSON

_DTYPES: dict[str, type] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
    "tensor(uint8)": np.uint8,
}
_LABEL_TYPES = frozenset({"tensor(int64)", "tensor(int32)", "tensor(string)"})
_MATRIX = 2
_BINARY = 2
_PROBE_ROWS = 50


class OnnxModel:
    """An onnxruntime session as classifier or regressor.

    Parameters
    ----------
    content : bytes
        The file.
    options : mapping, optional
        ``classes``: the labels, in the order of the scores, for graphs that do not
        carry them. ``scores``: ``"logits"`` when the scores are not yet
        probabilities.
    family : str, optional
        ``classifier`` or ``regressor``; told from the outputs if not given.
    """

    def __init__(
        self,
        content: bytes,
        options: Mapping[str, JSON] | None = None,
        family: str | None = None,
    ) -> None:
        self._facts = require_self_contained(content)
        self._options = dict(options or {})
        self._session = _open(content)
        self._inputs = self._session.get_inputs()
        self._label, self._scores = _outputs(self._session)
        self.family = family or self._guess_family()
        if self.family == "classifier":
            self._classes = self._find_classes()

    @property
    def classes(self) -> np.ndarray:
        """The classes, in the order of the columns of `predict_proba`."""
        if self._classes is None:
            raise ModelRejectedError(
                "The ONNX model does not say what its classes are; give them in the "
                "model's options: {'classes': [...]}."
            )
        return self._classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns, which a graph does not insist on."""
        return ()

    @property
    def n_features(self) -> int | None:
        """Number of features of a row, ``None`` when the model does not say."""
        if len(self._inputs) > 1:
            return len(self._inputs)
        shape = self._inputs[0].shape
        width = shape[1] if len(shape) == _MATRIX else None
        return width if isinstance(width, int) else None

    @property
    def has_probabilities(self) -> bool:
        """Whether `predict_proba` works."""
        return self._scores is not None and self._classes is not None

    @property
    def is_trainable(self) -> bool:
        """Whether `fit_copy` works: a graph cannot be trained again."""
        return False

    def predict(self, X: object) -> np.ndarray:
        """Return one class or number per row."""
        if self.family == "regressor":
            return _column(self._run(X, self._scores or self._label))
        if self._label is not None:
            return _column(self._run(X, self._label))
        return np.asarray(self.classes[np.argmax(self.predict_proba(X), axis=1)])

    def predict_proba(self, X: object) -> np.ndarray:
        """Return one probability per row and class."""
        raw = self._run(X, self._scores)
        if isinstance(raw, list):
            keys = list(raw[0]) if self._classes is None else self._classes.tolist()
            scores = np.array([[row[key] for key in keys] for row in raw])
        else:
            scores = np.asarray(raw, dtype=float)
        if scores.ndim == 1 or scores.shape[1] == 1:
            positive = scores.reshape(-1)
            scores = np.column_stack([1 - positive, positive])
        return _softmax(scores) if self._options.get("scores") == "logits" else scores

    def estimator(self) -> object:
        """Refuse: a graph cannot be trained again."""
        raise ModelRejectedError("An ONNX model cannot be trained again.")

    def describe(self) -> Mapping[str, JSON]:
        """Say what was loaded."""
        import onnxruntime

        facts: dict[str, JSON] = {
            "type": "ONNX",
            "producer": self._facts.producer,
            "features": self.n_features,
            "inputs": [f"{each.name}: {each.type}" for each in self._inputs],
            "onnxruntime": onnxruntime.__version__,
        }
        if self.family == "classifier" and self._classes is not None:
            facts["classes"] = self._classes[:50].tolist()
        return facts

    def close(self) -> None:
        """Give back the session."""
        self._session = None

    def _guess_family(self) -> str:
        if self._label is not None:
            return "classifier"
        shape = next(
            out.shape for out in self._session.get_outputs() if out.name == self._scores
        )
        is_wide = len(shape) == _MATRIX and isinstance(shape[1], int) and shape[1] > 1
        return "classifier" if is_wide or "classes" in self._options else "regressor"

    def _find_classes(self) -> np.ndarray | None:
        """Find the labels in the order of the scores; ``None`` when it is not sure.

        Some exports keep positions in their operator and look the labels up after it,
        so what the operator carries is believed only if an answer agrees with it.
        """
        given: Any = self._options.get("classes")
        if given is not None:
            return np.asarray(given)
        if self._label is None:
            return np.arange(max(_BINARY, self._width_of_scores()))
        labels = np.asarray(self._facts.labels)
        if not len(labels) or self._scores is None:
            return None
        if self._gives_maps() or self._agrees(labels):
            return labels
        return None

    def _gives_maps(self) -> bool:
        kinds = {out.name: out.type for out in self._session.get_outputs()}
        return str(kinds[self._scores]).startswith("seq(map")

    def _agrees(self, labels: np.ndarray) -> bool:
        if len(self._inputs) > 1 or self.n_features is None:
            return False
        rows = np.random.default_rng(0).normal(size=(_PROBE_ROWS, self.n_features))
        best = np.argmax(self.predict_proba(rows), axis=1)
        if best.max() >= len(labels):
            return False
        return bool(np.all(labels[best] == _column(self._run(rows, self._label))))

    def _width_of_scores(self) -> int:
        shape = next(
            out.shape for out in self._session.get_outputs() if out.name == self._scores
        )
        if len(shape) == _MATRIX and isinstance(shape[1], int):
            return shape[1]
        scores = np.asarray(
            self._run(np.zeros((1, self.n_features or 1)), self._scores)
        )
        return int(scores.shape[1]) if scores.ndim > 1 else 1

    def _run(self, X: object, output: str | None) -> Any:
        return self._session.run([output], self._feed(X))[0]

    def _feed(self, X: Any) -> dict[str, np.ndarray]:
        if len(self._inputs) == 1:
            wanted = self._inputs[0]
            return {wanted.name: _cast(X, wanted.type)}
        if X.shape[1] != len(self._inputs):
            raise ValueError(
                f"The model takes {len(self._inputs)} columns, not {X.shape[1]}."
            )
        columns = [
            X.iloc[:, [place]] if hasattr(X, "iloc") else X[:, [place]]
            for place in range(X.shape[1])
        ]
        names = [str(name) for name in getattr(X, "columns", ())]
        if set(names) == {each.name for each in self._inputs}:
            columns = [columns[names.index(each.name)] for each in self._inputs]
        return {
            wanted.name: _cast(column, wanted.type)
            for wanted, column in zip(self._inputs, columns, strict=True)
        }


def load(reference: ModelRef, surroundings: Surroundings) -> OnnxModel:
    """Load the ONNX model that a reference names."""
    if surroundings.artifacts is None or reference.artifact is None:
        raise ModelRejectedError("An ONNX model needs an artifact store.")
    content = surroundings.artifacts.read_bytes(reference.artifact)
    return OnnxModel(content, reference.options, reference.family)


def accept_file(path: Path, name: str | None) -> tuple[ModelRef, OnnxModel]:
    """Check an ONNX file; return its reference, before it is stored, and the model.

    Raises
    ------
    ModelRejectedError
        The file is no ONNX file, is not complete in itself, or cannot be loaded.
    """
    content = path.read_bytes()
    model = OnnxModel(content)
    reference = ModelRef(
        kind="onnx",
        name=name or path.stem,
        family=model.family,
        artifact="sha256:" + hashlib.sha256(content).hexdigest(),
        format="onnx",
    )
    return reference, model


def _open(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingExtraError("onnx", "ONNX models") from exc
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Several threads add in another order each time, and jobs share the host.
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:
        raise ModelRejectedError(
            f"onnxruntime {onnxruntime.__version__} cannot load the model: {exc}"
        ) from exc


def _outputs(session: Any) -> tuple[str | None, str | None]:
    """Names of the outputs that hold the label and the scores."""
    label = scores = None
    for output in session.get_outputs():
        if output.type in _LABEL_TYPES and label is None:
            label = output.name
        elif output.type not in _LABEL_TYPES and scores is None:
            scores = output.name
    return label, scores


def _cast(values: Any, kind: str) -> np.ndarray:
    dtype = _DTYPES.get(kind)
    if dtype is None:
        raise ModelRejectedError(
            f"The ONNX model takes {kind}, which is not supported."
        )
    array = np.asarray(values)
    if dtype is np.object_:
        return array.astype(str).astype(object)
    if array.dtype.kind in "OU":
        # Texts that look like numbers are texts still.
        array = np.array(
            [[_number(item) for item in row] for row in np.atleast_2d(array)]
        )
    return np.ascontiguousarray(array, dtype=dtype)


def _number(item: object) -> float:
    if isinstance(item, str):
        raise TypeError(f"The model takes numbers, not the text {item!r}.")
    return float("nan") if item is None else float(item)  # type: ignore[arg-type]


def _column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == _MATRIX and array.shape[1] == 1:
        array = array[:, 0]
    return array.astype(str).astype(object) if array.dtype.kind == "O" else array


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


__all__ = ["OnnxContent", "OnnxModel", "accept_file", "load"]
