"""What a variable is: its field, its bounds, its line in the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from myia_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

MASK = "***"
MAX_PORT = 65_535
SHOWN_LENGTH = 80
A_PORT = "an integer from 1 to 65535"
A_FILE = "the path of a PEM file"
TEXT = "text"
SECRETS = frozenset({"redis_url", "redis_password", "bull_board_password"})


class Variable(NamedTuple):
    """One variable as the documentation lists it."""

    name: str
    default: str
    allowed: str
    description: str

    @classmethod
    def of(cls, name: str, field: FieldInfo, production: object = None) -> Variable:
        """Describe a field; `production` is its default in that profile."""
        # The default of this machine's user would name a directory of theirs.
        default = "~/.myia" if name == "myia_home" else to_text(field.default) or ""
        if production is not None:
            default += f" (production: {production})"
        return cls(name.upper(), default, allowed(field), field.description or "")


# The result stands for the field's default, whatever the field's type is.
def option(
    default: object,
    description: str,
    allowed: str,
    **bounds: Any,
) -> Any:
    """Make a field with a description and what is allowed, for people."""
    return Field(
        default,
        description=description,
        json_schema_extra={"allowed": allowed},
        **bounds,
    )


def flag(*, default: bool, description: str) -> Any:
    """Make a field that is true or false."""
    return option(default, description, "true or false")


def _check_url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError
    parts.port  # noqa: B018 -- the property raises ValueError when out of range
    return value


def _check_sentinels(value: str) -> str:
    for entry in value.split(","):
        host, _, port = entry.strip().rpartition(":")
        if not host or not 0 < int(port) <= MAX_PORT:
            raise ValueError
    return value


def _expand(value: Path) -> Path:
    return value.expanduser().absolute()


Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
Pathname = Annotated[Path, AfterValidator(_expand)]
Url = Annotated[SecretStr, AfterValidator(_check_url)]
Sentinels = Annotated[str, AfterValidator(_check_sentinels)]


def allowed(field: FieldInfo) -> str:
    """Return what a field allows, for people."""
    extra = field.json_schema_extra
    return str(extra["allowed"]) if isinstance(extra, dict) else ""


def to_text(value: object) -> str | None:
    """Return a value as it stands in the environment, secrets in clear."""
    match value:
        case None:
            return None
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def explain(
    error: ValidationError, fields: Mapping[str, FieldInfo]
) -> ConfigurationError:
    """Name each bad variable, its value and what is allowed."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False):
        location = problem["loc"]
        name = str(location[0]) if location else ""
        field = fields.get(name)
        if field is None:
            lines[name] = str(problem["msg"]).removeprefix("Value error, ")
            continue
        shown = _shown(name, problem["input"])
        lines[name] = f"{name.upper()} is {shown}; allowed: {allowed(field)}."
    if len(lines) == 1:
        return ConfigurationError(next(iter(lines.values())))
    listed = "".join(f"\n- {line}" for line in lines.values())
    return ConfigurationError(f"{len(lines)} settings are not valid:{listed}")


def _shown(name: str, value: object) -> str:
    if name in SECRETS or "-----BEGIN" in str(value):
        return repr(MASK)
    text = str(value)
    return repr(text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}...")
