"""The `processing` block of a vector destination: which fields become text and metadata, and how the text is cut."""

from __future__ import annotations

import json
from typing import Literal, Self, Union

from pydantic import ConfigDict, field_validator, model_validator

from kitestring.config import Config, choice, option

Language = Literal[
    "cpp", "go", "java", "js", "php", "proto", "python", "rst", "ruby", "rust", "scala", "swift", "markdown", "latex",
    "html", "sol",
]  # fmt: skip


class BySeparator(Config):
    """Cut at the first separator of the list that occurs, then at the next one inside what is still too long."""

    model_config = ConfigDict(title="By Separator")

    mode: Literal["separator"] = "separator"
    separators: list[str] = option(
        default_factory=lambda: ['"\\n\\n"', '"\\n"', '" "', '""'],
        title="Separators",
        description="Texts to cut at, tried in this order. Each is a JSON string, quotes included, so that line breaks"
        ' can be written: "\\n\\n". An empty one ("") cuts anywhere.',
    )
    keep_separator: bool = option(
        False, title="Keep separator", description="Keep the separator, at the beginning of the chunk that follows it."
    )

    @field_validator("separators")
    @classmethod
    def _json_strings(cls, separators: list[str]) -> list[str]:
        for position, separator in enumerate(separators, 1):
            try:
                sound = isinstance(json.loads(separator), str)
            except ValueError:
                sound = False
            if not sound:
                raise ValueError(
                    f'separator {position} is not a JSON string: write it with its quotes, such as "\\n" or ", "'
                )
        return separators

    def texts(self) -> list[str]:
        """The separators themselves."""
        return [json.loads(separator) for separator in self.separators]


class ByMarkdown(Config):
    """Cut Markdown at its headings."""

    model_config = ConfigDict(title="By Markdown header")

    mode: Literal["markdown"] = "markdown"
    split_level: int = option(
        1,
        ge=1,
        le=6,
        title="Split level",
        description="Down to which level of headings to cut: 1 cuts at `#` only, 6 at every heading.",
    )


class ByCode(Config):
    """Cut source code between its definitions."""

    model_config = ConfigDict(title="By Programming Language")

    mode: Literal["code"] = "code"
    language: Language = option(title="Language", description="The language the text is written in.")


TextSplitter = Union[BySeparator, ByMarkdown, ByCode]  # noqa: UP007 - pydantic shows the name of a Union


class FieldNameMapping(Config):
    """A field that gets another name."""

    model_config = ConfigDict(title="Field name mapping")

    from_field: str = option(title="From field name", description="The field name (or path) in the source.")
    to_field: str = option(title="To field name", description="The field name in the destination.")


class Processing(Config):
    """Which fields become text and metadata, and how the text is cut into chunks."""

    model_config = ConfigDict(title="Text and chunks")

    chunk_size: int = option(
        ge=1,
        le=8191,
        title="Chunk size",
        description="The most tokens a chunk may have, counted as the embedding model counts them. Where the model"
        " takes less, its limit counts.",
        examples=[512, 1000],
        order=0,
    )
    chunk_overlap: int = option(
        0,
        ge=0,
        title="Chunk overlap",
        description="How many tokens the end of a chunk and the beginning of the next may share.",
        order=1,
    )
    text_fields: list[str] = option(
        default_factory=list,
        title="Text fields to embed",
        description="The fields whose text is embedded and searched: names, or paths such as `user.name` and"
        " `comments.*.body`. None means all fields.",
        examples=["text", "user.name", "users.*.name"],
        order=2,
        always_show=True,
    )
    metadata_fields: list[str] = option(
        default_factory=list,
        title="Fields to store as metadata",
        description="The fields stored beside every chunk, to filter by and to show: names or paths. None means all"
        " fields, those that are embedded too, as Airbyte does.",
        examples=["age", "user", "user.name"],
        order=3,
        always_show=True,
    )
    text_splitter: TextSplitter | None = choice(
        "mode", None, title="Text splitter", description="Where texts are cut.", type="object", order=4
    )
    field_name_mappings: list[FieldNameMapping] = option(
        default_factory=list,
        title="Field name mappings",
        description="Fields that get another name in the destination.",
        order=5,
    )
    html: bool = option(
        True, title="HTML to text", description="Turn text fields that hold HTML into clean text.", order=6
    )
    field_names: bool = option(
        False,
        title="Field names in the text",
        description="Put the field's name before its text (`subject: Printer on fire`), as Airbyte does. Changing this"
        " embeds everything again.",
        order=7,
    )
    url_field: str | None = option(
        None,
        title="Link field",
        description="The field with the address where a reader finds the record. Found by name (html_url, url, link, …)"
        " when empty.",
        order=8,
    )
    updated_at_field: str | None = option(
        None,
        title="Time field",
        description="The field with the time of the last change. Found by name (updated_at, …) when empty.",
        order=9,
    )

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Self:
        if self.chunk_overlap >= self.chunk_size:
            raise ValueError(
                f"chunk_overlap ({self.chunk_overlap}) must be smaller than chunk_size ({self.chunk_size})"
            )
        return self

    @field_validator("text_fields", "metadata_fields")
    @classmethod
    def _paths_are_whole(cls, paths: list[str]) -> list[str]:
        for path in paths:
            if not path or not all(path.split(".")):
                raise ValueError(f"{path!r} is not a field path; write names with dots between them, such as user.name")
        return paths

    def splitter(self) -> TextSplitter:
        """How texts are cut: at paragraphs, lines and words unless the configuration says otherwise."""
        return self.text_splitter or BySeparator()
