"""HTML to the text a reader sees: words are embedded, not tags and addresses."""

from __future__ import annotations

import re
from html import unescape

BLOCKS = (
    "p|div|ul|ol|li|dl|dt|dd|table|thead|tbody|tr|td|th|h[1-6]|pre|blockquote|body|html|section|article|header|footer"
    "|details|summary|br|hr"
)
INLINE = "span|a|b|i|u|em|strong|code|kbd|sub|sup|font|small|mark|del|ins|s|q|img|picture|source|center"
TAG = re.compile(rf"</(?:{BLOCKS}|{INLINE})\s*>|<(?:br|hr|p|img|div|li)\b[^<>]*>", re.IGNORECASE)
ENTITY = re.compile(r"&(?:nbsp|amp|lt|gt|quot|#39|#x27|#160);")
MARKDOWN = re.compile(r"^(?:#{1,6} \S|```|~~~)|\]\((?:https?:|/|#)", re.MULTILINE)
"""Headings, fences and links of Markdown: in such a text line breaks have a meaning, and HTML tags are single
insertions."""
WHOLE_PAGE = re.compile(r"\s*<(?:!doctype|html|body)\b", re.IGNORECASE)
BLOCK_TAG = re.compile(rf"</?(?:{BLOCKS})\b[^<>]*>", re.IGNORECASE)
INLINE_TAG = re.compile(rf"</?(?:{INLINE})\b[^<>]*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
BLANKS = re.compile(r"[ \t]+\n")
GAPS = re.compile(r"\n{3,}")


def clean(text: str) -> str:
    """The readable text: HTML becomes text, Markdown loses its HTML tags, other text its character references."""
    if looks_like_html(text):
        return without_tags(text) if MARKDOWN.search(text) and not WHOLE_PAGE.match(text) else html_to_text(text)
    if "&" in text and ENTITY.search(text):
        return unescape(text)
    return text


def looks_like_html(text: str) -> bool:
    """Whether a field holds HTML: a closing tag of a common element, or an element without one (`<br>`)."""
    return "<" in text and TAG.search(text) is not None


def html_to_text(html: str) -> str:
    """The visible text, a blank line between blocks; scripts, styles and link addresses are left out."""
    from html_to_markdown import ConversionOptions, convert

    return tidy(str(convert(html, ConversionOptions(output_format="plain", skip_images=True)).content or ""))


def without_tags(text: str) -> str:
    """The text without the tags of known elements, its lines as they are."""
    return tidy(unescape(INLINE_TAG.sub("", BLOCK_TAG.sub("\n", text))))


def tidy(text: str) -> str:
    return GAPS.sub("\n\n", BLANKS.sub("\n", text.replace("\xa0", " "))).strip()
