"""Everything that can be known to be wrong before a job is made.

Model and data are stored only when all of it was found valid.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myia_sdk.certification.models.files.acceptance import (
    Acceptance,
    missing_library,
)
from myia_sdk.certification.request import (
    ENDPOINT_FAMILIES,
    JSON,
    CertificationRequest,
    DatasetRef,
    Endpoint,
    ModelRef,
    OnnxModel,
    json_safe,
)
from myia_sdk.certification.request.parameters import require_parameters
from myia_sdk.certification.suites import Suite, list_suites, load_suite
from myia_sdk.certification.suites.rules import require_data
from myia_sdk.certification.traffic.budget import price_of
from myia_sdk.errors import (
    DatasetError,
    InvalidRequestError,
    ModelRejectedError,
    SubmissionWarning,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.certification.admission.alignment import Live
    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.data.predictions import Predictions


#: Rows for which the stored copy of a model is asked too.
_COMPARED_ROWS = 100
#: Of the files that are taken.
_SUFFIXES = ".skops, .onnx, .ubj or .json (XGBoost), .txt (LightGBM), .cbm (CatBoost)"


def warn_submitter(note: str) -> None:
    """Say what was changed as a Python warning of its caller."""
    warnings.warn(note, SubmissionWarning, stacklevel=3)


class Candidate:
    """A model that was found acceptable and is not stored yet."""

    def __init__(
        self,
        reference: ModelRef | None,
        *,
        content: bytes = b"",
        estimator: Any = None,
        live: Live | None = None,
        name: str | None = None,
        data: Dataset | None = None,
    ) -> None:
        self.reference = reference
        self.content = content
        self.estimator = estimator
        self.live = live
        self.name = name
        #: Whether the live model was itself read from the bytes.
        self.is_copy = False
        #: Data that came with it.
        self.data = data

    def stored(self, artifacts: ArtifactStore) -> ModelRef:
        """Store the bytes, if there are any, and return the reference."""
        if not self.content:
            assert self.reference is not None  # noqa: S101 - bytes or a reference
            return self.reference
        digest = artifacts.put_bytes(self.content)
        if self.reference is not None:
            return replace(self.reference, artifact=digest)
        from myia_sdk.certification.models.files.sklearn import reference

        return reference(self.estimator, digest, self.name)

    @property
    def family(self) -> str | None:
        """What the model does, if that is known now."""
        if self.reference is not None:
            return self.reference.family
        return None if self.live is None else self.live.family


def build_request(
    model: object,
    *,
    suite: object = None,
    artifacts: ArtifactStore,
    dataset: object = None,
    region: str | None = None,
    parameters: Mapping[str, object] | None = None,
    name: str | None = None,
    plugins: tuple[str, ...] = (),
    accepted: Callable[[], Acceptance] = Acceptance,
    tell: Callable[[str], object] = warn_submitter,
) -> CertificationRequest:
    """Check everything that can be checked now, and store model and data.

    Parameters
    ----------
    model : estimator, path, ModelRef or mapping
        A fitted scikit-learn estimator, a ``.skops`` or ``.onnx`` file, or a
        reference, for endpoints and factories.
    suite : str, path, mapping or Suite, optional
        Name of a suite, a TOML file, or the suite's own object; the baseline of the
        model's family if not given.
    artifacts : ArtifactStore
        Where model and data are stored, once everything was found valid.
    dataset : Dataset, tuple, mapping or DatasetRef, optional
        The test data: ``(X, y)``, ``(frame, "target column")``, a mapping with the
        keys ``X y train sensitive``, or a `Dataset`.
    region : str, optional
        Region of the endpoint.
    parameters : mapping, optional
        See the request's attribute of this name. ``baseline`` may be whatever
        ``model`` may be; it is stored too.
    name : str, optional
        How the model is called; the estimator's class or the file's name if not
        given.
    plugins : tuple of str, optional
        Modules that hold checks and factories of the user.
    accepted : callable, optional
        Tells what the workers can load; asked only when a model needs more than
        scikit-learn.
    tell : callable, optional
        Given a sentence for everything that was changed; a warning by default.

    Raises
    ------
    ModelRejectedError, DatasetError, UnknownSuiteError, SuiteError
    InvalidRequestError
        What is wrong, with the value and what to do. Nothing was stored.
    """
    parameters = parameters or {}
    _require_text(region, "region")
    _require_text(name, "name")
    chosen = None if suite is None else _resolve_suite(suite, parameters, plugins)
    wanted = None if chosen is None else chosen.kind
    candidate = accept_model(model, name, accepted, wanted)
    if chosen is None:
        suite = baseline_of(candidate.family)
        chosen = _resolve_suite(suite, parameters, plugins)
    _require_fit(chosen, candidate)
    if candidate.reference is not None:
        candidate.reference.url_in(region or candidate.reference.region)
        price_of(candidate.reference, chosen.prices, parameters)
    data = _accept_dataset(_data_with(candidate, dataset), chosen, candidate, tell)
    _require_faithful(candidate, data, accepted)
    baseline = _accept_baseline(parameters, chosen, data, accepted)
    stored = (
        data
        if data is None or isinstance(data, DatasetRef)
        else artifacts.put_dataset(data)
    )
    require_data(chosen, None if stored is None else stored.artifact)
    return CertificationRequest(
        model=candidate.stored(artifacts),
        suite=_suite_field(suite, chosen),
        dataset=stored,
        region=region,
        parameters=_parameters_field(parameters, baseline, artifacts),
    )


def _data_with(candidate: Candidate, dataset: object) -> object:
    """Return the data, which some models bring."""
    if candidate.data is None:
        return dataset
    if dataset is not None:
        raise DatasetError(
            "Predictions bring their own data; give dataset as Predictions(y_true, "
            "y_pred, data=X)."
        )
    return candidate.data


def _parameters_field(
    parameters: Mapping[str, object],
    baseline: Candidate | None,
    artifacts: ArtifactStore,
) -> dict[str, JSON]:
    record = {
        key: json_safe(value) for key, value in parameters.items() if key != "baseline"
    }
    if baseline is not None:
        record["baseline"] = baseline.stored(artifacts).to_record()
    return record


def _accept_baseline(
    parameters: Mapping[str, object],
    suite: Suite,
    data: Dataset | DatasetRef | None,
    accepted: Callable[[], Acceptance],
) -> Candidate | None:
    given = parameters.get("baseline")
    if given is None:
        return None
    candidate = accept_model(given, None, accepted, suite.kind)
    _require_fit(suite, candidate)
    if data is not None and not isinstance(data, DatasetRef):
        from myia_sdk.certification.admission.alignment import settled
        from myia_sdk.certification.admission.validation import require_valid

        settled(candidate.live, data)
        require_valid(data, suite.kind, candidate.live)
    return candidate


def _resolve_suite(
    suite: object, parameters: Mapping[str, object], plugins: tuple[str, ...]
) -> Suite:
    require_parameters(parameters)
    chosen = load_suite(suite, plugins)
    overrides: Any = parameters.get("checks", {})
    return chosen.with_overrides(overrides)


def _suite_field(given: object, chosen: Suite) -> str | dict[str, JSON]:
    if isinstance(given, str) and given in list_suites():
        return given
    if isinstance(given, Mapping):
        return {str(key): json_safe(value) for key, value in given.items()}
    return (
        load_suite(given).to_record()
        if isinstance(given, Suite)
        else (chosen.to_record())
    )


def accept_model(
    model: object,
    name: str | None = None,
    accepted: Callable[[], Acceptance] = Acceptance,
    wanted: str | None = None,
) -> Candidate:
    """Check a model, whatever it is given as; nothing is stored yet.

    ``wanted`` is the family of the suite, for models that could be of several.
    """
    if isinstance(model, Endpoint):
        model = model.to_ref()
    if isinstance(model, Mapping):
        model = ModelRef.from_record(dict(model))
    if isinstance(model, ModelRef):
        return Candidate(model if name is None else replace(model, name=name))
    if isinstance(model, str | os.PathLike):
        return _accept_file(Path(model), name, accepted, wanted)
    if model is None:
        raise ModelRejectedError(
            "The model is None; give a fitted estimator, a .skops or .onnx file, or a "
            "ModelRef."
        )
    if isinstance(model, OnnxModel):
        return _accept_onnx(model, name, wanted)
    from myia_sdk.certification.data.predictions import Predictions
    from myia_sdk.certification.models.files.sklearn import dump_estimator

    if isinstance(model, Predictions):
        return _accept_predictions(model, name, wanted)
    return _accept_estimator(model, dump_estimator(model, accepted), name)


def _accept_estimator(estimator: object, content: bytes, name: str | None) -> Candidate:
    from myia_sdk.certification.models.estimators import EstimatorModel, family_of

    live = EstimatorModel(estimator, family_of(estimator))
    return Candidate(None, content=content, estimator=estimator, live=live, name=name)


def _accept_file(
    path: Path,
    name: str | None,
    accepted: Callable[[], Acceptance],
    wanted: str | None,
) -> Candidate:
    path = path.expanduser()
    content = _content_of(path)
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return _accept_onnx(OnnxModel(content), name or path.stem, wanted)
    if suffix == ".skops":
        from myia_sdk.certification.models.files.sklearn import read_estimator

        estimator = read_estimator(content, accepted)
        found = _accept_estimator(estimator, content, name or path.stem)
        found.is_copy = True
        return found
    return _accept_booster(path, content, name, accepted)


def _accept_predictions(
    given: Predictions, name: str | None, wanted: str | None
) -> Candidate:
    from myia_sdk.certification.models.predictions import PredictionsModel

    answers = given.answers
    content = answers.to_bytes()
    family = given.family or given.told_family(wanted)
    reference = ModelRef(
        kind="predictions",
        name=name or given.name,
        family=family,
        artifact="sha256:" + hashlib.sha256(content).hexdigest(),
        format="parquet",
    )
    live = PredictionsModel(answers, family)
    return Candidate(reference, content=content, live=live, data=given.dataset)


def _accept_onnx(model: OnnxModel, name: str | None, wanted: str | None) -> Candidate:
    from myia_sdk.certification.models.files.onnx import accept

    if isinstance(model.path, bytes):
        content, stem = model.path, "onnx"
    else:
        path = Path(model.path).expanduser()
        content, stem = _content_of(path), path.stem
    given = model if name is None else replace(model, name=name)
    reference, live = accept(content, given, stem, wanted)
    return Candidate(reference, content=content, live=live)


def _content_of(path: Path) -> bytes:
    from myia_sdk.certification.models.files.sklearn import (
        PICKLE_SUFFIXES,
        refuse_pickle,
        refuse_pickle_name,
    )

    if path.suffix.lower() in PICKLE_SUFFIXES:
        refuse_pickle_name(path)
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ModelRejectedError(
            f"The model file {path} cannot be read: {exc.strerror}. Give a file of "
            f"{_SUFFIXES}; for the name of a registered model use client.models()."
        ) from exc
    if not content:
        raise ModelRejectedError(f"The model file {path} is empty.")
    refuse_pickle(content, f"The model file {path}")
    return content


def _accept_booster(
    path: Path, content: bytes, name: str | None, accepted: Callable[[], Acceptance]
) -> Candidate:
    from myia_sdk.certification.models.files import boosting

    kind = boosting.KINDS.get(path.suffix.lower())
    if kind is None:
        raise ModelRejectedError(
            f"The model file {path} has the suffix {path.suffix!r}; it must be one of "
            f"{_SUFFIXES}."
        )
    if kind not in accepted().libraries:
        raise missing_library(kind)
    return Candidate(
        boosting.reference(content, kind, path, name),
        content=content,
        live=boosting.read(content, kind),
    )


def _require_fit(suite: Suite, candidate: Candidate) -> None:
    family = candidate.family
    if family is None:
        raise InvalidRequestError(
            "The model's 'family' is not given; set it to 'classifier' or 'regressor'."
        )
    if family != suite.kind:
        fitting = ", ".join(
            known for known in list_suites() if known.startswith(family)
        )
        raise InvalidRequestError(
            f"Suite {suite.id!r} is for models of kind {suite.kind!r}, but this one is "
            f"a {family}; choose another suite{': ' + fitting if fitting else ''}."
        )


def baseline_of(family: str | None) -> str:
    """Return the suite that is taken for a family when none is given.

    Raises
    ------
    InvalidRequestError
        The family is not known.
    """
    if family is None:
        raise InvalidRequestError(
            "What the model does is not known from it; give suite=..., for example "
            "'classifier-baseline'."
        )
    return f"{family}-baseline"


def _require_faithful(
    candidate: Candidate,
    data: Dataset | DatasetRef | None,
    accepted: Callable[[], Acceptance],
) -> None:
    """Refuse a model whose stored copy predicts otherwise than the model itself."""
    if candidate.estimator is None or candidate.is_copy:
        return
    if data is None or isinstance(data, DatasetRef):
        return
    import numpy as np

    from myia_sdk.certification.models.estimators import EstimatorModel
    from myia_sdk.certification.models.files.sklearn import read_estimator

    assert candidate.live is not None  # noqa: S101 - estimators are at hand
    estimator = read_estimator(candidate.content, accepted)
    copy = EstimatorModel(estimator, candidate.live.family)
    rows = data.features.take(np.arange(min(_COMPARED_ROWS, data.rows))).data
    expected, found = candidate.live.predict(rows), copy.predict(rows)
    wrong = int((expected != found).sum())
    # A model that draws at random does not agree with itself either.
    if wrong and np.array_equal(expected, candidate.live.predict(rows)):
        raise ModelRejectedError(
            f"The stored copy of {type(candidate.estimator).__name__} predicts "
            f"otherwise than the model itself for {wrong} of {len(expected)} rows: it "
            "holds what its file cannot. Export it as ONNX, or register a factory on "
            "the worker (kind 'python')."
        )


def _accept_dataset(
    dataset: object, suite: Suite, candidate: Candidate, tell: Callable[[str], object]
) -> Dataset | DatasetRef | None:
    if dataset is None:
        if suite.kind not in ENDPOINT_FAMILIES:
            raise DatasetError(
                f"Suite {suite.id!r} measures on data; give dataset=(X_test, y_test)."
            )
        return None
    if isinstance(dataset, DatasetRef):
        return dataset
    if isinstance(dataset, Mapping) and "artifact" in dataset:
        return DatasetRef.from_record(dict(dataset))
    from myia_sdk.certification.data.datasets import Dataset as _Dataset

    data = _Dataset.of(dataset)
    if suite.kind in ENDPOINT_FAMILIES:
        return data
    return _fitted(data, suite, candidate, tell)


def _fitted(
    data: Dataset, suite: Suite, candidate: Candidate, tell: Callable[[str], object]
) -> Dataset:
    """Bring the data into the shape that the model takes, and check them."""
    from myia_sdk.certification.admission.alignment import (
        aligned,
        class_notes,
        settled,
    )
    from myia_sdk.certification.admission.validation import require_valid

    notes: list[str] = []
    if candidate.live is not None:
        data, notes = aligned(data, candidate.live)
        notes += settled(candidate.live, data)
    require_valid(data, suite.kind, candidate.live)
    if candidate.live is not None:
        notes += class_notes(data, candidate.live)
    for note in notes:
        tell(note)
    return data


def _require_text(value: object, what: str) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidRequestError(
            f"The {what} is {value!r}; it must be a non-empty text or None."
        )
