"""Models in files: estimators, boosters and graphs, read without running their code.

What a file may name is decided in :mod:`~myia_sdk.certification.models.files.trust`.
"""

from __future__ import annotations

from myia_sdk.certification.models.files.acceptance import Acceptance

__all__ = ["Acceptance"]
