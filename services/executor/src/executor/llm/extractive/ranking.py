"""Which sentences answer a question, and whether any does.

A sentence scores by the part of the question's terms that it has, rare ones counting more; terms found only in its
headings count half, those of the title or of other
sentences under the same heading a quarter. A sentence that states the kind of thing that was asked
for (a duration for "how long", an amount for "how much") is preferred. Whether anything is an answer is decided by
the terms that are covered, never by the ranking: the best of unfitting sentences is not an answer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from executor.llm.extractive.finding import Passage
from executor.llm.extractive.sentences import Sentence, sentences_of
from executor.llm.extractive.words import NEGATION, asked_terms, terms_of, told_terms

ANSWER_SENTENCES_MAX: Final = 3
ANSWER_CHARACTERS_MAX: Final = 700
COVERAGE_MIN: Final = 0.55
COVERAGE_MIN_OF_KIND: Final = 0.38
"""Enough where the sentence states the kind of thing that was asked for, under a heading about it."""

_IN_HEADING: Final = 0.5
_NEARBY: Final = 0.25
_UNKNOWN_WEIGHT: Final = 1.8
"""Of a term that no passage knows: nearly a rare one's, or a question about something else would be answered."""

_SECTION_BONUS: Final = 0.4
_SECTION_COVERAGE: Final = 0.7
"""A section whose heading has this part of the question is about the question."""
_KIND_BONUS: Final = 0.2
_PASSAGE_BONUS: Final = 0.1
_SUBJECT_BONUS: Final = 0.05
"""For a sentence that begins with what was asked about."""

_PAIR_BONUS: Final = 0.1
"""For neighbouring terms of the question that are neighbours in the sentence, as in "is delivery free"."""

_ALSO_SHOWN: Final = 0.7
"""Further sentences are shown when they score at least this part of the best one's."""

