"""JSON Schemas of functions, compiled once."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from common.serving.failures import FunctionError

PROBLEMS_MAX = 5


class Schema:
    """A compiled schema. References to other documents are refused: they would be fetched from somewhere."""

    def __init__(self, schema: Any, *, of: str, trusted: bool = True) -> None:
        """Raise `ValueError` for what is no usable schema. `trusted=False`: no pattern can take long."""
        self._of = of
        patterns = None if trusted else jsonschema_rs.RegexOptions()
        try:
            self._validator = jsonschema_rs.validator_for(
                schema, retriever=_refuse, mask="the value", pattern_options=patterns
            )
        except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
            raise ValueError(f"this is not a usable JSON Schema: {error}") from error

    def problems(self, value: Any) -> list[str]:
        """What is wrong with `value`, a few places at most; empty when it fits."""
        if self._validator.is_valid(value):
            return []
        found: list[str] = []
        for error in self._validator.iter_errors(value):
            place = "/".join(map(str, error.instance_path)) or "the whole"
            found.append(f"{place}: {error.message}")
            if len(found) == PROBLEMS_MAX:
                break
        return found

    def check(self, value: Any, *, retryable: bool = False) -> None:
        """Raise a `validation` error that names the places."""
        if found := self.problems(value):
            raise FunctionError(
                f"{self._of}: " + "; ".join(found), type="validation", retryable=retryable
            )


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is another document")
