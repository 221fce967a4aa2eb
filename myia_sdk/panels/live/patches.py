"""Differences between two JSON states, as the short messages the browser applies."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

#: ``["set", path, value]``, ``["del", path]`` or ``["add", path, items]``.
Operation = list[Any]


def diff(old: object, new: object, path: tuple[str, ...] = ()) -> list[Operation]:
    """List the operations that turn `old` into `new`.

    Objects are compared key by key. A list that only grew at its end gives one
    ``add`` with the new items (a log that is followed); any other changed list is
    replaced whole.

    Parameters
    ----------
    old, new : JSON value
        The states; neither is changed.
    path : tuple of str, optional
        Where the two stand in the whole state.

    Returns
    -------
    list of list
        Empty when nothing changed.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        operations: list[Operation] = [
            ["del", [*path, key]] for key in old if key not in new
        ]
        for key, value in new.items():
            if key in old:
                operations += diff(old[key], value, (*path, key))
            else:
                operations.append(["set", [*path, key], value])
        return operations
    if isinstance(old, list) and isinstance(new, list):
        return _list_diff(old, new, path)
    if old == new and type(old) is type(new):
        return []
    return [["set", list(path), new]]


def _list_diff(
    old: list[Any], new: list[Any], path: tuple[str, ...]
) -> list[Operation]:
    if old == new:
        return []
    if old and len(new) > len(old) and new[: len(old)] == old:
        return [["add", list(path), new[len(old) :]]]
    return [["set", list(path), new]]


def apply(state: dict[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """Return `state` after `operations`, as the browser computes it.

    Parameters
    ----------
    state : dict
        The state before; it is not changed.
    operations : list of list
        What :func:`diff` gave.
    """
    root: dict[str, Any] = {"state": deepcopy(state)}
    for name, path, *value in operations:
        keys: list[str] = ["state", *path]
        last = keys.pop()
        target: Any = root
        for key in keys:
            target = target[key]
        if name == "del":
            del target[last]
        elif name == "add":
            target[last] = [*target[last], *value[0]]
        else:
            target[last] = value[0]
    result: dict[str, Any] = root["state"]
    return result
