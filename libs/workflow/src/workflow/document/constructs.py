"""The constructs of the language that an engine may or may not execute, by the name users know.

A document that uses one which is not executed is refused as a whole when it is registered: no part
of a document is ever ignored.
"""

from enum import StrEnum


class Construct(StrEnum):
    EMIT = "emit"
    LISTEN = "listen"
    SCHEDULE = "schedule"
    CALL_HTTP = "call: http"
    CALL_OPENAPI = "call: openapi"
    CALL_GRPC = "call: grpc"
    CALL_ASYNCAPI = "call: asyncapi"
    CALL_A2A = "call: a2a"
    CALL_MCP = "call: mcp"
    CALL_FUNCTION_URL = "call of a function by URL"
    CALL_FUNCTION_CATALOG = "call of a function of another catalog"
    RUN_WORKFLOW = "run: workflow"
    RUN_CONTAINER = "run: container"
    RUN_SCRIPT = "run: script"
    RUN_SHELL = "run: shell"
    AUTHENTICATION_BASIC = "authentication: basic"
    AUTHENTICATION_BEARER = "authentication: bearer"
    AUTHENTICATION_DIGEST = "authentication: digest"
    AUTHENTICATION_OAUTH2 = "authentication: oauth2"
    AUTHENTICATION_OIDC = "authentication: oidc"
    SECRETS = "secrets"
    AUTHORIZATION = "$authorization"
    EXTENSIONS = "use.extensions"
    CATALOGS = "use.catalogs"
    SCHEMA_RESOURCE = "schema.resource"
    SCHEMA_FORMAT = "schema.format other than json"
    LOOSE_MODE = "evaluate.mode: loose"
    OTHER_LANGUAGE = "evaluate.language other than jq"


EXECUTABLE: frozenset[Construct] = frozenset(
    {
        Construct.EMIT,
        Construct.LISTEN,
        Construct.CALL_HTTP,
        Construct.RUN_WORKFLOW,
        Construct.AUTHENTICATION_BASIC,
        Construct.AUTHENTICATION_BEARER,
        Construct.AUTHENTICATION_DIGEST,
        Construct.AUTHENTICATION_OAUTH2,
        Construct.AUTHENTICATION_OIDC,
        Construct.SECRETS,
    }
)
"""What this version executes, besides the control flow that every engine has."""

ALTERNATIVES: dict[Construct, str] = {
    Construct.CALL_OPENAPI: "Call the operation's address with `call: http`.",
    Construct.CALL_GRPC: "If the service speaks HTTP too, use `call: http`.",
    Construct.CALL_ASYNCAPI: "If the service speaks HTTP too, use `call: http`.",
    Construct.CALL_A2A: "Send the JSON-RPC request with `call: http`.",
    Construct.CALL_MCP: "If the server speaks HTTP, send the JSON-RPC request with `call: http`.",
    Construct.CALL_FUNCTION_URL: "Copy the function into `use.functions`.",
    Construct.CALL_FUNCTION_CATALOG: "Copy the function into `use.functions`.",
    Construct.CATALOGS: "Copy the functions you need into `use.functions`.",
    Construct.RUN_CONTAINER: "Offer it as a function of your own worker and call that.",
    Construct.RUN_SCRIPT: "Use `set` with jq, or a function of your own worker.",
    Construct.RUN_SHELL: "Offer it as a function of your own worker and call that.",
    Construct.AUTHORIZATION: "Pass the value in the workflow's input.",
    Construct.EXTENSIONS: "Write the tasks before and after where they are needed.",
    Construct.SCHEMA_RESOURCE: "Copy the schema into `schema.document`.",
    Construct.SCHEMA_FORMAT: "Write it as a JSON Schema, with format `json`.",
    Construct.LOOSE_MODE: "Put every expression in ${ } and use `strict`.",
    Construct.OTHER_LANGUAGE: "Write the expressions in jq.",
    Construct.SCHEDULE: "Start the workflow from outside, by the API.",
}
