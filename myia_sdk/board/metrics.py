"""The queue and its workers in Prometheus' text format, without its library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from myia_sdk.queue.jobs import JobState
from myia_sdk.queue.store import QueueAdministration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from myia_sdk.queue.store import JobStore


class Metric(NamedTuple):
    """One metric with its samples."""

    name: str
    kind: str
    help: str
    samples: list[tuple[Mapping[str, str], float]]


def exposition(metrics: Iterable[Metric]) -> str:
    """Return the text format, version 0.0.4.

    Parameters
    ----------
    metrics : iterable of Metric
        Names are unique; label values may be any text.
    """
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in metric.samples:
            lines.append(f"{metric.name}{_labels(labels)} {value:g}")
    return "\n".join([*lines, ""])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{k}="{_escape(v)}"' for k, v in labels.items()) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def queue_metrics(store: JobStore) -> str:
    """Return the metrics of a queue: five short reads of the server.

    Parameters
    ----------
    store : JobStore
        The queue.

    Raises
    ------
    QueueConnectionError
        The server does not answer.
    """
    administration = QueueAdministration(store)
    queue = {"queue": store.queue}
    counts = store.counts()
    ended = {
        state: administration.metrics(state, 0, 0).count
        for state in (JobState.COMPLETED, JobState.FAILED)
    }
    return exposition(
        [
            Metric(
                "myia_queue_jobs",
                "gauge",
                "Jobs by state.",
                [({**queue, "state": s.value}, counts[s]) for s in JobState],
            ),
            Metric(
                "myia_queue_oldest_waiting_seconds",
                "gauge",
                "Age of the job that waits longest; 0 when none waits.",
                [(queue, _oldest_age(store, counts))],
            ),
            Metric(
                "myia_queue_ended_total",
                "counter",
                "Jobs that ended since counting began.",
                [({**queue, "state": s.value}, n) for s, n in ended.items()],
            ),
            Metric(
                "myia_queue_paused",
                "gauge",
                "1 when the queue is paused.",
                [(queue, float(store.is_paused()))],
            ),
            Metric(
                "myia_queue_workers",
                "gauge",
                "Workers connected to the queue.",
                [(queue, len(administration.workers()))],
            ),
        ]
    )


def _oldest_age(store: JobStore, counts: Mapping[JobState, int]) -> float:
    if not counts[JobState.WAITING]:
        return 0.0
    first = store.page(JobState.WAITING, 0, 0, newest_first=False)
    if not first or first[0].created_at is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - first[0].created_at).total_seconds())


def worker_metrics(health: Mapping[str, Any]) -> str:
    """Return the metrics of one worker; no I/O.

    Parameters
    ----------
    health : mapping
        What ``BullConsumer.health()`` returns.
    """
    worker = {"worker": str(health.get("worker", ""))}
    age = health.get("seconds_since_claim")
    return exposition(
        [
            Metric(
                "myia_worker_alive",
                "gauge",
                "1 while the worker claims jobs or has its slots full.",
                [(worker, float(bool(health.get("is_alive"))))],
            ),
            Metric(
                "myia_worker_slots",
                "gauge",
                "Jobs the worker can run at once.",
                [(worker, float(health.get("slots", 0)))],
            ),
            Metric(
                "myia_worker_running",
                "gauge",
                "Jobs the worker runs now.",
                [(worker, float(len(health.get("running", ()))))],
            ),
            Metric(
                "myia_worker_seconds_since_claim",
                "gauge",
                "Age of the claim loop's last round; absent while all slots are full.",
                [] if age is None else [(worker, float(age))],
            ),
            Metric(
                "myia_worker_server_up",
                "gauge",
                "1 while the queue's server answers the worker.",
                [(worker, float(bool(health.get("is_redis_up"))))],
            ),
        ]
    )
