"""Every model of scikit-learn, fitted on small data: what people may bring."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import loguniform, uniform
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import (  # noqa: F401 - makes both importable
    enable_halving_search_cv,
    enable_iterative_imputer,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    mutual_info_classif,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RANSACRegressor, Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    LeaveOneOut,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
    minmax_scale,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances

ROWS = 120


@dataclass(frozen=True)
class Case:
    """A model that is fitted, or why scikit-learn itself cannot."""

    name: str
    estimator: Any = None
    X: Any = None
    y: Any = None
    unfit: str = ""


def _flowers() -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    return X, y


def _numbers() -> tuple[Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return np.abs(X[:ROWS]), np.abs(y[:ROWS])


def mixed_frame() -> tuple[pd.DataFrame, np.ndarray]:
    """Strings, categories, dates as numbers, truth values and holes."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=ROWS, freq="D")
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 9, ROWS),
            "city": rng.choice(["Lima", "Oslo", "Rome"], ROWS),
            "plan": pd.Categorical(rng.choice(["free", "paid"], ROWS)),
            "since": (days - days[0]).days.to_numpy(),
            "active": rng.random(ROWS) > 0.5,
            "text": rng.choice(
                ["good film", "bad film", "good plot", "bad plot"], ROWS
            ),
        }
    )
    frame.loc[rng.choice(ROWS, 20, replace=False), "age"] = np.nan
    frame.loc[rng.choice(ROWS, 10, replace=False), "city"] = None
    y = ((frame["age"].fillna(40) > 40) ^ frame["active"]).to_numpy().astype(int)
    return frame, y


#: What scikit-learn cannot put before a classifier or fit on one target.
_OTHER_INPUT = {
    "DictVectorizer": lambda X: [{"a": row[0], "b": str(row[1])} for row in X],
    "FeatureHasher": lambda X: [{"a": row[0], "b": row[1]} for row in X],
    "HashingVectorizer": lambda X: [f"w{row[0]} v{row[1]}" for row in X],
    "CountVectorizer": lambda X: [f"w{row[0]} v{row[1]}" for row in X],
    "TfidfVectorizer": lambda X: [f"w{row[0]} v{row[1]}" for row in X],
    "IsotonicRegression": lambda X: X[:, :1],
    "KernelCenterer": lambda X: X @ X.T,
}


def classifiers() -> Iterator[Case]:
    """Every classifier of ``all_estimators``, in each of its usual settings."""
    X, y = _flowers()
    for name, estimator in _instances("classifier"):
        binary = "Threshold" in name
        yield _fitted(
            f"classifier {name}", estimator, np.abs(X), y == 0 if binary else y
        )


def regressors() -> Iterator[Case]:
    """Every regressor."""
    X, y = _numbers()
    for name, estimator in _instances("regressor"):
        data = X[:, :1] if name.startswith("IsotonicRegression") else X
        yield _fitted(f"regressor {name}", estimator, data, y)


def transformers() -> Iterator[Case]:
    """Every transformer before a classifier."""
    X, y = _flowers()
    for name, estimator in _instances("transformer"):
        given = _OTHER_INPUT.get(name.partition("#")[0], np.abs)(X)
        pipeline = make_pipeline(estimator, LogisticRegression(max_iter=50))
        yield _fitted(f"transformer {name}", pipeline, given, y)


def _instances(kind: str) -> Iterator[tuple[str, BaseEstimator]]:
    for name, cls in all_estimators(type_filter=kind):
        try:
            found = list(_construct_instances(cls))
        except Exception:  # noqa: BLE001 - abstract for one target: MultiOutput and so on
            continue
        for number, estimator in enumerate(found):
            yield f"{name}#{number}", estimator


def ordinary() -> Iterator[Case]:
    """Pipelines, searches and meta-estimators as people write them."""
    yield from _searches()
    yield from _metas()
    yield from _on_frames()
    yield from _functions()
    yield from _texts()


