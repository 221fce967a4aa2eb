"""One row for each registered model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from myia_sdk.frames.columns import FLAG, TEXT, TIME, Column, build_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pandas as pd


class RegisteredModel(Protocol):
    """What the frame reads of an entry of the registry."""

    @property
    def name(self) -> str:
        """Name it is registered under."""
        ...

    @property
    def kind(self) -> str:
        """Which adapter speaks to it."""
        ...

    @property
    def model(self) -> Mapping[str, object]:
        """Record of its reference."""
        ...

    @property
    def suite(self) -> object:
        """Name of its suite, or the suite itself."""
        ...

    @property
    def dataset(self) -> object:
        """Record of its test data, if any."""
        ...

    @property
    def regions(self) -> Sequence[str]:
        """Where it is deployed."""
        ...

    @property
    def registered_at(self) -> datetime:
        """When it was registered last."""
        ...


def _suite(entry: RegisteredModel) -> object:
    suite = entry.suite
    return suite.get("id") if isinstance(suite, dict) else suite or None


def _reference(key: str, entry: RegisteredModel) -> str | None:
    value = entry.model.get(key)
    return value if isinstance(value, str) and value else None


MODEL_COLUMNS: tuple[Column, ...] = (
    Column("name", TEXT, lambda entry: entry.name, "name it is registered under"),
    Column("kind", TEXT, lambda entry: entry.kind or None, "adapter that speaks to it"),
    Column("suite", TEXT, _suite, "suite it is certified with"),
    Column(
        *("regions", TEXT, lambda entry: ",".join(entry.regions) or None),
        "regions, separated by commas",
    ),
    Column("has_dataset", FLAG, lambda entry: bool(entry.dataset), "test data stored"),
    Column("model", TEXT, lambda e: _reference("model", e), "model at the endpoint"),
    Column("artifact", TEXT, lambda e: _reference("artifact", e), "digest of its file"),
    Column(
        "registered_at", TIME, lambda entry: entry.registered_at, "last registration"
    ),
)


def models_frame(
    entries: Sequence[RegisteredModel], *, as_of: datetime | None = None
) -> pd.DataFrame:
    """Return one row for each registered model, in the order given.

    Addresses and names of secrets stay out: this frame is made to be shown.

    Parameters
    ----------
    entries : sequence
        Entries of the registry.
    as_of : datetime, optional
        When they were read; now when not given. Kept in ``attrs``.
    """
    return build_frame(entries, MODEL_COLUMNS, as_of=as_of)
