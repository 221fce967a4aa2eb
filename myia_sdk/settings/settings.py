"""Every variable the SDK reads: names, defaults, bounds, profiles.

Explicit argument, then environment, then ``.env`` in the working directory,
then the default. There is no global settings object: who needs settings is
given them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from myia_sdk.errors import ConfigurationError
from myia_sdk.settings.variables import (
    A_FILE,
    A_PORT,
    MAX_PORT,
    TEXT,
    Pathname,
    Port,
    Sentinels,
    Url,
    Variable,
    explain,
    flag,
    option,
    to_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from myia_sdk.certification.suites.rules import Allowed
    from myia_sdk.queue.wire import ConnectionOptions

DEFAULT_BOARD_PASSWORD = "admin123"  # noqa: S105 -- the setup guide's published default
#: What ``MYIA_PROFILE=production`` changes; the setup guide's recommendations.
PRODUCTION_DEFAULTS: Mapping[str, object] = {
    "certification_concurrency": 5,
    "certification_timeout": 600_000,
    "certification_max_retries": 5,
}


class _ProfileDefaults(PydanticBaseSettingsSource):
    """The weakest source: the defaults of the chosen profile."""

    def get_field_value(
        self, field: FieldInfo, field_name: str
    ) -> tuple[object, str, bool]:
        del field
        return PRODUCTION_DEFAULTS.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        if self.current_state.get("myia_profile") != "production":
            return {}
        return dict(PRODUCTION_DEFAULTS)


class Settings(BaseSettings):
    """The configuration of a client or a worker.

    The fields are the variables in lower case: ``REDIS_HOST`` is ``redis_host``.
    Arguments win over the environment, the environment over ``.env``, and
    ``.env`` over the defaults. Objects are immutable; secrets do not show in
    ``repr``.

    Raises
    ------
    ConfigurationError
        One error that names every bad variable, its value and what is allowed.

    Examples
    --------
    >>> Settings(redis_host="db", certification_concurrency=4).redis_host
    'db'
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    redis_url: Url | None = option(
        None,
        "Whole address of the server; replaces the other REDIS_ variables.",
        "redis://, rediss:// (TLS) or unix:// URL, as in redis://user:pw@host:6379/0",
    )
    redis_host: str = option(
        "localhost",
        "Host of the Redis or Valkey server.",
        "a host name or address",
        min_length=1,
    )
    redis_port: Port = option(6379, "Port of the server.", A_PORT)
    redis_username: str | None = option(
        None, "ACL user, where the server has users.", TEXT
    )
    redis_password: SecretStr | None = option(None, "Password.", TEXT)
    redis_db: int = option(0, "Number of the database.", "an integer from 0", ge=0)
    redis_tls: bool = flag(default=False, description="Encrypt the connection.")
    redis_tls_ca_certs: Pathname | None = option(
        None, "Authorities to trust instead of those of the system.", A_FILE
    )
    redis_tls_certfile: Pathname | None = option(
        None, "Certificate of this client, for servers that ask for one.", A_FILE
    )
    redis_tls_keyfile: Pathname | None = option(
        None, "Private key of that certificate.", A_FILE
    )
    redis_tls_check_hostname: bool = flag(
        default=True,
        description="The certificate must name the host; false for test set-ups.",
    )
    redis_socket: Pathname | None = option(
        None,
        "Unix socket of the server, instead of host and port.",
        "the path of a socket",
    )
    redis_sentinels: Sentinels | None = option(
        None,
        "Sentinels to ask for the primary, instead of host and port.",
        "host:port, separated by commas",
    )
    redis_sentinel_service: str = option(
        "mymaster", "Name of the primary at the sentinels.", TEXT, min_length=1
    )
    redis_cluster: bool = flag(
        default=False,
        description="The server is a cluster; the prefix needs a {hash-tag}.",
    )

    bull_queue_prefix: str = option(
        "myia",
        "First part of every key of the queue.",
        "text without ':' and white space",
        min_length=1,
    )
    bull_board_path: str = option(
        "/admin/queues",
        "Path of the served board.",
        "a path that begins with /",
        pattern=r"^/[A-Za-z0-9/_-]*$",
    )
    bull_board_username: str = option(
        "admin",
        "User name of the served board.",
        "text without ':'",
        min_length=1,
        pattern=r"^[^:]+$",
    )
    bull_board_password: SecretStr = option(
        SecretStr(DEFAULT_BOARD_PASSWORD),
        "Password of the served board; change it before others reach it.",
        "text, not empty",
        min_length=1,
    )
    bull_board_host: str = option(
        "127.0.0.1",
        "Address the board listens on; 0.0.0.0 opens it to the network.",
        "an address of this machine",
        min_length=1,
    )
    bull_board_port: Port = option(3001, "Port of the served board.", A_PORT)

    certification_queue_name: str = option(
        "model-certification",
        "Name of the queue.",
        "text without ':' and white space, not sdk",
        min_length=1,
    )
    certification_concurrency: int = option(
        3, "Jobs a worker runs at once.", "an integer from 1 to 256", ge=1, le=256
    )
    certification_timeout: int = option(
        300_000,
        "Longest run of one attempt, milliseconds.",
        "milliseconds from 1 to 604800000 (7 days)",
        ge=1,
        le=7 * 86_400_000,
    )
    certification_max_retries: int = option(
        3, "Retries after the first attempt.", "an integer from 0 to 100", ge=0, le=100
    )
    certification_keep_completed: int = option(
        1_000,
        "Completed jobs to keep; older ones go, certificates stay.",
        "an integer from 0",
        ge=0,
    )
    certification_keep_failed: int = option(
        5_000,
        "Failed jobs to keep: they wait for somebody to look.",
        "an integer from 0",
        ge=0,
    )
    certification_validity_days: float = option(
        7.0,
        "Days after which a certificate expires.",
        "days, more than 0, at most 3650",
        gt=0,
        le=3_650,
    )

    worker_health_port: int = option(
        3002,
        "Port of the worker's health and metrics endpoint; 0 is none.",
        "an integer from 0 to 65535",
        ge=0,
        le=MAX_PORT,
    )
    worker_shutdown_grace: float = option(
        30.0,
        "Seconds a stopping worker lets running jobs finish.",
        "seconds from 0",
        ge=0,
    )
    worker_memory_limit: int | None = option(
        None,
        "Address space of the process of one job, megabytes.",
        "megabytes from 256",
        ge=256,
    )

    myia_profile: Literal["development", "production"] = option(
        "development", "Set of defaults.", "development or production"
    )
    myia_home: Pathname = option(
        Path("~/.myia"),
        "Directory of the embedded server, keys and artifacts.",
        "a directory that may be written",
    )
    myia_artifacts: str | None = option(
        None,
        "Store that clients and workers share; default: artifacts in MYIA_HOME.",
        "a directory or an fsspec URL such as s3://bucket",
    )
    myia_signing_key: str | None = option(
        None,
        "Key that signs certificates; default: a development key.",
        "the path of a PEM file or a key URI, not the key",
    )
    myia_plugins: str | None = option(
        None,
        "Modules with checks and factories of your own, which workers may import.",
        "module names, separated by commas",
    )
    myia_trusted_packages: str | None = option(
        None,
        "Packages beside scikit-learn whose types workers accept in models.",
        "names of packages as they are imported, separated by commas",
    )
    myia_suites: str | None = option(
        None,
        "Suites that workers certify by; default: all.",
        "name@version=sha256:digest, separated by commas; "
        "myia suite show prints the digest",
    )
    myia_submitter: str | None = option(
        None,
        "Who submits, shown with each job; default: the login name.",
        "text of at most 200 characters",
        max_length=200,
    )
    myia_lang: Literal["en", "pt"] = option(
        "en", "Language of the panels and the board.", "en or pt"
    )
    myia_notebook: bool = flag(
        default=True, description="Rich output in notebooks; false leaves plain text."
    )

    # pydantic-settings' own signature takes any field by name.
    def __init__(self, **values: Any) -> None:
        unknown = sorted(set(values) - set(type(self).model_fields) - _SETTINGS_OPTIONS)
        if unknown:
            raise ConfigurationError(
                f"Settings has no field {', '.join(map(repr, unknown))}; the fields "
                "are the variables of .env.example in lower case."
            )
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise explain(error, type(self).model_fields) from None
        except SettingsError as error:
            raise ConfigurationError(f"The settings cannot be read: {error}") from None
        except (OSError, UnicodeError) as error:
            # The text of a decoding error would quote the file, and so its secrets.
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(
                f"The file .env of {str(Path.cwd())!r} cannot be read: {why}."
            ) from None

    @classmethod
    def settings_customise_sources(  # noqa: D102 -- pydantic-settings' hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del file_secret_settings
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            _ProfileDefaults(settings_cls),
        )

    @field_validator("bull_queue_prefix", "certification_queue_name")
    @classmethod
    def _check_key_part(cls, value: str) -> str:
        if value == "sdk" or any(c == ":" or c.isspace() for c in value):
            raise ValueError
        return value

    @field_validator("myia_signing_key")
    @classmethod
    def _check_key_reference(cls, value: str | None) -> str | None:
        if value is not None and "-----BEGIN" in value:
            raise ValueError
        return value

    @field_validator("myia_trusted_packages")
    @classmethod
    def _check_packages(cls, value: str | None) -> str | None:
        names = _listed(value)
        if not all(name.isidentifier() for name in names):
            raise ValueError
        if not sys.stdlib_module_names.isdisjoint(names):
            # Its types open files and run programs.
            raise ValueError
        return value

    @field_validator("myia_suites")
    @classmethod
    def _check_suites(cls, value: str | None) -> str | None:
        if value:
            from myia_sdk.certification.suites.rules import Allowed

            Allowed.parse(value)
        return value

    @model_validator(mode="after")
    def _check_cluster_prefix(self) -> Settings:
        prefix = self.bull_queue_prefix
        if self.redis_cluster and not ("{" in prefix and "}" in prefix):
            raise ConfigurationError(
                f"BULL_QUEUE_PREFIX is {prefix!r}; with REDIS_CLUSTER=true it must "
                "hold a hash tag, as in {myia}, so that all keys share one slot."
            )
        return self

    @property
    def explicit_server(self) -> bool:
        """Whether any ``REDIS_`` variable was given rather than left to default."""
        return any(name.startswith("redis_") for name in self.model_fields_set)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Modules with checks and factories of the user's own."""
        return _listed(self.myia_plugins)

    @property
    def trusted_packages(self) -> tuple[str, ...]:
        """Packages whose types workers accept in models."""
        return _listed(self.myia_trusted_packages)

    @property
    def suites(self) -> Allowed:
        """Suites that workers certify by."""
        from myia_sdk.certification.suites.rules import Allowed

        return Allowed.parse(self.myia_suites)

    @property
    def artifacts_url(self) -> str:
        """Directory or URL of the artifact store."""
        return self.myia_artifacts or str(self.myia_home / "artifacts")

    @property
    def max_attempts(self) -> int:
        """Attempts of a job: the first one and the retries."""
        return 1 + self.certification_max_retries

    def connection_options(self) -> ConnectionOptions:
        """Return how to reach the configured server."""
        from myia_sdk.queue.wire import ConnectionOptions

        if self.redis_url is not None:
            return ConnectionOptions(
                url=to_text(self.redis_url),
                tls_ca_certs=to_text(self.redis_tls_ca_certs),
                tls_certfile=to_text(self.redis_tls_certfile),
                tls_keyfile=to_text(self.redis_tls_keyfile),
                tls_check_hostname=self.redis_tls_check_hostname,
                cluster=self.redis_cluster,
            )
        return ConnectionOptions(
            host=self.redis_host,
            port=self.redis_port,
            username=self.redis_username,
            password=to_text(self.redis_password),
            db=self.redis_db,
            tls=self.redis_tls,
            tls_ca_certs=to_text(self.redis_tls_ca_certs),
            tls_certfile=to_text(self.redis_tls_certfile),
            tls_keyfile=to_text(self.redis_tls_keyfile),
            tls_check_hostname=self.redis_tls_check_hostname,
            socket_path=to_text(self.redis_socket),
            sentinels=self.sentinels,
            sentinel_service=self.redis_sentinel_service,
            cluster=self.redis_cluster,
        )

    @property
    def sentinels(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports of ``REDIS_SENTINELS``."""
        entries = (self.redis_sentinels or "").split(",")
        pairs = (entry.strip().rpartition(":") for entry in entries if entry.strip())
        return tuple((host, int(port)) for host, _, port in pairs)

    def replace(self, **values: Any) -> Settings:
        """Return a copy with other values; nothing is read from the environment.

        Raises
        ------
        ConfigurationError
            A value is not allowed.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return _Isolated(**(given | values))

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give a child process the same settings.

        Secrets are in clear: pass them to a process of your own, never print them.
        """
        texts = {
            name.upper(): to_text(getattr(self, name))
            for name in type(self).model_fields
        }
        return {name: text for name, text in texts.items() if text is not None}


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


class _Isolated(Settings):
    """Settings from arguments alone."""

    model_config = SettingsConfigDict(env_file=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _ProfileDefaults(settings_cls)


_SETTINGS_OPTIONS = frozenset({"_env_file", "_env_file_encoding"})


def variables() -> list[Variable]:
    """List every variable with its default and what is allowed, in order."""
    return [
        Variable.of(name, field, PRODUCTION_DEFAULTS.get(name))
        for name, field in Settings.model_fields.items()
    ]
