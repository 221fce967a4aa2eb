"""The clean form as ipywidgets."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from myia_sdk.errors import MyiaError
from myia_sdk.panels.controllers.clean import CLEANABLE, CleanController
from myia_sdk.panels.form import FormPanel, Runner, choice_field, in_thread, text_field
from myia_sdk.panels.guard import KeyGuard
from myia_sdk.panels.live import ControllerOptions
from myia_sdk.panels.permissions import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from myia_sdk.client import Connection

#: Seconds of each unit of the grace.
UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
#: Greatest number accepted in a field.
NUMBER_LIMIT = 10_000_000
_MORE = (Action.RETRY_ALL, Action.PROMOTE_ALL, Action.DRAIN, Action.OBLITERATE)


class CleanPanel(FormPanel):
    """Clean the queue in two steps: preview, then confirm.

    Parameters
    ----------
    connection : Connection
        Where the jobs are.
    is_read_only : bool, optional
        Refuse everything.
    runner : callable, optional
        Runs what waits for the server; a thread by default.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        is_read_only: bool = False,
        runner: Runner = in_thread,
    ) -> None:
        self.controller = CleanController(
            connection,
            ControllerOptions.of(connection, is_read_only=is_read_only),
        )
        super().__init__(runner)
        self._build()

    def _build(self) -> None:
        say = self.controller.say
        states = [(say(f"state.{state.value}"), state.value) for state in CLEANABLE]
        units = [(say(f"unit.{name}"), name) for name in UNITS]
        self.state = choice_field("state", say("clean.state"), states)
        self.grace = text_field("grace", say("clean.grace"), value="1")
        self.unit = choice_field("unit", say("clean.unit"), units)
        self.unit.layout.width = "210px"
        self.unit.control.value = "days"
        self.limit = text_field("limit", say("clean.limit"), value="1000")
        for field in (self.state, self.grace, self.unit, self.limit):
            field.control.observe(self._on_change, "value")
            field.control.style.description_width = "220px"
        self.unit.control.style.description_width = "65px"
        self.preview_button = self._button(say("clean.preview"), self._on_preview)
        self.preview_button.add_class("myia-preview")
        self.confirm_button = self._button("", self._on_confirm, "danger")
        self.confirm_button.add_class("myia-confirm")
        self.back_button = self._button(say("dialog.cancel"), self._on_back)
        self.typed = text_field("typed", say("confirm.type_name"))
        self.typed.control.style.description_width = "220px"
        self.typed.control.observe(self._on_typed, "value")
        self.more_buttons = {
            action: self._button(say(f"action.{action.value}"), self._on_more)
            for action in _MORE
        }
        self.question = ipywidgets.HTML()
        self.question.add_class("myia-question")
        is_refused = self.controller.permissions.is_read_only
        for button in (self.preview_button, *self.more_buttons.values()):
            button.disabled = is_refused
        self._arrange(say)
        self._show_dialog()

    def _button(
        self, text: str, handler: Callable[[Any], None], style: str = ""
    ) -> ipywidgets.Button:
        button = ipywidgets.Button(
            description=text,
            button_style=style,
            layout=ipywidgets.Layout(
                width="auto", min_width="120px", align_self="flex-start"
            ),
        )
        button.on_click(handler)
        return button

    def _arrange(self, say: Callable[..., str]) -> None:
        wrap = ipywidgets.Layout(flex_flow="row wrap")
        title = ipywidgets.HTML(
            f"<h3>{escape(say('title.clean'))}</h3><p>{escape(say('clean.note'))}</p>"
        )
        more = ipywidgets.HBox(list(self.more_buttons.values()), layout=wrap)
        self.confirm_box = ipywidgets.VBox(
            [
                self.question,
                self.typed,
                ipywidgets.HBox([self.confirm_button, self.back_button], layout=wrap),
            ]
        )
        self.children = (
            title,
            self.state,
            ipywidgets.HBox([self.grace, self.unit], layout=wrap),
            self.limit,
            self.preview_button,
            self.confirm_box,
            self.message,
            ipywidgets.HTML(f"<p><b>{escape(say('clean.more'))}</b></p>"),
            more,
            KeyGuard(mark=self.mark),
        )

    # What the controller knows, shown.

    def _show_dialog(self) -> None:
        dialog = self.controller.dialog
        self.confirm_box.layout.display = "none" if dialog is None else None
        if dialog is None:
            return
        say, facts = self.controller.say, dialog["facts"]
        count = facts.get("count", 0)
        name = dialog["typed"]
        if dialog["action"] == Action.CLEAN:
            text = (
                say("clean.nothing")
                if not count
                else say("clean.found", **_found(facts))
            )
            self.confirm_button.description = say("clean.confirm", count=count)
        else:
            text = self._question(dialog["action"], facts)
            self.confirm_button.description = say(f"dialog.{dialog['action']}")
        self.question.value = f'<div role="status">{escape(text)}</div>'
        self.typed.layout.display = None if name else "none"
        if name:
            self.typed.control.value = ""
        self.confirm_button.disabled = not count or bool(name)

    def _question(self, action: str, facts: Mapping[str, Any]) -> str:
        say = self.controller.say
        state = say(f"state.{facts['state']}") if "state" in facts else ""
        count, name = facts.get("count", 0), facts.get("name", "")
        text = say(f"confirm.{action}", count=count, name=name, state=state)
        if facts.get("running"):
            text = f"{text} {say('confirm.running', count=facts['running'])}"
        return text

    def _show_notice(self) -> None:
        notice = self.controller.notice
        if notice is not None:
            self.say(notice["text"], notice["kind"])

    # What people do.

    def _event(self, event: dict[str, object]) -> None:
        self.controller.handle(event, self._show_notice)
        self._show_dialog()
        self._show_notice()

    def _numbers(self) -> tuple[float, int] | None:
        say = self.controller.say
        grace = _number(self.grace.control.value)
        limit = _number(self.limit.control.value)
        text = say("error.seconds", low=0, high=f"{NUMBER_LIMIT:,}")
        self.grace.show_error("" if grace is not None else text)
        is_whole = limit is not None and limit == int(limit)
        text = say("error.integer", low=0, high=f"{NUMBER_LIMIT:,}")
        self.limit.show_error("" if is_whole else text)
        if grace is None or limit is None or not is_whole:
            return None
        return grace * UNITS[self.unit.control.value], int(limit)

    def _on_change(self, _: object) -> None:
        # A preview speaks about the values it was made with.
        self.controller.handle({"event": "dismiss"})
        self._show_dialog()
        self._numbers()

    def _values(self) -> list[str]:
        fields = (self.state, self.grace, self.unit, self.limit)
        return [field.control.value for field in fields]

    def _on_preview(self, _: object) -> None:
        numbers = self._numbers()
        if numbers is None:
            return
        values = self._values()
        event = {
            "event": "clean",
            "state": self.state.control.value,
            "grace": numbers[0],
            "limit": numbers[1],
        }
        self.message.value = ""
        self.run(lambda: self._preview(event, values))

    def _preview(self, event: dict[str, object], values: list[str]) -> None:
        self.controller.handle(event, self._show_notice)
        if self._values() != values:
            # A field was changed while the server was asked.
            self.controller.handle({"event": "dismiss"})
        self._show_dialog()
        self._show_notice()

    def _on_more(self, button: ipywidgets.Button) -> None:
        action = next(a for a, b in self.more_buttons.items() if b is button)
        self.message.value = ""
        self.run(lambda: self._event({"event": action.value}))

    def _on_typed(self, change: Mapping[str, Any]) -> None:
        dialog = self.controller.dialog
        if dialog is not None and dialog["typed"]:
            self.confirm_button.disabled = change["new"] != dialog["typed"]

    def _on_back(self, _: object) -> None:
        self._event({"event": "dismiss"})

    def _on_confirm(self, _: object) -> None:
        dialog = self.controller.dialog
        token = "" if dialog is None else dialog["token"]
        typed = self.typed.control.value
        self.confirm_button.disabled = True
        self.run(lambda: self._confirm(token, typed))

    def _confirm(self, token: str, typed: str) -> None:
        try:
            self._event({"event": "confirm", "token": token, "typed": typed})
        except MyiaError:
            self._show_dialog()
            raise


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= NUMBER_LIMIT else None


def _found(facts: Mapping[str, Any]) -> dict[str, str]:
    def when(ms: int | None) -> str:
        if ms is None:
            return "–"
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    return {
        "count": f"{facts['count']:,}",
        "oldest": when(facts["oldest"]),
        "newest": when(facts["newest"]),
        "size": f"{facts['bytes'] / 1000:,.0f} kB",
    }
