"""One text for one JSON value, and the fingerprint of it.

Keys are sorted, there is no space, and a whole number is written without a fraction, so that 1 and
1.0 (and JSON and YAML) agree.
"""

import hashlib
from typing import Any

import orjson

# Whole numbers up to here are exact as doubles; 1e300 stays as it is.
_EXACT_MAX = 2**53


def canonical_json(value: Any) -> bytes:
    return orjson.dumps(_canonical(value), option=orjson.OPT_SORT_KEYS)


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _canonical(value: Any) -> Any:
    match value:
        case dict():
            return {key: _canonical(member) for key, member in value.items()}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case float() if value.is_integer() and abs(value) <= _EXACT_MAX:
            return int(value)
        case _:
            return value
