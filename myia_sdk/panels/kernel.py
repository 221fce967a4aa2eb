"""What panels need to know about the kernel they run in; all of it optional."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class _CellState:
    """Whether a cell runs, kept by IPython's events."""

    def __init__(self) -> None:
        self._shell: Any = None
        self._lock = threading.Lock()
        self.is_running = False

    def follow(self, shell: Any) -> None:
        with self._lock:
            if self._shell is shell:
                return
            self._shell = shell
            # Panels are made by a cell, whose start was not seen.
            self.is_running = True
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._end)

    def _begin(self, *_: object) -> None:
        self.is_running = True

    def _end(self, *_: object) -> None:
        self.is_running = False


_state = _CellState()


def shell() -> Any:
    """Return IPython's shell when there is a kernel behind it, else None."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    found = get_ipython()
    return found if found is not None and hasattr(found, "kernel") else None


def is_busy() -> bool:
    """Return whether the kernel runs a cell and so cannot hear the browser."""
    return _state.is_running


def follow_cells() -> None:
    """Begin to watch whether cells run; does nothing outside of a kernel."""
    found = shell()
    if found is not None:
        _state.follow(found)


def user_namespace() -> Mapping[str, Any]:
    """Return the variables of the notebook, or of the main module outside one."""
    found = shell()
    if found is not None:
        namespace: Mapping[str, Any] = found.user_ns
        return namespace
    import __main__

    return vars(__main__)


def running_cell() -> tuple[str, str] | None:
    """Return what names the running cell, and this run of it; None outside.

    The cell is named by the id the front end sends, or by its text where it sends
    none.
    """
    found = shell()
    if found is None:
        return None
    parent = found.get_parent() if hasattr(found, "get_parent") else {}
    header = parent.get("header") or {}
    cell = (parent.get("metadata") or {}).get("cellId")
    cell = cell or (parent.get("content") or {}).get("code")
    run = header.get("msg_id")
    return (str(cell), str(run)) if cell and run else None