def _searches() -> Iterator[Case]:
    X, y = _flowers()
    groups = np.arange(len(y)) % 5
    grid = {"logisticregression__C": [0.1, 1.0]}
    base = make_pipeline(StandardScaler(), LogisticRegression())
    splitters = {
        "None": None,
        "KFold": KFold(3),
        "StratifiedKFold": StratifiedKFold(3, shuffle=True, random_state=0),
        "RepeatedStratifiedKFold": RepeatedStratifiedKFold(n_splits=3, n_repeats=2),
        "ShuffleSplit": ShuffleSplit(3, random_state=np.random.RandomState(0)),
        "StratifiedShuffleSplit": StratifiedShuffleSplit(2, random_state=0),
        "TimeSeriesSplit": TimeSeriesSplit(3),
        "LeaveOneOut": LeaveOneOut(),
        "pairs of positions": list(KFold(3).split(X)),
    }
    shuffled = np.random.default_rng(0).permutation(len(y))
    for name, splitter in splitters.items():
        search = GridSearchCV(base, grid, cv=splitter)
        yield _fitted(f"GridSearchCV, {name}", search, X[shuffled], y[shuffled])
    search = GridSearchCV(base, grid, cv=GroupKFold(3))
    yield Case("GridSearchCV, GroupKFold", search.fit(X, y, groups=groups), X, y)
    scorer = make_scorer(f1_score, average="macro")
    several = {"f1": scorer, "accuracy": "accuracy"}
    yield _fitted(
        "GridSearchCV, scorers",
        GridSearchCV(base, grid, scoring=several, refit="f1"),
        X,
        y,
    )
    spread = {
        "logisticregression__C": loguniform(1e-2, 1e2),
        "logisticregression__tol": uniform(1e-5, 1e-3),
    }
    yield _fitted(
        "RandomizedSearchCV, distributions",
        RandomizedSearchCV(base, spread, n_iter=3, random_state=0),
        X,
        y,
    )
    yield _fitted(
        "HalvingGridSearchCV",
        HalvingGridSearchCV(base, grid, min_resources=60, random_state=0),
        X,
        y,
    )
    yield _fitted(
        "HalvingRandomSearchCV",
        HalvingRandomSearchCV(base, spread, min_resources=40, random_state=0),
        X,
        y,
    )


def _metas() -> Iterator[Case]:
    X, y = _flowers()
    Xd, yd = _numbers()
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    line = make_pipeline(StandardScaler(), LogisticRegression())
    pair = [("tree", tree), ("line", line)]
    holey = y.copy()
    holey[::7] = -1
    yield _fitted("CalibratedClassifierCV", CalibratedClassifierCV(LinearSVC()), X, y)
    yield _fitted(
        "CalibratedClassifierCV, isotonic",
        CalibratedClassifierCV(tree, method="isotonic", cv=3),
        X,
        y,
    )
    yield _fitted(
        "CalibratedClassifierCV of a FrozenEstimator",
        CalibratedClassifierCV(FrozenEstimator(clone(line).fit(X, y))),
        X,
        y,
    )
    yield _fitted(
        "TunedThresholdClassifierCV", TunedThresholdClassifierCV(line), X, y == 1
    )
    yield _fitted("FixedThresholdClassifier", FixedThresholdClassifier(line), X, y == 1)
    yield _fitted("StackingClassifier", StackingClassifier(pair, cv=3), X, y)
    yield _fitted("VotingClassifier", VotingClassifier(pair, voting="soft"), X, y)
    yield _fitted("OneVsRestClassifier", OneVsRestClassifier(LinearSVC()), X, y)
    yield _fitted("OneVsOneClassifier", OneVsOneClassifier(LinearSVC()), X, y)
    yield _fitted(
        "OutputCodeClassifier", OutputCodeClassifier(tree, random_state=0), X, y
    )
    yield _fitted("BaggingClassifier", BaggingClassifier(line, random_state=0), X, y)
    yield _fitted("AdaBoostClassifier", AdaBoostClassifier(tree, random_state=0), X, y)
    yield _fitted("SelfTrainingClassifier", SelfTrainingClassifier(line), X, holey)
    yield _fitted("RFE", make_pipeline(RFE(tree), tree), X, y)
    yield _fitted("SelectFromModel", make_pipeline(SelectFromModel(tree), tree), X, y)
    numbers = [
        ("ridge", Ridge()),
        ("bagging", BaggingRegressor(Ridge(), random_state=0)),
    ]
    yield _fitted("StackingRegressor", StackingRegressor(numbers, cv=3), Xd, yd)
    yield _fitted("VotingRegressor", VotingRegressor(numbers), Xd, yd)
    yield _fitted("RANSACRegressor", RANSACRegressor(Ridge(), random_state=0), Xd, yd)
    yield _fitted(
        "TransformedTargetRegressor",
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
        Xd,
        yd,
    )


