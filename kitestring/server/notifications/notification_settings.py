"""Notification settings of a workspace, by event, in the shape of Airbyte's API plus the channel `apprise`:

    {"failure": {"webhook": {"enabled": true, "url": "https://hooks.slack.com/…"},
                 "email": {"enabled": true, "to": ["ops@example.com"]},
                 "apprise": {"enabled": true, "urls": ["tgram://…"]}}}

The address of a webhook is enough to write to it, and an address of apprise contains a password: addresses are sealed
at rest like the secrets of connectors, and only users who may change them see them. A reference such as `${env:…}`
may replace one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from kitestring.server.secrets.secret_box import SecretBox, is_reference, mask_config, restore_masked

EVENTS = {
    "failure": "A job failed",
    "success": "A job succeeded",
    "suspicious": "A job ended suspicious",
    "connectionUpdate": "The schema of a source changed",
    "connectionUpdateActionRequired": "The schema of a source changed, and a user has to decide",
    "syncDisabled": "A connection was paused",
    "syncDisabledWarning": "A connection will be paused soon",
    "replicationSlot": "A replication slot needs attention",
}
FALLBACK_EVENT = {"suspicious": "failure", "replicationSlot": "failure"}
"""Airbyte's clients do not know these: where they have no channel of their own, they take that of a failure."""
CHANNEL_TYPES = ("webhook", "email", "apprise")

_ADDRESS = {"airbyte_secret": True}
FORM = {
    "additionalProperties": {
        "properties": {
            "webhook": {"properties": {"url": _ADDRESS}},
            "apprise": {"properties": {"urls": {"items": _ADDRESS}}},
        }
    }
}
"""The places of secrets in a workspace's notifications, as a connector's form marks them."""


class Receivers(BaseModel):
    """The receivers of one event, as a project file has them. `email: []` is all who may read the workspace."""

    model_config = ConfigDict(extra="forbid")

    webhook: str | None = None
    email: list[str] | None = None
    apprise: list[str] | None = None

    def channels(self) -> dict[str, Any]:
        """The same in the shape of the API."""
        out: dict[str, Any] = {}
        if self.webhook:
            out["webhook"] = {"enabled": True, "url": self.webhook}
        if self.email is not None:
            out["email"] = {"enabled": True, **({"to": self.email} if self.email else {})}
        if self.apprise:
            out["apprise"] = {"enabled": True, "urls": self.apprise}
        return out


def to_project_file(notifications: Mapping[str, Any]) -> dict[str, Any]:
    """Notifications of the API as a project file has them, what is switched off left out."""
    out: dict[str, Any] = {}
    for event in EVENTS:
        switched_on = {
            type_: channel
            for type_, channel in (notifications.get(event) or {}).items()
            if type_ in CHANNEL_TYPES and channel.get("enabled")
        }
        if switched_on:
            places = {"webhook": "url", "email": "to", "apprise": "urls"}
            out[event] = {type_: channel.get(places[type_]) or [] for type_, channel in switched_on.items()}
    return out


def seal_channels(
    secret_box: SecretBox, workspace_id: str, requested: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """The channels of a workspace for the store: the requested events, the others as before.

    Where an address is masked, the one before stays. `ConfigError` for a mask without one.
    """
    merged = {
        **before,
        **{event: restore_masked(channels, before.get(event) or {}) for event, channels in requested.items()},
    }
    return secret_box.seal_config(merged, FORM, workspace_id)


def open_channels(secret_box: SecretBox, row: Any) -> dict[str, Any]:
    """The channels of a workspace's row with their addresses. References stay."""
    return secret_box.open_config(row.notifications, row.id)


def mask_channels(row: Any) -> dict[str, Any]:
    """The channels of a workspace's row for those who may not know their addresses."""
    return mask_config(row.notifications, FORM)


def channels_for(notifications: Mapping[str, Any], event: str) -> dict[str, Any]:
    """The channels of an event, by way."""
    return notifications.get(event) or notifications.get(FALLBACK_EVENT.get(event, "")) or {}


def enabled(channels: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The channels that are switched on: a way, and which of its addresses."""
    for type_ in CHANNEL_TYPES:
        channel = channels.get(type_) or {}
        if channel.get("enabled"):
            yield from ((type_, number) for number in range(len(addresses(type_, channel))))


def addresses(type_: str, channel: Mapping[str, Any]) -> list[str]:
    """The addresses of a channel. E-mail without receivers: one notice without address, to all readers."""
    if type_ == "webhook":
        return [channel["url"]] if channel.get("url") else []
    return [str(url) for url in channel.get("urls") or ()] if type_ == "apprise" else [""]


def resolve_address(address: str, patterns: list[str]) -> str:
    """An address, with a reference resolved (see `secrets/references.py`)."""
    from kitestring.server.secrets.references import resolve

    return resolve(address, patterns) if is_reference(address) else address
