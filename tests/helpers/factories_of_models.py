"""Models and a check that a worker would have installed, found by import path."""

from os import system
from threading import Lock

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from myia_sdk.certification.checks import CheckContext, Measurement, Threshold, check

__all__ = ["system"]

CALLS: list[dict[str, object]] = []
_LOCK = Lock()


def make_linear(strength: float = 1.0) -> LogisticRegression:
    CALLS.append({"strength": strength})
    X, y = load_iris(return_X_y=True)
    return LogisticRegression(C=strength, max_iter=1000).fit(X, y)


def make_rule():
    def by_petal(rows):
        return (rows[:, 2] > 2.5).astype(int) + (rows[:, 3] > 1.7)

    return by_petal


def make_parrot():
    def repeat(messages, parameters):
        return (piece + " " for piece in str(messages[-1]["content"]).split())

    return repeat


def make_nothing():
    return 3


def _make_private():
    return make_linear()


@check(
    "few-features",
    version="2.1.0",
    title="Few features",
    kinds=["classifier"],
    params={"most": 10},
    threshold=Threshold(comparator="<=", passed=10),
)
def few_features(context: CheckContext) -> Measurement:
    with _LOCK:
        width = context.dataset.features.width
    context.sample_log.append(context.check_id, {"width": width})
    return Measurement(value=width, n=1, message=f"{width} features")


@check("raises", version="1", title="Raises", kinds=["classifier"])
def raises(context: CheckContext) -> Measurement:
    raise RuntimeError("secret-looking but ours")


@check("says-nothing", version="1", title="Says nothing", kinds=["classifier"])
def says_nothing(context: CheckContext) -> Measurement:
    return Measurement(value=float("nan"))


@check("spends", version="1", title="Spends", kinds=["classifier"])
def spends(context: CheckContext) -> Measurement:
    context.budget.require()
    context.budget.spend(prompt_tokens=1_000_000)
    return Measurement(value=context.budget.cost)
