"""The settings of a server, read from the environment and checked once."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from kitestring.config import Config, option, secret
from kitestring.errors import ConfigError
from kitestring.home_folder import home

PREFIX = "KITESTRING_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(Config):
    """The settings of a server. Each is the variable `KITESTRING_` + its name in capitals."""

    home: Path = option(default_factory=lambda: home().absolute())
    """The data folder: the SQLite store, logs, rejects, the encryption key, installed connectors."""
    database_url: str = secret("")
    """`postgresql://user:password@host/database` for several workers. Default: SQLite in the data folder."""
    host: str = "127.0.0.1"
    """The address to listen on. An address other than loopback needs a user first (`kitestring user add`)."""
    port: int = option(8000, ge=0, le=65535)
    """The port to listen on; 0 chooses a free one."""
    public_url: str = ""
    """The address by which others reach the server, for links and OAuth. Default: host and port."""
    interface: bool = True
    """Whether to serve the web interface beside the API."""
    secret_key: str = secret("")
    """The key that encrypts secrets in the store: 32 bytes in base64. Default: `secret.key` in the data folder."""
    workers: int = option(4, ge=0, le=256)
    """How many jobs this process runs at the same time."""
    continuous_jobs: int = option(16, ge=0, le=256)
    """How many jobs of continuous connections this process runs beside these."""
    jobs_per_workspace: int = option(0, ge=0)
    """How many jobs of one workspace run at the same time on all workers; 0 is no limit."""
    jobs_per_source: int = option(0, ge=0)
    """How many jobs read one source at the same time on all workers; 0 is no limit."""
    lease_s: float = option(15.0, gt=0)
    """After how many seconds without a heartbeat another worker takes over a job."""
    stall_s: float = option(900.0, gt=0)
    """After how many seconds without progress and without a declared wait a sync is ended."""
    attempts: int = option(3, ge=1, le=20)
    """How many attempts a job has before it fails."""
    memory_mb: int = option(0, ge=0)
    """The memory limit of a sync, beyond what its process has at its start, in MB, at least 100; 0 is no limit."""
    cpu_s: int = option(0, ge=0)
    """The limit of processor time of a sync, in seconds; 0 is no limit."""
    search_processes: int = option(4, ge=0, le=64)
    """How many search processes run at the same time, one for each workspace that searches; with one more, the one
    that was used least recently ends. 0: each search starts a process of its own."""
    search_idle_s: float = option(300.0, gt=0)
    """After how many seconds without a search a connection to a vector store is closed and the search process ends."""
    search_memory_mb: int = option(1024, ge=100)
    """A search process that holds more memory than this after a search, in MB, ends; the next search starts another."""
    pause_after: int = option(20, ge=0)
    """After how many failed jobs in a row a connection is paused; 0 never. Refused credentials pause it at once."""
    slot_retained_mb: int = option(1024, ge=0)
    """How much of its log a database may retain for a replication slot that no job reads, before a notice is sent."""
    smtp_url: str = secret("")
    """The SMTP server for e-mail: `smtp://user:password@host:587`, or `smtps://…:465`. Without it no e-mail is sent."""
    mail_from: str = "kitestring@localhost"
    """The sender address of e-mail."""
    keep_jobs_days: int = option(180, ge=1)
    """How long ended jobs are kept."""
    keep_logs_days: int = option(30, ge=1)
    """How long logs of attempts are kept."""
    references: str = ""
    """Which `${env:NAME}`, `${file:PATH}`, `${vault:PATH}`, `${aws:NAME}`, `${gcp:PROJECT/NAME}`, `${azure:VAULT/NAME}`
    configurations may use: patterns, separated by commas, or `none`.
    Default: `env:KITESTRING_CONFIG_*` and the folder `secrets` in the data folder."""
    keep_audit_days: int = option(400, ge=1)
    """How long entries of the audit log are kept."""
    allow_private_hosts: bool = True
    """Whether connectors may use loopback and private addresses, and files of the server's machine."""
    programs: str = ""
    """Programs that configurations of users other than an instance_admin may run: `source-faker`,
    `source-faker@6.2.0`, `package:airbyte-source-faker==6.2.0`, `image:airbyte/*`, separated by commas."""
    python_components: bool | None = None
    """Whether Python components of low-code sources run, once an instance_admin has approved their exact text.
    Default: on; off where `allow_private_hosts` is off, since their code cannot be kept from private addresses."""
    local_paths: str = ""
    """Files and folders of the server's machine that configurations of users other than an instance_admin may use:
    `/srv/exports/*`, separated by commas."""
    allowed_networks: str = ""
    """Private networks that connectors may reach when `allow_private_hosts` is off: `10.1.2.0/24`, … with commas."""
    max_request_mb: float = option(16.0, gt=0)
    """The largest body of a request, in MB."""
    token_s: int = option(900, ge=60)
    """How long an application's token is valid, in seconds."""
    session_s: int = option(7 * 24 * 3600, ge=60)
    """How long a login to the web interface is valid, in seconds."""
    oidc_issuer: str = ""
    """The address of the OpenID Connect issuer for logins: `https://login.example.com/realms/acme`."""
    oidc_client_id: str = ""
    """The client registered at the issuer, with the redirect address `/api/kitestring/v1/session/oidc/callback`."""
    oidc_client_secret: str = secret("")
    """That client's secret."""
    oidc_name: str = "single sign-on"
    """The name of this login in the web interface."""
    oidc_create: bool = False
    """Whether a first login creates the user. Otherwise an admin adds users first, by e-mail address."""
    oidc_domains: str = ""
    """The e-mail domains for which `oidc_create` creates users: `example.com,example.org`."""
    assist_url: str = ""
    """The address of a language model for the assistant of the connector builder: `https://api.openai.com/v1`,
    `http://localhost:11434/v1`, `https://api.anthropic.com`. Without it there is none."""
    assist_key: str = secret("")
    """The key of that model."""
    assist_model: str = ""
    """The name of that model."""
    assist_kind: str = option("openai", pattern="^(openai|anthropic)$")
    """The API that the model speaks: openai, or what is compatible with it, or anthropic."""
    answer_url: str = ""
    """The address of a language model that writes the answers of *Ask*: `https://api.openai.com/v1`,
    `http://localhost:11434/v1`, `https://api.anthropic.com`. It gets questions and the records that are found. Without
    it, answers consist of sentences of the records."""
    answer_key: str = secret("")
    """The key of that model."""
    answer_model: str = ""
    """The name of that model."""
    answer_kind: str = option("openai", pattern="^(openai|anthropic)$")
    """The API that it speaks: openai, or what is compatible with it, or anthropic."""
    answer_input_usd: float | None = option(None, ge=0)
    """The price of a million tokens that it reads, in USD, for the cost of answers."""
    answer_output_usd: float | None = option(None, ge=0)
    """The price of a million tokens that it writes, in USD."""
    rerank_kind: str = option("", pattern="^(cohere|jina|tei|)$")
    """The API of a reranker that orders the passages of answers: cohere, jina, or tei (text-embeddings-inference)."""
    rerank_url: str = ""
    """Its address. Default: that of Cohere or Jina."""
    rerank_key: str = secret("")
    """Its key."""
    rerank_model: str = ""
    """The name of its model."""
    log_level: str = option("info", pattern="^(debug|info|warning|error)$")
    """The lowest level that is logged: debug, info, warning or error."""

    @field_validator("memory_mb")
    @classmethod
    def _enough(cls, memory: int) -> int:
        if 0 < memory < 100:
            raise ValueError("a sync needs at least 100 MB; 0 is no limit")
        return memory

    @field_validator("allowed_networks")
    @classmethod
    def _networks(cls, text: str) -> str:
        try:
            [ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip()]
        except ValueError:
            raise ValueError("write networks as 10.1.2.0/24, separated by commas") from None
        return text

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """The settings of an environment; `overrides` come first. `ConfigError` names the wrong variable."""
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
    def runs_python_components(self) -> bool:
        """Whether approved Python components run on this server."""
        return self.allow_private_hosts if self.python_components is None else self.python_components

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
