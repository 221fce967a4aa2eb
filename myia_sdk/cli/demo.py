"""The demonstration: three models, and what is expected of each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table
from rich.text import Text

from myia_sdk.client.wait import follow, progress_share
from myia_sdk.errors import JobFailedError, MissingExtraError, MyiaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from myia_sdk.certification.report import Report
    from myia_sdk.client import JobHandle
    from myia_sdk.facade import Client
    from myia_sdk.queue.jobs import Job

SUITE = "classifier-baseline"
REASONS = 3
STYLES = {"certified": "green", "quality_warning": "yellow", "failed": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """A fitted model with its test data."""

    name: str
    story: str
    model: Any
    dataset: Any
    #: Verdicts that are right for it.
    expected: tuple[str, ...]


class Demonstration:
    """Submits the models, shows the progress, and compares the verdicts.

    Parameters
    ----------
    client : Client
        A queue with a worker.
    console : Console
        Takes the tables.
    """

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console

    def run(self, exhibits: Sequence[Exhibit], timeout: float) -> bool:
        """Whether every verdict was the expected one."""
        handles: list[JobHandle] = []
        try:
            handles.extend(map(self._submit, exhibits))
            self._watch(exhibits, [handle.id for handle in handles], timeout)
        except BaseException:
            self._cancel(handles)
            raise
        return self._conclude(exhibits, handles)

    def _submit(self, exhibit: Exhibit) -> JobHandle:
        return self._client.submit(
            exhibit.model,
            suite=SUITE,
            dataset=exhibit.dataset,
            name=exhibit.name,
            tags=["demo"],
        )

    def _watch(
        self, exhibits: Sequence[Exhibit], ids: Sequence[str], timeout: float
    ) -> None:
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:

            def on_change(jobs: Mapping[str, Job]) -> None:
                live.update(_progress_table(exhibits, [jobs[i] for i in ids]))

            follow(self._client.queue, ids, timeout=timeout, on_change=on_change)

    def _cancel(self, handles: Sequence[JobHandle]) -> None:
        for handle in handles:
            # The next one may end or be out of reach; the interruption is what counts.
            with suppress(MyiaError):
                handle.cancel("the demonstration was interrupted")

    def _conclude(
        self, exhibits: Sequence[Exhibit], handles: Sequence[JobHandle]
    ) -> bool:
        table = Table(
            title="Verdicts", title_justify="left", show_lines=True, expand=True
        )
        table.add_column("model", ratio=2)
        table.add_column("verdict", no_wrap=True)
        table.add_column("why", ratio=4)
        verdicts = []
        for exhibit, handle in zip(exhibits, handles, strict=True):
            verdict, score, why = _outcome(handle)
            is_expected = verdict in exhibit.expected
            verdicts.append(is_expected)
            mark = "as expected" if is_expected else "NOT expected"
            table.add_row(
                Text.assemble((exhibit.name, "bold"), f"\n{exhibit.story}"),
                Text.assemble((verdict, STYLES.get(verdict, "")), f"\n{score}\n{mark}"),
                Text("\n".join(why)),
            )
        self._console.print(table)
        is_as_expected = all(verdicts)
        self._console.print(
            "Every verdict is the expected one."
            if is_as_expected
            else "A verdict is not the expected one; `myia doctor` looks for reasons."
        )
        return is_as_expected


def make_exhibits() -> tuple[Exhibit, ...]:
    """Fit the three models; takes about a second.

    Raises
    ------
    MissingExtraError
        scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_breast_cancer, load_digits
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.naive_bayes import GaussianNB
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.utils import shuffle
    except ImportError as error:
        raise MissingExtraError("sklearn", "the demonstration") from error

    def split(loader: Any) -> Any:
        X, y = loader(return_X_y=True, as_frame=True)  # noqa: N806
        return train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)

    X, X_test, y, y_test = split(load_breast_cancer)  # noqa: N806
    D, D_test, d, d_test = split(load_digits)  # noqa: N806
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    careless = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return (
        Exhibit(
            name="tumour-logistic",
            story="logistic regression, breast cancer",
            model=logistic.fit(X, y),
            dataset={"X": X_test, "y": y_test, "train": (X, y)},
            expected=("certified",),
        ),
        Exhibit(
            name="digits-naive-bayes",
            story="naive Bayes, handwritten digits",
            model=GaussianNB().fit(D, d),
            dataset={"X": D_test, "y": d_test, "train": (D, d)},
            expected=("certified", "quality_warning"),
        ),
        Exhibit(
            name="tumour-shuffled",
            story="the first model, trained on shuffled labels",
            model=careless.fit(X, shuffle(y, random_state=0)),
            dataset={"X": X_test, "y": y_test, "train": (X, y)},
            expected=("failed",),
        ),
    )


def _progress_table(exhibits: Sequence[Exhibit], jobs: Sequence[Job]) -> Table:
    table = Table(title="Certifying", title_justify="left")
    for column in ("model", "job", "state", "progress", "check"):
        table.add_column(column)
    for exhibit, job in zip(exhibits, jobs, strict=True):
        check = job.progress.get("check") if isinstance(job.progress, dict) else ""
        table.add_row(
            exhibit.name,
            job.id,
            str(job.state),
            f"{progress_share(job):.0%}",
            str(check or ""),
        )
    return table


def _outcome(handle: JobHandle) -> tuple[str, str, list[str]]:
    try:
        report = handle.report()
    except JobFailedError as error:
        return "not measured", "", [error.reason]
    score = f"score {report.score:.0f}, {report.rating}"
    return str(report.verdict), score, reasons(report)


def reasons(report: Report) -> list[str]:
    """Return why a verdict is what it is, and the worst checks."""
    from myia_sdk.certification.checks import Outcome

    worst = report.with_outcome(Outcome.FAILED) or report.with_outcome(Outcome.WARNED)
    said = " ".join(report.reasons[:1])
    lines = [
        f"{check.id}: {check.message}" for check in worst if check.message not in said
    ]
    return [*report.reasons[:1], *lines[:REASONS]]
