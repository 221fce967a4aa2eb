"""The log of samples: every prompt, answer, latency and retry of a run."""

from __future__ import annotations

import gzip
import json
from threading import Lock
from typing import TYPE_CHECKING

from myia_sdk.certification.request import JSON, json_safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from myia_sdk.certification.data.artifacts import ArtifactStore


class SampleLog:
    """Collects records of single requests or rows; safe to share between threads.

    Parameters
    ----------
    max_samples : int
        Samples kept; those beyond are counted and dropped.
    hidden : iterable of str
        Secrets of the run: an endpoint may repeat one in its answer, the log does not.
    """

    def __init__(self, max_samples: int = 20_000, hidden: Iterable[str] = ()) -> None:
        self.max_samples = max_samples
        self._hidden = tuple(secret for secret in hidden if secret)
        self.dropped = 0
        self._samples: list[dict[str, JSON]] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._samples)

    def append(self, check: str, sample: Mapping[str, object]) -> dict[str, JSON]:
        """Keep one sample of a check.

        Returns
        -------
        dict
            The record that is kept, for what is found out about it later.
        """
        record = {"check": check, **{k: json_safe(v) for k, v in sample.items()}}
        with self._lock:
            if len(self._samples) < self.max_samples:
                self._samples.append(record)
            else:
                self.dropped += 1
        return record

    def to_bytes(self) -> bytes:
        """Return the samples as gzip-compressed JSON lines, grouped by check.

        The same samples give the same bytes: the sort by check is stable and the
        compressed file carries no time.
        """
        with self._lock:
            ordered = sorted(self._samples, key=lambda sample: str(sample["check"]))
        lines = (json.dumps(sample, ensure_ascii=False) for sample in ordered)
        text = "".join(f"{line}\n" for line in lines)
        for secret in self._hidden:
            text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], "***")
        return gzip.compress(text.encode("utf-8", "surrogatepass"), mtime=0)

    def store(self, artifacts: ArtifactStore) -> dict[str, JSON] | None:
        """Put the log into the artifact store; ``None`` when it is empty."""
        if not self._samples:
            return None
        return {
            "artifact": artifacts.put_bytes(self.to_bytes()),
            "format": "jsonl.gz",
            "samples": len(self._samples),
            "dropped": self.dropped,
        }


def read_samples(content: bytes) -> Iterator[dict[str, JSON]]:
    """Yield the samples of a stored log."""
    text = gzip.decompress(content).decode("utf-8", "surrogatepass")
    for line in text.splitlines():
        yield json.loads(line)
