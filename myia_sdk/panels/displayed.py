"""How panels appear in a notebook, and how they go without leaving anything."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar
from weakref import WeakSet

import ipywidgets

from myia_sdk.panels.kernel import follow_cells, running_cell, shell

#: Longest wait for the first data when a panel is shown, seconds.
FIRST_LOAD = 0.5
#: Shortest time between two renewals of the static copy, seconds.
STATIC_INTERVAL = 30.0


class Displayed:
    """Show a widget with a static twin; close everything with it.

    The twin is an output of its own with plain HTML. It is hidden while the widget
    lives and is what a reopened notebook shows. A panel made again by the same cell
    closes the one that cell made before.
    """

    #: Random name of the static copy.
    mark: str
    _open_panels: ClassVar[WeakSet[Displayed]] = WeakSet()

    def _enter(self) -> None:
        """Remember the cell that makes this panel; close its earlier ones."""
        follow_cells()
        self._cell = running_cell()
        self._is_gone = False
        self._handles: list[Any] = []
        self._renewed_at = 0.0
        self._display_lock = threading.Lock()
        for panel in list(self._open_panels):
            if panel.is_replaced_by(self):
                panel.leave(keep_output=False)
        self._open_panels.add(self)

    def is_replaced_by(self, other: Displayed) -> bool:
        """Return whether `other` comes from a later run of the same cell."""
        if self._cell is None or other._cell is None:
            return False
        # By name: traitlets gives every anywidget a class of its own.
        if type(self).__qualname__ != type(other).__qualname__:
            return False
        return self._cell[0] == other._cell[0] and self._cell[1] != other._cell[1]

    def to_html(self) -> str:
        """Return a static copy of what is shown, as safe HTML."""
        raise NotImplementedError

    def _close_widgets(self) -> None:
        """Close the widget and all below it."""
        raise NotImplementedError

    def wait_for_data(self, timeout: float) -> None:
        """Give the first load a moment, so that the static copy has data."""

    @property
    def is_gone(self) -> bool:
        """Whether the panel was closed."""
        return getattr(self, "_is_gone", True)

    def _static_bundle(self) -> dict[str, str]:
        mark = self.mark
        html = self.to_html()
        return {
            "text/html": f'<div class="myia-static" data-panel="{mark}">{html}</div>',
            "text/plain": "",
        }

    def _ipython_display_(self, **_: object) -> None:
        from IPython.display import DisplayHandle, display

        bundle = dict(self._widget_bundle())
        if shell() is None:
            display(bundle, raw=True)
            return
        live, static = DisplayHandle(), DisplayHandle()
        live.display(bundle, raw=True)
        self.wait_for_data(FIRST_LOAD)
        static.display(self._static_bundle(), raw=True)
        self._handles.append((live, static))

    def _widget_bundle(self) -> dict[str, Any]:
        found: Any = super()._repr_mimebundle_()  # type: ignore[misc]
        bundle = found[0] if isinstance(found, tuple) else found
        plain = {"text/plain": repr(self)}
        return {**plain, **{k: v for k, v in bundle.items() if k != "text/plain"}}

    def _renew_static(self) -> None:
        """Bring the static copy up to date, not oftener than every 30 seconds."""
        with self._display_lock:
            is_due = time.monotonic() - self._renewed_at >= STATIC_INTERVAL
            if self._is_gone or not is_due:
                return
            self._renewed_at = time.monotonic()
            for _, static in self._handles:
                static.update(self._static_bundle(), raw=True)

    def leave(self, *, keep_output: bool) -> None:
        """Close; leave a static copy in place of the output, or nothing."""
        if self.is_gone:
            return
        with self._display_lock:
            # A renewal under way ends first: after this one it would stay behind.
            self._is_gone = True
        self._open_panels.discard(self)
        if keep_output:
            bundle = {"text/html": self.to_html(), "text/plain": repr(self)}
            for live, static in self._handles:
                live.update(bundle, raw=True)
                static.update({"text/plain": ""}, raw=True)
        self._handles = []
        self._close_widgets()

    def close(self) -> None:
        """Stop updating, release every resource, leave a static copy behind."""
        self.leave(keep_output=True)


def close_tree(widget: ipywidgets.Widget) -> None:
    """Close a widget and all below it; ipywidgets only closes the one.

    Parameters
    ----------
    widget : Widget
        Root of the tree. Panels inside it are closed as panels.
    """
    if isinstance(widget, Displayed) and not widget.is_gone:
        widget.close()
        return
    for child in getattr(widget, "children", ()):
        close_tree(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, ipywidgets.Widget):
            part.close()
    ipywidgets.Widget.close(widget)
