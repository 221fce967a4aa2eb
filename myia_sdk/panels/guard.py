"""Keeps keys pressed in a form from reaching the notebook's shortcuts."""

from __future__ import annotations

import anywidget

from myia_sdk.panels.assets import style


class KeyGuard(anywidget.AnyWidget):
    """An invisible widget that stops key events at the edge of its panel.

    Without it ``b`` pressed on a focused button adds a cell, and ``d d`` deletes one.
    """

    _css = style()
    _esm = """
function render({ el }) {
  const onKey = (event) => {
    if (["Escape", "Tab"].includes(event.key) || event.ctrlKey || event.metaKey) return;
    event.stopPropagation();
  };
  let frame = null;
  const timer = setTimeout(() => {
    frame = el.closest(".myia-panel");
    if (frame) frame.addEventListener("keydown", onKey);
  }, 0);
  return () => {
    clearTimeout(timer);
    if (frame) frame.removeEventListener("keydown", onKey);
  };
}
export default { render };
"""
