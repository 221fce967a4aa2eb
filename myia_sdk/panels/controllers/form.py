"""What the submit form offers and holds: models, data, suites, the values typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from myia_sdk.errors import MyiaError
from myia_sdk.panels.controllers.estimate import Estimate, estimate
from myia_sdk.panels.controllers.namespace import (
    ColumnVariable,
    ModelVariable,
    TableVariable,
    find_columns,
    find_models,
    find_tables,
)
from myia_sdk.panels.live import Controller, ControllerOptions
from myia_sdk.panels.permissions import ActionRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from myia_sdk.certification.checks import Threshold
    from myia_sdk.certification.suites import Suite
    from myia_sdk.client import Connection, Entry

#: Where a model can be taken from.
SOURCES = ("variable", "registered", "file", "endpoint")
#: Kinds of endpoints that the form offers.
ENDPOINT_KINDS = ("openai", "openai-embedding", "anthropic", "bedrock")
#: Regions that the form suggests; any other name can be typed beside them.
REGIONS = (
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-southeast-1",
    "ap-northeast-1",
)
#: Greatest price or cost taken, in any currency: more is a slip of the keyboard.
AMOUNT_LIMIT = 1_000_000.0
#: Choice that leaves the suite to what the model turns out to be; no suite can be
#: called so.
BASELINE = "baseline:"
#: Choice of a suite that stands for a file of one's own; no suite can be called so.
OWN_SUITE = "file:"
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
    train: str = ""
    train_target: str = ""
    sensitive: str = ""
    baseline: str = ""
    suite: str = "classifier-baseline"
    suite_file: str = ""
    regions: str = ""
    more_regions: str = ""
    priority: str = "0"
    delay: str = ""
    timeout: str = ""
    retries: str = ""
    tags: str = ""
    price_prompt: str = ""
    price_completion: str = ""
    max_cost: str = ""


class SuiteCheck(NamedTuple):
    """One check of the chosen suite, as the form lists it."""

    title: str
    severity: str
    threshold: str


class SubmitForm(Controller):
    """Choices and values of the submit form.

    Parameters
    ----------
    connection : Connection
        Where to submit.
    namespace : callable
        Returns the variables of the notebook.
    options : ControllerOptions, optional
        Permissions, language, clock.
    """

    kind: ClassVar[str] = "submit"

    def __init__(
        self,
        connection: Connection,
        options: ControllerOptions | None = None,
        *,
        namespace: Callable[[], Mapping[str, Any]],
    ) -> None:
        super().__init__(connection, options)
        self._namespace = namespace
        #: Held while values are made of values: what is loaded comes on a thread.
        self._choosing = RLock()
        self.values = FormValues()
        self.models: list[ModelVariable] = []
        self.registered: list[str] = []
        self._entries: dict[str, Entry] = {}
        # Every key typed asks for the suite several times.
        self._read: dict[object, Suite | MyiaError] = {}
        self.tables: list[TableVariable] = []
        self.columns: list[ColumnVariable] = []
        self.train_columns: list[ColumnVariable] = []
        self.suites: list[str] = []
        self.submitted: list[str] = []
        #: What was chosen or changed at the last submission.
        self.notes: list[str] = []
        #: Id of the batch submitted last, empty for a single job.
        self.batch = ""

    def load(self) -> None:
        """Look for variables, suites and registered models; keep what still fits."""
        from myia_sdk.certification.suites import list_suites

        self.suites = list_suites()
        entries = self.connection.registry.entries()
        self.registered = [entry.name for entry in entries]
        self._entries = {entry.name: entry for entry in entries}
        self.look()

    def look(self) -> None:
        """Look for models and data among the variables; no I/O."""
        with self._choosing:
            self._choose()

    def _choose(self) -> None:
        self._read.clear()
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
        values = values._replace(
            target=_keep(values.target, _names(self.target_choices(values.features)))
        )
        if self._table(values.train) is None:
            values = values._replace(train="")
        self.train_columns = self._columns(values.train)
        targets = _names(self.train_target_choices(values.train))
        self.values = values._replace(train_target=_keep(values.train_target, targets))
        self._fit_suite()

    def entry(self) -> Entry | None:
        """Return the registered model that is chosen, None when it is no such one."""
        is_registered = self.values.source == "registered"
        return self._entries.get(self.values.model) if is_registered else None

    def family(self) -> str | None:
        """Return what the chosen model does, None when that is not known yet."""
        from myia_sdk.certification.request.references import family_of_kind

        entry, values = self.entry(), self.values
        if entry is not None:
            return entry.model.get("family") or family_of_kind(entry.kind)
        if values.source == "endpoint":
            return family_of_kind(values.kind)
        if values.source != "variable":
            return None
        return next((m.family for m in self.models if m.name == values.model), None)

    def _fit_suite(self) -> None:
        """Choose the family's baseline in place of a suite for other models."""
        family, suite = self.family(), self.suite()
        is_free = self.values.suite in {OWN_SUITE, BASELINE}
        if family and suite is not None and suite.kind != family and not is_free:
            self.values = self.values._replace(suite=f"{family}-baseline")

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

    def target_choices(self, table: str | None = None) -> list[tuple[str, str]]:
        """Return label and value of every possible target of the test data."""
        return self._targets(self.columns, table or self.values.features)

    def train_target_choices(self, table: str | None = None) -> list[tuple[str, str]]:
        """Return label and value of every possible target of the training data."""
        chosen = self.values.train if table is None else table
        return self._targets(self.train_columns, chosen) if chosen else []

    def _targets(
        self, columns: list[ColumnVariable], table: str
    ) -> list[tuple[str, str]]:
        choices = [(one.label, one.name) for one in columns]
        choices += [
            (self.say("submit.column", name=name), COLUMN + name)
            for name in self._table_columns(table)
        ]
        return choices

    def sensitive(self) -> list[str]:
        """Return the names of the sensitive columns typed, each once."""
        return _split(self.values.sensitive)

    def suite_source(self) -> str | Path | None:
        """Return the name of the chosen suite, the path of one's own, or None."""
        if self.values.suite == BASELINE:
            return None
        if self.values.suite == OWN_SUITE:
            return Path(self.values.suite_file.strip()).expanduser()
        return self.values.suite

    def suite(self) -> Suite | None:
        """Return the chosen suite, None when it cannot be read or is yet to be told."""
        found = self._found_suite()
        return None if isinstance(found, MyiaError) else found

    def suite_fault(self) -> str:
        """Return why the chosen suite cannot be read, empty when it can."""
        found = self._found_suite()
        return str(found) if isinstance(found, MyiaError) else ""

    def _found_suite(self) -> Suite | MyiaError | None:
        source, family = self.suite_source(), self.family()
        if source is None:
            if family is None:
                return None
            source = f"{family}-baseline"
        found = self._read.get(source)
        if found is None:
            # A load on its thread may empty `_read` at any time.
            found = self._read[source] = self._read_suite(source)
        return found

    def _read_suite(self, source: str | Path) -> Suite | MyiaError:
        from myia_sdk.certification.suites import load_suite

        try:
            return load_suite(source, plugins=self.connection.plugins)
        except MyiaError as error:
            return error

    def suite_checks(self) -> list[SuiteCheck]:
        """Return the checks of the chosen suite with what they ask for."""
        suite = self.suite()
        if suite is None:
            return []
        return [
            SuiteCheck(spec.title, spec.severity.value, _threshold_text(spec.threshold))
            for spec in suite.checks
        ]

    def estimate(self) -> Estimate | None:
        """Return what the suite asks of a remote model; None when it asks nothing."""
        suite = self.suite()
        if suite is None or suite.kind not in {"chat", "embedding"}:
            return None
        entry = self.entry()
        options = None if entry is None else _options_of(entry.model)
        return estimate(suite, self.prices(), max(1, len(self.regions())), options)

    def typed_prices(self) -> Mapping[str, float]:
        """Return the prices typed, per million tokens; empty when none is."""
        texts = {
            "prompt": self.values.price_prompt,
            "completion": self.values.price_completion,
        }
        return {
            name: value
            for name, text in texts.items()
            if (value := amount(text)) is not None
        }

    def prices(self) -> Mapping[str, float]:
        """Return the prices that count: typed, else of the model, else of the suite."""
        entry, suite = self.entry(), self.suite()
        own = {} if entry is None else _prices_of(entry.model)
        given = {} if suite is None else _usable_prices(suite.prices)
        return self.typed_prices() or own or given

    def change(self, field: str, value: str) -> None:
        """Take what was typed or chosen.

        Raises
        ------
        ActionRefusedError
            The form has no such field.
        """
        if field not in FormValues._fields:
            raise ActionRefusedError(f"The form has no field {field!r}.")
        with self._choosing:
            self.values = self.values._replace(**{field: value})
            if field in {"source", "model", "features", "train"}:
                self._choose()
            if field in {"source", "model"}:
                self._take_suite()
            is_own = self.values.suite == OWN_SUITE
            if field == "source" and value == "file" and not is_own:
                # What a file holds is known when it is read.
                self.values = self.values._replace(suite=BASELINE)
            if field == "kind":
                self._fit_suite()

    def _take_suite(self) -> None:
        """Choose the suite that a registered model was registered with."""
        entry = self.entry()
        if entry is not None and isinstance(entry.suite, str):
            self.values = self.values._replace(suite=entry.suite)

    def regions(self) -> list[str]:
        """Return the regions chosen and typed, each once."""
        return _split(f"{self.values.regions},{self.values.more_regions}")

    def tags(self) -> list[str]:
        """Return the tags typed, each once."""
        return _split(self.values.tags)


