"""HTML to the text a reader would see: what is embedded should be words, not tags and addresses."""

from __future__ import annotations

import re
from html import unescape

TAG = re.compile(
    r"</(?:p|div|span|a|b|i|em|strong|ul|ol|li|table|t[rdh]|h[1-6]|pre|code|blockquote|body|html|section|article|font|u)\s*>"
    r"|<(?:br|hr|p|img|div|li)\b[^<>]*>",
    re.IGNORECASE,
)
ENTITY = re.compile(r"&(?:nbsp|amp|lt|gt|quot|#39|#x27|#160);")
BLANKS = re.compile(r"[ \t]+\n")
GAPS = re.compile(r"\n{3,}")


def looks_like_html(text: str) -> bool:
    """Whether a field holds HTML: a closing tag of a common element, or an element that has none (`<br>`)."""
    return "<" in text and TAG.search(text) is not None


def html_to_text(html: str) -> str:
    """The visible text, a blank line between blocks; scripts, styles and link addresses are left out."""
    from html_to_markdown import ConversionOptions, convert

    text = str(convert(html, ConversionOptions(output_format="plain", skip_images=True)).content or "")
    return GAPS.sub("\n\n", BLANKS.sub("\n", text.replace("\xa0", " "))).strip()


def clean(text: str) -> str:
    """`text` as it reads: HTML becomes text, a text without tags only loses its character references (`&nbsp;`)."""
    if looks_like_html(text):
        return html_to_text(text)
    if "&" in text and ENTITY.search(text):
        return unescape(text)
    return text
