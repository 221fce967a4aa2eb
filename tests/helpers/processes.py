"""Processes of others, as tests see them end."""

from __future__ import annotations

import psutil


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, collected by its parent or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