def amount(text: str) -> float | None:
    """Return an amount of money as typed, None when it is none.

    Parameters
    ----------
    text : str
        A number from 0 to :data:`AMOUNT_LIMIT`.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= AMOUNT_LIMIT else None


def _names(choices: list[tuple[str, str]]) -> list[str]:
    return [name for _, name in choices]


def _keep(name: str, names: list[str]) -> str:
    if name in names:
        return name
    return names[0] if names else ""


def _options_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    options = model.get("options")
    return options if isinstance(options, dict) else {}


def _prices_of(model: Mapping[str, Any]) -> Mapping[str, float]:
    return _usable_prices(_options_of(model).get("prices"))


def _usable_prices(prices: object) -> Mapping[str, float]:
    # The registry is text of Redis: what is no price is left out of an estimate.
    table = prices if isinstance(prices, Mapping) else {}
    return {
        key: value
        for key in ("prompt", "completion")
        if isinstance(value := table.get(key), int | float) and value >= 0
    }


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, (one.strip() for one in text.split(",")))))


def _threshold_text(threshold: Threshold) -> str:
    if threshold.passed is None:
        return ""
    sign = {">=": "≥", "<=": "≤", "==": "="}.get(
        threshold.comparator, threshold.comparator
    )
    return f"{sign} {threshold.passed:g}"
