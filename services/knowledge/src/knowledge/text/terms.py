"""Terms: what the keyword index counts. The same function serves documents and queries.

A text becomes lower-case words without English stop words, reduced to their stems. Numbers keep their
decimals (`2.5`) and lose their thousands separators (`1,000` is `1000`). Scripts written without spaces
become overlapping pairs of characters, so that a query finds a word inside a sentence.
"""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from threading import Lock

import snowballstemmer  # type: ignore[import-untyped]  # it ships no types

TERM_LENGTH_MAX = 64
"""Characters. Longer words (base64, URLs) keep this much of their beginning."""

STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)

# The ranges of Han, kana and Hangul: languages in which spaces do not separate words, or not reliably.
_UNSPACED = "぀-ヿ㐀-䶿一-鿿가-힯豈-﫿"
_WORD = re.compile(
    rf"[{_UNSPACED}]+"
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![^\W_])"
    r"|\d+(?:\.\d+)+(?![^\W_])"
    rf"|[^\W_{_UNSPACED}]+"
)
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")

_stemmer = snowballstemmer.stemmer("english")
_stemming = Lock()


@lru_cache(maxsize=32_768)
def _stem(word: str) -> str:
    # Cached, since the stemmer is written in Python; locked, since it keeps state while it works, and documents
    # are read in another thread than questions.
    with _stemming:
        stem: str = _stemmer.stemWord(word)
    return stem[:TERM_LENGTH_MAX]


def terms(text: str) -> Iterator[str]:
    """Every term of `text`, in order, repeated as often as it occurs."""
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if _IS_UNSPACED.match(word):
            yield from _pairs(word)
        elif word not in STOP_WORDS:
            yield _stem(word.replace(",", "")[:512])


def term_counts(text: str) -> Mapping[str, int]:
    return Counter(terms(text))


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for first, second in itertools.pairwise(run):
        yield first + second
