"""Frames drawn with matplotlib: every function takes a frame and returns its Axes.

Each plot is a pure ``*_data`` function, which computes what is shown, and a
``plot_*`` function, which draws it. None touches global style; colours come from
`myia_sdk.colors` and never speak alone.
"""

from __future__ import annotations

from myia_sdk.plots.calibration import calibration_data, plot_calibration
from myia_sdk.plots.comparison import comparison_data, plot_comparison
from myia_sdk.plots.depth import depth_data, plot_depth, plot_oldest_waiting
from myia_sdk.plots.durations import plot_durations, plot_waiting, spans_data
from myia_sdk.plots.failures import failures_data, plot_failures
from myia_sdk.plots.latency import latency_data, plot_latency
from myia_sdk.plots.scores import plot_scores, scores_data
from myia_sdk.plots.throughput import plot_throughput, throughput_data
from myia_sdk.plots.timeline import plot_timeline, timeline_data
from myia_sdk.plots.verdicts import plot_verdicts, verdicts_data

__all__ = [
    "calibration_data",
    "comparison_data",
    "depth_data",
    "failures_data",
    "latency_data",
    "plot_calibration",
    "plot_comparison",
    "plot_depth",
    "plot_durations",
    "plot_failures",
    "plot_latency",
    "plot_oldest_waiting",
    "plot_scores",
    "plot_throughput",
    "plot_timeline",
    "plot_verdicts",
    "plot_waiting",
    "scores_data",
    "spans_data",
    "throughput_data",
    "timeline_data",
    "verdicts_data",
]
