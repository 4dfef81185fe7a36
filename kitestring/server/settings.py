"""What a server runs on: read from the environment, checked once."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from kitestring.config import Config, option, secret
from kitestring.errors import ConfigError
from kitestring.library import home

PREFIX = "KITESTRING_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(Config):
    """The settings of a server. Each is the variable `KITESTRING_` + its name in capitals."""

    home: Path = option(default_factory=lambda: home().absolute())
    """The data folder: the SQLite store, logs, rejects, the key of the secrets, installed connectors."""
    database_url: str = secret("")
    """`postgresql://user:password@host/database` for several workers. Default: SQLite in the data folder."""
    host: str = "127.0.0.1"
    """The address to listen on. Anything but loopback needs a user first (`kitestring user add`)."""
    port: int = option(8000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""
    public_url: str = ""
    """The address that others reach the server by, for links and for OAuth. Default: host and port."""
    interface: bool = True
    """Whether the web interface is served beside the API."""
    secret_key: str = secret("")
    """The key that encrypts secrets in the store: 32 bytes in base64. Default: `secret.key` in the data folder."""
    workers: int = option(4, ge=0, le=256)
    """How many jobs this process runs at the same time."""
    jobs_per_workspace: int = option(0, ge=0)
    """How many jobs of one workspace run at the same time over all workers; 0 is no limit."""
    jobs_per_source: int = option(0, ge=0)
    """How many jobs read one source at the same time over all workers; 0 is no limit."""
    lease_s: float = option(15.0, gt=0)
    """After how many seconds without a heartbeat another worker takes over a job."""
    stall_s: float = option(900.0, gt=0)
    """After how many seconds without progress and without a declared wait a sync is ended."""
    attempts: int = option(3, ge=1, le=20)
    """How often a job is tried before it has failed."""
    memory_mb: int = option(0, ge=0)
    """The most memory a sync may take beyond what its process has at its start, in MB, at least 100; 0 is no limit."""
    cpu_s: int = option(0, ge=0)
    """The most processor time a sync may take, in seconds; 0 is no limit."""
    pause_after: int = option(20, ge=0)
    """After how many failed jobs in a row a connection is paused; 0 never. Refused credentials pause it at once."""
    smtp_url: str = secret("")
    """Where e-mail goes out: `smtp://user:password@host:587`, or `smtps://…:465`. Without it none is sent."""
    mail_from: str = "kitestring@localhost"
    """Whom e-mail comes from."""
    keep_jobs_days: int = option(180, ge=1)
    """How long ended jobs are kept."""
    keep_logs_days: int = option(30, ge=1)
    """How long logs of attempts are kept."""
    references: str = ""
    """Which `${env:NAME}`, `${file:PATH}`, `${vault:PATH}`, `${aws:NAME}`, `${gcp:PROJECT/NAME}`, `${azure:VAULT/NAME}`
    configurations may use: patterns, with commas; `none`.
    Default: `env:KITESTRING_CONFIG_*` and the folder `secrets` in the data folder."""
    keep_audit_days: int = option(400, ge=1)
    """How long entries of the audit log are kept."""
    allow_private_hosts: bool = True
    """Whether connectors may be pointed at loopback and private addresses, and at files of the server's machine."""
    programs: str = ""
    """Programs that sources and destinations may run although no instance_admin wrote them: `source-faker`,
    `source-faker@6.2.0`, `package:airbyte-source-faker==6.2.0`, `image:airbyte/*`, with commas."""
    local_paths: str = ""
    """Files and folders of the server's machine that sources and destinations may use although no instance_admin wrote
    them: `/srv/exports/*`, with commas."""
    allowed_networks: str = ""
    """Private networks that connectors may reach although `allow_private_hosts` is off: `10.1.2.0/24`, with commas."""
    max_request_mb: float = option(16.0, gt=0)
    """The largest body of a request."""
    token_s: int = option(900, ge=60)
    """How long an application's token is valid."""
    session_s: int = option(7 * 24 * 3600, ge=60)
    """How long a login of the web interface is valid."""
    oidc_issuer: str = ""
    """The address of an OpenID Connect issuer that users log in with: `https://login.example.com/realms/acme`."""
    oidc_client_id: str = ""
    """The client that is registered there, with the redirect address `/api/kitestring/v1/session/oidc/callback`."""
    oidc_client_secret: str = secret("")
    """That client's secret."""
    oidc_name: str = "single sign-on"
    """What the interface calls this way to log in."""
    oidc_create: bool = False
    """Whether whoever comes from the issuer becomes a user. Otherwise an admin adds them first, by e-mail address."""
    oidc_domains: str = ""
    """Whose addresses become users with `oidc_create`: `example.com,example.org`."""
    log_level: str = option("info", pattern="^(debug|info|warning|error)$")
    """What is logged: debug, info, warning or error."""

    @field_validator("memory_mb")
    @classmethod
    def _enough(cls, memory: int) -> int:
        if 0 < memory < 100:
            raise ValueError("no sync gets along with less than 100 MB; 0 is no limit")
        return memory

    @field_validator("allowed_networks")
    @classmethod
    def _networks(cls, text: str) -> str:
        try:
            [ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip()]
        except ValueError:
            raise ValueError("write networks like 10.1.2.0/24, with commas between them") from None
        return text

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """The settings of an environment; what is `given` comes first. `ConfigError` names the wrong variable."""
        values: dict[str, Any] = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if environment.get(PREFIX + name.upper())
        }
        values.update({name: value for name, value in overrides.items() if value is not None})
        try:
            return cls.load(values, "the server's settings")
        except ConfigError as error:
            names = ", ".join(PREFIX + path.upper() for path in error.fields.get("paths", ()) if path)
            raise ConfigError(
                error.message, hint=f"Correct {names or 'the variables that begin with KITESTRING_'}.", **error.fields
            ) from None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK

    @property
    def url(self) -> str:
        """The server's own address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def store_url(self) -> str:
        """The address of the store, for SQLAlchemy."""
        if not self.database_url:
            return f"sqlite:///{self.home / 'kitestring.sqlite'}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else self.database_url
