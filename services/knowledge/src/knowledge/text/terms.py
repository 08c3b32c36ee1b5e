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

# Words that say how a sentence is built, not what it is about. Those of questions matter most: in a small
# collection `how` and `me` are rare, and rare words count most.
STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "each",
        "for",
        "from",
        "get",
        "gets",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "me",
        "might",
        "mine",
        "much",
        "must",
        "my",
        "no",
        "nor",
        "not",
        "of",
        "on",
        "or",
        "our",
        "ours",
        "shall",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "theirs",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "too",
        "us",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "yours",
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
