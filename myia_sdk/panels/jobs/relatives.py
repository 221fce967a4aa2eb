"""Relatives of a job as panels show them: plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myia_sdk.queue.store.flow import Family, Flow, Relative

#: Children listed by name beside a job; its flow shows more.
CHILDREN_SHOWN = 8


def family_record(family: Family) -> dict[str, Any] | None:
    """Return parent and children of a job, None when it has neither."""
    if family.is_alone:
        return None
    return {
        "parent": None if family.parent is None else _relative_record(family.parent),
        "children": {
            kind: {
                "shown": [_relative_record(o) for o in children.shown[:CHILDREN_SHOWN]],
                "total": children.total,
            }
            for kind, children in family.children.items()
        },
    }


def flow_record(flow: Flow) -> dict[str, Any] | None:
    """Return the jobs of a flow by their keys, None when none was read."""
    if not flow.nodes:
        return None
    return {
        "order": [node.relative.key for node in flow.nodes],
        "nodes": {
            node.relative.key: {
                **_relative_record(node.relative),
                "queue": node.relative.queue,
                "parent": node.parent_key,
                "name": node.name or node.relative.id,
                "state": "unknown" if node.state is None else node.state.value,
                "more": node.hidden_children,
            }
            for node in flow.nodes
        },
        "has_hidden_parent": flow.has_hidden_parent,
    }


def _relative_record(relative: Relative) -> dict[str, Any]:
    return {"id": relative.id, "key": relative.key, "is_here": relative.is_here}
