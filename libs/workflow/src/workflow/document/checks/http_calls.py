"""An HTTP call whose method and address are constant can be made."""

import re

from workflow.document.calls import HttpArguments
from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report, did_you_mean
from workflow.document.resources import EndpointConfiguration
from workflow.document.source import join

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")


def check(document: Examined, report: Report) -> None:
    for pointer, arguments in document.each(HttpArguments):
        _check_http(arguments, pointer, report)


def _check_http(arguments: HttpArguments, pointer: str, report: Report) -> None:
    method = arguments.method
    if "${" not in method and method.upper() not in METHODS:
        report.error(
            Code.ARGUMENTS,
            join(pointer, "method"),
            f"{method!r} is not an HTTP method that can be called",
            did_you_mean(method.upper(), METHODS),
        )
    endpoint = arguments.endpoint
    configured = isinstance(endpoint, EndpointConfiguration)
    uri = endpoint.uri if isinstance(endpoint, EndpointConfiguration) else endpoint
    place = join(pointer, "endpoint", "uri") if configured else join(pointer, "endpoint")
    scheme = _SCHEME.match(uri)
    if "${" in uri or uri.startswith("{"):
        return
    if scheme is None or scheme["scheme"].lower() not in {"http", "https"}:
        report.error(
            Code.URI,
            place,
            "an HTTP call needs an absolute address that begins with http:// or https://",
        )
