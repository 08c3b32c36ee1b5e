"""Which sentences answer a question, and whether any does.

A sentence scores by the part of the question's terms that it has, rare ones counting more; terms found only in its
headings count half, those of the document's title a quarter. A sentence that states the kind of thing that was asked
for (a duration for "how long", an amount for "how much") is preferred. Whether anything is an answer is decided by
the terms that are covered, never by the ranking: the best of unfitting sentences is not an answer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from executor.llm.extractive.finding import Passage
from executor.llm.extractive.sentences import Sentence, sentences_of
from executor.llm.extractive.words import terms_of

ANSWER_SENTENCES_MAX: Final = 3
ANSWER_CHARACTERS_MAX: Final = 700
COVERAGE_MIN: Final = 0.4
COVERAGE_MIN_WITH_EVIDENCE: Final = 0.3
EVIDENCE_MIN: Final = 0.5
"""What a search must have matched for the lower bar to count."""

_IN_HEADING: Final = 0.5
_IN_TITLE: Final = 0.25
_KIND_BONUS: Final = 0.2
_PASSAGE_BONUS: Final = 0.1
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
    body: frozenset[str]
    context: frozenset[str]
    title: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ranked:
    candidate: Candidate
    score: float
    coverage: float
    """Weighted part of the question's terms that the sentence and its surroundings have, 0 to 1."""


def best_sentences(question: str, passages: Sequence[Passage]) -> list[Ranked]:
    """The sentences that answer, in reading order; empty when none does."""
    wanted = list(dict.fromkeys(terms_of(question)))
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
    title = frozenset(terms_of(f"{passage.title or ''} {passage.section or ''}"))
    return [
        Candidate(
            passage,
            sentence,
            frozenset(terms_of(sentence.text)),
            frozenset(terms_of(sentence.context)),
            title,
        )
        for sentence in sentences_of(passage.text)
        if len(sentence.text.split()) >= 3 and not sentence.text.endswith((":", "?"))
    ]


def _weights(wanted: Sequence[str], candidates: Sequence[Candidate]) -> dict[str, float]:
    """From 1 for a term that every sentence has to 2 for one in a single sentence; 1 for what no document knows."""
    counts: Counter[str] = Counter()
    for one in candidates:
        counts.update(one.body | one.context)
    total = len(candidates)
    return {
        term: 1 + math.log((total + 1) / counts[term]) / math.log(total + 1)
        if counts[term]
        else 1.0
        for term in wanted
    }


def _rank(
    question: str, weights: dict[str, float], passages: Sequence[Passage], one: Candidate
) -> Ranked:
    total = sum(weights.values())
    points = covered = 0.0
    for term, weight in weights.items():
        share = (
            1.0
            if term in one.body
            else _IN_HEADING
            if term in one.context
            else _IN_TITLE
            if term in one.title
            else 0.0
        )
        points += weight * share
        covered += weight if share else 0.0
    has_own = any(term in one.body or term in one.context for term in weights)
    score = points / total if has_own else 0.0
    if score and _states_what_was_asked(question, one.sentence.text):
        score += _KIND_BONUS
    if score:
        score += _PASSAGE_BONUS * _standing(one.passage, passages)
    return Ranked(one, score, covered / total if has_own else 0.0)


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
    evidence = best.candidate.passage.matched or 0.0
    bar = COVERAGE_MIN_WITH_EVIDENCE if evidence >= EVIDENCE_MIN else COVERAGE_MIN
    return best.score > 0 and best.coverage >= bar


def _chosen(ranked: Sequence[Ranked], weights: dict[str, float]) -> list[Ranked]:
    best = ranked[0]
    chosen = [best]
    told = {term for term in weights if term in best.candidate.body}
    length = len(best.candidate.sentence.text)
    for one in ranked[1:]:
        if len(chosen) == ANSWER_SENTENCES_MAX or one.score < best.score * _ALSO_SHOWN:
            break
        text = one.candidate.sentence.text
        if any(text == other.candidate.sentence.text for other in chosen):
            continue  # Chunks overlap.
        adds = {term for term in weights if term in one.candidate.body} - told
        is_near = _is_neighbour(one.candidate, best.candidate)
        if (adds or is_near) and length + len(text) <= ANSWER_CHARACTERS_MAX:
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
