"""What is asked for: a model, a suite, a dataset, a region, parameters.

The record of a request is the data of its job, so it holds references only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from myia_sdk.certification.request.parameters import require_parameters
from myia_sdk.certification.request.records import JSON, RecordReader, json_safe
from myia_sdk.certification.request.references import DatasetRef, ModelRef
from myia_sdk.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificationRequest:
    """One certification: what a job of the task ``certify`` carries."""

    model: ModelRef
    #: Name of a suite, or the suite itself as the object its TOML file holds.
    suite: str | Mapping[str, JSON]
    dataset: DatasetRef | None = None
    region: str | None = None
    #: ``seed``; of endpoints ``concurrency`` (requests of this run at once, 4 if not
    #: given), ``requests_per_second`` (of all runs on the endpoint that give one),
    #: ``request_timeout`` (seconds, 60 if not given), ``max_cost`` (needs prices);
    #: under ``checks`` parameters and thresholds of single checks that differ from the
    #: suite's; under ``baseline`` the record of a model to compare with.
    parameters: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """What takes the requests: an address, or a service in a region."""
        region = self.region or self.model.region
        return self.model.url_in(region) or f"{self.model.kind}:{region or ''}"

    @property
    def suite_name(self) -> str:
        """Id of the suite, whether it was given by name or in full."""
        if isinstance(self.suite, str):
            return self.suite
        head = self.suite.get("suite")
        name = head.get("id") if isinstance(head, dict) else None
        return name if isinstance(name, str) else "?"

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object of this request: the data of its job."""
        return {
            "model": self.model.to_record(),
            "suite": json_safe(self.suite),
            "dataset": self.dataset.to_record() if self.dataset else None,
            "region": self.region,
            "parameters": json_safe(self.parameters),
        }

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read the data of a job, strictly.

        Raises
        ------
        InvalidRequestError
            A key is missing, unknown or of the wrong type; the message names it.
        """
        reader = RecordReader(record, "The request", InvalidRequestError)
        suite = reader.anything("suite")
        if not isinstance(suite, str | dict):
            raise InvalidRequestError(
                "The request's 'suite' must be a name or a suite's object, "
                f"not {type(suite).__name__}."
            )
        dataset = reader.optional_mapping("dataset")
        request = cls(
            model=ModelRef.from_record(reader.anything("model")),
            suite=suite,
            dataset=None if dataset is None else DatasetRef.from_record(dataset),
            region=reader.optional_text("region"),
            parameters={
                key: json_safe(value)
                for key, value in reader.mapping("parameters").items()
            },
        )
        reader.refuse_rest()
        require_parameters(request.parameters)
        return request
