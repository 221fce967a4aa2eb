"""The flow around a job: its ancestors, their other children, its descendants.

Bounded: flows of BullMQ may have thousands of children and any depth. Reading costs
one round trip a level and one a queue, whatever the size of the flow.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from myia_sdk.errors import ConfigurationError, QueueConnectionError, QueueError
from myia_sdk.queue.family import Family, Relative, read_families, relative_of
from myia_sdk.queue.reading import JobReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from myia_sdk.queue.job import Job, JobState

#: Levels read above a job, and below it and its ancestors.
DEPTH_LIMIT = 5
#: Jobs of a flow that are read; more cannot be looked at on one screen.
NODES_LIMIT = 60
#: Children shown of a job, and of its ancestors beside the way to it.
CHILDREN_SHOWN = 12
SIBLINGS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowNode:
    """One job of a flow."""

    relative: Relative
    #: Full key of the parent, None for the topmost job that was read.
    parent_key: str | None
    #: Label ``model`` of the job, else its name; empty when it cannot be read.
    name: str = ""
    #: None when it is gone, or its queue may not be read.
    state: JobState | None = None
    #: Children that were not read.
    hidden_children: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The jobs of a flow, a parent always before its children."""

    nodes: tuple[FlowNode, ...] = ()
    #: Whether the topmost job has a parent that was not read.
    has_hidden_parent: bool = False

    def ids(self) -> frozenset[str]:
        """Return the ids of the jobs in the queue that was asked."""
        found = (node.relative for node in self.nodes)
        return frozenset(one.id for one in found if one.is_here)


def read_flow(
    reader: JobReader,
    job_id: str,
    *,
    depth: int = DEPTH_LIMIT,
    limit: int = NODES_LIMIT,
    before: Flow | None = None,
) -> Flow:
    """Read the flow around a job.

    Parameters
    ----------
    reader : JobReader
        The queue of the job.
    job_id : str
        The job; it and the way to its topmost ancestor are always part of the flow.
    depth : int, default 5
        Levels read above the job, and below it and its ancestors.
    limit : int, default 60
        Most jobs.
    before : Flow, optional
        What was read the last time: of many children, those are read again.

    Returns
    -------
    Flow
        What was left out is counted in it.
    """
    reading = _FlowReading(reader, limit, before or Flow())
    reading.climb(reader.keys.job(job_id), depth)
    reading.descend(depth)
    return reading.flow()


class _FlowReading:
    def __init__(self, reader: JobReader, limit: int, before: Flow) -> None:
        self._reader = reader
        self._limit = limit
        self._known: defaultdict[str, list[str]] = defaultdict(list)
        for node in before.nodes:
            if node.parent_key is not None:
                self._known[node.parent_key].append(node.relative.key)
        self._families: dict[str, Family] = {}
        #: Parents by the key of the child; in the order of reading.
        self._parents: dict[str, str | None] = {}
        #: From the job to its topmost ancestor.
        self._way: list[str] = []

    def climb(self, key: str, depth: int) -> None:
        found: str | None = key
        while found is not None and found not in self._way and len(self._way) <= depth:
            self._way.append(found)
            self._read([found])
            parent = self._families[found].parent
            found = None if parent is None else parent.key
        above = [*self._way[1:], None]
        ways = list(zip(self._way, above, strict=True))
        self._parents = dict(reversed(ways))

    def descend(self, depth: int) -> None:
        level = list(self._way)
        for _ in range(depth):
            level = [kid for key in level for kid in self._take_children(key)]
            if not level:
                return
            self._read(level)

    def _read(self, keys: Sequence[str]) -> None:
        try:
            found = read_families(self._reader, keys)
        except QueueConnectionError:
            raise
        except QueueError:
            # Another queue may be closed to this user; ours is not.
            here = [key for key in keys if relative_of(self._reader, key).is_here]
            self._families.update(dict.fromkeys(keys, Family()))
            if here == list(keys):
                raise
            keys, found = here, read_families(self._reader, here)
        self._families.update(zip(keys, found, strict=True))

    def _take_children(self, key: str) -> list[str]:
        is_ancestor = key in self._way[1:]
        room = SIBLINGS_SHOWN if is_ancestor else CHILDREN_SHOWN
        room = min(room, self._limit - len(self._parents))
        children = self._families[key].children
        found = [
            one.key
            for kind in ("failed", "pending", "processed")
            for one in (children[kind].shown if kind in children else ())
        ]
        wanted = dict.fromkeys([*self._known[key], *found])
        taken = [one for one in wanted if one not in self._parents][: max(room, 0)]
        self._parents.update(dict.fromkeys(taken, key))
        return taken

    def flow(self) -> Flow:
        jobs = self._jobs()
        shown: defaultdict[str | None, int] = defaultdict(int)
        for parent in self._parents.values():
            shown[parent] += 1
        nodes = []
        for key, parent in self._parents.items():
            job = jobs.get(key)
            total = sum(c.total for c in self._families[key].children.values())
            nodes.append(
                FlowNode(
                    relative=relative_of(self._reader, key),
                    parent_key=parent,
                    name="" if job is None else job.labels.get("model") or job.name,
                    state=None if job is None else job.state,
                    hidden_children=max(0, total - shown[key]),
                )
            )
        top = self._families[self._way[-1]].parent
        return Flow(nodes=tuple(nodes), has_hidden_parent=top is not None)

    def _jobs(self) -> Mapping[str, Job | None]:
        """Read names and states, one round trip a queue."""
        by_queue: defaultdict[str, list[Relative]] = defaultdict(list)
        for key in self._parents:
            one = relative_of(self._reader, key)
            by_queue[key.removesuffix(f":{one.id}")].append(one)
        found: dict[str, Job | None] = {}
        for base, relatives in by_queue.items():
            found.update(self._jobs_of(base, relatives))
        return found

    def _jobs_of(
        self, base: str, relatives: Sequence[Relative]
    ) -> Iterable[tuple[str, Job | None]]:
        queue = relatives[0].queue
        try:
            reader = JobReader(
                self._reader.redis,
                queue,
                base.removesuffix(f":{queue}"),
                clock=self._reader.clock,
            )
            jobs = reader.jobs([one.id for one in relatives], ("label:model", "state"))
        except QueueConnectionError:
            raise
        except (ConfigurationError, QueueError):
            if relatives[0].is_here:
                raise
            return []
        return zip((one.key for one in relatives), jobs, strict=True)
