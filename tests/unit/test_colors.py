"""The palette is seen on light and dark, and told apart by everybody."""

from itertools import combinations

import numpy as np
import pytest

from myia_sdk import colors
from myia_sdk.certification.checks import Outcome
from myia_sdk.certification.verdict import Verdict
from myia_sdk.queue.jobs import JobState

PALETTES = {
    "states": dict(colors.STATE_COLORS),
    "outcomes": dict(colors.OUTCOME_COLORS),
    "verdicts": dict(colors.VERDICT_COLORS),
    "results": dict(colors.RESULT_COLORS),
    "series": dict(enumerate(colors.SERIES_COLORS)),
}
#: Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(color: str) -> np.ndarray:
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("vision", VISIONS)
def test_members_of_a_palette_stay_apart(name: str, vision: str) -> None:
    matrix = VISIONS[vision]
    seen = {word: lab(matrix @ linear(color)) for word, color in PALETTES[name].items()}
    distances = {
        (a, b): float(np.linalg.norm(seen[a] - seen[b]))
        for a, b in combinations(seen, 2)
    }
    assert min(distances.values()) > 10, min(distances, key=distances.__getitem__)


@pytest.mark.parametrize("background", ["#ffffff", "#111111"])
def test_every_color_has_contrast_on_light_and_dark(background: str) -> None:
    other = colors.relative_luminance(background)
    for palette in PALETTES.values():
        for color in palette.values():
            low, high = sorted((colors.relative_luminance(color), other))
            assert (high + 0.05) / (low + 0.05) >= 3.0, color


def test_every_word_has_a_color() -> None:
    assert set(colors.STATE_COLORS) == {state.value for state in JobState}
    assert set(colors.OUTCOME_COLORS) == {outcome.value for outcome in Outcome}
    assert set(colors.VERDICT_COLORS) == {verdict.value for verdict in Verdict}


def test_text_on_a_color_reads_well() -> None:
    for palette in PALETTES.values():
        for color in palette.values():
            ink = colors.relative_luminance(colors.text_color_on(color))
            low, high = sorted((colors.relative_luminance(color), ink))
            assert (high + 0.05) / (low + 0.05) >= 4.5, color


def test_palettes_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        colors.STATE_COLORS["active"] = "#000000"  # type: ignore[index]
