"""Secrets are declared where expressions read them, and grants have what they ask a token with."""

import re
from collections.abc import Iterable
from typing import Final

from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report, did_you_mean
from workflow.document.resources import OidcProperties
from workflow.document.source import join
from workflow.expressions import Expression

_NEEDED: Final = {
    "client_credentials": ("client",),
    "password": ("username", "password"),
    "refresh_token": ("subject",),
    "urn:ietf:params:oauth:grant-type:token-exchange": ("subject",),
}
_INTERACTIVE: Final = "authorization_code"

_READ: Final = re.compile(
    r"""\$secrets\s*(?:\.\s*([A-Za-z_]\w*)|(?:\.\s*|\.?\s*\[\s*)"([^"\\]+)")"""
)


def check(document: Examined, report: Report) -> None:
    for pointer, properties in document.each(OidcProperties):
        _check_grant(properties, pointer, report)


def _check_grant(properties: OidcProperties, pointer: str, report: Report) -> None:
    grant = properties.grant
    if grant == _INTERACTIVE:
        report.error(
            Code.UNSUPPORTED,
            join(pointer, "grant"),
            "`authorization_code` needs a person at a browser, and a workflow has none",
            "Use `client_credentials`, or `refresh_token` with a token that a person obtained.",
        )
    for name in _NEEDED.get(grant, ()):
        if getattr(properties, name) is None:
            advice = "The refresh token is `subject.token`." if grant == "refresh_token" else None
            report.error(
                Code.STRUCTURE, pointer, f"the grant `{grant}` needs the property `{name}`", advice
            )


def check_secrets(
    read: Iterable[Expression], pointer: str, document: Examined, report: Report
) -> None:
    """What expressions read of `$secrets` is in `use.secrets`."""
    declared = document.declared("secrets")
    if not declared:
        report.error(
            Code.REFERENCE,
            pointer,
            "`$secrets` is empty here: the workflow declares no secrets",
            "List their names in `use.secrets`.",
        )
        return
    for expression in read:
        for found in _READ.finditer(expression.source):
            name = found[1] or found[2]
            if name not in declared:
                report.error(
                    Code.REFERENCE,
                    pointer,
                    f"there is no secret `{name}` in `use.secrets`",
                    did_you_mean(name, declared) or "Declare it there.",
                )
