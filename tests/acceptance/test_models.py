"""Ordinary models, submitted as a data scientist would, with a worker of the SDK."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import category_encoders
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import statsmodels.api as sm
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBClassifier, XGBRegressor

from myia_sdk import Client, Settings
from myia_sdk.errors import ModelRejectedError, SubmissionWarning

RNG = np.random.default_rng(0)
X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
A, B, C, D = train_test_split(X, Y, stratify=Y, random_state=0)
WINE = train_test_split(
    *load_wine(return_X_y=True, as_frame=True), test_size=0.4, random_state=0
)
NUMBERS = train_test_split(
    *load_diabetes(return_X_y=True, as_frame=True), random_state=0
)


def survey() -> list[Any]:
    """A frame of numbers, words and holes (Fair's survey of 1974)."""
    fair = sm.datasets.fair.load_pandas().data
    jobs = {
        1: "student",
        2: "farming",
        3: "white",
        4: "teacher",
        5: "manager",
        6: "prof",
    }
    fair["occ"] = fair.occupation.astype(int).map(jobs)
    fair.loc[RNG.choice(len(fair), 300), "age"] = np.nan
    names = ["rate_marriage", "age", "yrs_married", "children", "religious", "educ"]
    truth = (fair.affairs > 0).astype(int)
    return train_test_split(fair[[*names, "occ"]], truth, random_state=0)


def reviews() -> tuple[list[str], list[int]]:
    words = ["the", "a", "plot", "actor", "scene", "music"]
    kinds = ["bad awful film hated it", "good great film loved it"]
    texts = [f"{kinds[i % 2]} {' '.join(RNG.choice(words, 5))}" for i in range(400)]
    return texts, [i % 2 for i in range(400)]


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def cases() -> dict[str, tuple[Any, Any, Any]]:
    """Each model fitted, and its test data."""
    fa, fb, fc, fd = survey()
    wa, wb, wc, wd = WINE
    da, db, dc, dd = NUMBERS
    texts, labels = reviews()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    mixed = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["occ"]),
        (numbers, [name for name in fa if name != "occ"]),
    )
    typed = fa.assign(occ=fa.occ.astype("category"))
    grid = {"logisticregression__C": [0.1, 1]}
    logistic, words = LogisticRegression(max_iter=1000), {0: "malignant", 1: "benign"}
    pair = [("lr", scaled(LogisticRegression())), ("rf", RandomForestClassifier(9))]
    encoded = make_pipeline(
        category_encoders.TargetEncoder(), SimpleImputer(), logistic
    )
    sparse = TfidfVectorizer().fit(texts)
    made = {
        "mixed frame": (make_pipeline(mixed, logistic), fa, fc, fb, fd),
        "HGB, from_dtype": (
            HistGradientBoostingClassifier(categorical_features="from_dtype"),
            typed,
            fc,
            fb.assign(occ=pd.Categorical(fb.occ, categories=typed.occ.cat.categories)),
            fd,
        ),
        "string labels": (RandomForestClassifier(9), A, C.map(words), B, D.map(words)),
        "bool labels": (scaled(logistic), A, C.astype(bool), B, D.astype(bool)),
        "category labels": (
            scaled(logistic),
            A,
            C.map(words).astype("category"),
            B,
            D.map(words).astype("category"),
        ),
        "LinearSVC": (scaled(LinearSVC()), A, C, B, D),
        "SVC": (scaled(SVC()), A, C, B, D),
        "GridSearchCV": (GridSearchCV(scaled(LogisticRegression()), grid), A, C, B, D),
        "stacking": (StackingClassifier(pair), A, C, B, D),
        "calibrated": (scaled(CalibratedClassifierCV(LinearSVC())), A, C, B, D),
        "KNN": (scaled(KNeighborsClassifier()), A, C, B, D),
        "MLP": (scaled(MLPClassifier(max_iter=500, random_state=0)), A, C, B, D),
        "lists": (scaled(logistic), A.to_numpy(), C, B.to_numpy().tolist(), D.tolist()),
        "texts": (
            make_pipeline(TfidfVectorizer(), LogisticRegression()),
            texts[:300],
            labels[:300],
            pd.Series(texts[300:]),
            labels[300:],
        ),
        "sparse": (
            LogisticRegression(),
            sparse.transform(texts[:300]),
            labels[:300],
            scipy.sparse.csr_array(sparse.transform(texts[300:])),
            labels[300:],
        ),
        "20 rows": (scaled(logistic), A, C, B[:20], D[:20]),
        "np.log1p": (
            make_pipeline(FunctionTransformer(np.log1p), scaled(logistic)),
            A,
            C,
            B,
            D,
        ),
        "ridge": (Ridge(), da, dc, db, dd),
        "forest of regressions": (RandomForestRegressor(20), da, dc, db, dd),
        "XGBClassifier": (XGBClassifier(n_estimators=20), A, C, B, D),
        "XGBRegressor": (XGBRegressor(n_estimators=20), da, dc, db, dd),
        "LGBMClassifier": (LGBMClassifier(n_estimators=20, verbose=-1), A, C, B, D),
        "CatBoostClassifier": (
            CatBoostClassifier(iterations=20, verbose=0, allow_writing_files=False),
            A,
            C,
            B,
            D,
        ),
        "category_encoders": (encoded, fa, fc, fb, fd),
        "class absent": (scaled(logistic), wa, wc, wb[wd != 2], wd[wd != 2]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            name: (clone(model).fit(train, truth), test, answers)
            for name, (model, train, truth, test, answers) in made.items()
        }


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[Client]:
    settings = Settings(
        myia_home=tmp_path_factory.mktemp("home"),
        myia_trusted_packages="category_encoders, not_installed",
        _env_file=None,
    )
    with Client.local(settings) as opened:
        yield opened


def test_ordinary_models_are_certified_as_they_are(client):
    found = cases()
    jobs = {}
    for name, (model, test, answers) in found.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jobs[name] = client.submit(model, dataset=(test, answers))
    client.wait(list(jobs.values()), timeout=500, progress=False)
    reports = {name: job.refresh() and job.report() for name, job in jobs.items()}
    errored = {
        name: [(one.id, one.message) for one in report.checks if one.outcome == "error"]
        for name, report in reports.items()
    }
    assert not {name: some for name, some in errored.items() if some}
    for name, (model, test, _) in found.items():
        (check,) = [c for c in reports[name].checks if c.id == "performance"]
        assert check.value is not None, (name, model, test)


def test_what_is_chosen_and_changed_is_said(client):
    model = scaled(LogisticRegression()).fit(A, C)
    with pytest.warns(SubmissionWarning, match="put into the order"):
        job = client.submit(model, dataset=(B[sorted(B)[::-1]], D))
    assert len(job.notes) == 2
    assert "'classifier-baseline' is taken" in job.notes[0]
    assert "put into the order of the model" in job._repr_html_()
    assert list(client.logs(job.id)["text"])[:2] == list(job.notes)


def test_the_submitter_learns_what_the_workers_accept(client):
    client.submit(LinearRegression().fit(A, C), dataset=(B, D)).wait(120)
    beats = client.connection.administration.beats().values()
    (accepts,) = [beat["accepts"] for beat in beats]
    assert accepts["packages"] == ["category_encoders"]
    assert "xgboost" in accepts["libraries"]
    from imblearn.ensemble import RUSBoostClassifier

    line = "MYIA_TRUSTED_PACKAGES=category_encoders,imblearn"
    with pytest.raises(ModelRejectedError, match=line):
        client.submit(RUSBoostClassifier(n_estimators=3).fit(A, C), dataset=(B, D))
