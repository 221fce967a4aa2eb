"""The common part of the forms: fields with errors beside them, background work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from html import escape
from uuid import uuid4

import ipywidgets

from myia_sdk.errors import MyiaError
from myia_sdk.panels.displayed import Displayed, close_tree

logger = logging.getLogger(__name__)

#: Runs a piece of work; a thread of its own in notebooks, at once in tests.
Runner = Callable[[Callable[[], None]], None]
_LABEL_STYLE = {"description_width": "150px"}


def in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a daemon thread, so that the kernel stays free."""
    threading.Thread(target=work, name="myia-form", daemon=True).start()


class Field(ipywidgets.VBox):
    """An input with its label before and its error below.

    Parameters
    ----------
    control : Widget
        Input widget with a ``value``.
    name : str
        Name of the field, also in its CSS class ``myia-field-<name>``.
    """

    def __init__(self, control: ipywidgets.Widget, name: str) -> None:
        self.control = control
        self.name = name
        self.error = ipywidgets.HTML()
        self.error.add_class("myia-field-error")
        super().__init__(children=(control, self.error))
        self.add_class(f"myia-field-{name}")

    def show_error(self, text: str) -> None:
        """Show what is wrong with the value; an empty text clears it."""
        self.error.value = f"<b>✖ {escape(text)}</b>" if text else ""


def _wide() -> ipywidgets.Layout:
    return ipywidgets.Layout(width="100%", max_width="460px", min_width="0")


def text_field(name: str, label: str, hint: str = "", value: str = "") -> Field:
    """Return a field for a line of text that reports every key."""
    control = ipywidgets.Text(
        value=value,
        placeholder=hint,
        description=label,
        continuous_update=True,
        style=_LABEL_STYLE,
        layout=_wide(),
    )
    return Field(control, name)


def choice_field(name: str, label: str, options: list[tuple[str, str]]) -> Field:
    """Return a field to choose one of several options."""
    control = ipywidgets.Dropdown(
        options=options, description=label, style=_LABEL_STYLE, layout=_wide()
    )
    return Field(control, name)


def several_field(name: str, label: str, options: list[str]) -> Field:
    """Return a field to choose any number of options; its value is a tuple."""
    control = ipywidgets.SelectMultiple(
        options=options,
        rows=len(options),
        description=label,
        style=_LABEL_STYLE,
        layout=_wide(),
    )
    return Field(control, name)


class FormPanel(Displayed, ipywidgets.VBox):
    """A form with a message line.

    Parameters
    ----------
    runner : callable, optional
        Runs work that may wait for the server.
    """

    def __init__(self, runner: Runner = in_thread) -> None:
        self._runner = runner
        self.mark = uuid4().hex
        self.message = ipywidgets.HTML()
        self.message.add_class("myia-message-line")
        super().__init__()
        self.add_class("myia-panel")
        self._enter()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def say(self, text: str, kind: str = "done") -> None:
        """Show a message line.

        Parameters
        ----------
        text : str
            Plain text; it is escaped.
        kind : str, optional
            ``"done"``, ``"error"`` or ``"busy"``.
        """
        icon = {"done": "✔", "error": "✖", "busy": "…"}[kind]
        role = "alert" if kind == "error" else "status"
        self.message.value = f'<div role="{role}">{icon} {escape(text)}</div>'

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` beside the kernel; its errors become the message."""
        self._runner(lambda: self._guard(work))

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except MyiaError as error:
            self.say(str(error), "error")
        except Exception as error:  # a thread has no caller to raise to
            if self.is_gone:
                # Its client may have been closed with it, in the middle of a call.
                return
            logger.exception("A form failed")
            self.say(f"{type(error).__name__}: {error}", "error")

    def to_html(self) -> str:
        """Return the last message as safe HTML: a form has no data of its own."""
        return f"<div>{self.message.value}</div>"

    def _close_widgets(self) -> None:
        close_tree(self)
