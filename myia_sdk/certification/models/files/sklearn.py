"""scikit-learn estimators, stored as skops files.

skops rebuilds an estimator from a description and runs no code of the file; what it
does not know it reports as untrusted, and the module ``trust`` decides about it.
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
from myia_sdk.certification.models.files.acceptance import Acceptance
from myia_sdk.certification.models.files.standins import (
    libraries_of,
    parts_of,
    with_standins,
)
from myia_sdk.certification.models.files.trust import refused, why_refused
from myia_sdk.certification.request import ModelRef
from myia_sdk.errors import MissingExtraError, ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from myia_sdk.certification.models.protocols import Surroundings

#: How pickles start, by protocol, and joblib's files: compressed by zlib at any level,
#: gzip, bzip2, xz or lzma.
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(lp", b"cnumpy")
_COMPRESSED_STARTS = (
    *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
    *(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00"),
)
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".p", ".pt", ".pth", ".dill")

#: A model of another package may be made of many of its types.
_SHOWN_REASONS = 5
#: Settings of a vectoriser with which it opens what it is given.
_FILE_INPUTS = frozenset({"filename", "file"})

_ALTERNATIVES = (
    "Submit the fitted estimator itself, save it with skops.io.dump(model, "
    "'model.skops'), or export it as ONNX."
)


def load(reference: ModelRef, surroundings: Surroundings) -> EstimatorModel:
    """Load the estimator that a reference names."""
    if surroundings.artifacts is None or reference.artifact is None:
        raise ModelRejectedError("A scikit-learn model needs an artifact store.")
    content = surroundings.artifacts.read_bytes(reference.artifact)
    estimator = load_estimator(content, surroundings.packages)
    return EstimatorModel(estimator, reference.family or family_of(estimator))


def dump_estimator(
    estimator: object, accepted: Callable[[], Acceptance] = Acceptance
) -> bytes:
    """Return the skops file of a fitted estimator, after checking it can be loaded.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    accepted : callable, optional
        Tells what the workers can load; asked only for a model that holds more than
        scikit-learn. Without it everything installed may be used, and no other
        package's types.

    Raises
    ------
    ModelRejectedError
        It is not fitted, or holds types that are not accepted.
    """
    skops_io = _skops()
    require_fitted(estimator)
    try:
        content: bytes = skops_io.dumps(with_standins(estimator))
    except ModelRejectedError:
        raise
    except Exception as exc:
        raise ModelRejectedError(
            f"{type(estimator).__name__} cannot be stored as skops: "
            f"{type(exc).__name__}: {exc}. Export it as ONNX, or register a factory "
            "on the worker (kind 'python')."
        ) from exc
    _require_accepted(content, accepted)
    return content


def _require_accepted(content: bytes, accepted: Callable[[], Acceptance]) -> None:
    names = _names_of(content)
    if not refused(names) and not libraries_of(names):
        return
    workers = accepted()
    _refuse(refused(names, workers.packages), workers.packages)
    workers.require_libraries(names)


def load_estimator(content: bytes, packages: Collection[str] = ()) -> Any:
    """Rebuild the estimator in a skops file.

    Parameters
    ----------
    content : bytes
        The file.
    packages : collection of str
        Packages beside scikit-learn whose types are accepted.

    Raises
    ------
    ModelRejectedError
        The file is a pickle, no skops file, or holds types that are not accepted.
    """
    accepted = require_trusted(content, packages)
    skops = _skops()
    try:
        estimator = skops.loads(content, trusted=accepted)
    except Exception as exc:
        raise ModelRejectedError(
            f"The skops file cannot be loaded: {type(exc).__name__}: {exc}. It was "
            f"saved with scikit-learn {_saved_version(content)}, this is "
            f"{version('scikit-learn')}."
        ) from exc
    _confine(estimator)
    return estimator


def read_estimator(
    content: bytes, accepted: Callable[[], Acceptance] = Acceptance
) -> Any:
    """Rebuild the estimator in a skops file, if the workers can load it too.

    Raises
    ------
    ModelRejectedError
        As `load_estimator`, and when a worker does not accept what it holds.
    """
    _require_accepted(content, accepted)
    names = _names_of(content)
    return load_estimator(content, accepted().packages if refused(names) else ())


def require_trusted(content: bytes, packages: Collection[str] = ()) -> list[str]:
    """Refuse a file that is no skops file or names what is not accepted.

    Returns
    -------
    list of str
        What it names beyond what skops trusts by itself.
    """
    found = _names_of(content)
    _refuse(refused(found, packages), packages)
    return found


def _names_of(content: bytes) -> list[str]:
    """Return what a file names beyond what skops trusts by itself."""
    refuse_pickle(content, "The model")
    skops = _skops()
    try:
        found: list[str] = skops.get_untrusted_types(data=content)
    except Exception as exc:
        raise ModelRejectedError(
            f"The model is not a readable skops file: {type(exc).__name__}: {exc}. "
            + _ALTERNATIVES
        ) from exc
    return found


def _refuse(wrong: list[str], packages: Collection[str]) -> None:
    if wrong:
        raise ModelRejectedError(_refusal(wrong, packages))


def _confine(estimator: object) -> None:
    """Keep attributes that a file sets from leading to other files.

    Raises
    ------
    ModelRejectedError
        A vectoriser takes its texts for the names of files.
    """
    for part in parts_of(estimator):
        source = getattr(part, "input", None)
        opens = isinstance(source, str) and source in _FILE_INPUTS
        if opens and hasattr(part, "decode"):
            raise ModelRejectedError(
                f"{type(part).__name__}(input={source!r}) takes the data for names "
                "of files; give the texts themselves, with input='content'."
            )
        if getattr(part, "memory", None) is not None and hasattr(part, "get_params"):
            # A cache of fits is a directory of pickles.
            part.memory = None


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


def _refusal(wrong: list[str], packages: Collection[str]) -> str:
    reasons = "; ".join(why_refused(name, packages) for name in wrong[:_SHOWN_REASONS])
    rest = len(wrong) - _SHOWN_REASONS
    more = f"; and {rest} more" if rest > 0 else ""
    return (
        f"The model holds what is not accepted from a file: {reasons}{more}. Another "
        "way is to export the model as ONNX."
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
