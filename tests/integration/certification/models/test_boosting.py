"""Boosters, and other packages' estimators: stored without pickles, loaded alike."""

from __future__ import annotations

import warnings
from typing import Any

import category_encoders
import numpy as np
import pandas as pd
import pytest
import skrub
from catboost import CatBoostClassifier, CatBoostRegressor
from imblearn.ensemble import BalancedRandomForestClassifier, RUSBoostClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from myia_sdk.certification.models.files.acceptance import Acceptance
from myia_sdk.certification.models.files.boosting import read
from myia_sdk.certification.models.files.sklearn import (
    dump_estimator,
    load_estimator,
    require_trusted,
)
from myia_sdk.errors import ModelRejectedError
from tests.helpers.zoo import mixed_frame

X, Y = load_iris(return_X_y=True)
FLOWERS = load_iris(as_frame=True).data
NUMBERS = load_diabetes(return_X_y=True)
QUIET = {"iterations": 10, "verbose": 0, "allow_writing_files": False}


def frame_with_categories() -> tuple[pd.DataFrame, Any]:
    frame, y = mixed_frame()
    frame = frame.drop(columns=["text"]).fillna({"city": "?"})
    return frame.assign(city=frame["city"].astype("category")), y


CASES: dict[str, tuple[Any, Any, Any]] = {
    "XGBClassifier": (XGBClassifier(n_estimators=9), X, Y),
    "XGBClassifier of a frame": (XGBClassifier(n_estimators=9), FLOWERS, Y == 1),
    "XGBRFClassifier": (XGBRFClassifier(n_estimators=9), X, Y),
    "XGBRegressor": (XGBRegressor(n_estimators=9), *NUMBERS),
    "XGBClassifier, categories": (
        XGBClassifier(n_estimators=9, enable_categorical=True),
        *frame_with_categories(),
    ),
    "LGBMClassifier": (LGBMClassifier(n_estimators=9, verbose=-1), X, Y),
    "LGBMClassifier, labels": (
        LGBMClassifier(n_estimators=9, verbose=-1),
        FLOWERS,
        np.array(["a", "b", "c"])[Y],
    ),
    "LGBMRegressor": (LGBMRegressor(n_estimators=9, verbose=-1), *NUMBERS),
    "LGBMClassifier, categories": (
        LGBMClassifier(n_estimators=9, verbose=-1),
        *frame_with_categories(),
    ),
    "CatBoostClassifier": (CatBoostClassifier(**QUIET), X, Y),
    "CatBoostClassifier of a frame": (CatBoostClassifier(**QUIET), FLOWERS, Y == 1),
    "CatBoostRegressor": (CatBoostRegressor(**QUIET), *NUMBERS),
    "CatBoostClassifier, categories": (
        CatBoostClassifier(**QUIET, cat_features=["city", "plan"]),
        *frame_with_categories(),
    ),
    "a pipeline": (make_pipeline(StandardScaler(), CatBoostClassifier(**QUIET)), X, Y),
    "a search": (
        GridSearchCV(
            make_pipeline(StandardScaler(), XGBClassifier(n_estimators=5)),
            {"xgbclassifier__max_depth": [2, 3]},
            cv=3,
        ),
        X,
        Y,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_booster_predicts_the_same_after_storing(name):
    model, data, truth = CASES[name]
    model.fit(data, truth)
    _require_same(model, load_estimator(dump_estimator(model)), data)


def test_the_best_round_of_early_stopping_is_kept():
    model = LGBMClassifier(n_estimators=200, verbose=-1)
    callbacks = [early_stopping(3, verbose=False)]
    model.fit(X[::2], Y[::2], eval_X=X[1::2], eval_y=Y[1::2], callbacks=callbacks)
    assert model.best_iteration_ < 200
    _require_same(model, load_estimator(dump_estimator(model)), X)


def test_files_hold_the_boosters_own_formats_and_no_pickle():
    model = XGBClassifier(n_estimators=3).fit(X, Y)
    content = dump_estimator(model)
    assert any(name.endswith("XGBoostBooster") for name in require_trusted(content))
    assert bytes(model.get_booster().save_raw("ubj")) in content
    text = LGBMClassifier(n_estimators=3, verbose=-1).fit(X, Y)
    assert b"end of trees" in dump_estimator(text)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_a_worker_without_the_library_is_known_at_submit(library):
    model = {
        "xgboost": XGBClassifier(n_estimators=3),
        "lightgbm": LGBMClassifier(n_estimators=3, verbose=-1),
        "catboost": CatBoostClassifier(**QUIET),
    }[library].fit(X, Y)
    accepted = Acceptance(libraries=("sklearn",))
    text = rf"needs {library}, which not all.*pip install \"myia-sdk\[{library}\]\""
    with pytest.raises(ModelRejectedError, match=text):
        dump_estimator(model, lambda: accepted)


def _files(tmp_path, kind: str) -> list[tuple[str, Any, Any]]:
    path = tmp_path / "model"
    found = []
    for data, truth in ((X, Y), (X, Y == 1), NUMBERS):
        is_number = len(np.unique(truth)) > 3
        if kind in {"ubj", "json"}:
            model = (XGBRegressor if is_number else XGBClassifier)(n_estimators=5)
            model.fit(data, truth).save_model(path.with_suffix(f".{kind}"))
        elif kind == "txt":
            booster = LGBMRegressor if is_number else LGBMClassifier
            model = booster(n_estimators=5, verbose=-1).fit(data, truth.astype(float))
            model.booster_.save_model(path.with_suffix(".txt"))
        else:
            model = (CatBoostRegressor if is_number else CatBoostClassifier)(**QUIET)
            model.fit(data, truth.astype(float)).save_model(
                str(path.with_suffix(".cbm"))
            )
        found.append((path.with_suffix(f".{kind}").read_bytes(), model, data))
    return found


KINDS = {"ubj": "xgboost", "json": "xgboost", "txt": "lightgbm", "cbm": "catboost"}


@pytest.mark.parametrize("suffix", KINDS)
def test_files_of_the_libraries_are_read(tmp_path, suffix):
    families = []
    for content, model, data in _files(tmp_path, suffix):
        found = read(content, KINDS[suffix])
        families.append(found.family)
        expected = np.asarray(model.predict(data)).ravel()
        np.testing.assert_array_equal(found.predict(data), expected)
        if found.family == "classifier":
            np.testing.assert_array_equal(
                found.predict_proba(data), model.predict_proba(data)
            )
    assert families == ["classifier", "classifier", "regressor"]


@pytest.mark.parametrize("suffix", KINDS)
def test_labels_are_named_in_the_options(tmp_path, suffix):
    content, model, data = _files(tmp_path, suffix)[0]
    found = read(content, KINDS[suffix], ["a", "b", "c"])
    numbers = np.asarray(model.predict(data)).ravel().astype(int)
    assert found.classes.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(
        found.predict(data), np.array(["a", "b", "c"])[numbers]
    )


@pytest.mark.parametrize("suffix", KINDS)
def test_a_broken_file_is_refused_and_ends_nothing(tmp_path, suffix):
    content = _files(tmp_path, suffix)[0][0]
    for broken in (content[: len(content) // 2], content[:20], b"{}", b"tree"):
        with pytest.raises(ModelRejectedError, match="model of"):
            read(broken, KINDS[suffix]) if suffix != "txt" else read(broken, "lightgbm")


def _others() -> dict[str, tuple[str, Any, Any, Any]]:
    frame, y = frame_with_categories()
    words = frame[["city", "plan", "since"]]
    line = LogisticRegression(max_iter=300)
    when = frame.assign(when=pd.date_range("2024-01-01", periods=len(frame)))
    encoders = {
        name: (
            "category_encoders",
            make_pipeline(getattr(category_encoders, name)(cols=["city"]), line),
            words.drop(columns=["plan"]).astype({"city": "str"}),
            y,
        )
        for name in ("TargetEncoder", "CatBoostEncoder", "BinaryEncoder", "WOEEncoder")
    }
    boosted = HistGradientBoostingClassifier(max_iter=10)
    return {
        **encoders,
        "SMOTE": ("imblearn", make_sampling_pipeline(SMOTE(), line), X, Y),
        "BalancedRandomForest": (
            "imblearn",
            BalancedRandomForestClassifier(9, random_state=0),
            X,
            Y,
        ),
        "RUSBoost": ("imblearn", RUSBoostClassifier(n_estimators=5), X, Y),
        "TableVectorizer": (
            "skrub",
            make_pipeline(skrub.TableVectorizer(), boosted),
            when,
            y,
        ),
        "tabular_pipeline": ("skrub", skrub.tabular_pipeline(line), when, y),
    }


@pytest.mark.parametrize("name", _others())
def test_a_package_is_accepted_when_the_operator_names_it(name):
    package, model, data, truth = _others()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data, truth)
    line = rf"MYIA_TRUSTED_PACKAGES=skops,{package}"
    with pytest.raises(ModelRejectedError, match=line):
        dump_estimator(model, lambda: Acceptance(packages=("skops",)))
    content = dump_estimator(model, lambda: Acceptance(packages=(package,)))
    with pytest.raises(ModelRejectedError, match=package):
        load_estimator(content)
    _require_same(model, load_estimator(content, (package,)), data)


def _require_same(model: Any, copy: Any, data: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert type(copy) is type(model)
        for method in ("predict", "predict_proba"):
            if hasattr(model, method):
                np.testing.assert_array_equal(
                    getattr(copy, method)(data), getattr(model, method)(data)
                )
