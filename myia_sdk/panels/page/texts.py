"""The texts of panels and of the served page, in English and Brazilian Portuguese."""

from __future__ import annotations

import locale
import os
import tomllib
from functools import cache
from pathlib import Path

#: Languages with a file in ``languages/``; the first is the fall-back.
LANGUAGES = ("en", "pt-BR")


@cache
def _load(language: str) -> dict[str, str]:
    path = Path(__file__).parent / "languages" / f"{language}.toml"
    with path.open("rb") as file:
        return {key: str(text) for key, text in tomllib.load(file).items()}


def catalogue(language: str) -> dict[str, str]:
    """Return all texts of a language by key; English for an unknown language.

    Parameters
    ----------
    language : str
        One of :data:`LANGUAGES`.
    """
    return _load(language if language in LANGUAGES else LANGUAGES[0])


def translate(language: str, key: str, **values: object) -> str:
    """Return one text with its ``{name}`` places filled.

    Parameters
    ----------
    language : str
        One of :data:`LANGUAGES`.
    key : str
        Key of the catalogue; an unknown one is returned as it is.
    **values : object
        What to fill in; taken literally, never as HTML.
    """
    text = catalogue(language).get(key, key)
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def choose_language(setting: str | None = None) -> str:
    """Return the language to show.

    Parameters
    ----------
    setting : str, optional
        ``MYIA_LANG``; without it the locale decides: any Portuguese one gives
        Brazilian Portuguese, everything else English.
    """
    wanted = setting or _locale_name()
    return "pt-BR" if wanted.lower().startswith("pt") else "en"


def _locale_name() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return os.environ[name]
    return locale.getlocale()[0] or ""
