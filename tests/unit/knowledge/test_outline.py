"""Headings and where they are."""

from knowledge.text.outline import MARKDOWN, PLAIN_TEXT, breadcrumb, outline, title_of

SOURCE = """Setext title
============

Intro.

## Returns `30 days`

```
# not a heading
```

> # a quotation's heading

### Boots
Text.

## Shipping
"""


def test_headings_keep_their_offsets_and_levels() -> None:
    headings = outline(SOURCE, media_type=MARKDOWN)
    assert [(heading.level, heading.title) for heading in headings] == [
        (1, "Setext title"),
        (2, "Returns `30 days`"),
        (3, "Boots"),
        (2, "Shipping"),
    ]
    for heading in headings:
        line = SOURCE[heading.start :].split("\n", 1)[0]
        assert heading.title in line


def test_offsets_are_right_whatever_ends_the_lines() -> None:
    for ending in ("\n", "\r\n", "\r"):
        source = f"first{ending}{ending}# Änderung{ending}text{ending}# Zwei"
        starts = [heading.start for heading in outline(source, media_type=MARKDOWN)]
        assert [source[start : start + 3] for start in starts] == ["# Ä", "# Z"], repr(ending)


def test_the_breadcrumb_names_what_is_above_and_not_the_passage_itself() -> None:
    headings = outline(SOURCE, media_type=MARKDOWN)
    boots = headings[2].start
    assert breadcrumb(headings, boots) == ("Setext title", "Returns `30 days`")
    assert breadcrumb(headings, boots + 10) == ("Setext title", "Returns `30 days`", "Boots")
    assert breadcrumb(headings, headings[3].start) == ("Setext title",)
    assert breadcrumb(headings, 0) == ()


def test_the_title_is_the_first_heading_of_the_first_level() -> None:
    assert title_of(outline("## Two\n\n# One", media_type=MARKDOWN)) == "One"
    assert title_of(outline("text", media_type=MARKDOWN)) is None


def test_plain_text_has_no_headings() -> None:
    assert outline("# shebang-like line", media_type=PLAIN_TEXT) == ()
