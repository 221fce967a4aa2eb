"""``client.plot``: reads what a plot needs and draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from myia_sdk.client.handle import JobsLike
    from myia_sdk.client.reader import Reader

#: Jobs read for a plot when none are given: more points than a screen can show.
LIMIT = 10_000
#: What plots of a queue look at.
COLUMNS = (
    *("state", "model", "suite", "region", "verdict", "score", "rating"),
    *("error_category", "created_at", "processed_at", "finished_at", "waited"),
    *("duration", "delay", "attempts_made", "worker", "reason"),
)


class Plots:
    """Plots of a queue and its certifications; each returns matplotlib Axes.

    Plots of jobs take a frame, such as ``client.jobs(batch=...)`` or one that you
    filtered; without one they read the newest 10,000 jobs. Every method takes ``ax``,
    to draw into a figure of your own.

    Parameters
    ----------
    reader : Reader
        What to read.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __repr__(self) -> str:
        names = [name for name in vars(type(self)) if not name.startswith("_")]
        return f"Plots({', '.join(names)})"

    def throughput(
        self,
        jobs: pd.DataFrame | None = None,
        *,
        period: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw finished jobs per period, stacked by result.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        period : str, optional
            Width of a bar, such as ``"15min"``; chosen to fit by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_throughput

        return plot_throughput(self._jobs(jobs), period=period, ax=ax)

    def depth(
        self, jobs: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw how many jobs waited and ran, over time.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_depth

        return plot_depth(self._jobs(jobs), ax=ax)

    def oldest_waiting(
        self, jobs: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw how long the longest waiting job had waited, over time.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_oldest_waiting

        return plot_oldest_waiting(self._jobs(jobs), ax=ax)

    def durations(
        self, jobs: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw the distribution of running times by suite.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_durations

        return plot_durations(self._jobs(jobs), ax=ax)

    def waiting(
        self, jobs: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw the distribution of waiting times by suite.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_waiting

        return plot_waiting(self._jobs(jobs), ax=ax)

    def timeline(
        self, jobs: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw which slot of which worker ran which job, and when.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_timeline

        return plot_timeline(self._jobs(jobs), ax=ax)

    def verdicts(
        self, frame: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw the latest verdict of each model in each region.

        Parameters
        ----------
        frame : pandas.DataFrame, optional
            A jobs or certificates frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_verdicts

        return plot_verdicts(self._jobs(frame), ax=ax)

    def failures(
        self, jobs: pd.DataFrame | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw failed jobs and retries by category.

        Parameters
        ----------
        jobs : pandas.DataFrame, optional
            A jobs frame; the newest 10,000 jobs by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_failures

        return plot_failures(self._jobs(jobs), ax=ax)

    def scores(self, of: JobsLike, *, ax: Axes | None = None) -> Axes:
        """Draw the checks of a job (handle or id) against their thresholds.

        Parameters
        ----------
        of : JobHandle, str, Batch or several of them
            Finished certifications.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_scores

        return plot_scores(self._reader.checks(of), ax=ax)

    def comparison(
        self,
        before: JobsLike,
        after: JobsLike,
        *,
        labels: tuple[str, str] = ("before", "after"),
        ax: Axes | None = None,
    ) -> Axes:
        """Draw how the checks of one job differ from those of another.

        Parameters
        ----------
        before, after : JobHandle or str
            Finished certifications, as handles or ids.
        labels : tuple of str, default ("before", "after")
            What the legend calls them.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_comparison

        old, new = self._reader.checks(before), self._reader.checks(after)
        return plot_comparison(old, new, labels=labels, ax=ax)

    def calibration(self, of: JobsLike, *, ax: Axes | None = None) -> Axes:
        """Draw the reliability diagram of a classifier's job (handle or id).

        Parameters
        ----------
        of : JobHandle, str, Batch or several of them
            Finished certifications.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_calibration

        return plot_calibration(self._reader.calibration(of), ax=ax)

    def latency(self, of: JobsLike, *, ax: Axes | None = None) -> Axes:
        """Draw times to first token and to the whole answer of a chat job.

        Parameters
        ----------
        of : JobHandle, str, Batch or several of them
            Finished certifications.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        """
        from myia_sdk.plots import plot_latency

        return plot_latency(self._reader.samples(of), ax=ax)

    def _jobs(self, jobs: pd.DataFrame | None) -> pd.DataFrame:
        if jobs is not None:
            return jobs
        return self._reader.jobs(limit=LIMIT, columns=COLUMNS)
