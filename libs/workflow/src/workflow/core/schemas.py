"""JSON Schemas of a definition, compiled when first needed."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from workflow.core.errors import ErrorKind, fault
from workflow.core.values import Json, Value
from workflow.document.json_schemas import InvalidSchema, compile_schema

DETAIL_LENGTH_MAX = 500


class Schema:
    """One schema and what it describes, such as `input` or `output`."""

    __slots__ = ("_document", "_subject", "_validator")

    def __init__(self, document: Json, subject: str) -> None:
        self._document = document
        self._subject = subject
        self._validator: Any = None

    def check(self, value: Value) -> None:
        """Raise a fault of kind `validation` that names the first place where the value differs."""
        if self._validator is None:
            self._validator = self._compile()
        try:
            self._validator.validate(value.json)
        except jsonschema_rs.ValidationError as error:
            if value.secrets is not None:  # the message quotes
                raise fault(ErrorKind.VALIDATION, self._concealed()) from None
            place = "".join(f"/{part}" for part in error.instance_path) or "/"
            detail = f"the {self._subject} does not match its schema at {place}: {error.message}"
            raise fault(ErrorKind.VALIDATION, detail[:DETAIL_LENGTH_MAX]) from None
        except ValueError as error:  # a number beyond what the schema engine can hold
            if value.secrets is not None:
                raise fault(ErrorKind.VALIDATION, self._concealed()) from None
            detail = f"the {self._subject} cannot be checked against its schema: {error}"
            raise fault(ErrorKind.VALIDATION, detail[:DETAIL_LENGTH_MAX]) from error

    def _concealed(self) -> str:
        return (
            f"the {self._subject} does not match its schema; it holds secrets, so no more is said"
        )

    def _compile(self) -> Any:
        try:
            return compile_schema(self._document)
        except InvalidSchema as error:
            detail = f"the schema of the {self._subject} is unusable: {error.message}"
            raise fault(ErrorKind.CONFIGURATION, detail[:DETAIL_LENGTH_MAX]) from error
