"""The submit form as ipywidgets."""

from __future__ import annotations

import threading
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from myia_sdk.panels.controllers.form import (
    BASELINE,
    ENDPOINT_KINDS,
    OWN_SUITE,
    REGIONS,
    SOURCES,
)
from myia_sdk.panels.controllers.submit import SubmitController
from myia_sdk.panels.form import (
    Field,
    FormPanel,
    Runner,
    choice_field,
    in_thread,
    several_field,
    text_field,
)
from myia_sdk.panels.guard import KeyGuard
from myia_sdk.panels.kernel import user_namespace
from myia_sdk.panels.live import ControllerOptions
from myia_sdk.panels.monitor import MonitorPanel
from myia_sdk.panels.page.snapshot import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from myia_sdk.client import Connection

_ENDPOINT_FIELDS = ("kind", "url", "model_id", "secret")
#: What more there is to measure with, and so a higher level of assurance.
_MORE_FIELDS = ("train", "train_target", "sensitive", "baseline")
_TEXT_FIELDS = (
    "file",
    "sensitive",
    "suite_file",
    "url",
    "model_id",
    "secret",
    "more_regions",
    "priority",
    "delay",
    "timeout",
    "retries",
    "tags",
    "price_prompt",
    "price_completion",
    "max_cost",
)
#: Fields on which the choices of others depend.
_CHANGING = frozenset(
    {
        *("source", "model", "kind", "features", "suite", "suite_file", "target"),
        *("train", "train_target", "baseline"),
    }
)
_COST_FIELDS = ("price_prompt", "price_completion", "max_cost")
#: Fields that the list of checks with its estimate depends on.
_SHOWN_WITH_SUITE = frozenset({"regions", "more_regions", *_COST_FIELDS})


