"""What `kitestring init` proposes to read of a source for a search, and the options that it writes for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """The streams in which people search, what is embedded of their records, and what is stored beside it."""

    streams: tuple[str, ...]
    embedded: tuple[str, ...]
    stored: tuple[str, ...]


def _texts(streams: str, embedded: str, stored: str) -> Texts:
    return Texts(tuple(streams.split()), tuple(embedded.split()), tuple(stored.split()))


TEXTS = {
    "zendesk_support": _texts(
        "tickets articles",
        "subject description title body",
        "id subject title status priority organization_id html_url updated_at",
    ),
    "github": _texts("issues pull_requests comments", "title body", "id number title repository state html_url"),
    "gitlab": _texts(
        "issues issue_comments merge_requests merge_request_comments wiki_pages",
        "title description body content",
        "id iid title project web_url",
    ),
    "slack": _texts("channel_messages threads", "text_rendered", "channel_id ts thread_ts user"),
    "jira": _texts("issues issue_comments", "summary description renderedBody", "id key summary issueKey projectKey"),
    "confluence": _texts("pages blog_posts footer_comments inline_comments", "title text", "id title spaceId url"),
    "notion": _texts("page_contents", "title markdown", "id title url"),
    "hubspot": _texts(
        "tickets engagements_notes engagements_emails engagements_calls conversation_messages",
        "properties.subject properties.content properties.hs_note_body properties.hs_email_subject "
        "properties.hs_email_text properties.hs_call_body text",
        "id properties.subject conversationsThreadId",
    ),
    "freshdesk": _texts(
        "tickets conversations solution_articles",
        "subject title description_text body_text",
        "id subject title ticket_id status",
    ),
    "intercom": _texts(
        "conversations conversation_parts tickets articles",
        "source.subject source.body title body ticket_attributes._default_title_ "
        "ticket_attributes._default_description_",
        "id conversation_id title source.subject url",
    ),
    "discourse": _texts("posts", "topic_title raw", "id topic_id topic_title post_number username"),
    "asana": _texts("tasks subtasks stories", "name notes text", "gid name permalink_url"),
    "linear": _texts("issues comments documents", "title description body content", "id identifier title url"),
    "stripe": _texts("customers products", "name description email", "id name"),
    "shopify": _texts("products pages articles", "title description body", "id title handle"),
}
STREAMS = {"sample": ["users"], **{name: list(texts.streams) for name, texts in TEXTS.items()}}

ATLASSIAN = """\
# Where your site is: acme.atlassian.net
{domain}: ${{{product}_DOMAIN}}
# The cloudId at https://YOUR_SITE.atlassian.net/_edge/tenant_info
cloud_id: ${{{product}_CLOUD_ID}}
credentials:
  # admin.atlassian.com > Directory > Service accounts > Create credentials > OAuth 2.0.
  auth_type: client_credentials
  client_id: ${{{product}_CLIENT_ID}}
  client_secret: ${{{product}_CLIENT_SECRET}}
"""
JIRA = ATLASSIAN.format(product="JIRA", domain="domain")
CONFLUENCE = ATLASSIAN.format(product="CONFLUENCE", domain="domain_name")

LINEAR = """\
credentials:
  # Settings > Security & access > Personal API keys, with Read as its only permission.
  auth_type: API Key
  api_key: ${LINEAR_API_KEY}
"""


def processing(source: str) -> str:
    """What a vector destination embeds and stores of a source."""
    texts = TEXTS.get(source)
    if texts is None:
        return (
            "# What is embedded, and what is stored beside it to filter by. Left out: all fields.\n"
            "# text_fields: [title, body]\n"
            "# metadata_fields: [id]\n"
        )
    return (
        "# What is embedded, and what is stored beside it to filter by. Empty: all fields.\n"
        f"text_fields: [{', '.join(texts.embedded)}]\n"
        f"metadata_fields: [{', '.join(texts.stored)}]\n"
    )
