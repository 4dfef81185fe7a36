"""The title and the address of a record, from the fields that usually have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TITLES = ("subject", "title", "name", "summary", "topic_title", "properties.subject", "source.subject")
LINKS = ("html_url", "url", "_url", "web_url", "permalink_url")


def title_of(hit: Mapping[str, Any]) -> str:
    """The title; empty where no field has one."""
    return next((str(hit[key]) for key in TITLES if hit.get(key)), "")


def link_of(hit: Mapping[str, Any]) -> str:
    """The address for people; empty where no field has one."""
    return next((str(hit[key]) for key in LINKS if hit.get(key)), "")


def web_link_of(hit: Mapping[str, Any]) -> str:
    """The address, if a browser may open it: a record's author may have written any text."""
    link = link_of(hit)
    return link if link.startswith(("https://", "http://")) else ""
