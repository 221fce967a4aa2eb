"""Search by label, time and reason, through an index our own operations write."""

from __future__ import annotations

from myia_sdk.queue.reading import JobReader


class JobSearcher(JobReader):
    """A reader that can also search."""
