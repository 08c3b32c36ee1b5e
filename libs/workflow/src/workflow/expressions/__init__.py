"""jq expressions: read and refused at registration, evaluated with bounded cost.

`compile_expression` and its relatives return objects that are cached and shared. Evaluation asks
a `Scope` for data only as far as the expression needs it, and sends to `Scope.slow` whatever has
no bounded cost in this process.
"""

from workflow.expressions.errors import ExpressionFailed, ExpressionSyntaxError
from workflow.expressions.expression import Expression, compile_expression
from workflow.expressions.frame import Scope
from workflow.expressions.templates import (
    Template,
    compile_bare,
    compile_template,
    compile_transform,
    is_expression,
)
from workflow.expressions.uris import UriTemplate, compile_uri_template

__all__ = [
    "Expression",
    "ExpressionFailed",
    "ExpressionSyntaxError",
    "Scope",
    "Template",
    "UriTemplate",
    "compile_bare",
    "compile_expression",
    "compile_template",
    "compile_transform",
    "compile_uri_template",
    "is_expression",
]
