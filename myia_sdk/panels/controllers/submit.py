"""The submit form without its widgets: validation as typed, and submitting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myia_sdk.client import Submissions
from myia_sdk.errors import InvalidRequestError
from myia_sdk.panels.controllers.form import (
    AMOUNT_LIMIT,
    COLUMN,
    OWN_SUITE,
    SubmitForm,
    amount,
)
from myia_sdk.panels.controllers.namespace import count_missing
from myia_sdk.panels.permissions import Action, ActionRefusedError

if TYPE_CHECKING:
    from myia_sdk.certification.request import ModelRef
    from myia_sdk.panels.live import Event, Handler

#: BullMQ's greatest priority.
PRIORITY_LIMIT = 2_097_151
SECONDS_LIMIT = 366 * 86_400
RETRIES_LIMIT = 100
TAG_LIMIT = 64
_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth"})
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class SubmitController(SubmitForm):
    """Tells what is wrong with the form, and submits it."""

    # Validation.

    def errors(self) -> dict[str, str]:
        """Return what is wrong, by field; empty when the form can be submitted."""
        checks = {
            "model": self._model_error,
            "file": self._file_error,
            "url": lambda: self._endpoint_error("url"),
            "model_id": lambda: self._endpoint_error("model_id"),
            "secret": lambda: self._endpoint_error("secret"),
            "features": self._features_error,
            "target": self._target_error,
            "train_target": self._train_target_error,
            "sensitive": self._sensitive_error,
            "suite": lambda: "" if self._is_own_suite() else self._suite_error(),
            "suite_file": lambda: self._suite_error() if self._is_own_suite() else "",
            "more_regions": self._regions_error,
            "priority": lambda: self._integer_error("priority", PRIORITY_LIMIT),
            "delay": lambda: self._seconds_error("delay", 0),
            "timeout": lambda: self._seconds_error("timeout", 0.001),
            "retries": lambda: self._integer_error("retries", RETRIES_LIMIT),
            "tags": self._tags_error,
            "price_prompt": lambda: self._amount_error("price_prompt"),
            "price_completion": lambda: self._amount_error("price_completion"),
            "max_cost": self._max_cost_error,
        }
        found = {field: check() for field, check in checks.items()}
        return {field: text for field, text in found.items() if text}

    def _model_error(self) -> str:
        if self.values.source in {"file", "endpoint"}:
            return ""
        if not self.values.model:
            return self.say("error.model")
        if self.values.source == "variable" and self.family() is None:
            return self.say("error.family", name=self.values.model)
        return ""

    def _file_error(self) -> str:
        if self.values.source != "file":
            return ""
        path = Path(self.values.file).expanduser()
        if path.suffix.lower() in _PICKLES:
            return self.say("error.pickle")
        if not self.values.file or not path.is_file():
            return self.say("error.file", path=self.values.file or "''")
        return ""

    def endpoint(self) -> ModelRef:
        """Return the reference to the endpoint typed.

        Raises
        ------
        InvalidRequestError
            A part is missing or malformed; the message names its key.
        """
        from myia_sdk.certification.request import ModelRef

        values = self.values
        return ModelRef(
            kind=values.kind,
            name=values.model_id.strip(),
            model=values.model_id.strip() or None,
            url=values.url.strip() or None,
            secret=values.secret.strip() or None,
            options=self._options(),
        )

    def _options(self) -> dict[str, Any]:
        prices = self.typed_prices()
        return {"prices": dict(prices)} if prices else {}

    def _endpoint_error(self, field: str) -> str:
        if self.values.source != "endpoint":
            return ""
        try:
            self.endpoint()
        except InvalidRequestError as error:
            text = str(error)
            named = next((f for f in ("url", "secret") if f"'{f}'" in text), "model_id")
            return text if named == field else ""
        return ""

    def needs_data(self) -> bool:
        """Return whether the suite measures on test data."""
        suite, entry = self.suite(), self.entry()
        has_own = entry is not None and entry.dataset is not None
        if has_own or self.values.source == "endpoint":
            return False
        return suite is None or suite.kind in {"classifier", "regressor"}

    def _features_error(self) -> str:
        if not self.needs_data():
            return ""
        table = self._table(self.values.features)
        if table is None:
            return self.say("error.features")
        width = self._model_width()
        used = table.width - self.values.target.startswith(COLUMN)
        if width is not None and width != used:
            return self.say("error.width", model=width, data=used)
        return ""

    def _model_width(self) -> int | None:
        if self.values.source != "variable":
            return None
        name = self.values.model
        return next((m.width for m in self.models if m.name == name), None)

    def _target_error(self) -> str:
        if not self.needs_data():
            return ""
        return self._column_error(self.values.features, self.values.target)

    def _train_target_error(self) -> str:
        if not self.needs_data() or not self.values.train:
            return ""
        return self._column_error(self.values.train, self.values.train_target)

    def _column_error(self, features: str, chosen: str) -> str:
        table = self._table(features)
        if not chosen:
            return self.say("error.target")
        try:
            target = self._target_values(features, chosen)
        except KeyError:
            return self.say("error.target")
        if table is not None and len(target) != table.rows:
            return self.say("error.length", features=table.rows, target=len(target))
        missing = count_missing(target)
        return self.say("error.missing", count=missing) if missing else ""

    def _target_values(self, features: str, chosen: str) -> Any:
        namespace = self._namespace()
        if chosen.startswith(COLUMN):
            return namespace[features][chosen.removeprefix(COLUMN)]
        return namespace[chosen]

    def _sensitive_error(self) -> str:
        if not self.needs_data():
            return ""
        known = self._table_columns(self.values.features)
        wrong = [name for name in self.sensitive() if name not in known]
        return self.say("error.column", name=wrong[0]) if wrong else ""

    def _is_own_suite(self) -> bool:
        return self.values.suite == OWN_SUITE

    def _suite_error(self) -> str:
        if self.suite_source() is None:
            return ""
        suite, family = self.suite(), self.family()
        if suite is None and self._is_own_suite():
            is_typed = self.values.suite_file.strip()
            return self.suite_fault() if is_typed else self.say("error.suite_file")
        if suite is None:
            return self.say("error.suite", name=self.values.suite)
        if family is None or suite.kind == family:
            return ""
        facts = {"name": suite.id, "kind": suite.kind, "family": family}
        return self.say("error.suite_kind", **facts)

    def _regions_error(self) -> str:
        wrong = [one for one in self.regions() if not _REGION.fullmatch(one)]
        return self.say("error.region", name=wrong[0]) if wrong else ""

    def _tags_error(self) -> str:
        wrong = [one for one in self.tags() if len(one) > TAG_LIMIT]
        return self.say("error.tag", name=wrong[0][:TAG_LIMIT]) if wrong else ""

    def _integer_error(self, field: str, high: int) -> str:
        text = getattr(self.values, field).strip()
        is_right = not text or (text.isascii() and text.isdigit() and int(text) <= high)
        return "" if is_right else self.say("error.integer", low=0, high=f"{high:,}")

    def _seconds_error(self, field: str, low: float) -> str:
        text = getattr(self.values, field).strip()
        if not text:
            return ""
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if low <= seconds <= SECONDS_LIMIT:
            return ""
        return self.say("error.seconds", low=low, high=f"{SECONDS_LIMIT:,}")

    def is_remote(self) -> bool:
        """Return whether the suite asks a model that may cost money."""
        suite = self.suite()
        return suite is not None and suite.kind in {"chat", "embedding"}

    def _amount_error(self, field: str) -> str:
        text = getattr(self.values, field).strip()
        is_right = not self.is_remote() or not text or amount(text) is not None
        return "" if is_right else self.say("error.amount", high=f"{AMOUNT_LIMIT:,.0f}")

    def _max_cost_error(self) -> str:
        if not self.is_remote() or not self.values.max_cost.strip():
            return ""
        return self._amount_error("max_cost") or (
            "" if self.prices() else self.say("error.max_cost")
        )

    # Submitting.

    def submit(self) -> list[str]:
        """Submit one job, or one for each region.

        Returns
        -------
        list of str
            The ids.

        Raises
        ------
        ActionRefusedError
            A field is wrong; the message names it.
        MyiaError
            What the client refused; nothing was enqueued.
        """
        self.permissions.check(Action.SUBMIT)
        errors = self.errors()
        if errors:
            field, text = next(iter(errors.items()))
            raise ActionRefusedError(f"{self.say('submit.fix')} {field}: {text}")
        regions, options = self.regions(), self._job_options()
        self.notes = []
        if len(regions) > 1:
            batch = Submissions(self.connection, warn=False).submit_batch(
                {self._name(): self._model()}, regions=regions, **options
            )
            self.batch, self.submitted = batch.id, [job.id for job in batch.jobs]
        else:
            is_registered = self.values.source == "registered"
            job = Submissions(self.connection, warn=False).submit(
                self._model(),
                name=None if is_registered else self._name(),
                region=regions[0] if regions else None,
                **options,
            )
            self.batch, self.submitted = "", [job.id]
            self.notes = list(job.notes)
        ids = ", ".join(self.submitted)
        self.notify("done", self.say("submit.done", ids=ids))
        return self.submitted

    def _name(self) -> str:
        values = self.values
        names = {"file": Path(values.file).stem, "endpoint": values.model_id.strip()}
        return names.get(values.source, values.model)

    def _job_options(self) -> dict[str, Any]:
        values = self.values
        limit = amount(values.max_cost) if self.is_remote() else None
        parameters: dict[str, Any] = {} if limit is None else {"max_cost": limit}
        if self.needs_data() and values.baseline:
            parameters["baseline"] = self._variable(values.baseline)
        return {
            "suite": self.suite_source(),
            "dataset": self._dataset(),
            "parameters": parameters,
            "priority": int(values.priority.strip() or 0),
            "delay": float(values.delay) if values.delay.strip() else None,
            "timeout": float(values.timeout) if values.timeout.strip() else None,
            "max_retries": int(values.retries) if values.retries.strip() else None,
            "tags": self.tags(),
        }

    def _model(self) -> object:
        if self.values.source == "file":
            return Path(self.values.file).expanduser()
        if self.values.source == "registered":
            return self._registered()
        if self.values.source == "endpoint":
            return self.endpoint()
        return self._variable(self.values.model)

    def _variable(self, name: str) -> object:
        try:
            return self._namespace()[name]
        except KeyError:
            raise ActionRefusedError(
                f"The notebook has no variable {name!r} any more."
            ) from None

    def _registered(self) -> object:
        entry, typed = self.entry(), self._options()
        if entry is None or not typed or not self.is_remote():
            return self.values.model
        return {**entry.model, "options": {**entry.model.get("options", {}), **typed}}

    def _dataset(self) -> object:
        if not self.needs_data():
            return None
        values = self.values
        features, target = self._data(values.features, values.target)
        dataset: dict[str, object] = {"X": features, "y": target}
        if values.train:
            dataset["train"] = self._data(values.train, values.train_target)
        if self.sensitive():
            dataset["sensitive"] = self.sensitive()
        return dataset

    def _data(self, table: str, chosen: str) -> tuple[Any, Any]:
        features, target = self._namespace()[table], self._target_values(table, chosen)
        if chosen.startswith(COLUMN):
            features = features.drop(columns=[chosen.removeprefix(COLUMN)])
        return features, target

    # As a controller.

    def body(self) -> dict[str, Any]:
        """Return values, errors and what was submitted."""
        return {
            "values": self.values._asdict(),
            "errors": self.errors(),
            "submitted": list(self.submitted),
        }

    def handlers(self) -> dict[str, Handler]:
        """Return the events taken, by name."""
        return {"change": self._on_change, "submit": lambda _: self._on_submit()}

    def _on_change(self, event: Event) -> None:
        self.change(str(event.get("field")), str(event.get("value", "")))

    def _on_submit(self) -> None:
        self.submit()
