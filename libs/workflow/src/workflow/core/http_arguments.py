"""`call: http`: from its arguments in the document to the input of the executor's function `http`.

The input is `{method, endpoint, headers?, query?, body?, output, redirect, authentication?}`: `endpoint` is the URI as a text,
`authentication` is a policy as in the document, `{basic: {username, password}}` for example, everything evaluated, and where the
document names a secret, that secret instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from workflow.core.errors import ErrorKind, fault
from workflow.core.formulas import Reads, template, uri
from workflow.core.nodes import Formula
from workflow.core.values import Json
from workflow.expressions import Scope


def http_arguments(arguments: Mapping[str, Json], use: Mapping[str, Json], reads: Reads) -> Formula:
    endpoint, authentication = _endpoint(arguments["endpoint"], use)
    target = uri(endpoint, reads)
    fixed = {
        "method": arguments["method"],
        "output": arguments.get("output") or "content",
        "redirect": bool(arguments.get("redirect")),
    }
    given = {name: arguments[name] for name in ("headers", "query", "body") if name in arguments}
    policy = None if authentication is None else _policy(authentication, reads)
    rest = template({**fixed, **given}, reads)

    def evaluate(scope: Scope) -> Json:
        place = target(scope)
        if not isinstance(place, str) or not place:
            raise fault(ErrorKind.EXPRESSION, "the endpoint of the request is not a URI")
        asked = {"endpoint": place, **rest(scope)}
        return asked if policy is None else {**asked, "authentication": policy(scope)}

    return evaluate


def _policy(policy: Mapping[str, Json], reads: Reads) -> Formula:
    (scheme, properties), *_ = policy.items()
    secret = properties.get("use")
    if secret is None:
        return template(policy, reads)
    reads.add(["secrets"])
    return lambda scope: {scheme: scope.variable("secrets")[secret]}


def _endpoint(endpoint: Json, use: Mapping[str, Json]) -> tuple[str, Json]:
    """The URI template, and the authentication policy if there is one."""
    if isinstance(endpoint, str):
        return endpoint, None
    policy = endpoint.get("authentication")
    named = policy if isinstance(policy, str) else (policy or {}).get("use")
    if named is not None:
        policy = use["authentications"][named]
    return endpoint["uri"], policy
