"""The settings of the form: read from the environment, checked once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kitestring.errors import ConfigError

DEMO_COLLECTION = "help_desk"
DEMO_URL = ".kitestring/demo/help_desk.db"
"""Where `kitestring demo` leaves them, seen from the folder it ran in."""

THRESHOLDS = {
    # Squared L2 distances as Milvus reports them: the farthest that a ticket, an article may be from the text.
    # local: measured on the demo's help desk (docs/howto/support-form.md).
    "local": (0.8, 1.0),
    # The values of the tutorial from which many Airbyte-era forms descend.
    "text-embedding-ada-002": (0.35, 0.36),
    # The newer models spread texts wider. A start, not a measurement: look at your own tickets.
    "text-embedding-3-small": (0.7, 1.0),
    "text-embedding-3-large": (0.7, 1.0),
}


@dataclass(frozen=True)
class Settings:
    """`Settings.of(os.environ)`; every field has a default, and with all of them the form runs on the demo."""

    milvus_url: str = ""
    milvus_token: str = field(default="", repr=False)
    milvus_db: str = ""
    collection: str = ""
    openai_api_key: str = field(default="", repr=False)
    openai_model: str = "text-embedding-ada-002"
    openai_base_url: str = ""
    zendesk_base_url: str = ""
    zendesk_client_id: str = ""
    zendesk_client_secret: str = field(default="", repr=False)
    zendesk_scope: str = "read write"
    zendesk_email: str = ""
    zendesk_api_token: str = field(default="", repr=False)
    zendesk_oauth_token: str = field(default="", repr=False)
    organization_id: int | None = None
    ticket_statuses: tuple[str, ...] = ("new",)
    ticket_threshold: float = 0.0
    article_threshold: float = 0.0
    search_timeout_s: float = 20.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """The settings of an environment. `ConfigError` names the variable that cannot be read."""

        def text(name: str, default: str = "") -> str:
            return environment.get(name, "").strip() or default

        def number(name: str, default: float) -> float:
            try:
                return float(text(name) or default)
            except ValueError:
                hint = f"Set {name} to a number, such as {default}."
                raise ConfigError(f"{name} is not a number", hint=hint) from None

        organization = text("ORGANIZATION_ID")
        if organization and not organization.isdecimal():
            raise ConfigError("ORGANIZATION_ID is no id", hint="Set it to Zendesk's number of the organization.")
        key, url = text("OPENAI_API_KEY"), text("MILVUS_URL")
        model = text("OPENAI_MODEL", cls.openai_model)
        # The demo's collection was made by the local embedder, whatever keys lie around in this environment.
        tickets, articles = THRESHOLDS.get(model if key and url else "local", THRESHOLDS["text-embedding-3-small"])
        return cls(
            milvus_url=url or DEMO_URL,
            milvus_token=text("MILVUS_TOKEN"),
            milvus_db=text("MILVUS_DB"),
            collection=text("MILVUS_COLLECTION", "zendesk" if url else DEMO_COLLECTION),
            openai_api_key=key if url else "",
            openai_model=model,
            openai_base_url=text("OPENAI_BASE_URL"),
            zendesk_base_url=text("ZENDESK_BASE_URL").rstrip("/"),
            zendesk_client_id=text("ZENDESK_CLIENT_ID"),
            zendesk_client_secret=text("ZENDESK_CLIENT_SECRET"),
            zendesk_scope=text("ZENDESK_SCOPE", cls.zendesk_scope),
            zendesk_email=text("ZENDESK_EMAIL"),
            zendesk_api_token=text("ZENDESK_API_TOKEN"),
            zendesk_oauth_token=text("ZENDESK_OAUTH_TOKEN"),
            organization_id=int(organization) if organization else None,
            ticket_statuses=tuple(
                status.strip() for status in text("TICKET_STATUSES", "new").split(",") if status.strip()
            ),
            ticket_threshold=number("TICKET_THRESHOLD", tickets),
            article_threshold=number("ARTICLE_THRESHOLD", articles),
            search_timeout_s=number("SEARCH_TIMEOUT_S", cls.search_timeout_s),
        )

    @property
    def demo(self) -> bool:
        """Whether the help desk is the made-up one, whose customers anybody may see."""
        return not self.zendesk_base_url or urlsplit(self.zendesk_base_url).hostname in (
            "127.0.0.1",
            "localhost",
            "::1",
        )

    @property
    def embedder(self) -> str:
        """The name of the model, for people."""
        return self.openai_model if self.openai_api_key else "all-MiniLM-L6-v2 (local)"

    def embedding(self) -> dict[str, Any]:
        """The embedder's options: the one that filled the collection."""
        if not self.openai_api_key:
            return {"mode": "local"}
        options = {"mode": "openai", "openai_key": self.openai_api_key, "model": self.openai_model}
        return {**options, "base_url": self.openai_base_url} if self.openai_base_url else options

    def destination(self) -> dict[str, Any]:
        """The options of Kitestring's Milvus destination. The form only searches; nothing is cut or written."""
        auth = {"mode": "token", "token": self.milvus_token} if self.milvus_token else {"mode": "no_auth"}
        return {
            "processing": {"chunk_size": 512},
            "embedding": self.embedding(),
            "indexing": {
                "host": self.milvus_url,
                "auth": auth,
                "db": self.milvus_db,
                "collection": self.collection,
                "timeout": min(10.0, self.search_timeout_s),
            },
        }

    def masked(self, text: str) -> str:
        """A message without the secrets that a server may have repeated in it."""
        for secret in (
            *(self.milvus_token, self.openai_api_key),
            *(self.zendesk_client_secret, self.zendesk_api_token, self.zendesk_oauth_token),
        ):
            if len(secret) >= 4:
                text = text.replace(secret, "****")
        return text


def from_environment() -> Settings:
    """The settings of this process."""
    return Settings.of(os.environ)
