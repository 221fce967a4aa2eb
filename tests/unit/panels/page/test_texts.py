from __future__ import annotations

import re
from pathlib import Path

import pytest

import myia_sdk.panels
from myia_sdk.panels.page import choose_language, script, translate
from myia_sdk.panels.page.assets import SCRIPTS, STATIC
from myia_sdk.panels.page.texts import LANGUAGES, catalogue
from myia_sdk.panels.permissions import Action
from myia_sdk.queue.jobs import JobState

PACKAGE = Path(myia_sdk.panels.__file__).parent
PLACES = re.compile(r"\{(\w+)\}")
#: Actions that the monitor offers as buttons.
BUTTONS = set(Action) - {
    "submit",
    "priority",
    "concurrency",
    "rate_limit",
    "unschedule",
}


def used_keys() -> set[str]:
    keys = set()
    for path in PACKAGE.rglob("*.js"):
        keys |= set(re.findall(r"""\bt\(["']([a-z_.]+)["']""", path.read_text()))
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "served").rglob("*.py")]:
        text = path.read_text()
        keys |= set(re.findall(r"""\bsay\(\s*["']([a-z_.]+)["']""", text))
        keys |= set(re.findall(r"""translate\(\w+, ["']([a-z_.]+)["']""", text))
    return keys


def test_every_key_in_the_code_has_a_text():
    assert used_keys() <= set(catalogue("en"))


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_has_the_same_keys_and_places(language):
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    for key, text in english.items():
        assert set(PLACES.findall(text)) == set(PLACES.findall(other[key])), key


def test_words_built_from_names_exist():
    keys = {f"state.{state.value}" for state in JobState}
    keys |= {f"action.{action}" for action in BUTTONS}
    keys |= {f"confirm.{a}" for a in ("cancel", "remove", "clean", "drain")}
    assert keys <= set(catalogue("en"))


def test_portuguese_is_really_translated():
    english, portuguese = catalogue("en"), catalogue("pt-BR")
    same = [key for key in english if english[key] == portuguese[key]]
    assert len(same) < 0.1 * len(english), same


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("en", "en"), ("pt", "pt-BR"), ("pt-BR", "pt-BR"), ("de", "en")],
)
def test_the_setting_chooses_the_language(setting, expected):
    assert choose_language(setting) == expected


def test_without_a_setting_the_locale_chooses(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "pt_BR.UTF-8")
    assert choose_language() == "pt-BR"
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert choose_language() == "en"


def test_values_are_filled_in_literally():
    text = translate("en", "empty.search", query="{count} <b>")
    assert text == "Nothing found for “{count} <b>”."
    assert translate("en", "no.such.key") == "no.such.key"


def test_the_script_is_all_parts_and_one_module():
    assert {path.name for path in STATIC.glob("*.js")} == set(SCRIPTS)
    assert script().count("export default") == 1
    assert "import " not in re.sub(r"//.*", "", script())


def test_the_script_never_parses_text_as_html():
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function("):
        assert word not in script()
