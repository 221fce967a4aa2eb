"""scikit-learn estimators, stored as skops files.

skops rebuilds an estimator from a description and runs no code of the file; what it
does not know it reports as untrusted. Its own list of trusted types (estimators of
scikit-learn, types and functions of numpy and scipy) is extended here by
`TRUSTED_TYPES`, exactly the types that scikit-learn's own estimators are made of, and
by nothing else.
"""

from __future__ import annotations

import io
import json
import zipfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from myia_sdk.certification.models.estimators import (
    EstimatorModel,
    family_of,
    require_fitted,
)
from myia_sdk.certification.request import ModelRef
from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from pathlib import Path

    from myia_sdk.certification.models.protocols import Surroundings

#: Parts of scikit-learn's estimators that skops does not trust by itself. Trees are
#: among them because a forged tree may read outside its arrays; models are therefore
#: only ever used in a sandboxed child process. Functions are not on the list: a file
#: could use one, such as a loader, as an attribute that is called with the data.
TRUSTED_TYPES = frozenset(
    {
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfGammaLoss",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.CompoundKernel",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.DotProduct",
        "sklearn.gaussian_process.kernels.ExpSineSquared",
        "sklearn.gaussian_process.kernels.Exponentiation",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.PairwiseKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.RationalQuadratic",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._dist_metrics.EuclideanDistance",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._ball_tree.BallTree64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._kd_tree.KDTree64",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    }
)

#: How pickles start, by protocol, and joblib's files: compressed by zlib at any level,
#: gzip, bzip2, xz or lzma.
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(lp", b"cnumpy")
_COMPRESSED_STARTS = (
    *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
    *(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00"),
)
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".p", ".pt", ".pth", ".dill")

_ALTERNATIVES = (
    "Submit the fitted estimator itself, save it with skops.io.dump(model, "
    "'model.skops'), or export it as ONNX."
)


def load(reference: ModelRef, surroundings: Surroundings) -> EstimatorModel:
    """Load the estimator that a reference names."""
    if surroundings.artifacts is None or reference.artifact is None:
        raise ModelRejectedError("A scikit-learn model needs an artifact store.")
    estimator = load_estimator(surroundings.artifacts.read_bytes(reference.artifact))
    return EstimatorModel(estimator, reference.family or family_of(estimator))


def dump_estimator(estimator: object) -> bytes:
    """Return the skops file of a fitted estimator, after checking it can be loaded.

    Raises
    ------
    ModelRejectedError
        It is not fitted, or holds types that are not accepted.
    """
    skops_io = _skops()
    require_fitted(estimator)
    try:
        content: bytes = skops_io.dumps(estimator)
    except Exception as exc:
        raise ModelRejectedError(
            f"{type(estimator).__name__} cannot be stored as skops: "
            f"{type(exc).__name__}: {exc}. Export it as ONNX, or register a factory "
            "on the worker (kind 'python')."
        ) from exc
    require_trusted(content)
    return content


def load_estimator(content: bytes) -> Any:
    """Rebuild the estimator in a skops file.

    Raises
    ------
    ModelRejectedError
        The file is a pickle, no skops file, or holds types that are not accepted.
    """
    require_trusted(content)
    skops = _skops()
    try:
        return skops.loads(content, trusted=sorted(TRUSTED_TYPES))
    except Exception as exc:
        raise ModelRejectedError(
            f"The skops file cannot be loaded: {type(exc).__name__}: {exc}. It was "
            f"saved with scikit-learn {_saved_version(content)}, this is "
            f"{version('scikit-learn')}."
        ) from exc


def require_trusted(content: bytes) -> None:
    """Refuse a file that is no skops file or holds types beyond the allow-list."""
    refuse_pickle(content, "The model")
    skops = _skops()
    try:
        found = skops.get_untrusted_types(data=content)
    except Exception as exc:
        raise ModelRejectedError(
            f"The model is not a readable skops file: {type(exc).__name__}: {exc}. "
            + _ALTERNATIVES
        ) from exc
    refused = sorted(set(found) - TRUSTED_TYPES)
    if refused:
        raise ModelRejectedError(_refusal(refused))


def refuse_pickle(content: bytes, what: str) -> None:
    """Refuse bytes that are a pickle or a joblib file, whatever their name.

    Raises
    ------
    ModelRejectedError
        They are; loading them would run code of whoever wrote the file.
    """
    if content.startswith((*_PICKLE_STARTS, *_COMPRESSED_STARTS)) or _is_torch(content):
        raise ModelRejectedError(
            f"{what} is a pickle or joblib file: loading one runs whatever code it "
            f"contains, so it is never opened. {_ALTERNATIVES}"
        )


def refuse_pickle_name(path: Path) -> NoReturn:
    """Refuse a file by a suffix that pickles have."""
    raise ModelRejectedError(
        f"The model file {path} has the suffix {path.suffix!r} of a pickle or joblib "
        "file: loading one runs whatever code it contains, so it is never opened. "
        + _ALTERNATIVES
    )


def reference(estimator: object, digest: str, name: str | None) -> ModelRef:
    """Return the reference of a stored estimator."""
    return ModelRef(
        kind="sklearn",
        name=name or describe_steps(estimator),
        family=family_of(estimator),
        artifact=digest,
        format="skops",
        options={"scikit-learn": version("scikit-learn")},
    )


def describe_steps(estimator: object) -> str:
    """Name an estimator; a pipeline by its last step."""
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return type(steps[-1][1]).__name__
    return type(estimator).__name__


def _refusal(refused: list[str]) -> str:
    text = (
        "The model holds types that are not accepted from a file: "
        f"{', '.join(refused)}. Accepted are the estimators of scikit-learn and types "
        "of numpy and scipy. "
    )
    if any(name.startswith("__main__.") for name in refused):
        return text + (
            "What is defined in a notebook does not exist on the worker: put it into "
            "a module that is installed there and register a factory (kind "
            "'python', MYIA_PLUGINS), or export the model as ONNX."
        )
    return text + (
        "Export the model as ONNX, or register a factory on the worker (kind "
        "'python', MYIA_PLUGINS)."
    )


def _is_torch(content: bytes) -> bool:
    if not content.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _saved_version(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            schema = json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return "unknown"
    return str(schema.get("_skops_sklearn_version", "unknown"))


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as exc:
        raise MissingExtraError("sklearn", "scikit-learn models") from exc
    return skops.io