class SubmitPanel(FormPanel):
    """A form that submits a model found in the notebook.

    Parameters
    ----------
    connection : Connection
        Where to submit.
    namespace : callable, optional
        Returns the variables to choose from; the notebook's by default.
    is_read_only : bool, optional
        Refuse to submit.
    runner : callable, optional
        Runs what may wait for the server; a thread by default.
    on_watch : callable, optional
        What *Watch* does with the ids; by default a monitor opens below the form.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: Callable[[], Mapping[str, Any]] = user_namespace,
        is_read_only: bool = False,
        runner: Runner = in_thread,
        on_watch: Callable[[list[str]], None] | None = None,
    ) -> None:
        self.controller = SubmitController(
            connection,
            ControllerOptions.of(connection, is_read_only=is_read_only),
            namespace=namespace,
        )
        self._connection = connection
        self._is_refreshing = False
        #: Held while fields are filled or read: what is loaded comes on a thread.
        self._filling = threading.RLock()
        self._touched: set[str] = set()
        self._on_watch = on_watch or self._watch_below
        super().__init__(runner)
        self._build()
        self.controller.look()
        self._refresh()
        self.run(self._load)

    def _build(self) -> None:
        say = self.controller.say
        sources = [(say(f"submit.source.{name}"), name) for name in SOURCES]
        self.fields: dict[str, Field] = {
            "source": choice_field("source", say("submit.source"), sources),
            "model": choice_field("model", say("submit.model"), []),
            "file": text_field("file", say("submit.file"), "model.skops"),
            "kind": choice_field(
                "kind", say("submit.kind"), [(name, name) for name in ENDPOINT_KINDS]
            ),
            "url": text_field("url", say("submit.url"), "https://host/v1"),
            "model_id": text_field("model_id", say("submit.model_id"), "gpt-4.1-mini"),
            "secret": text_field("secret", say("submit.secret"), "env:OPENAI_API_KEY"),
            "features": choice_field("features", say("submit.features"), []),
            "target": choice_field("target", say("submit.target"), []),
            "train": choice_field("train", say("submit.train"), []),
            "train_target": choice_field("train_target", say("submit.target"), []),
            "sensitive": text_field(
                "sensitive", say("submit.sensitive"), say("submit.sensitive.hint")
            ),
            "baseline": choice_field("baseline", say("submit.baseline"), []),
            "suite": choice_field("suite", say("submit.suite"), []),
            "suite_file": text_field(
                "suite_file", say("submit.suite_file"), "suite.toml"
            ),
            "regions": several_field("regions", say("submit.regions"), list(REGIONS)),
            "more_regions": text_field(
                "more_regions", say("submit.more_regions"), say("submit.regions.hint")
            ),
            "priority": text_field("priority", say("submit.priority"), value="0"),
            "delay": text_field("delay", say("submit.delay"), "0"),
            "timeout": text_field(
                "timeout", say("submit.timeout"), say("submit.default")
            ),
            "retries": text_field(
                "retries", say("submit.retries"), say("submit.default")
            ),
            "tags": text_field("tags", say("submit.tags"), "a, b"),
            "price_prompt": text_field(
                "price_prompt", say("submit.price_prompt"), say("submit.per_million")
            ),
            "price_completion": text_field(
                "price_completion",
                say("submit.price_completion"),
                say("submit.per_million"),
            ),
            "max_cost": text_field(
                "max_cost", say("submit.max_cost"), say("submit.no_limit")
            ),
        }
        for field in self.fields.values():
            field.control.observe(self._on_change, "value")
        self.submit_button = ipywidgets.Button(
            description=say("action.submit"), button_style="primary"
        )
        self.submit_button.add_class("myia-submit")
        self.submit_button.on_click(self._on_submit)
        self.look_button = ipywidgets.Button(
            description=say("submit.refresh"), layout=ipywidgets.Layout(width="auto")
        )
        self.look_button.on_click(self._on_look)
        self.watch_button = ipywidgets.Button(description=say("action.watch"))
        self.watch_button.add_class("myia-watch")
        self.watch_button.on_click(self._on_watch_clicked)
        self.watch_button.layout.display = "none"
        self.suite_table = ipywidgets.HTML()
        self.suite_table.add_class("myia-suite")
        self.monitor: MonitorPanel | None = None
        self.place = ipywidgets.VBox()
        self._arrange(say)

    def _arrange(self, say: Callable[..., str]) -> None:
        main = (
            "source",
            "model",
            "file",
            *_ENDPOINT_FIELDS,
            "features",
            "target",
            "suite",
            "suite_file",
            "regions",
            "more_regions",
            *_COST_FIELDS,
        )
        rest = ("priority", "delay", "timeout", "retries", "tags")
        self.options_box = ipywidgets.Accordion(
            children=[self._box(rest)],
            titles=(say("submit.options"),),
            layout=ipywidgets.Layout(max_width="486px"),
        )
        self.more_box = ipywidgets.Accordion(
            children=[self._box(_MORE_FIELDS)],
            titles=(say("submit.more"),),
            layout=ipywidgets.Layout(max_width="486px"),
        )
        column = ipywidgets.Layout(flex="1 1 400px", min_width="0", max_width="500px")
        buttons = ipywidgets.HBox(
            [self.submit_button, self.look_button, self.watch_button],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )
        left = ipywidgets.VBox(
            [
                *(self.fields[name] for name in main),
                self.more_box,
                self.options_box,
                buttons,
                self.message,
            ],
            layout=column,
        )
        right = ipywidgets.VBox(
            [self.suite_table],
            layout=ipywidgets.Layout(flex="1 1 340px", min_width="0"),
        )
        title = ipywidgets.HTML(f"<h3>{escape(say('title.submit'))}</h3>")
        body = ipywidgets.HBox(
            [left, right], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        self.children = (title, body, self.place, KeyGuard(mark=self.mark))

    def _box(self, names: Sequence[str]) -> ipywidgets.VBox:
        # Without room at the right, the fields lose their border there.
        return ipywidgets.VBox(
            [self.fields[name] for name in names],
            layout=ipywidgets.Layout(padding="0 4px 0 0"),
        )

    # What the controller knows, shown.

    def _load(self) -> None:
        self.controller.load()
        self._refresh()

    def _refresh(self) -> None:
        with self._filling:
            self._is_refreshing = True
            try:
                self._refresh_choices()
            finally:
                self._is_refreshing = False
            self._show_errors()
            self._show_suite()

    def _refresh_choices(self) -> None:
        controller, say = self.controller, self.controller.say
        values = controller.values
        models = [(model.label, model.name) for model in controller.models]
        if values.source == "registered":
            models = [(name, name) for name in controller.registered]
        tables = [(one.label, one.name) for one in controller.tables]
        self._options("model", models, say("submit.model.none"))
        self._options("features", tables, say("submit.features.none"))
        self._options("target", controller.target_choices(), say("submit.target.none"))
        none = (say("submit.none"), "")
        self._options(
            "train", [none, *(one for one in tables if one[1] != values.features)], ""
        )
        self._options("train_target", controller.train_target_choices(), none[0])
        others = [(one.label, one.name) for one in controller.models]
        self._options(
            "baseline", [none, *(one for one in others if one[1] != values.model)], ""
        )
        suites = dict.fromkeys(controller.suites or [values.suite])
        for choice in (BASELINE, OWN_SUITE):
            suites.pop(choice, None)
        free = (say("submit.suite.baseline"), BASELINE)
        own = (say("submit.suite.own"), OWN_SUITE)
        self._options("suite", [free, *((name, name) for name in suites), own], "")
        for name in _TEXT_FIELDS:
            control = self.fields[name].control
            if control.value != getattr(values, name):
                control.value = getattr(values, name)
        is_file = values.source == "file"
        has_data = controller.needs_data()
        for name, is_shown in (
            ("file", is_file),
            ("suite_file", values.suite == OWN_SUITE),
            ("model", values.source in {"variable", "registered"}),
            *((name, values.source == "endpoint") for name in _ENDPOINT_FIELDS),
            ("features", has_data),
            ("target", has_data),
            ("train_target", bool(values.train)),
            *((name, controller.is_remote()) for name in _COST_FIELDS),
        ):
            self.fields[name].layout.display = None if is_shown else "none"
        self.more_box.layout.display = None if has_data else "none"

    def _options(self, name: str, options: list[tuple[str, str]], nothing: str) -> None:
        control = self.fields[name].control
        wanted = tuple(options) or ((nothing, ""),)
        value = getattr(self.controller.values, name)
        if control.options != wanted:
            control.options = wanted
        control.value = value if value in dict(wanted).values() else wanted[0][1]

    def _show_errors(self, *, is_complete: bool = False) -> None:
        errors = self.controller.errors()
        for name, field in self.fields.items():
            is_due = is_complete or name in self._touched
            field.show_error(errors.get(name, "") if is_due else "")
        is_allowed = not self.controller.permissions.is_read_only
        self.submit_button.disabled = not is_allowed

    def _show_suite(self) -> None:
        controller, say = self.controller, self.controller.say
        checks = controller.suite_checks()
        if not checks:
            self.suite_table.value = ""
            return
        heads = [say("check.check"), say("check.severity"), say("check.threshold")]
        rows = [
            (one.title, say(f"severity.{one.severity}"), one.threshold)
            for one in checks
        ]
        suite = controller.suite()
        title = escape(say("submit.checks", suite=suite.id if suite else ""))
        note = self._estimate_note()
        self.suite_table.value = f"<p><b>{title}</b></p>{table(heads, rows)}{note}"

    def _estimate_note(self) -> str:
        expected, say = self.controller.estimate(), self.controller.say
        if expected is None:
            return f"<p>{escape(say('submit.no_requests'))}</p>"
        cost = say("submit.no_prices")
        if expected.cost is not None:
            cost = say("submit.cost", cost=f"{expected.cost:.4f}")
        requests = say("submit.requests", count=expected.requests)
        return f"<p>{escape(requests)}<br>{escape(cost)}</p>"

    # What people do.

    def _on_change(self, change: Mapping[str, Any]) -> None:
        with self._filling:
            if not self._is_refreshing:
                self._take(change)

    def _take(self, change: Mapping[str, Any]) -> None:
        field = next(f for f in self.fields.values() if f.control is change["owner"])
        self._touched.add(field.name)
        new = change["new"]
        text = ",".join(new) if isinstance(new, tuple) else str(new or "")
        self.controller.change(field.name, text)
        if field.name in _CHANGING:
            self._refresh()
        else:
            # A load that ended meanwhile may have put the value before back.
            field.control.value = new
            self._show_errors()
            if field.name in _SHOWN_WITH_SUITE:
                self._show_suite()

    def _on_look(self, _: object) -> None:
        self.controller.look()
        self._refresh()
        self.run(self._load)

    def _on_submit(self, _: object) -> None:
        self._touched |= set(self.fields)
        self._show_errors(is_complete=True)
        if self.controller.errors():
            self.say(self.controller.say("submit.fix"), "error")
            return
        self.submit_button.disabled = True
        self.say(self.controller.say("submit.working"), "busy")
        self.run(self._submit)

    def _submit(self) -> None:
        try:
            ids = self.controller.submit()
        finally:
            self._show_errors()
        done = self.controller.say("submit.done", ids=", ".join(ids))
        self.say(" ".join([done, *self.controller.notes]))
        self.watch_button.layout.display = None

    def _on_watch_clicked(self, _: object) -> None:
        self._on_watch(list(self.controller.submitted))

    def _watch_below(self, ids: list[str]) -> None:
        if self.monitor is None:
            self.monitor = MonitorPanel(self._connection)
            self.place.children = (self.monitor,)
        if ids:
            self.monitor.watch(ids[0], batch=self.controller.batch)
