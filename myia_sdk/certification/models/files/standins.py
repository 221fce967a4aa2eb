"""Stand-ins: what skops cannot store safely, as bytes of a format that holds no code.

Boosters are stored as their libraries' own model files, pandas objects as Arrow, and
distributions by their name. Before a model is stored each of these is replaced by a
stand-in; a stand-in in a file, when it is called with its parts, returns the object
itself, so a loaded model holds no trace of it.
"""

from __future__ import annotations

import copy
import functools
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from myia_sdk.errors import ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable


class StandIn:
    """Stands for one object while a model is stored.

    Parameters
    ----------
    *parts : bytes, str, number or container of them
        What the object is made of again.
    """

    #: Library without which it cannot be restored, beside those always needed.
    library: ClassVar[str] = ""
    #: Qualified names of the types it stands for.
    types: ClassVar[tuple[str, ...]] = ()
    _parts: tuple[Any, ...]

    def __new__(cls, *parts: Any) -> Any:
        """Return the object itself: a file calls its types."""
        return cls.restore(*parts)

    @classmethod
    def of(cls, value: Any) -> StandIn:
        """Return what is stored in place of `value`."""
        made = object.__new__(cls)
        made._parts = cls.parts(value)
        return made

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Name the type and its arguments, as skops stores them."""
        return type(self), self._parts

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Take an object apart."""
        raise NotImplementedError

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Put an object together."""
        raise NotImplementedError


class Frame(StandIn):
    """A DataFrame, as an Arrow stream."""

    types = ("pandas.DataFrame",)

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Write the frame with its index."""
        return (_to_arrow(value),)

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Read the frame."""
        return _from_arrow(*parts)


class Column(StandIn):
    """A Series, as an Arrow stream of one column."""

    types = ("pandas.Series",)

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Write the values and the index."""
        return _to_arrow(value.to_frame("values")), value.name

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Read the values."""
        content, name = parts
        return _from_arrow(content)["values"].rename(name)


class Labels(StandIn):
    """An Index, as an Arrow stream of one column."""

    types = (
        "pandas.Index",
        "pandas.RangeIndex",
        "pandas.CategoricalIndex",
        "pandas.DatetimeIndex",
    )

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Write the labels."""
        return _to_arrow(pd.DataFrame({"values": value})), value.name

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Read the labels."""
        content, name = parts
        return pd.Index(_from_arrow(content)["values"], name=name)


class Categories(StandIn):
    """The type of a categorical column."""

    types = ("pandas.CategoricalDtype",)

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Take the categories and whether they are ordered."""
        categories = value.categories
        shown = (
            None if categories is None else _to_arrow(pd.DataFrame({"c": categories}))
        )
        return shown, bool(value.ordered)

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Make the type."""
        shown, ordered = parts
        categories = None if shown is None else pd.Index(_from_arrow(shown)["c"])
        return pd.CategoricalDtype(categories, ordered)


class Kind(StandIn):
    """The type of a column of pandas, by its name."""

    types = tuple(
        f"pandas.{name}"
        for name in (
            *("BooleanDtype", "DatetimeTZDtype", "Float32Dtype", "Float64Dtype"),
            *("Int8Dtype", "Int16Dtype", "Int32Dtype", "Int64Dtype", "StringDtype"),
            *("UInt8Dtype", "UInt16Dtype", "UInt32Dtype", "UInt64Dtype"),
        )
    )

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Take the name, and what a type of texts has beside it."""
        storage = getattr(value, "storage", None)
        return str(value), storage, value.na_value is pd.NA

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Look the type up."""
        name, storage, has_own_missing = parts
        if storage is None:
            return pd.api.types.pandas_dtype(name)
        return pd.StringDtype(storage, pd.NA if has_own_missing else np.nan)


class Distribution(StandIn):
    """A distribution of scipy with its arguments, by name.

    Restored from its attributes it would run text of the file: its class makes its
    functions with ``exec``.
    """

    types = (
        "scipy.stats._distn_infrastructure.rv_continuous_frozen",
        "scipy.stats._distn_infrastructure.rv_discrete_frozen",
    )

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Take the name and the arguments."""
        return value.dist.name, list(value.args), dict(value.kwds)

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Look the distribution up among scipy's own."""
        import scipy.stats

        name, arguments, named = parts
        known = getattr(scipy.stats, str(name), None)
        kinds = scipy.stats.rv_continuous | scipy.stats.rv_discrete
        if not isinstance(known, kinds):
            raise ModelRejectedError(f"scipy.stats has no distribution {name!r}.")
        return known(*arguments, **named)


