"""From the bytes of a document to its JSON value, with the place of everything in it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from workflow.document.canonical import fingerprint
from workflow.document.diagnostics import Code
from workflow.document.json_reader import read_json
from workflow.document.source import DOCUMENT_MAX_BYTES, Place, SourceMap, refuse
from workflow.document.yaml_reader import read_yaml

Format = Literal["json", "yaml"]


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document that could be read. Whether it is a workflow is for `validate` to say."""

    value: Any
    source: SourceMap = field(default_factory=SourceMap)

    @property
    def fingerprint(self) -> str:
        """Equal exactly for documents with equal content, whatever format they came in."""
        return fingerprint(self.value)


def format_of(media_type: str) -> Format | None:
    """The format a media type stands for; `None` if documents do not come in it."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind in {"application/json", "text/json"} or kind.endswith("+json"):
        return "json"
    if kind in {"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"}:
        return "yaml"
    return "yaml" if kind.endswith("+yaml") else None


def load_document(data: bytes | str, media_type: str = "application/yaml") -> LoadedDocument:
    """Read a document from text; raises `DocumentRefused` with the place of the problem."""
    text_format = format_of(media_type)
    if text_format is None:
        raise refuse(
            Code.SYNTAX,
            f"documents do not come as {media_type}",
            None,
            advice="Send application/yaml or application/json.",
        )
    value, source = (read_json if text_format == "json" else read_yaml)(_text(data))
    return LoadedDocument(value, source)


def _text(data: bytes | str) -> str:
    try:
        raw = data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        raise refuse(Code.SYNTAX, "the text contains half of a surrogate pair", None) from error
    if len(raw) > DOCUMENT_MAX_BYTES:
        raise refuse(
            Code.LIMIT,
            f"the document has {len(raw):,} bytes; at most {DOCUMENT_MAX_BYTES:,} are allowed",
            None,
            advice="Split the workflow and run the parts with `run: workflow`.",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise refuse(Code.SYNTAX, "the document is not UTF-8", Place(line, column)) from error
    if "\x00" in text:
        start = text.index("\x00")
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        raise refuse(Code.SYNTAX, "the document contains a NUL character", Place(line, column))
    return text
