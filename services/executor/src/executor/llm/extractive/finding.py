"""Question and passages, wherever a workflow has put them.

Workflows write prompts for language models: hits of a search as JSON between words, numbered passages, tags, or just
paragraphs. All of these are understood; what is left over is where the question is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from executor.llm.request import LlmRequest, text_of

_QUESTION: Final = re.compile(
    r"(?im)^[\s*#>_-]*(?:the\s+)?(?:user\s+|customer\s+)?(?:question|query|q)[\s*_]*[:=]+[\s*_]*(?P<text>\S.*)$"
)
_MARKER: Final = re.compile(r"(?m)^[ \t]*(?:[-*][ \t]+)?\[(?P<label>\d{1,3})\][ \t:.-]*")
_TAGGED: Final = re.compile(
    r"<(?P<tag>passage|document|doc|source|context)\b(?P<attributes>[^>]*)>(?P<text>.*?)</(?P=tag)>",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE: Final = re.compile(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']")
_TITLE: Final = re.compile(
    r"^(?:\((?P<braced>[^()\n]{1,120})\)|(?P<plain>[A-Z][^.:?!\n]{1,80}):)\s+"
)
_LISTS: Final = ("hits", "passages", "documents", "results", "chunks", "context")
_JSON_ATTEMPTS_MAX: Final = 64
_PARAGRAPH_WORDS_MIN: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    number: int
    """As the prompt numbers it, or its position: what a citation says in brackets."""

    text: str
    id: str | None = None
    title: str | None = None
    section: str | None = None
    chunk: int | None = None
    start: int | None = None
    """Offset of the passage in its document."""

    score: float | None = None
    matched: float | None = None
    """Part of the question's terms that the search found in it, 0 to 1."""


@dataclass(slots=True)
class Found:
    question: str = ""
    passages: list[Passage] = field(default_factory=list)


def find(request: LlmRequest) -> Found:
    found = Found()
    _add_values(found, request.passages or [])
    rest = [_take_passages(found, content) for content in _contents(request)]
    system = _take_passages(found, request.system_text())
    found.question = _question_in(rest)
    if not found.passages:
        for text in (*rest, system):
            _take_paragraphs(found, text)
    return found


def _contents(request: LlmRequest) -> Iterator[Any]:
    if request.prompt is not None:
        yield request.prompt
    for message in request.messages or ():
        if message.role in {"user", "tool"}:
            yield message.content


def _take_passages(found: Found, content: Any) -> str:
    """Move the passages of a message into `found` and return the text that is left."""
    if isinstance(content, dict | list) and _add_values(found, content):
        return ""
    text = _take_json(found, text_of(content))
    text = _take_tagged(found, text)
    return _take_numbered(found, text)


def _add_values(found: Found, value: Any) -> bool:
    """Add what looks like passages: hits of a search, objects with a text, or texts. Whether there were any."""
    if isinstance(value, dict):
        lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        items = lists[0] if lists else [value]
    else:
        items = value if isinstance(value, list) else []
    before = len(found.passages)
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("text"), str) and "role" not in item:
            found.passages.append(_of_object(item, number=len(found.passages) + 1))
        elif isinstance(item, str) and len(item.split()) >= _PARAGRAPH_WORDS_MIN:
            found.passages.append(Passage(number=len(found.passages) + 1, text=item))
    return len(found.passages) > before


def _of_object(item: dict[str, Any], *, number: int) -> Passage:
    return Passage(
        number=_whole(item.get("number")) or number,
        text=item["text"],
        id=_word(item.get("id")),
        title=_word(item.get("title")) or _word(item.get("document")) or _word(item.get("source")),
        section=_word(item.get("section")),
        chunk=_whole(item.get("chunk")),
        start=_whole(item.get("start")),
        score=_number(item.get("score")),
        matched=_number(item.get("matched")),
    )


def _take_json(found: Found, text: str) -> str:
    decoder, kept, position = json.JSONDecoder(), [], 0
    attempts = 0
    for match in re.finditer(r"[\[{]\s*[\"\[{]", text):
        if match.start() < position or attempts >= _JSON_ATTEMPTS_MAX:
            continue
        attempts += 1
        try:
            value, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if _add_values(found, value):
            kept.append(text[position : match.start()])
            position = end
    return "\n".join([*kept, text[position:]])


def _take_tagged(found: Found, text: str) -> str:
    def take(match: re.Match[str]) -> str:
        attributes = {
            name.lower(): value for name, value in _ATTRIBUTE.findall(match["attributes"])
        }
        found.passages.append(
            Passage(
                number=_whole(attributes.get("index")) or len(found.passages) + 1,
                text=match["text"].strip(),
                id=attributes.get("id"),
                title=attributes.get("title") or attributes.get("source") or attributes.get("id"),
            )
        )
        return "\n"

    return _TAGGED.sub(take, text)


def _take_numbered(found: Found, text: str) -> str:
    """Passages that begin with `[1]`; the last one ends where the question begins."""
    markers = list(_MARKER.finditer(text))
    if not markers:
        return text
    asked = _QUESTION.search(text, markers[-1].end())
    end = asked.start() if asked is not None else len(text)
    for marker, following in zip(markers, [*markers[1:], None], strict=True):
        body = text[marker.end() : following.start() if following is not None else end].strip()
        title = _TITLE.match(body)
        found.passages.append(
            Passage(
                number=int(marker["label"]),
                text=body[title.end() :] if title else body,
                title=(title["braced"] or title["plain"]) if title else None,
            )
        )
    return text[: markers[0].start()] + "\n" + text[end:]


def _take_paragraphs(found: Found, text: str) -> None:
    for paragraph in re.split(r"\n\s*\n", _QUESTION.sub("", text)):
        stripped = paragraph.strip()
        if stripped == found.question or stripped.endswith("?"):
            continue
        if len(stripped.split()) >= _PARAGRAPH_WORDS_MIN:
            found.passages.append(Passage(number=len(found.passages) + 1, text=stripped))


def _question_in(texts: list[str]) -> str:
    """The last thing that is called a question, else the last line that asks, else the last line."""
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    named = [match["text"].strip() for text in texts for match in _QUESTION.finditer(text)]
    asking = [line for line in lines if line.endswith("?")]
    for candidates in (named, asking, lines):
        if candidates:
            return candidates[-1]
    return ""


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
