"""The report of a certification: its findings, shown in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myia_sdk.certification.report.rendering import render
from myia_sdk.certification.report.rendering.page import to_fragment
from myia_sdk.certification.verdict import Findings
from myia_sdk.errors import PermanentCertificationError

if TYPE_CHECKING:
    from myia_sdk.certification.request import CertificationRequest
    from myia_sdk.certification.suites.rules import Rules


class Report(Findings):
    """Everything a certification found out about one model."""

    __slots__ = ()

    def require_answers(self, request: CertificationRequest, rules: Rules) -> None:
        """Refuse a report about another model, dataset or suite than was asked for.

        A report comes out of the process that ran the model's code, so whoever signs
        it must compare it with the request first.

        Raises
        ------
        PermanentCertificationError
            It is about something else.
        """
        asked = {
            "model": (self.model, request.model.to_record()),
            "dataset": (
                self.dataset,
                request.dataset.to_record() if request.dataset else None,
            ),
            "suite": (self.suite_digest, rules.suite.digest),
            "origin of the suite": (self.suite_origin, rules.origin.value),
            "change of the suite": (self.overridden, rules.overridden),
        }
        for what, (found, wanted) in asked.items():
            if found != wanted:
                raise PermanentCertificationError(
                    f"The report is about another {what} than the request: {found!r} "
                    f"instead of {wanted!r}. It is not signed."
                )

    def render(self, form: str = "text") -> str:
        """Return the report as ``text``, ``html``, ``md``, ``json`` or ``junit``."""
        return render(self, form)

    def __repr__(self) -> str:
        name = self.model.get("name")
        return (
            f"<Report {name!r} on {self.suite_id} {self.suite_version}: "
            f"{self.verdict}, score {self.score:g}, {self.rating}>"
        )

    def __str__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        return to_fragment(self)