def _on_frames() -> Iterator[Case]:
    X, y = mixed_frame()
    X = X.drop(columns=["text"])
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    line = LogisticRegression(max_iter=500)
    by_name = make_column_transformer(
        (words, ["city", "plan"]), (numbers, ["age", "since"]), remainder="drop"
    )
    yield _fitted("ColumnTransformer by name", make_pipeline(by_name, line), X, y)
    by_slice = ColumnTransformer(
        [("words", words, slice("city", "plan")), ("numbers", numbers, slice(0, 1))],
        remainder="passthrough",
    )
    yield _fitted("ColumnTransformer by slice", make_pipeline(by_slice, line), X, y)
    # A frame of pandas, which set_output asks for, holds no sparse columns.
    dense = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    full = make_pipeline(SimpleImputer(strategy="most_frequent"), dense)
    by_type = make_column_transformer(
        (full, make_column_selector(dtype_include=["object", "string", "category"])),
        (numbers, make_column_selector(dtype_include=np.number)),
        (FunctionTransformer(feature_names_out="one-to-one"), ["active"]),
    ).set_output(transform="pandas")
    yield _fitted(
        "ColumnTransformer by selector",
        make_pipeline(by_type, line),
        X,
        y,
    )
    by_mask = ColumnTransformer(
        [("numbers", numbers, [True, False, False, True, False])], remainder="drop"
    )
    yield _fitted("ColumnTransformer by mask", make_pipeline(by_mask, line), X, y)
    boosted = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=20, random_state=0
    )
    typed = X.assign(city=X["city"].astype("category"))
    yield _fitted("HistGradientBoosting, from_dtype", boosted, typed, y)
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    for encoder in (ordinal, TargetEncoder()):
        step = make_column_transformer((encoder, ["city", "plan"]))
        yield _fitted(f"{type(encoder).__name__}", make_pipeline(step, line), X, y)
    binned = make_pipeline(SimpleImputer(), KBinsDiscretizer(3, random_state=0), line)
    yield _fitted("KBinsDiscretizer", binned, X[["age", "since"]], y)


def _functions() -> Iterator[Case]:
    X, y = _flowers()
    line = LogisticRegression(max_iter=500)
    for function, settings in (
        (np.log1p, {}),
        (np.clip, {"kw_args": {"a_min": 0, "a_max": 5}}),
        (np.nan_to_num, {}),
        (np.sqrt, {"inverse_func": np.square}),
        (minmax_scale, {}),
    ):
        step = FunctionTransformer(function, **settings)
        name = f"FunctionTransformer, {function.__name__}"
        yield _fitted(name, make_pipeline(step, line), X, y)
    yield _fitted(
        "SelectKBest",
        make_pipeline(SelectKBest(mutual_info_classif, k=2), line),
        X,
        y,
    )
    union = FeatureUnion([("scaled", StandardScaler()), ("bounded", MinMaxScaler())])
    yield _fitted("FeatureUnion", make_pipeline(union, line), X, y)


def _texts() -> Iterator[Case]:
    frame, y = mixed_frame()
    texts, line = frame["text"], LogisticRegression()
    vectorizers = (TfidfVectorizer(ngram_range=(1, 2)), CountVectorizer(binary=True))
    for vectorizer in vectorizers:
        name = type(vectorizer).__name__
        pipeline = make_pipeline(vectorizer, line)
        yield _fitted(f"{name} on a list", pipeline, texts.tolist(), y)
        yield _fitted(f"{name} on a Series", clone(pipeline), texts, y)
        column = make_column_transformer((clone(vectorizer), "text"))
        yield _fitted(f"{name} on a column", make_pipeline(column, line), frame, y)


def _fitted(name: str, estimator: Any, X: Any, y: Any) -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(X, y)
            estimator.predict(X)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            return Case(name, unfit=f"{type(error).__name__}: {error}"[:120])
    return Case(name, estimator, X, y)
