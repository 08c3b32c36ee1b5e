"""The human page of the API: one HTML text made from the OpenAPI document, with nothing to download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

import orjson

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #2563eb; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem 1.25rem 4rem; }
nav a { margin-right: 1rem; } a { color: var(--accent); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .4rem 0; }
summary { cursor: pointer; padding: .5rem .75rem; } details > div { padding: 0 .75rem .75rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: .4rem; overflow: auto; padding: .6rem; }
.method { display: inline-block; font-weight: 700; width: 4.2rem; }
.GET { color: #15803d; } .POST { color: #b45309; } .DELETE { color: #b91c1c; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .5rem .25rem 0; text-align: left; vertical-align: top; }
"""


def html_page(document: Mapping[str, Any]) -> bytes:
    return "".join(_page(document)).encode()


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}: API</title>"
    yield '<meta name=viewport content="width=device-width">'
    yield f"<style>{_STYLE}</style><h1>{title}</h1><p>Version {escape(document['info']['version'])}</p>"
    yield f"<p>{_text(document['info']['description'])}</p>"
    yield '<p><a href="/openapi.json">openapi.json</a> · <a href="/asyncapi.json">asyncapi.json</a></p><nav>'
    for tag in document["tags"]:
        yield f'<a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>'
    yield "</nav>"
    for tag in document["tags"]:
        yield f'<h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2>'
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(method.upper(), path, operation)
    yield "<h2 id=models>Models</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><div>'
        yield f"{_schema(schema)}</div></details>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary>'
    yield f'<code><span class="method {method}">{method}</span>{escape(path)}</code>'
    yield f" — {escape(operation['summary'])}</summary><div>"
    if "description" in operation:
        yield f"<p>{_text(operation['description'])}</p>"
    if operation.get("security"):
        yield f"<p>Scope: <code>{escape(operation['security'][0]['bearer'][0])}</code></p>"
    if operation["parameters"]:
        yield "<table><tr><th>Parameter<th>In<th>Description"
        for each in operation["parameters"]:
            description = _text(each.get("description", ""))
            yield f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}<td>{description}"
        yield "</table>"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h4>Body, <code>{escape(kind)}</code></h4>{_schema(content['schema'])}"
    yield "<table><tr><th>Answer<th>Meaning<th>Body"
    for status, answer in operation["responses"].items():
        bodies = " ".join(
            _link(content["schema"]) for content in answer.get("content", {}).values()
        )
        yield f"<tr><td>{status}<td>{_text(answer['description'])}<td>{bodies}"
    yield "</table></div></details>"


def _schema(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"<p>{_link(schema)}</p>"
    text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()
    return f"<pre>{escape(text)}</pre>"


def _link(schema: Mapping[str, Any]) -> str:
    if "$ref" not in schema:
        return f"<code>{escape(str(schema.get('type', 'any')))}</code>"
    name = escape(schema["$ref"].rpartition("/")[2])
    return f'<a href="#{name}"><code>{name}</code></a>'


def _text(text: str) -> str:
    """Backticks become code; nothing else is marked up."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
