"""Words of English as far as matching needs them: which carry meaning, and which mean the same."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[a-z0-9]+(?:['’][a-z]+)?(?:[.,]\d+)*", re.IGNORECASE)

_STOP_TEXT: Final = """
    a about after again all also always am an and any anyone are as ask at be because been being below between both
    but by can cannot could did do does doing don down during each either else ever every for from further get gets
    getting give given go going got had has have having he her here him his how however i if in into is it its itself
    just know let like long ll many may me might more most much must my myself need no nor not now of off often on
    once one only or other ought our out over own please rather re really s same shall she should since so some
    someone something still such t take taken takes tell than thank thanks that the their them then there these they
    thing things this those through to too under until up upon us use used using usually ve very want wanted was way we
    were what whatever when where whether which while who whole whom whose why will with within without would yes yet
    you your yours yourself happen happens happened possible allow allowed hello hi
"""
STOP_WORDS: Final = frozenset(_STOP_TEXT.split())

_NAME_PAIR: Final = re.compile(r"(?<=[a-z,] )([A-Z][a-z]+) ([A-Z][a-z]+)\b")
"""Two capitalised words in a row, not at the beginning of a sentence."""

# Words that customers and documents use for the same thing. The first of each row stands for it.
_SAME: Final = (
    "buy bought purchase purchases purchased purchasing buyer",
    "deliver delivers delivered delivery deliveries ship ships shipped shipping shipment shipments send sent dispatch",
    "arrive arrives arrived arrival",
    "defect defects defective broken broke breaks faulty fault faults malfunction malfunctions",
    "damage damages damaged",
    "price prices priced cost costs fee fees charge charges charged",
    "item items product products article articles goods merchandise",
    "repair repairs repaired fix fixes fixed",
    "parcel parcels package packages",
    "international internationally abroad overseas foreign",
    "warranty warranties guarantee guarantees guaranteed",
    "refund refunds refunded refunding refundable reimburse reimbursed reimbursement money",
    "late delay delays delayed",
    "lose lost loses missing",
    "customer customers client clients",
    "replace replaces replaced replacement replacements",
    "free gratis complimentary",
    "last lasts valid duration period",
    "contact reach email phone call",
)
_CANONICAL: Final = {word: row.split()[0] for row in _SAME for word in row.split()}

_SUFFIXES: Final = (
    ("ization", "ize"), ("isation", "ize"), ("ational", "ate"), ("fulness", "ful"), ("ousness", "ous"),
    ("ations", "ate"), ("ation", "ate"), ("ments", ""), ("ment", ""), ("ingly", ""), ("edly", ""),
    ("ings", ""), ("ing", ""), ("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ably", "able"), ("ness", ""),
    ("ally", "al"), ("ely", "e"), ("ily", "y"), ("ly", ""), ("als", ""), ("al", ""), ("ers", ""), ("er", ""), ("ed", ""), ("es", ""),
)  # fmt: skip


def words_of(text: str) -> list[str]:
    return [match.group().lower() for match in _WORD.finditer(text)]


NEGATION: Final = "not"
_NEGATIONS: Final = frozenset(
    ["not", "no", "never", "cannot", "except", "excluded", "exclude", "excludes", "without"]
)


def terms_of(text: str) -> list[str]:
    """What a text is about: its words without those that every text has, each reduced to its stem."""
    return [stem(word) for word in words_of(text) if word not in STOP_WORDS]


def asked_terms(question: str) -> list[str]:
    """The terms of a question, each once. Names of several words are one term, and so is being asked what is *not*."""
    names = [pair for pair in _NAME_PAIR.findall(question) if pair[0].lower() not in STOP_WORDS]
    in_names = {stem(word.lower()) for pair in names for word in pair}
    terms = [term for term in terms_of(question) if term not in in_names]
    terms += [_pair(stem(first.lower()), stem(second.lower())) for first, second in names]
    if _NEGATIONS.intersection(words_of(question)):
        terms.append(NEGATION)
    return list(dict.fromkeys(terms))


def told_terms(text: str) -> frozenset[str]:
    """Everything a question's term can be found as: terms, neighbouring pairs of them, and negation."""
    terms = terms_of(text)
    pairs = [_pair(first, second) for first, second in itertools.pairwise(terms)]
    negation = [NEGATION] if _NEGATIONS.intersection(words_of(text)) else []
    return frozenset((*terms, *pairs, *negation))


def _pair(first: str, second: str) -> str:
    return f"{first} {second}"


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Equal for forms of one word and for words that mean the same here. Not itself a word."""
    plain = re.sub(r"['’].*$", "", word).replace(",", "")
    if plain in _CANONICAL:
        return _CANONICAL[plain]
    if len(plain) <= 3 or not plain.isalpha():
        return plain
    base = _without_suffix(plain)
    return _CANONICAL.get(base, _CANONICAL.get(base + "e", _bare(base)))


def _without_suffix(word: str) -> str:
    for suffix, instead in _SUFFIXES:
        shortest = 5 if suffix in {"al", "als"} else 3  # approval, but not total
        if word.endswith(suffix) and len(word) - len(suffix) >= shortest:
            kept = word[: -len(suffix)]
            if not instead and len(kept) > 3 and kept[-1] == kept[-2] and kept[-1] not in "lsz":
                kept = kept[:-1]  # shipped, planning
            return kept + instead
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _bare(word: str) -> str:
    """Ends that come and go: delivery and deliver, exchange and exchang(ing), cancelled and cancel."""
    if len(word) > 4 and word.endswith(("ate", "ize")):
        word = word[:-3]
    elif len(word) > 4 and word[-1] in "ey":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("ll") else word
