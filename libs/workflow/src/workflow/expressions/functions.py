"""The allow-list: jq's own functions that run in this process."""

from typing import TYPE_CHECKING, Any
from workflow.expressions.combining import NotFast
from workflow.expressions.frame import Code
from workflow.expressions.syntax import Node

if TYPE_CHECKING:
    from workflow.expressions.compiler import Compiler, Place


def compile_call(
    compiler: "Compiler", name: str, arguments: tuple[Node, ...], place: "Place"
) -> Code:
    raise NotFast
