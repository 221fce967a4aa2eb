"""The checks there are: ours, those of entry points, those of ``MYIA_PLUGINS``."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from myia_sdk.certification.checks.context import CheckContext, Measurement
from myia_sdk.certification.checks.thresholds import Threshold
from myia_sdk.certification.request import FAMILIES
from myia_sdk.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from myia_sdk.certification.request import JSON
    from myia_sdk.certification.traffic.effort import EffortOf

#: Group of entry points whose modules register checks when imported.
ENTRY_POINT_GROUP = "myia_sdk.checks"

#: What a check may need beside model and test data, and how it is given.
INPUTS: Mapping[str, str] = {
    "train": 'training data: dataset={"X": X, "y": y, "train": (X_train, y_train)}, '
    "or --train FILE",
    "sensitive": 'groups of people: dataset={"X": X, "y": y, "sensitive": ["column"]}, '
    "or --sensitive COLUMN",
    "baseline": 'a model to compare with: parameters={"baseline": model}, or '
    "--baseline MODEL",
}

#: What `check` registers.
CheckFunction = Callable[[CheckContext], Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A registered check."""

    id: str
    version: str
    title: str
    kinds: tuple[str, ...]
    run: CheckFunction
    #: The parameters the check understands, with their defaults.
    params: Mapping[str, JSON] = field(default_factory=dict)
    #: Threshold where the suite gives none.
    threshold: Threshold = field(default_factory=Threshold)
    #: What the request must give for it, of `INPUTS`; it is skipped without.
    needs: tuple[str, ...] = ()
    #: What it asks of an endpoint; a guess is made where it does not say.
    effort: EffortOf | None = None
    #: Whatever else decides what is measured (prompts, pairs); part of the digest.
    material: object = None


_registry: dict[tuple[str, str], Check] = {}


def check(
    check_id: str,
    *,
    version: str,
    title: str,
    kinds: Iterable[str],
    params: Mapping[str, JSON] | None = None,
    threshold: Threshold | None = None,
    material: object = None,
    effort: EffortOf | None = None,
    needs: Iterable[str] = (),
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as a check.

    Parameters
    ----------
    check_id : str
        Name by which suites call it; unique among the checks of a kind.
    version : str
        Raise it whenever the same model could be measured differently.
    title : str
        What is measured, for people.
    kinds : iterable of str
        Families of models it applies to.
    params : mapping, optional
        Parameters and their defaults; a suite may set these and no others.
    threshold : Threshold, optional
        Used where the suite gives none.
    material : JSON, optional
        Prompts or data that belong to the check's identity.
    effort : callable, optional
        Requests and tokens it asks of an endpoint, for estimates; `sends` makes
        one.
    needs : iterable of str, optional
        Inputs beside model and test data, of `INPUTS`; the check is skipped without
        them, and the message says how to give them.

    Examples
    --------
    >>> @check("narrow-table", version="1", title="Few columns", kinds=["classifier"])
    ... def narrow_table(context):
    ...     width = context.dataset.features.width
    ...     return Measurement(value=width, n=1, message=f"{width} features")
    """
    kinds = tuple(kinds)
    unknown = [kind for kind in kinds if kind not in FAMILIES]
    if unknown or not kinds:
        raise SuiteError(
            f"Check {check_id!r} has kinds {list(kinds)}; "
            f"give some of {', '.join(FAMILIES)}."
        )

    def register(function: CheckFunction) -> CheckFunction:
        registered = Check(
            id=check_id,
            version=version,
            title=title,
            kinds=kinds,
            run=function,
            params=dict(params or {}),
            threshold=threshold or Threshold(),
            material=material,
            effort=effort,
            needs=tuple(needs),
        )
        for kind in kinds:
            known = _registry.get((kind, check_id))
            if known is not None and not _same_function(known.run, function):
                raise SuiteError(
                    f"Two checks for kind {kind!r} are called {check_id!r}: "
                    f"{_address(known.run)} and {_address(function)}; rename one."
                )
            _registry[kind, check_id] = registered
        return function

    return register


def find_check(check_id: str, kind: str, plugins: tuple[str, ...] = ()) -> Check | None:
    """Return the check of this id for models of this kind, if there is one."""
    load_checks(plugins)
    return _registry.get((kind, check_id))


def list_checks(kind: str, plugins: tuple[str, ...] = ()) -> list[Check]:
    """Return the checks for models of this kind, by id."""
    load_checks(plugins)
    return sorted(
        (
            found
            for (its_kind, _), found in tuple(_registry.items())
            if its_kind == kind
        ),
        key=lambda found: found.id,
    )


@cache
def load_checks(plugins: tuple[str, ...] = ()) -> None:
    """Import the modules that register checks: ours, entry points, plugins.

    Raises
    ------
    SuiteError
        A plugin cannot be imported.
    """
    package = __name__.rpartition(".")[0] + "."
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], package):
        import_module(module.name)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        _load_plugin(entry.module, f"The entry point {entry.name!r}")
    for name in plugins:
        _load_plugin(name.partition(":")[0], "MYIA_PLUGINS")


def _load_plugin(name: str, origin: str) -> None:
    try:
        import_module(name)
    except ImportError as exc:
        raise SuiteError(
            f"{origin} names the module {name!r}, which cannot be imported: {exc}. "
            "Install it, or correct the name."
        ) from exc


def _same_function(one: object, other: object) -> bool:
    return _address(one) == _address(other)


def _address(function: object) -> str:
    return (
        f"{getattr(function, '__module__', '?')}."
        f"{getattr(function, '__qualname__', repr(function))}"
    )
