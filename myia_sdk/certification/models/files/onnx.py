"""ONNX models through onnxruntime, as classifiers and regressors.

A file holds a graph of known operators and no code. It must be complete in itself:
weights in other files and operators of other libraries are refused before it is
loaded, see ``onnx_content``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.certification.data.features import Features
from myia_sdk.certification.models.files.onnx_content import (
    OnnxContent,
    require_self_contained,
)
from myia_sdk.certification.models.files.onnx_inputs import GraphInputs
from myia_sdk.certification.request import ModelRef
from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from myia_sdk.certification.models.protocols import Surroundings
    from myia_sdk.certification.request import JSON, OnnxModel

_LABEL_TYPES = frozenset({"tensor(int64)", "tensor(int32)", "tensor(string)"})
_MATRIX = 2
_BINARY = 2
_PROBE_ROWS = 50
_SETTLING_ROWS = 1000
#: How far a sum of single-precision probabilities is from 1.
_ROUNDING = 1e-3
_TINY = 1e-12


class OnnxGraph:
    """An onnxruntime session as classifier or regressor.

    Parameters
    ----------
    content : bytes
        The file.
    options : mapping, optional
        ``classes scores fixed``, see the submitter's `OnnxModel`.
    family : str, optional
        ``classifier`` or ``regressor``; told from the outputs if not given.
    wanted : str, optional
        The family that it is taken for where the outputs do not tell: a single score
        may be either's.
    """

    def __init__(
        self,
        content: bytes,
        options: Mapping[str, JSON] | None = None,
        family: str | None = None,
        wanted: str | None = None,
    ) -> None:
        self._facts = require_self_contained(content)
        self._options = dict(options or {})
        self._session = _open(content)
        fixed: Any = self._options.get("fixed") or {}
        self._inputs = GraphInputs(self._session.get_inputs(), fixed)
        self._label, self._scores = _outputs(self._session)
        self._kind_of_scores = self._options.get("scores")
        self.family = family or self._told_family(wanted)
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
        return self._inputs.n_features

    @property
    def has_probabilities(self) -> bool:
        """Whether `predict_proba` works."""
        return self._scores is not None and self._classes is not None

    def predict(self, X: object) -> np.ndarray:
        """Return one class or number per row."""
        if self.family == "regressor":
            return _column(self._run(X, self._scores or self._label))
        if self._label is not None:
            return _column(self._run(X, self._label))
        return np.asarray(self.classes[np.argmax(self.predict_proba(X), axis=1)])

    def predict_proba(self, X: object) -> np.ndarray:
        """Return one probability per row and class."""
        scores = self._raw_scores(X)
        is_single = scores.shape[1] == 1
        if self._kind_of_scores == "logits":
            scores = np.column_stack([0 * scores, scores]) if is_single else scores
            return _softmax(scores)
        if is_single:
            return np.column_stack([1 - scores, scores])
        if self._kind_of_scores == "shares":
            sums = scores.sum(axis=1, keepdims=True)
            return np.asarray(scores / np.maximum(sums, _TINY))
        return scores

    def settle(self, X: object) -> list[str]:
        """Find out by some rows what the graph does not say of its outputs.

        Parameters
        ----------
        X : array, DataFrame or Series of texts
            Rows of the data; a graph that refuses them is left as it is.

        Returns
        -------
        list of str
            A sentence for each thing that was found.
        """
        if self.family != "classifier" or self._scores is None:
            return []
        rows = Features(X).take(np.arange(min(Features(X).rows, _SETTLING_ROWS))).data
        try:
            if self._classes is None:
                self._classes = self._confirmed(rows)
            if self._kind_of_scores is None and not self._gives_maps():
                self._kind_of_scores = _kind_of(self._raw_scores(rows))
        except Exception:  # noqa: BLE001 - whoever has the rows predicted says why
            return []
        notes = {
            "logits": "The scores of the ONNX model are no probabilities; they are "
            "taken as logits.",
            "shares": "The scores of the ONNX model do not add up to 1; they are "
            "divided by their sum.",
        }
        given = self._options.get("scores")
        found = None if given else notes.get(str(self._kind_of_scores))
        return [found] if found else []

    def _raw_scores(self, X: object) -> np.ndarray:
        raw = self._run(X, self._scores)
        if isinstance(raw, list):
            keys = list(raw[0]) if self._classes is None else self._classes.tolist()
            return np.array([[row[key] for key in keys] for row in raw])
        scores = np.asarray(raw, dtype=float)
        return scores.reshape(len(scores), -1)

    def describe(self) -> Mapping[str, JSON]:
        """Say what was loaded."""
        import onnxruntime

        facts: dict[str, JSON] = {
            "type": "ONNX",
            "producer": self._facts.producer,
            "features": self.n_features,
            "inputs": [
                f"{each.name}: {each.type}" for each in self._session.get_inputs()
            ],
            "onnxruntime": onnxruntime.__version__,
        }
        if self._kind_of_scores is not None:
            facts["scores"] = self._kind_of_scores
        if self.family == "classifier" and self._classes is not None:
            facts["classes"] = self._classes[:50].tolist()
        return facts

    def close(self) -> None:
        """Give back the session."""
        self._session = None

    def _told_family(self, wanted: str | None) -> str:
        if self._label is not None:
            return "classifier"
        shape = next(
            out.shape for out in self._session.get_outputs() if out.name == self._scores
        )
        is_wide = len(shape) == _MATRIX and isinstance(shape[1], int) and shape[1] > 1
        says_so = bool({"classes", "scores"} & set(self._options))
        may_be = wanted == "classifier" and not self._facts.is_regressor
        is_classifier = is_wide or says_so or may_be
        return "classifier" if is_classifier else "regressor"

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
        if len(labels) and self._scores is not None and self._gives_maps():
            return labels
        if self.n_features is None:
            return None
        noise = np.random.default_rng(0).normal(size=(_PROBE_ROWS, self.n_features))
        try:
            return self._confirmed(noise)
        except Exception:  # noqa: BLE001 - the data may tell, see `settle`
            return None

    def _gives_maps(self) -> bool:
        kinds = {out.name: out.type for out in self._session.get_outputs()}
        return str(kinds[self._scores]).startswith("seq(map")

    def _confirmed(self, rows: object) -> np.ndarray | None:
        """Return the labels in the order of the scores, if the answers agree.

        Those that the graph carries, or else the places themselves.
        """
        if self._scores is None:
            return None
        scores = self._raw_scores(rows)
        best = np.argmax(scores, axis=1)
        answered = _column(self._run(rows, self._label))
        for labels in (np.asarray(self._facts.labels), np.arange(scores.shape[1])):
            fits = len(labels) > best.max()
            if fits and np.array_equal(labels[best], answered):
                return labels
        return None

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
        parts = [
            self._session.run([output], feed)[0][:count]
            for feed, count in self._inputs.feeds(X)
        ]
        if len(parts) == 1:
            return parts[0]
        if isinstance(parts[0], list):
            return [row for part in parts for row in part]
        return np.concatenate(parts)


def load(reference: ModelRef, surroundings: Surroundings) -> OnnxGraph:
    """Load the ONNX model that a reference names."""
    if surroundings.artifacts is None or reference.artifact is None:
        raise ModelRejectedError("An ONNX model needs an artifact store.")
    content = surroundings.artifacts.read_bytes(reference.artifact)
    return OnnxGraph(content, reference.options, reference.family)


def accept(
    content: bytes, given: OnnxModel, name: str, wanted: str | None = None
) -> tuple[ModelRef, OnnxGraph]:
    """Check an ONNX file; return its reference, before it is stored, and the model.

    Raises
    ------
    ModelRejectedError
        The file is no ONNX file, is not complete in itself, or cannot be loaded.
    """
    options: Any = given.options
    model = OnnxGraph(content, options, given.family, wanted)
    reference = ModelRef(
        kind="onnx",
        name=given.name or name,
        family=model.family,
        artifact="sha256:" + hashlib.sha256(content).hexdigest(),
        format="onnx",
        options=options,
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


def _kind_of(scores: np.ndarray) -> str:
    """Tell probabilities from logits, and from scores of one class against the rest."""
    if not np.isfinite(scores).all():
        return "probabilities"
    if scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING:
        return "logits"
    sums = scores.sum(axis=1)
    is_whole = scores.shape[1] == 1 or np.allclose(sums, 1, atol=_ROUNDING)
    return "probabilities" if is_whole else "shares"


def _column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == _MATRIX and array.shape[1] == 1:
        array = array[:, 0]
    return array.astype(str).astype(object) if array.dtype.kind == "O" else array


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


__all__ = ["OnnxContent", "OnnxGraph", "accept", "load"]
