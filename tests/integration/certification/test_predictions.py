"""Predictions without a model: what is measured, what is skipped, what is certified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from myia_sdk import Predictions
from myia_sdk.certification.admission import build_request
from myia_sdk.certification.certificate import Certificate, Subject
from myia_sdk.certification.certificate.signing import Signer
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.data import ArtifactStore
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.statistics.intervals import wilson_interval
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import (
    DatasetError,
    InvalidRequestError,
    WrongSubjectError,
)
from tests.helpers.speed import at_any_speed

#: What asks the model for more than its answers to the test data.
ASKING = {
    *("schema-errors", "noise-robustness", "missing-values", "determinism"),
    *("batch-invariance", "latency", "unknown-values"),
}


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:300], y[:300])
    return model, X[300:].reset_index(drop=True), y[300:].to_numpy()


def certify(predictions, store, suite=None, **options):
    said = []
    request = build_request(
        predictions, suite=suite, artifacts=store, tell=said.append, **options
    )
    return run_suite(request, artifacts=store), request


def outcomes(report):
    return {record.id: record.outcome for record in report.checks}


def test_a_classifier_is_measured_as_with_its_model(cancer, store):
    model, X, y = cancer
    answers = Predictions(
        y,
        model.predict(X),
        model.predict_proba(X),
        data=X,
        sensitive={"half": np.where(np.arange(len(y)) % 2, "odd", "even")},
    )
    report, request = certify(answers, store)
    assert report.suite_id == "classifier-baseline"
    seen = run_suite(
        build_request(
            model,
            dataset={"X": X, "y": y, "sensitive": answers.sensitive},
            artifacts=store,
            parameters=at_any_speed(),
        ),
        artifacts=store,
    )
    for record in report.checks:
        if record.id in ASKING:
            assert record.outcome is Outcome.SKIPPED
            assert record.message in {
                "No model was seen, only its predictions.",
                "The model cannot be trained again.",
            }
        else:
            other = seen.check(record.id)
            assert record.outcome is other.outcome
            assert record.value == pytest.approx(other.value)
    found = outcomes(report)
    for measured in ("performance", "calibration", "slices", "fairness", "confidence"):
        assert found[measured] is not Outcome.SKIPPED
    details = report.check("per-class").details
    assert report.check("performance").value == pytest.approx(
        roc_auc_score(y, model.predict_proba(X)[:, 1])
    )
    recalls = recall_score(y, model.predict(X), average=None)
    assert [details["classes"][label]["recall"] for label in "01"] == pytest.approx(
        recalls.tolist()
    )
    precisions = precision_score(y, model.predict(X), average=None)
    assert [details["classes"][label]["precision"] for label in "01"] == pytest.approx(
        precisions.tolist()
    )
    assert details["classes"]["0"]["rows"] == (y == 0).sum()
    assert "No model was seen" in " ".join(report.reasons)
    assert report.resolved["model_seen"] is False
    assert request.model.artifact == answers.digest


def test_without_features_what_needs_none_is_measured(cancer, store):
    model, X, y = cancer
    report, _ = certify(Predictions(y, model.predict(X)), store)
    found = outcomes(report)
    assert report.check("performance").value == pytest.approx(
        balanced_accuracy_score(y, model.predict(X))
    )
    assert found["beats-dummy"] is Outcome.PASSED
    for absent in ("slices", "single-feature-dominance", "calibration", "fairness"):
        assert found[absent] is Outcome.SKIPPED
    assert Outcome.ERROR not in found.values()


def test_a_regressor(store):
    X, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(30, random_state=0).fit(X[:300], y[:300])
    truth, predicted = y[300:], model.predict(X[300:])
    report, _ = certify(Predictions(truth, predicted, data=X[300:]), store)
    assert report.suite_id == "regressor-baseline"
    found = outcomes(report)
    for measured in ("performance", "systematic-error", "slices"):
        assert found[measured] is not Outcome.SKIPPED
    for asking in ("noise-robustness", "determinism", "latency"):
        assert found[asking] is Outcome.SKIPPED
    assert Outcome.ERROR not in found.values()
    alone, _ = certify(Predictions(truth, predicted), store)
    assert alone.check("performance").value == report.check("performance").value
    assert Outcome.ERROR not in outcomes(alone).values()


def test_whole_numbers_are_what_the_suite_is_for(store):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 30, 200)
    near = truth + rng.integers(-1, 2, 200)
    report, _ = certify(Predictions(truth, near), store, "regressor-baseline")
    assert report.suite_id == "regressor-baseline"
    report, _ = certify(Predictions(truth, near, family="regressor"), store)
    assert report.suite_id == "regressor-baseline"
    with pytest.raises(InvalidRequestError, match="but this one is a classifier"):
        certify(
            Predictions(list("ab") * 10, list("ab") * 10), store, "regressor-baseline"
        )


def test_a_baseline_of_predictions_is_compared_row_by_row(cancer, store):
    model, X, y = cancer
    worse = np.where(np.arange(len(y)) % 5, model.predict(X), 1 - y)
    report, request = certify(
        Predictions(y, model.predict(X)),
        store,
        parameters={"baseline": Predictions(y, worse)},
    )
    record = report.check("beats-baseline")
    assert record.outcome is Outcome.PASSED
    assert record.details["baseline"] == pytest.approx(
        balanced_accuracy_score(y, worse)
    )
    # A request may come from anywhere: the worker counts the baseline's answers too.
    few = store.put_bytes(Predictions(y[:9], worse[:9]).answers.to_bytes())
    forged = request.parameters["baseline"] | {"artifact": few}
    with pytest.raises(DatasetError, match="9 predictions for"):
        run_suite(replace(request, parameters={"baseline": forged}), artifacts=store)
    # A model may be compared with predictions, and the other way round.
    request = build_request(
        model,
        dataset=(X, y),
        parameters=at_any_speed() | {"baseline": Predictions(y, worse)},
        artifacts=store,
    )
    other = run_suite(request, artifacts=store).check("beats-baseline")
    assert other.details["baseline"] == record.details["baseline"]


def test_the_certificate_is_about_the_predictions_and_says_so(cancer, store, tmp_path):
    model, X, y = cancer
    answers = Predictions(y, model.predict(X), model.predict_proba(X), name="night run")
    report, request = certify(answers, store)
    signer = Signer.load(None, tmp_path)
    certificate = Certificate.issue(report, job_id="1", signer=signer)
    (subject,) = certificate.subjects
    assert (subject.name, "sha256:" + subject.sha256) == ("night run", answers.digest)
    assert certificate.extension["modelSeen"] is False
    assert not certificate.is_model_seen
    path = answers.save(tmp_path / "answers.parquet")
    found = certificate.verify([signer.public_key], Subject.of_path(path))
    assert found.is_certified
    assert found.is_subject_checked
    other = Predictions(y, 1 - model.predict(X)).save(tmp_path / "other.parquet")
    with pytest.raises(WrongSubjectError):
        certificate.verify([signer.public_key], Subject.of_path(other))
    with_model = build_request(
        model, dataset=(X, y), artifacts=store, parameters=at_any_speed()
    )
    seen = Certificate.issue(
        run_suite(with_model, artifacts=store), job_id="2", signer=signer
    )
    assert "modelSeen" not in seen.extension
    assert seen.is_model_seen
    assert request.to_record()["model"]["kind"] == "predictions"


CONTAINERS = {
    "lists": list,
    "series": pd.Series,
    "texts": lambda values: pd.Series(values, dtype="str"),
    "nullable": lambda values: pd.Series(values, dtype="string"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_answers_come_back_as_they_were(kind, store):
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    model = LogisticRegression(max_iter=500).fit(X, names[y])
    make = CONTAINERS[kind]
    answers = Predictions(
        make(list(names[y])),
        make(list(model.predict(X))),
        pd.DataFrame(model.predict_proba(X), columns=model.classes_),
    )
    report, _ = certify(answers, store)
    assert report.check("performance").value == pytest.approx(
        roc_auc_score(y, model.predict_proba(X), multi_class="ovr"), abs=1e-3
    )
    assert report.resolved["classes"] == names.tolist()


def test_classes_given_come_before_the_names_of_columns(cancer):
    model, X, y = cancer
    shares = pd.DataFrame(model.predict_proba(X), columns=["p_no", "p_yes"])
    answers = Predictions(y, model.predict(X), shares, classes=[0, 1]).answers
    assert answers.classes.tolist() == [0, 1]
    unnamed = Predictions(y, model.predict(X), shares).answers
    assert unnamed.classes.tolist() == ["p_no", "p_yes"]


Y, P = ["a", "b"] * 10, [[0.4, 0.6]] * 20
WRONG = {
    "lengths": (lambda: Predictions(Y, Y[:5]), "20 values, y_pred has 5"),
    "missing": (lambda: Predictions(Y, [*Y[:19], None]), "the first in row 19"),
    "infinite": (lambda: Predictions([1.5], [np.inf]), "y_pred is inf in row 0"),
    "nothing": (lambda: Predictions([], []), "has no values"),
    "two columns": (lambda: Predictions(Y, np.ones((20, 2))), "one value per row"),
    "rows of shares": (lambda: Predictions(Y, Y, P[:3]), r"\(3, 2\) for 20 rows"),
    "a sum": (lambda: Predictions(Y, Y, [[0.4, 0.4]] * 20), "adds up to 0.8 in row 0"),
    "a range": (lambda: Predictions(Y, Y, [[-1, 2]] * 20), "between 0 and 1"),
    "no numbers": (lambda: Predictions(Y, Y, [["x", "y"]] * 20), "no number"),
    "classes": (
        lambda: Predictions(Y, Y, P, classes="abc"),
        "2 columns, but there are",
    ),
    "family": (lambda: Predictions(Y, Y, family="chat"), "'chat'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_at_once(case):
    make, text = WRONG[case]
    with pytest.raises(DatasetError, match=text):
        make()


def test_what_does_not_fit_the_data_is_refused_at_submission(store):
    with pytest.raises(DatasetError, match="3 rows, but y has 20"):
        certify(Predictions(Y, Y, data=np.ones((3, 2))), store)
    with pytest.raises(DatasetError, match="bring their own data"):
        certify(Predictions(Y, Y), store, dataset=(np.ones((20, 1)), Y))
    with pytest.raises(DatasetError, match="10"):
        certify(Predictions(Y[:4], Y[:4]), store)
    assert not list(Path(store.location).rglob("sha256/*/*"))


def test_a_file_of_predictions_that_is_none_is_an_error_of_the_request(cancer, store):
    model, X, y = cancer
    _, request = certify(Predictions(y, model.predict(X)), store)
    for content in (b"no parquet", answers_of_another_length()):
        wrong = replace(request.model, artifact=store.put_bytes(content))
        with pytest.raises(DatasetError, match=r"cannot be read|predictions for"):
            run_suite(replace(request, model=wrong), artifacts=store)


def answers_of_another_length():
    return Predictions([0, 1], [0, 1]).answers.to_bytes()


def test_the_same_predictions_have_the_same_digest(cancer):
    model, X, y = cancer
    one = Predictions(y, model.predict(X))
    assert one.digest == Predictions(y, model.predict(X), data=X).digest
    assert one.digest != Predictions(y, 1 - model.predict(X)).digest
    assert one.rows == len(y)


def test_a_class_that_is_never_predicted_has_no_precision(store):
    truth = ["a", "b", "c"] * 20
    report, _ = certify(Predictions(truth, ["a", "b", "b"] * 20), store)
    record = report.check("per-class")
    classes = record.details["classes"]
    assert classes["c"]["rows"] == 20
    assert (classes["c"]["recall"], classes["c"]["precision"]) == (0.0, None)
    assert (classes["b"]["recall"], classes["b"]["precision"]) == (1.0, 0.5)
    low, high = wilson_interval(20, 40)
    assert classes["b"]["precision_interval"] == pytest.approx([low, high])
    assert record.outcome is Outcome.FAILED
    assert "It never predicts the class 'c'." in record.message


def test_a_failed_verdict_is_possible(store):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300)
    report, _ = certify(Predictions(truth, rng.integers(0, 2, 300)), store)
    assert report.verdict is Verdict.FAILED