_TIME: Final = r"(?:second|minute|hour|day|week|month|year)s?|business days?"
_KINDS: Final = (
    (r"\bhow (?:long|soon|quickly|fast|old|late)\b|\bwhen\b|\bdeadline\b", rf"\b(?:\d+|a|an|one|two|three|several)\b[\w\s-]{{0,15}}\b(?:{_TIME})\b"),
    (r"\bhow much\b|\bcosts?\b|\bprices?\b|\bfees?\b", r"[$€£]\s?\d|\d\s?(?:%|percent|dollars|euros?|USD|EUR)|\bfree\b|\bno (?:extra )?(?:charge|cost|fee)"),
    (r"\bhow many\b|\bhow often\b", r"\b\d+\b"),
    (r"\bwho\b|\bcontact\b|\bemail\b|\bphone\b", r"\S+@\S+|\bteam\b|\bcustomer\b|\bsupport\b"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    passage: Passage
    sentence: Sentence
    subject: str
    """Its first term."""

    body: frozenset[str]
    context: frozenset[str]
    nearby: frozenset[str]
    """Of the document's title, and of the sentences under the same heading."""


@dataclass(frozen=True, slots=True)
class Ranked:
    candidate: Candidate
    score: float
    coverage: float
    """Weighted part of the question's terms that the sentence and its surroundings have, 0 to 1."""

    is_of_kind: bool
    """It states the kind of thing that was asked for, and stands under a heading or title about it."""


def best_sentences(question: str, passages: Sequence[Passage]) -> list[Ranked]:
    """The sentences that answer, in reading order; empty when none does."""
    wanted = asked_terms(question)
    candidates = [one for passage in passages for one in _candidates(passage)]
    if not wanted or not candidates:
        return []
    weights = _weights(wanted, candidates)
    ranked = [_rank(question, weights, passages, one) for one in candidates]
    ranked.sort(
        key=lambda one: (-one.score, one.candidate.passage.number, one.candidate.sentence.start)
    )
    if not _answers(ranked[0]):
        return []
    return _chosen(ranked, weights)


def _candidates(passage: Passage) -> list[Candidate]:
    title = told_terms(f"{passage.title or ''} {passage.section or ''}")
    sentences = sentences_of(passage.text, section=passage.section or "")
    told = [told_terms(one.text) for one in sentences]
    sections: dict[str, set[str]] = {}
    for sentence, terms in zip(sentences, told, strict=True):
        if not sentence.is_item:  # items of a list say nothing about one another
            sections.setdefault(sentence.context, set()).update(terms)
    return [
        Candidate(
            passage,
            sentence,
            next(iter(terms_of(sentence.text)), ""),
            terms,
            told_terms(sentence.context),
            title | sections.get(sentence.context, set()),
        )
        for sentence, terms in zip(sentences, told, strict=True)
        if _says_something(sentence)
    ]


def _says_something(sentence: Sentence) -> bool:
    is_whole = sentence.is_item or len(sentence.text.split()) >= 3
    return is_whole and not sentence.text.endswith((":", "?"))


def _weights(wanted: Sequence[str], candidates: Sequence[Candidate]) -> dict[str, float]:
    """From 1 for a term that every sentence has to 2 for one in a single sentence."""
    counts: Counter[str] = Counter()
    for one in candidates:
        counts.update(one.body | one.context)
    total = len(candidates)
    rarest = math.log(total + 1)
    return {
        term: 1 + math.log((total + 1) / counts[term]) / rarest if counts[term] else _UNKNOWN_WEIGHT
        for term in wanted
    }


def _rank(
    question: str, weights: dict[str, float], passages: Sequence[Passage], one: Candidate
) -> Ranked:
    if not any(term in one.body or term in one.context for term in weights):
        return Ranked(one, 0.0, 0.0, is_of_kind=False)
    total = sum(weights.values())
    points = sum(weight * _share(term, one) for term, weight in weights.items())
    covered = sum(weight for term, weight in weights.items() if _share(term, one))
    in_heading = sum(weight for term, weight in weights.items() if term in one.context)
    score = points / total + _PASSAGE_BONUS * _standing(one.passage, passages)
    states_it = _states_what_was_asked(question, one.sentence.text)
    if states_it:
        score += _KIND_BONUS
    if one.subject in weights:
        score += _SUBJECT_BONUS
    if any(f"{first} {second}" in one.body for first, second in pairwise(weights)):
        score += _PAIR_BONUS
    if len(weights) > 1 and in_heading / total >= _SECTION_COVERAGE:
        score += _SECTION_BONUS
    is_on_topic = any(term in one.context or term in one.nearby for term in weights)
    return Ranked(one, score, covered / total, is_of_kind=states_it and is_on_topic)


def _share(term: str, one: Candidate) -> float:
    if term in one.body:
        return 1.0
    if term in one.context:
        return _IN_HEADING
    return _NEARBY if term in one.nearby else 0.0


def _states_what_was_asked(question: str, text: str) -> bool:
    return any(
        re.search(asked, question, re.IGNORECASE) and re.search(stated, text, re.IGNORECASE)
        for asked, stated in _KINDS
    )


def _standing(passage: Passage, passages: Sequence[Passage]) -> float:
    """How the search ranked the passage, 0 to 1; by position where it says nothing."""
    best = max((one.score or 0.0 for one in passages), default=0.0)
    if passage.score is not None and best > 0:
        return max(passage.score, 0.0) / best
    return 1 / (1 + passages.index(passage))


def _answers(best: Ranked) -> bool:
    return best.coverage >= (COVERAGE_MIN_OF_KIND if best.is_of_kind else COVERAGE_MIN)


def _chosen(ranked: Sequence[Ranked], weights: dict[str, float]) -> list[Ranked]:
    best = ranked[0]
    chosen = [best]
    asked = {term for term in weights if term in best.candidate.body} - {NEGATION}
    told = set(asked)
    length = len(best.candidate.sentence.text)
    for one in ranked[1:]:
        if len(chosen) == ANSWER_SENTENCES_MAX or one.score < best.score * _ALSO_SHOWN:
            break
        text = one.candidate.sentence.text
        if any(text == other.candidate.sentence.text for other in chosen):
            continue  # Chunks overlap.
        adds = {term for term in weights if term in one.candidate.body} - told
        goes_on = _is_neighbour(one.candidate, best.candidate) and asked <= one.candidate.body
        if (adds or goes_on) and length + len(text) <= ANSWER_CHARACTERS_MAX:
            chosen.append(one)
            told |= adds
            length += len(text)
    # The best one first; what accompanies it follows in reading order.
    return [best, *sorted(chosen[1:], key=_place)]


def _is_neighbour(one: Candidate, other: Candidate) -> bool:
    same = one.passage is other.passage and one.sentence.context == other.sentence.context
    return same and abs(one.sentence.start - other.sentence.start) < 400


def _place(one: Ranked) -> tuple[int, int]:
    return one.candidate.passage.number, one.candidate.sentence.start
