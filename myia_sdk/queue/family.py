"""The flow a job belongs to: the job that waits for it, and those it waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    """

    key: str
    id: str
    is_here: bool


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
    keys = reader.keys
    key, pending = keys.job(job_id), keys.dependencies(job_id)
    processed = keys.processed(job_id)
    ignored, unsuccessful = f"{key}:failed", f"{key}:unsuccessful"
    answers: list[Any] = reader.batch(
        [
            ("HGET", key, "parentKey"),
            ("HRANDFIELD", processed, limit),
            ("HLEN", processed),
            ("SRANDMEMBER", pending, limit),
            ("SCARD", pending),
            ("HRANDFIELD", ignored, limit),
            ("HLEN", ignored),
            ("ZRANGE", unsuccessful, 0, limit - 1),
            ("ZCARD", unsuccessful),
        ],
        transaction=True,
    )
    parent, done, done_total, left, left_total, *failed = answers
    base = keys.base
    return Family(
        parent=_relative(parent, base) if parent else None,
        children={
            "processed": _children(done, done_total, base),
            "pending": _children(left, left_total, base),
            "failed": _children(
                [*failed[0], *failed[2]][:limit], failed[1] + failed[3], base
            ),
        },
    )


def _children(keys: Iterable[str], total: int, base: str) -> Children:
    return Children(tuple(_relative(key, base) for key in sorted(keys)), total)


def _relative(key: str, base: str) -> Relative:
    is_here = key.startswith(base)
    job_id = key.removeprefix(base) if is_here else key.rpartition(":")[2]
    return Relative(key, job_id, is_here)
