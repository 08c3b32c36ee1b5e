"""The provider `extractive`: deterministic, offline, and honest about finding nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from common.serving.failures import FunctionError
from executor.llm.extractive.finding import Found, find
from executor.llm.extractive.ranking import Ranked, best_sentences
from executor.llm.extractive.words import words_of
from executor.llm.providers import Completion, OnText, Sampling, Usage
from executor.llm.request import LlmRequest

MODEL: Final = "extractive-1"
NO_ANSWER: Final = "No document answers this question."

_TEXT_NAMES: Final = ("answer", "text", "summary", "response", "result")
_LIST_NAMES: Final = ("citations", "sources", "references", "documents")
_FLAG_NAMES: Final = ("answered", "found", "isAnswered", "answerable")


class ExtractiveProvider:
    name = "extractive"

    def sampling(self, request: LlmRequest, *, use_model: bool) -> Sampling:
        del use_model  # There is one way to do it.
        return Sampling(model=MODEL, temperature=None, max_tokens=request.max_tokens or 2000)

    async def complete(
        self, request: LlmRequest, sampling: Sampling, on_text: OnText
    ) -> Completion:
        found = find(request)
        chosen = best_sentences(found.question, found.passages)
        text = _in_words(chosen) if chosen else NO_ANSWER
        citations = [_citation(one) for one in chosen]
        on_text(text)
        return Completion(
            text=text,
            model=sampling.model,
            finish_reason="stop",
            usage=_usage(found, text),
            json_text=_as_json(request, text, citations) if request.wants_json else None,
            extra={"answered": bool(chosen), "citations": citations},
        )

    async def close(self) -> None:
        pass


def _in_words(chosen: Sequence[Ranked]) -> str:
    """The sentences, each with the number of its passage; items of one list behind their introduction."""
    parts: list[str] = []
    introduced = ""
    for one in chosen:
        sentence, number = one.candidate.sentence, one.candidate.passage.number
        text = sentence.text
        if sentence.is_item:
            text = text.rstrip(",;")
            text = (
                text if sentence.introduction == introduced else f"{sentence.introduction}: {text}"
            )
            introduced = sentence.introduction
        parts.append(f"{text} [{number}]")
    return " ".join(parts)


def _citation(one: Ranked) -> dict[str, Any]:
    passage, sentence = one.candidate.passage, one.candidate.sentence
    citation = {
        "number": passage.number,
        "id": passage.id,
        "document": passage.title or passage.id,
        "section": passage.section,
        "chunk": passage.chunk,
        "text": sentence.text,
        "start": passage.start + sentence.start if passage.start is not None else None,
        "end": passage.start + sentence.end if passage.start is not None else None,
        "score": round(one.score, 4),
    }
    return {name: value for name, value in citation.items() if value is not None}


def _usage(found: Found, text: str) -> Usage:
    """Words, since nobody counts tokens here."""
    read = sum(len(words_of(passage.text)) for passage in found.passages)
    return Usage(
        input_tokens=read + len(words_of(found.question)), output_tokens=len(words_of(text))
    )


def _as_json(request: LlmRequest, text: str, citations: Sequence[dict[str, Any]]) -> str:
    """Fill in what can be known without a model: the answer, its citations, and whether there is one."""
    schema = request.schema_of_answer or {}
    properties = schema.get("properties") or {"answer": {}, "citations": {}, "answered": {}}
    value: dict[str, Any] = {}
    for name in properties:
        if name in _TEXT_NAMES:
            value[name] = text
        elif name in _LIST_NAMES:
            value[name] = _listed(properties[name], citations)
        elif name in _FLAG_NAMES:
            value[name] = bool(citations)
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        raise FunctionError(
            f"The extractive provider cannot fill {', '.join(missing)}: it quotes, it does not reason. Set "
            "OPENAI_API_KEY, ANTHROPIC_API_KEY or OPENAI_BASE_URL to have a model answer.",
            type="configuration",
            retryable=False,
        )
    return orjson.dumps(value).decode()


def _listed(schema: Any, citations: Sequence[dict[str, Any]]) -> list[Any]:
    items = schema.get("items") if isinstance(schema, dict) else None
    kind = items.get("type") if isinstance(items, dict) else None
    if kind == "string":
        return list(dict.fromkeys(str(one.get("document") or one["number"]) for one in citations))
    if kind in {"integer", "number"}:
        return list(dict.fromkeys(one["number"] for one in citations))
    return list(citations)
