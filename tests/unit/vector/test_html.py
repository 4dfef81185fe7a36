"""HTML becomes the text a reader sees."""

from __future__ import annotations

import pytest

from kitestring.vector.html import clean, html_to_text, looks_like_html


@pytest.mark.parametrize(
    "text", ["<p>x</p>", "one<br>two", "a <b>bold</b> word", '<a href="x">y</a>', "<IMG SRC='x'>", "<div>\n</div>"]
)
def test_tags_of_common_elements_are_html(text: str) -> None:
    assert looks_like_html(text)


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "List<String> x", "<ann@example.org>", "if (a<b) {}", "I <3 you", "", "<<<<<"]
)
def test_other_angle_brackets_are_not(text: str) -> None:
    assert not looks_like_html(text)
    assert clean(text) == text


def test_blocks_are_separated_and_scripts_styles_and_addresses_left_out() -> None:
    html = (
        "<html><head><title>T</title><style>p{color:red}</style></head><body><script>alert(1)</script>"
        "<h1>Title &amp; more</h1><p>One <b>two</b>&nbsp;<a href='https://x.y/z'>three</a><br>four</p>"
        "<ul><li>a</li><li>b</li></ul><!-- hidden --><table><tr><td>1</td><td>2</td></tr></table></body></html>"
    )
    text = html_to_text(html)
    for word in ("Title & more", "One two three", "four", "- a", "- b", "1", "2"):
        assert word in text
    for hidden in ("alert", "color", "https://", "hidden", "<", "\xa0", "\n\n\n"):
        assert hidden not in text


def test_character_references_without_tags_are_resolved() -> None:
    assert clean("a&nbsp;&lt;b&gt; &amp; c") == "a\xa0<b> & c"
    assert clean("AT&T; x & y") == "AT&T; x & y"


@pytest.mark.parametrize(
    "html", ["<p>" * 5000, "<p>a</p><<<>>", "<p>🙂\x00</p>", "<div " * 2000 + ">", "<p>" + "x" * 1_000_000]
)
def test_broken_html_raises_nothing(html: str) -> None:
    assert isinstance(html_to_text(html), str)


def test_markdown_with_html_in_it_keeps_its_lines_and_loses_the_tags() -> None:
    text = (
        '<p align="center"><img src="logo.png"></p>\n\n# Title\n\n'
        "Use `List<String>` &amp; [docs](https://x.y).<br>Next<!-- no -->"
        "\n\n<details>\n<summary>Log</summary>\n\n```py\nif a < b:\n    run()\n```\n</details>"
    )
    assert clean(text) == (
        "# Title\n\nUse `List<String>` & [docs](https://x.y).\nNext\n\nLog\n\n```py\nif a < b:\n    run()\n```"
    )


def test_a_whole_page_is_html_whatever_is_in_it() -> None:
    text = clean("<!DOCTYPE html><html><body><script>alert(1)</script><p>one\n```\ntwo</p></body></html>")
    assert "alert" not in text
    assert text.split() == ["one", "```", "two"]
