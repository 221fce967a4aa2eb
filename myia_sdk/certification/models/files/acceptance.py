"""What a worker can load: packages its operator trusts, libraries that it has.

Workers announce it; a submitter learns from it at once what would fail there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from myia_sdk.errors import ModelRejectedError

if TYPE_CHECKING:
    from myia_sdk.certification.request import JSON

#: Libraries of extras that the files of models may need.
LIBRARIES = ("sklearn", "onnxruntime", "xgboost", "lightgbm", "catboost")
#: Extra of ``myia-sdk`` that brings a library, where it has another name.
_EXTRAS = {"onnxruntime": "onnx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What one worker, or all of them, can load."""

    #: Packages whose installed types are accepted, by the names they are imported by.
    packages: tuple[str, ...] = ()
    #: Those of :data:`LIBRARIES` that are installed.
    libraries: tuple[str, ...] = LIBRARIES

    @classmethod
    def here(cls, packages: Sequence[str]) -> Self:
        """Return what this environment can load.

        Parameters
        ----------
        packages : sequence of str
            Those trusted, ``MYIA_TRUSTED_PACKAGES``; what is not installed is left out.
        """
        return cls(
            packages=tuple(filter(_is_installed, packages)),
            libraries=tuple(filter(_is_installed, LIBRARIES)),
        )

    @classmethod
    def of_all(cls, several: Sequence[Acceptance]) -> Self:
        """Return what each of several workers can load: any may take the job."""
        first = several[0]
        return cls(
            packages=tuple(
                name
                for name in first.packages
                if all(name in one.packages for one in several)
            ),
            libraries=tuple(
                name
                for name in first.libraries
                if all(name in one.libraries for one in several)
            ),
        )

    def to_record(self) -> dict[str, JSON]:
        """Return the JSON object that a worker announces."""
        return {"packages": list(self.packages), "libraries": list(self.libraries)}

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """Read what a worker announced; ``None`` when it is nothing of the kind."""
        if not isinstance(record, Mapping):
            return None
        packages, libraries = record.get("packages"), record.get("libraries")
        if not isinstance(packages, list) or not isinstance(libraries, list):
            return None
        return cls(
            packages=tuple(map(str, packages)), libraries=tuple(map(str, libraries))
        )

    def require_libraries(self, names: Sequence[str]) -> None:
        """Refuse a model that names types of a library that is missing.

        Parameters
        ----------
        names : sequence of str
            What its file names.

        Raises
        ------
        ModelRejectedError
            The message says how it is installed.
        """
        from myia_sdk.certification.models.files.standins import libraries_of

        for library in libraries_of(names):
            if library not in self.libraries:
                raise missing_library(library)


def missing_library(library: str) -> ModelRejectedError:
    """Return the error for a library that the workers lack."""
    extra = _EXTRAS.get(library, library)
    return ModelRejectedError(
        f"The model needs {library}, which not all of the workers have; their operator "
        f'installs it with: pip install "myia-sdk[{extra}]"'
    )


def _is_installed(package: str) -> bool:
    return find_spec(package.partition(".")[0]) is not None