class XGBoostBooster(StandIn):
    """A booster of XGBoost, as UBJSON."""

    library = "xgboost"
    types = ("xgboost.core.Booster",)

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Write the model."""
        return (bytes(value.save_raw("ubj")),)

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Read the model."""
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(parts[0]))
        return booster


class LightGBMBooster(StandIn):
    """A booster of LightGBM, as its text format."""

    library = "lightgbm"
    types = ("lightgbm.basic.Booster",)

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Write all its trees, and which of them is the best."""
        return value.model_to_string(num_iteration=-1), value.best_iteration

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Read the model."""
        import lightgbm

        text, best = parts
        booster = lightgbm.Booster(model_str=text)
        booster.best_iteration = best
        return booster


class CatBoostModel(StandIn):
    """An estimator of CatBoost: its parameters and its model in the format ``cbm``."""

    library = "catboost"
    types = (
        "catboost.core.CatBoost",
        "catboost.core.CatBoostClassifier",
        "catboost.core.CatBoostRegressor",
    )

    @staticmethod
    def parts(value: Any) -> tuple[Any, ...]:
        """Write the model through a file, CatBoost's only way."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.cbm"
            value.save_model(str(path), format="cbm")
            return type(value).__name__, value.get_params(), path.read_bytes()

    @staticmethod
    def restore(*parts: Any) -> Any:
        """Read the model."""
        import catboost

        name, parameters, content = parts
        if f"catboost.core.{name}" not in CatBoostModel.types:
            raise ModelRejectedError(f"CatBoost has no model {name!r}.")
        # Where it writes its protocol of a training is not for the file to say.
        parameters = {**parameters, "allow_writing_files": False, "train_dir": None}
        parameters = {key: item for key, item in parameters.items() if item is not None}
        model = getattr(catboost, name)(**parameters)
        model.load_model(blob=content)
        return model


_ALL: tuple[type[StandIn], ...] = (
    *(Frame, Column, Labels, Categories, Kind, Distribution),
    *(XGBoostBooster, LightGBMBooster, CatBoostModel),
)
_BY_TYPE: Mapping[str, type[StandIn]] = {
    name: standin for standin in _ALL for name in standin.types
}


def libraries_of(names: Iterable[str]) -> list[str]:
    """Return the libraries that a file needs for the stand-ins it names, sorted."""
    needed = {f"{one.__module__}.{one.__name__}": one.library for one in _ALL}
    return sorted({needed[name] for name in names if needed.get(name)})


def with_standins(model: object) -> object:
    """Return a copy of the model in which stand-ins stand for what needs one.

    The model itself is returned when it holds nothing of the kind.
    """
    memo = {}
    for value in parts_of(model, _standin_of):
        standin = _standin_of(value)
        if standin is not None:
            memo[id(value)] = standin.of(value)
    return copy.deepcopy(model, memo) if memo else model


def _standin_of(value: object) -> type[StandIn] | None:
    kind = type(value)
    module = kind.__module__
    if module == "builtins" or module.startswith(("numpy", "sklearn.")):
        return None
    return _BY_TYPE.get(f"{module}.{kind.__qualname__}")


def parts_of(
    root: object, is_leaf: Callable[[object], object] = lambda _: False
) -> Iterator[Any]:
    """Yield an object and all that its attributes and containers hold, each once.

    Parameters
    ----------
    root : object
        Where to begin.
    is_leaf : callable, optional
        True for objects whose insides are not wanted.
    """
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _ATOMS):
            continue
        seen.add(id(value))
        yield value
        if not is_leaf(value):
            waiting.extend(_inside(value))


#: Nothing of interest is inside of these.
_ATOMS = (str, bytes, int, float, complex, type, ModuleType, FunctionType, type(None))


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            yield from value.ravel().tolist()
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, MethodType):
        yield value.__self__
    yield from getattr(value, "__dict__", {}).values()


def _to_arrow(frame: pd.DataFrame) -> bytes:
    try:
        table = pa.Table.from_pandas(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        raise ModelRejectedError(
            f"The model holds a table of pandas that cannot be stored: {exc}."
        ) from exc
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _from_arrow(content: bytes) -> pd.DataFrame:
    with pa.ipc.open_stream(io.BytesIO(content)) as reader:
        frame: pd.DataFrame = reader.read_all().to_pandas()
    return frame


__all__ = ["StandIn", "libraries_of", "parts_of", "with_standins"]
