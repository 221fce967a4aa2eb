"""The flow around a job: its parents, the jobs it waits for, and the tree of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from myia_sdk.errors import ConfigurationError, QueueConnectionError, QueueError
from myia_sdk.queue.store.read import JobReader, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from myia_sdk.queue.jobs import Job, JobState

#: Ids read of each kind of children; flows of BullMQ can have thousands.
CHILDREN_LIMIT = 50


class Relative(NamedTuple):
    """A job of a flow, which may live in another queue.

    Attributes
    ----------
    key : str
        Full key of the job.
    id : str
        Its id.
    is_here : bool
        Whether it is in the queue that was asked.
    queue : str
        Name of its queue.
    """

    key: str
    id: str
    is_here: bool
    queue: str


class Children(NamedTuple):
    """Children of one kind: some of them, and how many there are."""

    shown: tuple[Relative, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Parent and children of a job, as one round trip found them."""

    parent: Relative | None = None
    #: Children by what became of them: ``processed``, ``pending``, ``failed``.
    children: Mapping[str, Children] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """Whether the job has neither a parent nor children."""
        return self.parent is None and not any(c.total for c in self.children.values())

    def ids(self) -> frozenset[str]:
        """Return the ids of the relatives in the same queue."""
        found = [one for part in self.children.values() for one in part.shown]
        if self.parent is not None:
            found.append(self.parent)
        return frozenset(one.id for one in found if one.is_here)


def read_family(
    reader: JobReader, job_id: str, *, limit: int = CHILDREN_LIMIT
) -> Family:
    """Read parent and children of a job, in one round trip.

    Parameters
    ----------
    reader : JobReader
        The queue.
    job_id : str
        The job; one that does not exist has no relatives.
    limit : int, default 50
        Most ids of each kind of children; beyond it the server chooses any.

    Returns
    -------
    Family
        Children without their results, which may be large.
    """
    return read_families(reader, [reader.keys.job(job_id)], limit=limit)[0]


def read_families(
    reader: JobReader, keys: Sequence[str], *, limit: int = CHILDREN_LIMIT
) -> list[Family]:
    """Read the relatives of several jobs of any queues, in one round trip.

    Parameters
    ----------
    reader : JobReader
        A queue on the server; relatives in it are *here*.
    keys : sequence of str
        Full keys of the jobs.
    limit : int, default 50
        As for :func:`read_family`.
    """
    commands = [command for key in keys for command in _commands(key, limit)]
    # Of one job all at one moment; jobs of several queues may be on several servers.
    answers = reader.batch(commands, transaction=len(keys) == 1)
    return [_family(reader, some) for some in chunks(answers, _COMMANDS)]


def relative_of(reader: JobReader, key: str) -> Relative:
    """Return what the full key of a job tells about it.

    Ids of scheduled jobs hold colons, names of queues do not.
    """
    base = reader.keys.base
    if key.startswith(base):
        return Relative(key, key.removeprefix(base), is_here=True, queue=reader.queue)
    ours = f"{reader.prefix}:"
    rest = key.removeprefix(ours) if key.startswith(ours) else key.partition(":")[2]
    queue, _, job_id = rest.partition(":")
    return Relative(key, job_id, is_here=False, queue=queue)


#: Commands that :func:`_commands` makes for a job.
_COMMANDS = 9


def _commands(key: str, limit: int) -> list[tuple[str | float, ...]]:
    pending, processed = f"{key}:dependencies", f"{key}:processed"
    ignored, unsuccessful = f"{key}:failed", f"{key}:unsuccessful"
    return [
        ("HGET", key, "parentKey"),
        ("HRANDFIELD", processed, limit),
        ("HLEN", processed),
        ("SRANDMEMBER", pending, limit),
        ("SCARD", pending),
        ("HRANDFIELD", ignored, limit),
        ("HLEN", ignored),
        ("ZRANGE", unsuccessful, 0, limit - 1),
        ("ZCARD", unsuccessful),
    ]


def _family(reader: JobReader, answers: Sequence[Any]) -> Family:
    parent, done, done_total, left, left_total, *failed = answers
    ignored, ignored_total, fatal, fatal_total = failed
    return Family(
        parent=relative_of(reader, parent) if parent else None,
        children={
            "processed": _children(reader, sorted(done), done_total),
            "pending": _children(reader, sorted(left), left_total),
            "failed": _children(
                reader, sorted({*ignored, *fatal}), ignored_total + fatal_total
            ),
        },
    )


def _children(reader: JobReader, keys: Iterable[str], total: int) -> Children:
    return Children(tuple(relative_of(reader, key) for key in keys), total)


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
