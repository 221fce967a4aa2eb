"""The submit form without its widgets: choices, validation as typed, submitting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from myia_sdk.errors import InvalidRequestError, MyiaError
from myia_sdk.panels.controllers.base import (
    Controller,
    ControllerOptions,
    Event,
    Handler,
)
from myia_sdk.panels.controllers.namespace import (
    ColumnVariable,
    ModelVariable,
    TableVariable,
    count_missing,
    find_columns,
    find_models,
    find_tables,
)
from myia_sdk.panels.permissions import Action, ActionRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.certification.report import Threshold
    from myia_sdk.certification.request import ModelRef
    from myia_sdk.certification.suites import Suite
    from myia_sdk.client import Client

#: Where a model can be taken from.
SOURCES = ("variable", "registered", "file", "endpoint")
#: Kinds of endpoints that the form offers.
ENDPOINT_KINDS = ("openai", "openai-embedding", "bedrock")
#: BullMQ's greatest priority.
PRIORITY_LIMIT = 2_097_151
SECONDS_LIMIT = 366 * 86_400
RETRIES_LIMIT = 100
TAG_LIMIT = 64
_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth"})
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
#: Prefix of a target that is a column of the chosen table.
COLUMN = "column:"


class FormValues(NamedTuple):
    """What the form holds, as typed."""

    source: str = "variable"
    model: str = ""
    file: str = ""
    kind: str = ENDPOINT_KINDS[0]
    url: str = ""
    model_id: str = ""
    secret: str = ""
    features: str = ""
    target: str = ""
    suite: str = "classifier-baseline"
    regions: str = ""
    priority: str = "0"
    delay: str = ""
    timeout: str = ""
    retries: str = ""
    tags: str = ""


class SuiteCheck(NamedTuple):
    """One check of the chosen suite, as the form lists it."""

    title: str
    severity: str
    threshold: str


class SubmitController(Controller):
    """Values, errors and choices of the submit form.

    Parameters
    ----------
    client : Client
        Where to submit.
    namespace : callable
        Returns the variables of the notebook.
    options : ControllerOptions, optional
        Permissions, language, clock.
    """

    kind: ClassVar[str] = "submit"

    def __init__(
        self,
        client: Client,
        options: ControllerOptions | None = None,
        *,
        namespace: Callable[[], Mapping[str, Any]],
    ) -> None:
        super().__init__(client, options)
        self._namespace = namespace
        self.values = FormValues()
        self.models: list[ModelVariable] = []
        self.registered: list[str] = []
        self.tables: list[TableVariable] = []
        self.columns: list[ColumnVariable] = []
        self.suites: list[str] = []
        self.submitted: list[str] = []

    # Choices.

    def load(self) -> None:
        """Look for variables, suites and registered models; keep what still fits."""
        from myia_sdk.certification.suites import list_suites

        self.suites = list_suites()
        self.registered = [entry.name for entry in self.client.registry.entries()]
        self.look()

    def look(self) -> None:
        """Look for models and data among the variables; no I/O."""
        namespace = self._namespace()
        self.models = find_models(namespace)
        self.tables = find_tables(namespace)
        values = self.values
        names = [model.name for model in self.models]
        if values.source == "registered":
            names = self.registered
        values = values._replace(model=_keep(values.model, names))
        fitting = self._fitting_tables(values.model)
        if self._table(values.features) is None:
            values = values._replace(features=_keep("", fitting))
        self.columns = self._columns(values.features)
        targets = [one.name for one in self.columns]
        targets += [COLUMN + name for name in self._table_columns(values.features)]
        self.values = values._replace(target=_keep(values.target, targets))

    def _fitting_tables(self, model_name: str) -> list[str]:
        width = next((m.width for m in self.models if m.name == model_name), None)
        names = [t.name for t in self.tables if width is None or t.width == width]
        names += [
            t.name for t in self.tables if width is not None and t.width == width + 1
        ]
        return names or [table.name for table in self.tables]

    def _columns(self, table_name: str) -> list[ColumnVariable]:
        table = self._table(table_name)
        return [] if table is None else find_columns(self._namespace(), table.rows)

    def _table_columns(self, table_name: str) -> tuple[str, ...]:
        table = self._table(table_name)
        return () if table is None else table.columns

    def _table(self, name: str) -> TableVariable | None:
        return next((table for table in self.tables if table.name == name), None)

    def target_choices(self) -> list[tuple[str, str]]:
        """Return label and value of every possible target."""
        choices = [(one.label, one.name) for one in self.columns]
        choices += [
            (self.say("submit.column", name=name), COLUMN + name)
            for name in self._table_columns(self.values.features)
        ]
        return choices

    def suite(self) -> Suite | None:
        """Return the chosen suite, None when there is none of this name."""
        from myia_sdk.certification.suites import load_suite

        plugins = filter(None, (self.client.settings.myia_plugins or "").split(","))
        try:
            return load_suite(self.values.suite, plugins=tuple(plugins))
        except MyiaError:
            return None

    def suite_checks(self) -> list[SuiteCheck]:
        """Return the checks of the chosen suite with what they ask for."""
        suite = self.suite()
        if suite is None:
            return []
        return [
            SuiteCheck(spec.title, spec.severity.value, _threshold_text(spec.threshold))
            for spec in suite.checks
        ]

    def estimated_requests(self) -> int | None:
        """Return how many requests the suite sends to a remote model, None: none."""
        suite = self.suite()
        if suite is None or suite.kind not in {"chat", "embedding"}:
            return None
        total = 0
        for spec in suite.checks:
            numbers = [
                value
                for key, value in spec.params.items()
                if key in {"requests", "repetitions", "repeats", "samples", "limit"}
                and isinstance(value, int)
            ]
            total += max(numbers, default=1)
        return total * max(1, len(self.regions()))

    # Validation.

    def change(self, field: str, value: str) -> None:
        """Take what was typed or chosen.

        Raises
        ------
        ActionRefusedError
            The form has no such field.
        """
        if field not in FormValues._fields:
            raise ActionRefusedError(f"The form has no field {field!r}.")
        self.values = self.values._replace(**{field: value})
        if field in {"source", "model", "features"}:
            self.look()

    def regions(self) -> list[str]:
        """Return the regions typed, each once."""
        return _split(self.values.regions)

    def tags(self) -> list[str]:
        """Return the tags typed, each once."""
        return _split(self.values.tags)

    def errors(self) -> dict[str, str]:
        """Return what is wrong, by field; empty when the form can be submitted."""
        checks = {
            "model": self._model_error,
            "file": self._file_error,
            "url": lambda: self._endpoint_error("url"),
            "model_id": lambda: self._endpoint_error("model_id"),
            "secret": lambda: self._endpoint_error("secret"),
            "features": self._features_error,
            "target": self._target_error,
            "suite": self._suite_error,
            "regions": self._regions_error,
            "priority": lambda: self._integer_error("priority", PRIORITY_LIMIT),
            "delay": lambda: self._seconds_error("delay", 0),
            "timeout": lambda: self._seconds_error("timeout", 0.001),
            "retries": lambda: self._integer_error("retries", RETRIES_LIMIT),
            "tags": self._tags_error,
        }
        found = {field: check() for field, check in checks.items()}
        return {field: text for field, text in found.items() if text}

    def _model_error(self) -> str:
        if self.values.source in {"file", "endpoint"} or self.values.model:
            return ""
        return self.say("error.model")

    def _file_error(self) -> str:
        if self.values.source != "file":
            return ""
        path = Path(self.values.file).expanduser()
        if path.suffix.lower() in _PICKLES:
            return self.say("error.pickle")
        if not self.values.file or not path.is_file():
            return self.say("error.file", path=self.values.file or "''")
        return ""

    def endpoint(self) -> ModelRef:
        """Return the reference to the endpoint typed.

        Raises
        ------
        InvalidRequestError
            A part is missing or malformed; the message names its key.
        """
        from myia_sdk.certification.request import ModelRef

        values = self.values
        return ModelRef(
            kind=values.kind,
            name=values.model_id.strip(),
            model=values.model_id.strip() or None,
            url=values.url.strip() or None,
            secret=values.secret.strip() or None,
        )

    def _endpoint_error(self, field: str) -> str:
        if self.values.source != "endpoint":
            return ""
        try:
            self.endpoint()
        except InvalidRequestError as error:
            text = str(error)
            named = next((f for f in ("url", "secret") if f"'{f}'" in text), "model_id")
            return text if named == field else ""
        return ""

    def needs_data(self) -> bool:
        """Return whether the suite measures on test data."""
        suite = self.suite()
        is_stored = self.values.source in {"registered", "endpoint"}
        return not is_stored and (
            suite is None or suite.kind in {"classifier", "regressor"}
        )

    def _features_error(self) -> str:
        if not self.needs_data():
            return ""
        table = self._table(self.values.features)
        if table is None:
            return self.say("error.features")
        width = self._model_width()
        used = table.width - self.values.target.startswith(COLUMN)
        if width is not None and width != used:
            return self.say("error.width", model=width, data=used)
        return ""

    def _model_width(self) -> int | None:
        if self.values.source != "variable":
            return None
        name = self.values.model
        return next((m.width for m in self.models if m.name == name), None)

    def _target_error(self) -> str:
        if not self.needs_data():
            return ""
        table = self._table(self.values.features)
        if not self.values.target:
            return self.say("error.target")
        try:
            target = self._target_values()
        except KeyError:
            return self.say("error.target")
        if table is not None and len(target) != table.rows:
            return self.say("error.length", features=table.rows, target=len(target))
        missing = count_missing(target)
        return self.say("error.missing", count=missing) if missing else ""

    def _target_values(self) -> Any:  # noqa: ANN401 - the user's data
        namespace = self._namespace()
        name = self.values.target
        if name.startswith(COLUMN):
            return namespace[self.values.features][name.removeprefix(COLUMN)]
        return namespace[name]

    def _suite_error(self) -> str:
        if self.suite() is not None:
            return ""
        return self.say("error.suite", name=self.values.suite)

    def _regions_error(self) -> str:
        wrong = [one for one in self.regions() if not _REGION.fullmatch(one)]
        return self.say("error.region", name=wrong[0]) if wrong else ""

    def _tags_error(self) -> str:
        wrong = [one for one in self.tags() if len(one) > TAG_LIMIT]
        return self.say("error.tag", name=wrong[0][:TAG_LIMIT]) if wrong else ""

    def _integer_error(self, field: str, high: int) -> str:
        text = getattr(self.values, field).strip()
        is_right = not text or (text.isascii() and text.isdigit() and int(text) <= high)
        return "" if is_right else self.say("error.integer", low=0, high=f"{high:,}")

    def _seconds_error(self, field: str, low: float) -> str:
        text = getattr(self.values, field).strip()
        if not text:
            return ""
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if low <= seconds <= SECONDS_LIMIT:
            return ""
        return self.say("error.seconds", low=low, high=f"{SECONDS_LIMIT:,}")

    # Submitting.

    def submit(self) -> list[str]:
        """Submit one job, or one for each region.

        Returns
        -------
        list of str
            The ids.

        Raises
        ------
        ActionRefusedError
            A field is wrong; the message names it.
        MyiaError
            What the client refused; nothing was enqueued.
        """
        self.permissions.check(Action.SUBMIT)
        errors = self.errors()
        if errors:
            field, text = next(iter(errors.items()))
            raise ActionRefusedError(f"{self.say('submit.fix')} {field}: {text}")
        values = self.values
        options: dict[str, Any] = {
            "suite": values.suite,
            "dataset": self._dataset(),
            "priority": int(values.priority.strip() or 0),
            "delay": float(values.delay) if values.delay.strip() else None,
            "timeout": float(values.timeout) if values.timeout.strip() else None,
            "max_retries": int(values.retries) if values.retries.strip() else None,
            "tags": self.tags(),
        }
        regions = self.regions()
        name = {
            "file": Path(values.file).stem,
            "endpoint": values.model_id.strip(),
        }.get(values.source, values.model)
        if len(regions) > 1:
            batch = self.client.submit_batch(
                {name: self._model()}, regions=regions, **options
            )
            self.submitted = [job.id for job in batch.jobs]
        else:
            job = self.client.submit(
                self._model(),
                name=None if values.source == "registered" else name,
                region=regions[0] if regions else None,
                **options,
            )
            self.submitted = [job.id]
        ids = ", ".join(self.submitted)
        self.notify("done", self.say("submit.done", ids=ids))
        return self.submitted

    def _model(self) -> object:
        if self.values.source == "file":
            return Path(self.values.file).expanduser()
        if self.values.source == "registered":
            return self.values.model
        if self.values.source == "endpoint":
            return self.endpoint()
        try:
            return self._namespace()[self.values.model]
        except KeyError:
            raise ActionRefusedError(
                f"The notebook has no variable {self.values.model!r} any more."
            ) from None

    def _dataset(self) -> object:
        if not self.needs_data():
            return None
        features = self._namespace()[self.values.features]
        target = self._target_values()
        if self.values.target.startswith(COLUMN):
            column = self.values.target.removeprefix(COLUMN)
            features = features.drop(columns=[column])
        return features, target

    # As a controller.

    def body(self) -> dict[str, Any]:
        """Return values, errors and what was submitted."""
        return {
            "values": self.values._asdict(),
            "errors": self.errors(),
            "submitted": list(self.submitted),
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {"change": self._on_change, "submit": lambda _: self._on_submit()}

    def _on_change(self, event: Event) -> None:
        self.change(str(event.get("field")), str(event.get("value", "")))

    def _on_submit(self) -> None:
        self.submit()


def _keep(name: str, names: list[str]) -> str:
    if name in names:
        return name
    return names[0] if names else ""


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, (one.strip() for one in text.split(",")))))


def _threshold_text(threshold: Threshold) -> str:
    if threshold.passed is None:
        return ""
    sign = {">=": "≥", "<=": "≤", "==": "="}.get(
        threshold.comparator, threshold.comparator
    )
    return f"{sign} {threshold.passed:g}"
