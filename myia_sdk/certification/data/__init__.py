"""Models and data at rest: artifacts by digest, datasets, their Parquet form, samples.

Nothing here knows what is done with them.
"""

from __future__ import annotations

from myia_sdk.certification.data.artifacts import ArtifactStore

__all__ = ["ArtifactStore"]
