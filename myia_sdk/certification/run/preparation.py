"""What a run needs before its first check: suite, model, data, baseline, budget."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from myia_sdk.certification.data.samples import SampleLog
from myia_sdk.certification.diagnosis import diagnose
from myia_sdk.certification.models import load_model
from myia_sdk.certification.request import ENDPOINT_FAMILIES, ModelRef
from myia_sdk.certification.run.run import Run
from myia_sdk.certification.suites.rules import Rules
from myia_sdk.certification.traffic import Budget
from myia_sdk.certification.traffic.budget import price_of
from myia_sdk.errors import (
    DatasetError,
    MyiaError,
    PermanentCertificationError,
    SuiteError,
    TransientCertificationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from myia_sdk.certification.data import ArtifactStore
    from myia_sdk.certification.data.datasets import Dataset
    from myia_sdk.certification.models import Model
    from myia_sdk.certification.request import CertificationRequest
    from myia_sdk.certification.suites import Suite


@contextmanager
def prepared_run(
    request: CertificationRequest,
    *,
    artifacts: ArtifactStore | None,
    secrets: Mapping[str, str] | None,
    log: Callable[[str], None],
    pace: Callable[[], float],
    plugins: tuple[str, ...],
    packages: tuple[str, ...],
    model: Model | None,
) -> Iterator[Run]:
    """Load what the checks of a request share; see `run_suite`.

    A model that was loaded here is closed at the end.
    """
    rules = Rules.of(request, plugins)
    suite = rules.suite
    load = partial(
        load_model,
        artifacts=artifacts,
        secrets=secrets,
        region=request.region,
        plugins=plugins,
        packages=packages,
    )
    loaded = model or _loaded(request.model, load)
    with ExitStack() as stack:
        if model is None:
            stack.callback(loaded.close)
        stack.enter_context(_one_thread(suite))
        if loaded.family != suite.kind:
            raise SuiteError(
                f"Suite {suite.id!r} is for models of kind {suite.kind!r}, "
                f"but the model is a {loaded.family}."
            )
        baseline = _baseline_of(request, load)
        yield Run(
            request=request,
            suite=suite,
            rules=rules,
            model=loaded,
            dataset=_dataset_of(request, suite, artifacts, (loaded, baseline)),
            baseline=baseline,
            seed=_seed_of(request, suite),
            budget=_budget_of(request, suite),
            sample_log=SampleLog(hidden=(secrets or {}).values()),
            log=log,
            pace=pace,
        )


def _one_thread(suite: Suite) -> AbstractContextManager[object]:
    """Keep numeric libraries to one thread while a model of this process is measured.

    Jobs share the worker's processors; libraries that each start a thread per
    processor slow one another down a hundredfold, and add in another order each time.
    """
    if suite.kind in ENDPOINT_FAMILIES:
        return nullcontext()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _baseline_of(
    request: CertificationRequest, load: Callable[[ModelRef], Model]
) -> Model | None:
    record = request.parameters.get("baseline")
    return None if record is None else _loaded(ModelRef.from_record(record), load)


def _loaded(reference: ModelRef, load: Callable[[ModelRef], Model]) -> Model:
    try:
        return load(reference)
    except MyiaError:
        raise
    except Exception as exc:
        diagnosis = diagnose(exc)
        kind = (
            TransientCertificationError
            if diagnosis.temporary
            else PermanentCertificationError
        )
        raise kind(
            f"The model {reference.name!r} could not be loaded: "
            f"{type(exc).__name__}: {exc}",
            category=diagnosis.category.value,
        ) from exc


def _dataset_of(
    request: CertificationRequest,
    suite: Suite,
    artifacts: ArtifactStore | None,
    models: tuple[Model | None, ...],
) -> Dataset | None:
    """Read the data and check them again: a request may come from anywhere."""
    if request.dataset is None or artifacts is None:
        if suite.kind in ENDPOINT_FAMILIES:
            return None
        raise DatasetError(
            f"Suite {suite.id!r} measures on data; give dataset=(X_test, y_test)."
        )
    dataset = artifacts.get_dataset(request.dataset)
    if suite.kind not in ENDPOINT_FAMILIES:
        from myia_sdk.certification.admission.alignment import settled
        from myia_sdk.certification.admission.validation import require_valid

        tabular: Any = filter(None, models)
        for model in tabular:
            settled(model, dataset)
            require_valid(dataset, suite.kind, model, probe=False)
    return dataset


def _budget_of(request: CertificationRequest, suite: Suite) -> Budget:
    limit: Any = request.parameters.get("max_cost")
    price = price_of(request.model, suite.prices, request.parameters)
    return Budget(price=price, max_cost=limit)


def _seed_of(request: CertificationRequest, suite: Suite) -> int:
    value = request.parameters.get("seed")
    is_given = isinstance(value, int) and not isinstance(value, bool)
    return cast("int", value) if is_given else suite.seed
