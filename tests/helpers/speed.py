"""Parameters of a certification whose verdict must not depend on the machine."""

from __future__ import annotations

from typing import Any

#: Milliseconds and milliseconds a row that no prediction of a test takes.
NO_LIMIT = {"threshold": {"passed": 1e9}, "params": {"max_batch_ms_per_row": 1e9}}


def at_any_speed(parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Add a check of the latency that measures, and passes a busy machine, too."""
    given = parameters or {}
    return {**given, "checks": {"latency": NO_LIMIT, **given.get("checks", {})}}
