"""What a model file may name, and why: the one place where that is decided.

A skops file is a description: names of types, and the attributes of their objects. A
name in it can do more than it seems to. An object of the type is made and its
``__setstate__`` called; a type may be *called* with arguments of the file (as the type
of a key, of an array, of a container); and what is stored as an attribute may be called
with the data later. So a name is accepted only when all of this is harmless, whatever
the arguments are. Where something is *defined* decides:

``builtins``, ``collections``, ``datetime``, ...
    The plain containers and values of :data:`PLAIN`, which hold data and nothing else.
    ``functools.partial`` calls only what is itself named in the file.
``numpy``
    Its scalar types, ``dtype``, and the functions of :data:`NUMPY_FUNCTIONS`. Never
    what opens files (``memmap``, ``load``, ``fromfile``, ``DataSource``) or wraps any
    callable (``vectorize``).
``scipy``
    Sparse containers and the splines of :data:`SCIPY_TYPES`. Never the distributions of
    ``scipy.stats``, which run text of their own attributes with ``exec`` when they are
    restored; see :mod:`myia_sdk.certification.models.files.standins`.
``sklearn``
    Types of all its modules except :data:`SKLEARN_REFUSED`. Functions only of the
    modules of :data:`SKLEARN_FUNCTIONS`: they compute numbers from arrays and do
    nothing else.
``xgboost``, ``lightgbm``
    The estimators of their scikit-learn interface. Their boosters, and all of CatBoost,
    are stored in the libraries' own formats, see ``standins``.
Packages named by the worker's operator in ``MYIA_TRUSTED_PACKAGES``
    The types that are installed there; that these are harmless is the operator's word.
    Of their functions only those of :data:`PACKAGE_FUNCTIONS`.

Everything else is refused: other packages, bound methods, lambdas, what is defined in
a notebook. Trees are accepted although a forged tree may read outside its arrays:
models are therefore only ever used in a sandboxed child process.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Hold data and nothing else; as functions they turn one value into another.
PLAIN = frozenset(
    {
        *(f"builtins.{name}" for name in ("bytearray", "bytes", "complex", "dict")),
        *(f"builtins.{name}" for name in ("frozenset", "range", "slice", "set")),
        *(f"builtins.{name}" for name in ("abs", "len", "max", "min", "round")),
        *(f"builtins.{name}" for name in ("sorted", "sum")),
        *("collections.Counter", "collections.OrderedDict", "collections.defaultdict"),
        *("collections.deque", "datetime.date", "datetime.datetime", "datetime.time"),
        *("datetime.timedelta", "datetime.timezone", "decimal.Decimal"),
        *("fractions.Fraction", "functools.partial"),
    }
)

#: Compute arrays from arrays: no files, no code of others, no state.
NUMPY_FUNCTIONS = frozenset(
    f"numpy.{name}"
    for name in (
        *("all", "amax", "amin", "angle", "any", "argmax", "argmin", "argsort"),
        *("around", "array", "asarray", "ascontiguousarray", "atleast_1d"),
        *("atleast_2d", "average", "bincount", "clip", "column_stack", "concatenate"),
        *("copy", "corrcoef", "cov", "cross", "cumprod", "cumsum", "diff", "digitize"),
        *("dot", "ediff1d", "expand_dims", "fix", "flip", "fliplr", "flipud"),
        *("full_like", "gradient", "histogram", "hstack", "i0", "imag", "inner"),
        *("interp", "isclose", "iscomplex", "isin", "isreal", "max", "mean", "median"),
        *("min", "moveaxis", "nan_to_num", "nanargmax", "nanargmin", "nancumprod"),
        *("nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile"),
        *("nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "nonzero"),
        *("ones_like", "outer", "percentile", "prod", "ptp", "quantile", "ravel"),
        *("real", "repeat", "reshape", "roll", "round", "searchsorted", "sinc", "sort"),
        *("squeeze", "stack", "std", "sum", "swapaxes", "take", "tile", "transpose"),
        *("tril", "triu", "unique", "unwrap", "var", "vstack", "where", "zeros_like"),
    )
)

#: Piecewise polynomials, the parts of splines and isotonic regressions.
SCIPY_TYPES = frozenset(
    {
        "scipy.interpolate._bsplines.BSpline",
        "scipy.interpolate._interpolate.PPoly",
        "scipy.interpolate._interpolate.interp1d",
    }
)

#: Modules of scikit-learn that models are not made of, and what their types do instead.
SKLEARN_REFUSED = {
    "sklearn.callback": "act on the terminal and on files while a model is fitted",
    "sklearn.conftest": "test scikit-learn",
    "sklearn.datasets": "read files and the network",
    "sklearn.externals": "are other projects' code",
    "sklearn.inspection": "draw",
    "sklearn.metrics._plot": "draw",
    "sklearn.model_selection._plot": "draw",
    "sklearn.tree._export": "write trees as text and pictures",
    "sklearn.utils": "wrap functions, processes and files, or serve the tests",
}
#: Types of ``sklearn.utils`` that fitted models hold: all of them mappings.
SKLEARN_UTILS = frozenset(
    {
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._encode._nandict",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.utils._metadata_requests.MethodMapping",
    }
)

#: Modules whose public functions are accepted: scores of features, metrics, kernels,
#: transformations of arrays.
SKLEARN_FUNCTIONS = frozenset(
    {
        "sklearn.feature_selection._mutual_info",
        "sklearn.feature_selection._univariate_selection",
        "sklearn.metrics._classification",
        "sklearn.metrics._ranking",
        "sklearn.metrics._regression",
        "sklearn.metrics.cluster._supervised",
        "sklearn.metrics.cluster._unsupervised",
        "sklearn.metrics.pairwise",
        "sklearn.preprocessing._data",
        "sklearn.preprocessing._label",
    }
)
#: Single functions that estimators themselves keep as attributes.
FUNCTIONS = frozenset(
    {
        # A step of the clustering, chosen at fit.
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        # What a FunctionTransformer without a function does.
        "sklearn.preprocessing._function_transformer._identity",
        # HistGradientBoosting's own check of columns that are no categories.
        "sklearn.utils.validation.check_array",
        # How a spline turns its input into an array.
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
    }
)

#: Functions that estimators of other packages keep as attributes, accepted with the
#: package: predicates on one column.
PACKAGE_FUNCTIONS = frozenset(
    {
        "skrub._dataframe._common.is_any_date",
        "skrub._dataframe._common.is_categorical",
        "skrub._dataframe._common.is_numeric",
        "skrub._table_vectorizer._created_by_predicate",
        "skrub.selectors._selectors._cardinality_below",
    }
)
#: Modules whose types are the estimators of a boosting library.
BOOSTING = frozenset({"lightgbm.sklearn", "xgboost.sklearn"})

_LISTED = PLAIN | NUMPY_FUNCTIONS | SCIPY_TYPES | SKLEARN_UTILS | FUNCTIONS
_NEVER = frozenset({"tests", "testing", "conftest", "__main__", "_testing"})


def refused(names: Iterable[str], packages: Collection[str] = ()) -> list[str]:
    """Return the names that are not accepted, sorted.

    Parameters
    ----------
    names : iterable of str
        ``"package.module.Name"``, as skops reports what it does not trust by itself.
    packages : collection of str
        Packages whose types the operator accepts, by the name they are imported by.
    """
    return sorted(name for name in set(names) if not is_trusted(name, packages))


def is_trusted(name: str, packages: Collection[str] = ()) -> bool:
    """Tell whether a file may name this.

    Parameters
    ----------
    name : str
        ``"package.module.Name"``.
    packages : collection of str
        Packages whose types the operator accepts.
    """
    if name in _LISTED:
        return True
    module, _, attribute = name.rpartition(".")
    package = module.partition(".")[0]
    if name in PACKAGE_FUNCTIONS:
        return package in packages
    if not _is_open(module, packages):
        return False
    found = _find(module, attribute)
    if isinstance(found, type):
        return _is_trusted_type(found, name, packages)
    is_public = callable(found) and not attribute.startswith("_")
    is_own = getattr(found, "__module__", None) == module
    return module in SKLEARN_FUNCTIONS and is_public and is_own


#: Of these some names are accepted, the others by no setting.
_LIMITED = frozenset({"numpy", "scipy", "pandas", "pyarrow", "xgboost", "lightgbm"})


#: Standins are types of this package.
_OWN = __package__.partition(".")[0]
_STANDINS = f"{__package__}.standins"


def _is_open(module: str, packages: Collection[str]) -> bool:
    """Tell whether names of a module may be looked up, which imports it."""
    package = module.partition(".")[0]
    if _NEVER & set(module.split(".")):
        return False
    if module in BOOSTING or module == _STANDINS or package in packages:
        return True
    return package in {"numpy", "scipy", "sklearn"} and not _is_refused_module(module)


def _is_refused_module(module: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in SKLEARN_REFUSED)


def _is_trusted_type(found: type, name: str, packages: Collection[str]) -> bool:
    package = found.__module__.partition(".")[0]
    if package != name.partition(".")[0]:
        # The module has merely imported it.
        return False
    if package == "numpy":
        return issubclass(found, np.generic | np.dtype) or found is np.ndarray
    if package == "scipy":
        return _is_sparse(found)
    if package == _OWN:
        return _is_standin(found)
    return (
        package == "sklearn"
        or name.rpartition(".")[0] in BOOSTING
        or (package in packages)
    )


def _is_standin(found: type) -> bool:
    from myia_sdk.certification.models.files.standins import StandIn

    return issubclass(found, StandIn)


def _is_sparse(found: type) -> bool:
    from scipy.sparse import sparray, spmatrix

    return issubclass(found, sparray | spmatrix)


def _find(module: str, attribute: str) -> object:
    loaded = sys.modules.get(module)
    if loaded is None:
        try:
            loaded = import_module(module)
        except Exception:  # noqa: BLE001 - foreign code; what cannot be had is refused
            return None
    return getattr(loaded, attribute, None)


def why_refused(name: str, packages: Collection[str] = ()) -> str:
    """Say why a name is refused and what its owner can do about it.

    Parameters
    ----------
    name : str
        A name of :func:`refused`.
    packages : collection of str
        Packages that are accepted already.
    """
    module, _, attribute = name.rpartition(".")
    package = module.partition(".")[0]
    if "<lambda>" in name or "<locals>" in name:
        return (
            f"{attribute} has no name by which a worker could find it: use a function "
            "of numpy or scikit-learn, as in FunctionTransformer(np.log1p), or apply "
            "the step to the data and leave it out of the model"
        )
    if package == "__main__":
        return (
            f"{attribute} is defined in this notebook, which the worker does not have: "
            "put it into a package that is installed there and named in its "
            "MYIA_TRUSTED_PACKAGES, or register a factory (kind 'python', MYIA_PLUGINS)"
        )
    if package == "sklearn":
        area = next((one for one in SKLEARN_REFUSED if module.startswith(one)), None)
        what = SKLEARN_REFUSED.get(area or "")
        return (
            f"{name} is of {area}, whose objects {what}"
            if what
            else f"{name} is none of scikit-learn's types, and no function of it that "
            "only computes with arrays"
        )
    if package in sys.stdlib_module_names or package in _LIMITED:
        return f"{name} is not among those that only hold or compute values"
    if package in packages:
        return f"{name} is no type that the package {package} defines"
    line = ",".join([*packages, package])
    return (
        f"{name} is of the package {package}, which the workers do not accept; their "
        f"operator allows its types, where it is installed, with "
        f"MYIA_TRUSTED_PACKAGES={line}"
    )
