"""Attacks on the files of models: what they name, and what a name can be made to do."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import skops.io
from sklearn.datasets import load_files, load_svmlight_file
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from myia_sdk.certification.models.files import trust
from myia_sdk.certification.models.files.sklearn import (
    dump_estimator,
    load_estimator,
    require_trusted,
)
from myia_sdk.errors import ModelRejectedError

STANDINS = "myia_sdk.certification.models.files.standins"
X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    "function",
    [
        *(load_files, load_svmlight_file, np.load, np.fromfile, np.loadtxt, np.save),
        *(np.genfromtxt, eval, exec, open, __import__, getattr, setattr, print),
        *(np.vectorize, np.memmap, functools.partial(np.load), json.loads, Path),
        *(scipy.stats.norm, np.frompyfunc, np.apply_along_axis, np.random.seed),
        *(skops.io.load, zipfile.ZipFile, np.ctypeslib.load_library),
    ],
    ids=lambda function: getattr(function, "__name__", type(function).__name__),
)
def test_what_acts_on_more_than_its_arguments_is_not_accepted(function):
    model = FunctionTransformer(function)
    try:
        content = skops.io.dumps(model)
    except (TypeError, ValueError, AttributeError):
        pytest.skip("skops itself does not store it")
    with pytest.raises(ModelRejectedError):
        load_estimator(content)


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "posix.system", "subprocess.Popen", "builtins.eval"),
        *("builtins.exec", "builtins.open", "builtins.getattr", "builtins.__import__"),
        *("operator.attrgetter", "operator.methodcaller", "types.FunctionType"),
        *("numpy.memmap", "numpy.load", "numpy.lib.npyio.NpzFile", "numpy.vectorize"),
        *("numpy.lib._datasource.DataSource", "numpy.f2py.compile", "numpy.os"),
        "scipy.stats._distn_infrastructure.rv_continuous_frozen",
        *("scipy.stats._continuous_distns.norm_gen", "scipy.io.loadmat"),
        *("sklearn.datasets.load_files", "sklearn.utils.parallel.Parallel"),
        *("sklearn.utils.parallel._FuncWrapper", "sklearn.utils._testing.TempMemmap"),
        *("sklearn.utils._available_if._AvailableIfDescriptor", "sklearn.os.system"),
        *("sklearn.callback._progressbar.ProgressBar", "sklearn.base.clone"),
        *("sklearn.externals._numpydoc.docscrape.ClassDoc", "joblib.memory.Memory"),
        *("sklearn.metrics._plot.roc_curve.RocCurveDisplay", "pandas.read_pickle"),
        *("sklearn.metrics.pairwise.partial", "sklearn.tree._export.export_text"),
        *("sklearn.tests.test_base.MyEstimator", "sklearn.linear_model._base.sp"),
        *("myia_sdk.facade.Client", "myia_sdk.errors.MyiaError", "", "Name", "."),
        *(f"{STANDINS}.with_standins", f"{STANDINS}.copy", f"{STANDINS}.pd.read_csv"),
        *("xgboost.core.Booster", "xgboost.sklearn.os", "lightgbm.basic.Booster"),
        *("skrub._dataframe._common.is_numeric", "category_encoders.OneHotEncoder"),
    ],
)
def test_names_that_are_refused_by_default(name):
    assert not trust.is_trusted(name)
    assert trust.why_refused(name)


@pytest.mark.parametrize("packages", [("imblearn",), ("imblearn", "sklearn")])
def test_a_named_package_opens_nothing_but_its_own_types(packages):
    assert trust.is_trusted("imblearn.pipeline.Pipeline", packages)
    assert not trust.is_trusted("imblearn.datasets._zenodo.fetch_datasets", packages)
    assert not trust.is_trusted("imblearn.pipeline.parse_version", packages)
    # Imported there, defined elsewhere.
    assert not trust.is_trusted("imblearn.datasets._zenodo.BytesIO", packages)
    assert not trust.is_trusted("imblearn.utils.testing.all_estimators", packages)
    assert not trust.is_trusted(
        "sklearn.datasets._base.RemoteFileMetadata", packages[:1]
    )


def rewritten(content: bytes, change) -> bytes:
    """A skops file whose description was changed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w") as new,
    ):
        for name in old.namelist():
            text = old.read(name)
            if name == "schema.json":
                text = json.dumps(change(json.loads(text))).encode()
            new.writestr(name, text)
    return buffer.getvalue()


def test_a_distribution_restored_from_attributes_would_run_their_text(tmp_path):
    """The reason for the stand-in: scipy calls ``exec`` in ``__setstate__``."""
    target = tmp_path / "ran"
    frozen = scipy.stats.norm()
    state = frozen.dist.__getstate__()
    dist = object.__new__(type(frozen.dist))
    attack = f"import pathlib; pathlib.Path({str(target)!r}).touch()"
    with contextlib.suppress(KeyError):
        dist.__setstate__({**state, "_parse_arg_template": attack})
    assert target.exists()


def test_distributions_are_stored_by_name_and_no_other_name_is_looked_up():
    spread = {"C": scipy.stats.loguniform(0.1, 10)}
    search = RandomizedSearchCV(LogisticRegression(), spread, n_iter=2, random_state=0)
    content = dump_estimator(search.fit(X, Y))
    assert f"{STANDINS}.Distribution" in require_trusted(content)
    copy = load_estimator(content)
    assert copy.param_distributions["C"].args == (0.1, 10)
    for name in ("test", "os", "rv_continuous", "_stats_py", "gaussian_kde", "__doc__"):
        forged = rewritten(
            content,
            lambda schema, name=name: json.loads(
                json.dumps(schema).replace("loguniform", name)
            ),
        )
        with pytest.raises(ModelRejectedError, match="has no distribution"):
            load_estimator(forged)


def test_a_vectoriser_that_opens_files_is_refused(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the password")
    model = make_pipeline(CountVectorizer(input="filename"), LogisticRegression())
    model.fit([str(secret), str(secret)], [0, 1])
    with pytest.raises(ModelRejectedError, match="takes the data for names of files"):
        load_estimator(skops.io.dumps(model))


def test_a_cache_of_fits_is_not_taken_over(tmp_path):
    model = make_pipeline(
        FunctionTransformer(), LogisticRegression(), memory=str(tmp_path)
    )
    copy = load_estimator(skops.io.dumps(model.fit(X, Y)))
    assert copy.memory is None


def test_a_bound_method_is_refused():
    model = FunctionTransformer(StandardScaler().fit(X).transform)
    with pytest.raises(ModelRejectedError, match=r"StandardScaler\.transform"):
        load_estimator(skops.io.dumps(model))


def test_a_type_is_not_smuggled_in_as_a_key_an_array_or_a_constructor():
    """Types of keys and arrays are called with what the file holds."""
    content = skops.io.dumps({"path": 1})

    def as_key(schema):
        schema["key_types"]["content"][0] |= {
            "__class__": "system",
            "__module__": "posix",
        }
        return schema

    def as_constructor(schema):
        return {
            **schema,
            "__class__": "Popen",
            "__module__": "subprocess",
            "__loader__": "ConstructorFromReduceNode",
            "content": schema["key_types"],
        }

    for change in (as_key, as_constructor):
        with pytest.raises(ModelRejectedError, match="not among those"):
            load_estimator(rewritten(content, change))
