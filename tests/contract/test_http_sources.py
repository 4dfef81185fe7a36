"""Every manifest of ours keeps the contract of sources, over HTTP against a stand-in of its vendor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring import registry
from kitestring.source import Source
from kitestring.testing.airtable import AirtableStandIn
from kitestring.testing.asana import AsanaStandIn
from kitestring.testing.confluence import ConfluenceStandIn
from kitestring.testing.contract import SourceContract
from kitestring.testing.discourse import DiscourseStandIn
from kitestring.testing.freshdesk import FreshdeskStandIn
from kitestring.testing.github import GitHubStandIn
from kitestring.testing.gitlab import GitLabStandIn
from kitestring.testing.hubspot import HubSpotStandIn
from kitestring.testing.intercom import IntercomStandIn
from kitestring.testing.jira import JiraStandIn
from kitestring.testing.linear import LinearStandIn
from kitestring.testing.notion import NotionStandIn
from kitestring.testing.shopify import ShopifyStandIn
from kitestring.testing.slack import SlackStandIn
from kitestring.testing.stripe import StripeStandIn
from kitestring.testing.zendesk import ZendeskStandIn


class TestZendeskSupport(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with ZendeskStandIn(tickets=60, export_page=25) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("zendesk_support", self.server.config)


class TestGithub(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with GitHubStandIn() as self.server:
            for repository in self.server.repositories.values():
                repository.run_count = 5  # each costs a call for its jobs
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("github", self.server.config)


class TestFreshdesk(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with FreshdeskStandIn(tickets=60) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("freshdesk", self.server.config)


class TestIntercom(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with IntercomStandIn(conversations=60) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("intercom", self.server.config)


class TestHubspot(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with HubSpotStandIn() as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("hubspot", self.server.config)


class TestStripe(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with StripeStandIn() as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("stripe", self.server.config)


class TestAsana(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with AsanaStandIn(tasks=30) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("asana", self.server.config)


class TestAirtable(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with AirtableStandIn() as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("airtable", self.server.config)


class TestShopify(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with ShopifyStandIn() as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("shopify", self.server.config)


class TestJira(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with JiraStandIn(issues=12, page=10) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("jira", self.server.config)


class TestNotion(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with NotionStandIn(pages=12, page=5) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("notion", self.server.config)


class TestSlack(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with SlackStandIn(messages=20, page=4) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("slack", self.server.config)


class TestConfluence(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with ConfluenceStandIn(pages=12, page=6) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("confluence", self.server.config)


class TestGitlab(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with GitLabStandIn(issues=10, page=4) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("gitlab", self.server.config)


class TestDiscourse(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with DiscourseStandIn(topics=10, page=10) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("discourse", self.server.config)


class TestLinear(SourceContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with LinearStandIn(issues=10, page=4) as self.server:
            yield

    def make(self, folder: Path) -> Source:
        return registry.source("linear", self.server.config)
