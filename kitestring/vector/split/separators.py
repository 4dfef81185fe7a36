"""The separators of Markdown and of each programming language, widest unit first.

The order is that of LangChain's RecursiveCharacterTextSplitter, so that a configuration from Airbyte keeps its meaning:
definitions, then control flow, then paragraphs, lines, words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kitestring.vector.processing import ByCode, ByMarkdown, BySeparator, TextSplitter


@dataclass(frozen=True, slots=True)
class Separator:
    """One level of cutting. `keep`: the separator stays, at the start of the text after it."""

    literal: str = ""
    pattern: re.Pattern[str] | None = None
    keep: bool = False


PARAGRAPHS = ("\n\n", "\n", " ")

DEFINITIONS: dict[str, Sequence[str]] = {
    "cpp": ("class", "void", "int", "float", "double"),
    "go": ("func", "var", "const", "type"),
    "java": ("class", "public", "protected", "private", "static"),
    "js": ("function", "const", "let", "var", "class"),
    "php": ("function", "class"),
    "proto": ("message", "service", "enum", "option", "import", "syntax"),
    "ruby": ("def", "class"),
    "rust": ("fn", "const", "let"),
    "scala": ("class", "object", "def", "val", "var"),
    "swift": ("func", "class", "struct", "enum"),
    "sol": (
        "pragma", "using", "contract", "interface", "library", "constructor", "type", "function", "event", "modifier",
        "error", "struct", "enum",
    ),
}  # fmt: skip
CONTROL: dict[str, Sequence[str]] = {
    "cpp": ("if", "for", "while", "switch", "case"),
    "go": ("if", "for", "switch", "case"),
    "java": ("if", "for", "while", "switch", "case"),
    "js": ("if", "for", "while", "switch", "case", "default"),
    "php": ("if", "foreach", "while", "do", "switch", "case"),
    "proto": (),
    "ruby": ("if", "unless", "while", "for", "do", "begin", "rescue"),
    "rust": ("if", "while", "for", "loop", "match"),
    "scala": ("if", "for", "while", "match", "case"),
    "swift": ("if", "for", "while", "do", "switch", "case"),
    "sol": ("if", "for", "while", "do while", "assembly"),
}
HTML_TAGS = (
    "body", "div", "p", "br", "li", "h1", "h2", "h3", "h4", "h5", "h6", "span", "table", "tr", "td", "th", "ul", "ol",
    "header", "footer", "nav", "head", "style", "script", "meta", "title",
)  # fmt: skip
LATEX = (
    r"\\chapter\{", r"\\section\{", r"\\subsection\{", r"\\subsubsection\{", r"\\begin\{enumerate\}",
    r"\\begin\{itemize\}", r"\\begin\{description\}", r"\\begin\{list\}", r"\\begin\{quote\}", r"\\begin\{quotation\}",
    r"\\begin\{verse\}", r"\\begin\{verbatim\}", r"\\begin\{align\}", r"\$\$", r"\$",
)  # fmt: skip
MARKDOWN = (r"\n#{1,6} ", r"```\n", r"\n\*\*\*+\n", r"\n---+\n", r"\n___+\n")
RST = (r"\n[^\n]+\n=+\n", r"\n[^\n]+\n-+\n", r"\n[^\n]+\n\*+\n", r"\n\n\.\. ")


def separators(splitter: TextSplitter) -> list[Separator]:
    """The separators, widest first. Texts that are still too long are cut between words, then between tokens."""
    if isinstance(splitter, BySeparator):
        return [Separator(text, keep=splitter.keep_separator) for text in splitter.texts() if text]
    if isinstance(splitter, ByMarkdown):
        headings = [keeping(r"^" + "#" * level + " ") for level in range(1, splitter.split_level + 1)]
        return [*headings, *word_separators()]
    assert isinstance(splitter, ByCode)
    language = splitter.language
    if language == "html":
        return [*(keeping(rf"<{tag}\b") for tag in HTML_TAGS), *word_separators()]
    if language == "latex":
        return [*(keeping(text) for text in LATEX), *word_separators()]
    if language == "markdown":
        return [*(keeping(text) for text in MARKDOWN), *word_separators()]
    if language == "rst":
        return [*(keeping(text) for text in RST), *word_separators()]
    if language == "python":
        return [keeping(r"\nclass "), keeping(r"\ndef "), keeping(r"\n\tdef |\n +def "), *word_separators()]
    return [
        *(keeping(rf"\n{keyword} ") for keyword in (*DEFINITIONS[language], *CONTROL[language])),
        *word_separators(),
    ]


def keeping(pattern: str) -> Separator:
    return Separator(pattern=re.compile(pattern, re.MULTILINE), keep=True)


def word_separators() -> list[Separator]:
    return [Separator(text, keep=True) for text in PARAGRAPHS]
