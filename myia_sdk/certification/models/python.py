"""Models made by a factory that is installed on the worker.

A request names the factory, ``"package.module:function"``. Only factories in the
modules of ``MYIA_PLUGINS`` are used: a name found in a job can never make a worker
import or call anything else.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from myia_sdk.certification.models.estimators import EstimatorModel
from myia_sdk.certification.models.protocols import ChatEvent
from myia_sdk.errors import ModelRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from myia_sdk.certification.models.protocols import Model, Surroundings
    from myia_sdk.certification.request import JSON, ModelRef


class CallableModel:
    """A function from rows to predictions, as classifier or regressor."""

    n_features = None
    has_probabilities = False

    def __init__(
        self,
        function: Callable[[object], object],
        family: str,
        classes: Sequence[object] = (),
    ) -> None:
        self._function = function
        self.family = family
        self._classes = classes

    @property
    def classes(self) -> np.ndarray:
        """The classes given in the model's options."""
        if not self._classes:
            raise ModelRejectedError(
                "A function does not say what its classes are; give them in the "
                "model's options: {'classes': [...]}, or return an estimator."
            )
        return np.asarray(self._classes)

    def predict(self, X: object) -> np.ndarray:
        """Return one class or number per row."""
        return np.asarray(self._function(X))

    def predict_proba(self, X: object) -> np.ndarray:  # noqa: ARG002
        """Refuse: a function gives predictions only."""
        raise ModelRejectedError("A function gives no probabilities.")

    def describe(self) -> Mapping[str, JSON]:
        """Say what was loaded."""
        return {"type": _name(self._function)}

    def close(self) -> None:
        """Nothing to give back."""


class CallableChatModel:
    """A function from messages and parameters to text, or to pieces of text."""

    family = "chat"

    def __init__(
        self, function: Callable[[object, object], str | Iterator[str]]
    ) -> None:
        self._function = function

    def chat(
        self,
        messages: Sequence[Mapping[str, JSON]],
        parameters: Mapping[str, JSON] | None = None,
        *,
        stream: bool = True,
        timeout: float = 60.0,  # noqa: ARG002 - a function cannot be stopped
    ) -> Iterator[ChatEvent]:
        """Yield the answer, each piece when the function gives it."""
        started = time.perf_counter()
        answer = self._function(messages, parameters or {})
        pieces = [answer] if isinstance(answer, str) else answer
        if not stream:
            pieces = ["".join(pieces)]
        for piece in pieces:
            yield ChatEvent(elapsed=time.perf_counter() - started, text=piece)
        yield ChatEvent(elapsed=time.perf_counter() - started, finish_reason="stop")

    def describe(self) -> Mapping[str, JSON]:
        """Say what was loaded."""
        return {"type": _name(self._function)}

    def close(self) -> None:
        """Nothing to give back."""


def load(reference: ModelRef, surroundings: Surroundings) -> Model:
    """Call the factory that a reference names and wrap what it returns.

    The factory gets the reference's options as keyword arguments, apart from those
    that the checks read (``abilities classes context_window prices``). It may return
    an estimator, a function, or an adapter of its own.
    """
    if reference.factory is None or reference.family is None:
        raise ModelRejectedError("A python model needs a factory and a family.")
    factory = find_factory(reference.factory, surroundings.plugins)
    ours = {"abilities", "classes", "context_window", "prices"}
    options = {key: v for key, v in reference.options.items() if key not in ours}
    made: Any = factory(**options)
    if isinstance(getattr(made, "family", None), str):
        adapter: Model = made
        return adapter
    return _wrapped(made, reference)


def find_factory(path: str, plugins: Sequence[str]) -> Callable[..., object]:
    """Return the factory at an import path, if it is on the allow-list.

    Parameters
    ----------
    path : str
        ``"package.module:function"``.
    plugins : sequence of str
        Allowed modules, or single factories written like ``path``.

    Raises
    ------
    ModelRejectedError
        It is not allowed, does not exist, or is not defined in that module: what a
        module has merely imported is not offered by it.
    """
    module_name, _, name = path.partition(":")
    is_named = path in plugins
    if module_name not in plugins and not is_named:
        raise ModelRejectedError(
            f"The factory {path!r} is not allowed on this worker; add the module "
            f"{module_name!r} to MYIA_PLUGINS there."
        )
    try:
        module = import_module(module_name)
    except ImportError as exc:
        raise ModelRejectedError(
            f"The module {module_name!r} of the factory cannot be imported: {exc}."
        ) from exc
    factory: Any = getattr(module, name, None)
    is_own = getattr(factory, "__module__", None) == module_name
    if not callable(factory) or not (is_named or (is_own and not name.startswith("_"))):
        raise ModelRejectedError(
            f"The module {module_name!r} defines no public function {name!r}."
        )
    found: Callable[..., object] = factory
    return found


def _wrapped(made: Any, reference: ModelRef) -> Model:
    family = str(reference.family)
    classes: Any = reference.options.get("classes", ())
    if hasattr(made, "predict") and family in {"classifier", "regressor"}:
        return EstimatorModel(made, family)
    if callable(made) and family in {"classifier", "regressor"}:
        return CallableModel(made, family, classes)
    if callable(made) and family == "chat":
        return CallableChatModel(made)
    raise ModelRejectedError(
        f"The factory {reference.factory!r} returned a {type(made).__name__}, which is "
        f"no {family}; return an estimator, a function, or an adapter."
    )


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
