"""The flow a job belongs to: the job that waits for it, and those it waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from myia_sdk.queue.reading import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from myia_sdk.queue.reading import JobReader

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
