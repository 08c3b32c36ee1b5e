"""The JSON Schemas of inputs, outputs and exports compile."""

from workflow.document.checks.examined import Examined
from workflow.document.data import DataSchema
from workflow.document.diagnostics import Code
from workflow.document.json_schemas import InvalidSchema, compile_schema, count_patterns
from workflow.document.report import Report

PATTERNS_MAX = 300
"""Regular expressions in all schemas of a document; each may take some 10 ms to compile."""


def check(document: Examined, report: Report) -> None:
    patterns = sum(count_patterns(schema.document) for _, schema in document.each(DataSchema))
    if patterns > PATTERNS_MAX:
        report.error(
            Code.LIMIT,
            "",
            f"the schemas have {patterns} patterns; at most {PATTERNS_MAX} are allowed",
            "Use `enum` or `format` where a pattern is not needed.",
        )
        return
    for pointer, schema in document.each(DataSchema):
        if "document" in schema.model_fields_set and is_json_schema(schema):
            _check_document(schema, f"{pointer}/document", report)


def is_json_schema(schema: DataSchema) -> bool:
    """`json`, perhaps with a version after a colon, is the format we know."""
    return schema.format is None or schema.format.partition(":")[0] == "json"


def _check_document(schema: DataSchema, pointer: str, report: Report) -> None:
    try:
        compile_schema(schema.document)
    except InvalidSchema as error:
        report.error(
            Code.SCHEMA,
            pointer + error.pointer,
            f"this is not a usable JSON Schema: {error.message}",
            _advice(error),
        )


def _advice(error: InvalidSchema) -> str | None:
    if error.pointer.endswith("/pattern"):
        return (
            "Patterns have neither look-around, nor back-references, nor large repetitions, so that"
            " they stay fast."
        )
    if "doubles with every level" in error.message:
        return (
            "Refer to the repeated part once, beside the alternatives, or describe inner levels less"
            " closely: checking takes too long otherwise."
        )
    if "outside the document" in error.message:
        return "Copy what is referred to into `$defs`."
    return None
