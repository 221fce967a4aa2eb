"""Plots: what they compute, exactly; what they draw, by its texts and artists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO

import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")

from matplotlib import pyplot as plt

from myia_sdk import plots
from myia_sdk.certification.checks import Threshold
from myia_sdk.colors import OUTCOME_COLORS, RESULT_COLORS
from myia_sdk.errors import ConfigurationError
from myia_sdk.frames import (
    calibration_frame,
    certificates_frame,
    checks_frame,
    jobs_frame,
    samples_frame,
)
from myia_sdk.plots.canvas import nice_bin, shortened, words
from myia_sdk.plots.scores import relative
from myia_sdk.queue.jobs import JobState
from tests.helpers.frame_records import NOW, make_check, make_job, make_report


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    plt.close("all")
    yield
    plt.close("all")


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def job(job_id: str, created: float, start: float | None, end: float | None, **over):
    unfinished = JobState.WAITING if start is None else JobState.ACTIVE
    state = unfinished if end is None else JobState.COMPLETED
    return make_job(
        job_id,
        **{
            "state": state,
            "created_at": NOW + seconds(created),
            "processed_at": None if start is None else NOW + seconds(start),
            "finished_at": None if end is None else NOW + seconds(end),
            **over,
        },
    )


def some_jobs() -> pd.DataFrame:
    nothing = {"verdict": None, "score": None, "rating": None}
    bad = {"verdict": "failed", "score": "20", "rating": "F"}
    return jobs_frame(
        [
            job("a", 0, 1, 4),
            job("b", 0, 1, 6, labels=bad),
            job("c", 0, 4, 9, labels={"suite": "mini", "region": "us-east-1"}),
            job("d", 2, 6, 8, state=JobState.FAILED, attempts_made=3, failed_reason="x",
                labels={**nothing, "category": "TIMEOUT", "model": "tree"}),
            job("e", 3, 9, None, labels=nothing),
            job("f", 5, None, None, labels=nothing),
        ],
        as_of=NOW + seconds(12),
    )  # fmt: skip


def some_checks() -> pd.DataFrame:
    latency = Threshold(comparator="<=", passed=100, warned=200)
    return checks_frame(
        [
            (
                "j1",
                make_report(
                    make_check(),
                    make_check("latency", value=150, threshold=latency, unit="ms",
                               outcome="warned", ci_low=None, ci_high=None),
                    make_check("ttft", outcome="error", value=None, threshold=None,
                               ci_low=None, ci_high=None, category="TIMEOUT"),
                ),
            )
        ]
    )  # fmt: skip


def other_checks() -> pd.DataFrame:
    worse = make_check(value=0.6, ci_low=0.5, ci_high=0.7, outcome="failed")
    return checks_frame([("j2", make_report(worse, make_check("new")))])


def some_bins() -> pd.DataFrame:
    bins = [
        {"low": 0.4, "high": 0.5, "count": 10, "confidence": 0.45, "accuracy": 0.4},
        {"low": 0.5, "high": 0.6, "count": 0, "confidence": 0.0, "accuracy": 0.0},
        {"low": 0.9, "high": 1.0, "count": 30, "confidence": 0.95, "accuracy": 0.9},
    ]
    check = make_check("calibration", details={"bins": bins})
    return calibration_frame([("j1", make_report(check))])


def some_samples() -> pd.DataFrame:
    return samples_frame(
        [("j1", {"first_text_ms": 100 + i, "elapsed_ms": 5000 + i}) for i in range(20)]
    )


def certificates() -> pd.DataFrame:
    row = {
        "id": "c", "model": "m", "region": None, "suite": "s", "score": 84.2,
        "verdict": "certified", "rating": "B", "issued_at": NOW.isoformat(),
    }  # fmt: skip
    return certificates_frame([row])


PLOTS = {
    "throughput": (plots.plot_throughput, [some_jobs]),
    "depth": (plots.plot_depth, [some_jobs]),
    "oldest_waiting": (plots.plot_oldest_waiting, [some_jobs]),
    "durations": (plots.plot_durations, [some_jobs]),
    "waiting": (plots.plot_waiting, [some_jobs]),
    "timeline": (plots.plot_timeline, [some_jobs]),
    "verdicts": (plots.plot_verdicts, [some_jobs]),
    "certificates": (plots.plot_verdicts, [certificates]),
    "failures": (plots.plot_failures, [some_jobs]),
    "scores": (plots.plot_scores, [some_checks]),
    "comparison": (plots.plot_comparison, [some_checks, other_checks]),
    "calibration": (plots.plot_calibration, [some_bins]),
    "latency": (plots.plot_latency, [some_samples]),
}


def colors_of(ax) -> list[str]:
    return [mpl.colors.to_hex(patch.get_facecolor()).upper() for patch in ax.patches]


def texts_of(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("name", PLOTS)
def test_plot_is_labelled_and_renders_without_touching_global_style(name: str) -> None:
    plot, makers = PLOTS[name]
    frames = [make() for make in makers]
    before = [frame.copy(deep=True) for frame in frames]
    style = dict(mpl.rcParams)
    ax = plot(*frames)
    assert ax.get_title() or ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    ax.figure.savefig(BytesIO())
    assert dict(mpl.rcParams) == style
    for frame, copy in zip(frames, before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize("name", PLOTS)
def test_empty_frame_gives_labelled_axes_that_say_why(name: str) -> None:
    plot, makers = PLOTS[name]
    ax = plot(*(make().iloc[:0] for make in makers))
    assert ax.get_title() or ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert texts_of(ax)[0].startswith("no ")
    ax.figure.savefig(BytesIO())


@pytest.mark.parametrize("name", PLOTS)
def test_plot_draws_where_it_is_told_and_makes_no_figure(name: str) -> None:
    plot, makers = PLOTS[name]
    _, (left, right) = plt.subplots(1, 2)
    plt.sca(left)
    assert plot(*(make() for make in makers), ax=right) is right
    assert plt.gca() is left
    assert len(plt.get_fignums()) == 1
    assert not left.has_data()


@pytest.mark.parametrize("name", sorted({*PLOTS} - {"verdicts", "certificates"}))
def test_dark_style_keeps_texts_and_marks_readable(name: str) -> None:
    plot, makers = PLOTS[name]
    with plt.style.context("dark_background"):
        ax = plot(*(make() for make in makers))
        for text in ax.texts:
            assert mpl.colors.to_hex(text.get_color()) == "#ffffff"
        for line in ax.lines:
            assert mpl.colors.to_hex(line.get_color()) != "#000000"


def test_throughput_counts_by_result_and_keeps_idle_periods() -> None:
    data = plots.throughput_data(some_jobs(), period="2s")
    assert list(data.columns) == list(RESULT_COLORS)
    assert data.index[0] == pd.Timestamp(NOW + seconds(4))
    assert data["certified"].tolist() == [1, 0, 1]
    assert data["failed"].tolist() == [0, 1, 0]
    assert data["not measured"].tolist() == [0, 0, 1]
    assert data.to_numpy().sum() == 4


def test_throughput_of_a_period_without_jobs_is_zero() -> None:
    frame = jobs_frame([job("a", 0, 0, 1), job("b", 0, 0, 61)])
    assert plots.throughput_data(frame, period="10s")["certified"].sum() == 2
    assert len(plots.throughput_data(frame, period="10s")) == 7


def test_throughput_legend_names_only_what_is_there() -> None:
    ax = plots.plot_throughput(some_jobs())
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["certified", "failed", "not measured"]
    assert RESULT_COLORS["certified"] in colors_of(ax)


def test_depth_follows_jobs_from_creation_to_end() -> None:
    data = plots.depth_data(some_jobs())
    at = ((data["at"] - pd.Timestamp(NOW)) / seconds(1)).tolist()
    assert at == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert data["waiting"].tolist() == [3, 1, 2, 3, 2, 3, 2, 2, 1]
    assert data["running"].tolist() == [0, 2, 2, 2, 2, 2, 2, 1, 1]
    oldest = (data["oldest"] / seconds(1)).tolist()
    assert oldest == [0, 1, 2, 3, 2, 3, 3, 5, 4]


def test_a_delayed_job_waits_from_the_end_of_its_delay() -> None:
    frame = jobs_frame([job("a", 0, None, None, delay=seconds(30))])
    assert plots.depth_data(frame)["at"].tolist() == [pd.Timestamp(NOW + seconds(30))]


def test_durations_are_grouped_by_suite_slowest_first() -> None:
    data = plots.spans_data(some_jobs(), "duration")
    assert data["suite"].tolist() == ["mini", *["classifier-baseline"] * 3]
    ax = plots.plot_durations(some_jobs())
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "mini",
        "classifier-baseline",
    ]
    assert "n = 3" in texts_of(ax)
    assert ax.get_xlabel() == "running time (s)"


def test_timeline_gives_overlapping_jobs_slots_of_their_own() -> None:
    data = plots.timeline_data(some_jobs())
    assert data["id"].tolist() == ["a", "b", "c", "d", "e"]
    assert data["slot"].tolist() == [1, 2, 1, 2, 1]
    assert data["result"].tolist()[-2:] == ["not measured", "running"]
    assert data["end"].iloc[-1] == pd.Timestamp(NOW + seconds(12))
    assert len(plots.plot_timeline(some_jobs()).patches) == 5


def test_verdicts_show_the_latest_of_each_cell() -> None:
    older = job(
        "old", 0, 1, 2, labels={"verdict": "failed", "score": "1", "rating": "F"}
    )
    frame = jobs_frame([job("new", 3, 4, 5), older, job("later", 6, None, None)])
    data = plots.verdicts_data(frame)
    assert data["result"].tolist() == ["certified"]
    assert texts_of(plots.plot_verdicts(frame)) == ["A 92"]


def test_verdicts_name_what_has_no_model_or_region() -> None:
    frame = jobs_frame([job("a", 0, 1, 2, labels={"model": None, "region": None})])
    row = plots.verdicts_data(frame).iloc[0]
    assert (row["model"], row["region"]) == ("(none)", "(none)")


def test_failures_count_jobs_and_retries_by_category() -> None:
    cancelled = job("x", 0, 1, 2, state=JobState.FAILED, failed_reason="cancelled",
                    labels={"verdict": None})  # fmt: skip
    recovered = job("y", 0, 1, 2, attempts_made=2)
    frame = pd.concat([some_jobs(), jobs_frame([cancelled, recovered])])
    assert plots.failures_data(frame).to_dict("list") == {
        "category": ["TIMEOUT", "cancelled", "(recovered)"],
        "failed": [1, 1, 0],
        "retries": [2, 0, 1],
    }


@pytest.mark.parametrize(
    ("value", "passed", "comparator", "place"),
    [
        (0.84, 0.7, ">=", 1.2),
        (50, 100, "<=", 2.0),
        (200, 100, "<=", 0.5),
        (0, 100, "<", 2.0),
        (9, 1, ">", 2.0),
        (-1, 0.5, ">=", 0.0),
        (0, 0, "<=", 1.0),
        (0.1, 0, "<=", 0.9),
        (0.1, 0, ">", 1.1),
        (-0.2, -0.1, ">", 0.9),
    ],
)
def test_relative_place(value, passed, comparator, place) -> None:
    assert relative(value, passed, comparator) == pytest.approx(place)


def test_scores_place_value_interval_and_warning() -> None:
    data = plots.scores_data(some_checks())
    first, second, third = (data.iloc[i] for i in range(3))
    assert first["place"] == pytest.approx(0.92 / 0.85)
    assert (first["low"], first["high"]) == pytest.approx((0.88 / 0.85, 0.96 / 0.85))
    assert first["warned"] == pytest.approx(0.8 / 0.85)
    assert second["place"] == pytest.approx(100 / 150)
    assert second["text"] == "150 ms  (needs ≤ 100)"
    assert pd.isna(third["place"])
    assert third["text"] == "error: TIMEOUT"
    assert "error: TIMEOUT" in texts_of(plots.plot_scores(some_checks()))


def test_scores_of_several_reports_share_rows() -> None:
    both = pd.concat([some_checks(), other_checks()], ignore_index=True)
    ax = plots.plot_scores(both)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["performance", "latency", "ttft", "new"]


def test_comparison_keeps_checks_that_one_report_lacks() -> None:
    data = plots.comparison_data(some_checks(), other_checks())
    assert data["check"].tolist() == ["performance", "latency", "ttft", "new"]
    assert data["after"].isna().tolist() == [False, True, True, False]
    texts = texts_of(plots.plot_comparison(some_checks(), other_checks()))
    assert "passed → failed" in texts
    assert "absent → passed" in texts


def test_calibration_leaves_empty_bins_out_and_adds_wilson_intervals() -> None:
    data = plots.calibration_data(some_bins())
    assert data["count"].tolist() == [10, 30]
    assert data["share"].tolist() == [0.25, 0.75]
    # Wilson's interval of 4 in 10, as statsmodels computes it.
    assert data["ci_low"][0] == pytest.approx(0.168180, abs=1e-6)
    assert data["ci_high"][0] == pytest.approx(0.687326, abs=1e-6)
    ax = plots.plot_calibration(some_bins())
    assert ax.get_title() == "Calibration (ECE 0.050, n = 40)"


def test_latency_marks_median_and_95th_percentile() -> None:
    data = plots.latency_data(some_samples())
    first = data[data["measure"] == "first token"]
    assert first["share"].tolist() == [i / 20 for i in range(1, 21)]
    legend = plots.plot_latency(some_samples()).get_legend()
    assert "p50 0.11 s, p95 0.118 s" in legend.get_texts()[0].get_text()


def test_latency_without_first_tokens_draws_the_rest() -> None:
    frame = samples_frame([("j", {"elapsed_ms": 10})])
    legend = plots.plot_latency(frame).get_legend()
    assert len(legend.get_texts()) == 1


@pytest.mark.parametrize(
    ("span", "width"),
    [("0s", "100ms"), ("39s", "1s"), ("41s", "5s"), ("3h", "5min"), ("9000D", "28D")],
)
def test_bins_are_round_and_few(span: str, width: str) -> None:
    start = pd.Timestamp(NOW)
    assert nice_bin(start, start + pd.Timedelta(span)) == pd.Timedelta(width)


def test_widths_are_read_as_people_say_them() -> None:
    spans = ["100ms", "5s", "15min", "3h", "7D"]
    said = ["0.1 s", "5 s", "15 min", "3 h", "7 d"]
    assert [words(pd.Timedelta(span)) for span in spans] == said


def test_outcomes_have_their_own_marker_beside_the_color() -> None:
    ax = plots.plot_scores(some_checks())
    labels = {c.get_label() for c in ax.collections if c.get_label() in OUTCOME_COLORS}
    assert labels == {"passed", "warned"}


def test_checks_without_threshold_or_value_say_what_they_found() -> None:
    bare = {"threshold": None, "ci_low": None, "ci_high": None}
    frame = checks_frame(
        [
            (
                "j1",
                make_report(
                    make_check("latency", value=3.0, unit="ms", **bare),
                    make_check("schema", value=None, **bare),
                ),
            )
        ]
    )
    assert plots.scores_data(frame)["text"].tolist() == ["3 ms", "passed"]
    assert texts_of(plots.plot_scores(frame)) == ["3 ms", "passed"]


def test_durations_far_apart_take_a_logarithmic_axis() -> None:
    frame = jobs_frame([job("a", 0, 0, 1), job("b", 0, 0, 4000)])
    ax = plots.plot_durations(frame)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "running time (minutes)"


def test_many_jobs_of_a_suite_are_drawn_as_a_box_only() -> None:
    frame = jobs_frame([job(f"j{i}", 0, 0, 1 + i) for i in range(301)])
    assert not plots.plot_durations(frame).collections


def test_many_slots_keep_their_numbers_instead_of_names() -> None:
    frame = jobs_frame([job(f"j{i}", 0, 0, 9) for i in range(45)])
    ax = plots.plot_timeline(frame)
    assert len(ax.patches) == 45
    assert not any("host" in label.get_text() for label in ax.get_yticklabels())


@pytest.mark.parametrize(
    "draw",
    [
        plots.plot_throughput,
        plots.plot_depth,
        plots.plot_oldest_waiting,
        plots.plot_durations,
        plots.plot_waiting,
        plots.plot_timeline,
        plots.plot_verdicts,
        plots.plot_failures,
        plots.plot_scores,
        plots.plot_calibration,
        plots.plot_latency,
        lambda frame: plots.plot_comparison(some_checks(), frame),
    ],
)
@pytest.mark.parametrize("wrong", [5, "job-1", [], pd.DataFrame({"job": ["a"]})])
def test_what_is_no_frame_of_ours_is_refused_by_its_columns(draw, wrong):
    with pytest.raises(ConfigurationError, match=r"client\.\w+\("):
        draw(wrong)


@pytest.mark.parametrize("period", ["soon", "-1min", 0, float("nan"), [1], "1us"])
def test_period_that_is_none_is_refused(period):
    with pytest.raises(ConfigurationError, match="15min"):
        plots.plot_throughput(some_jobs(), period=period)


def test_long_names_keep_vendor_and_version():
    (name,) = shortened(["anthropic.a-model-with-a-very-long-name-20260101-v2:0"])
    assert len(name) == 28
    assert name.startswith("anthropic.")
    assert name.endswith("20260101-v2:0"[1:])
