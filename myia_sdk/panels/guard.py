"""Keeps keys pressed in a form from reaching the notebook's shortcuts."""

from __future__ import annotations

import anywidget
import traitlets

from myia_sdk.panels.page import style


class KeyGuard(anywidget.AnyWidget):
    """An invisible widget that stops key events at the edge of its panel.

    Without it ``b`` pressed on a focused button adds a cell, and ``d d`` deletes one.
    """

    _css = style()
    _esm = """
function render({ model, el }) {
  const mark = model.get("mark");
  const style = document.createElement("style");
  style.textContent = `.myia-static[data-panel="${mark}"] { display: none; }`;
  document.head.appendChild(style);
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
    style.remove();
    if (frame) frame.removeEventListener("keydown", onKey);
  };
}
export default { render };
"""
    #: Names the static copy that is hidden while the form lives.
    mark = traitlets.Unicode().tag(sync=True)
