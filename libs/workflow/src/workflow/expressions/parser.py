"""Tokens to syntax: the whole grammar of jq, also of what only a worker may evaluate.

The grammar is the one of the jq we ship, where `E as $x | …` takes a whole binary expression as
its source (`10 + 1 as $x | $x` binds 11) and object values may be binary expressions and pipes.
Binary operators, loosest first: `//` (to the right), assignments, `or`, `and`, comparisons,
sums, products. Assignments and comparisons do not chain.
"""

from dataclasses import replace
from typing import Final

from workflow.expressions import patterns
from workflow.expressions.errors import ExpressionSyntaxError
from workflow.expressions.primaries import Primaries
from workflow.expressions.syntax import (
    Alternative,
    Binary,
    Bind,
    Comma,
    Define,
    Each,
    Index,
    Label,
    Literal,
    Logic,
    Negate,
    Node,
    Pipe,
    Slice,
    Try,
    Update,
)
from workflow.expressions.tokens import Kind, Token

_ALTERNATIVE: Final = 1
_UPDATES: Final = 2
_COMPARISONS: Final = 5
_LEVELS: Final = {
    "//": _ALTERNATIVE,
    **dict.fromkeys(("=", "|=", "+=", "-=", "*=", "/=", "%=", "//="), _UPDATES),
    "or": 3,
    "and": 4,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARISONS),
    **dict.fromkeys(("+", "-"), 6),
    **dict.fromkeys(("*", "/", "%"), 7),
}
_UNCHAINED: Final = (_UPDATES, _COMPARISONS)


def parse(tokens: tuple[Token, ...]) -> Node:
    """The program, or ExpressionSyntaxError."""
    if tokens[0].kind is Kind.END:
        raise ExpressionSyntaxError(
            "the expression is empty",
            advice="Write `.` for the current data.",
            offset=tokens[0].offset,
        )
    return Parser(tokens, depth=0).program()


class Parser(Primaries):
    """Recursive descent over one run of tokens; interpolations get a parser of their own."""

    def program(self) -> Node:
        node = self.query()
        if self.peek().kind is not Kind.END:
            raise self.unexpected("the expression should end here")
        return node

    def nested(self, tokens: tuple[Token, ...]) -> Node:
        return Parser(tokens, self.depth + 1).program()

    def query(self) -> Node:
        """Pipes and commas, the loosest of all."""
        self.descend()
        stages = [self._commas()]
        while self.accept("|"):
            stages.append(self._commas())
        self.depth -= 1
        node = stages.pop()
        while stages:
            node = Pipe(stages.pop(), node)
        return node

    def object_value(self) -> Node:
        node = self.binary()
        while self.accept("|"):
            node = Pipe(node, self.binary())
        return node

    def _commas(self) -> Node:
        node = self._operand()
        while self.accept(","):
            node = Comma(node, self._operand())
        return node

    def _operand(self) -> Node:
        """What stands between commas. `def`, `label` and `as` reach on to the right end."""
        token = self.peek()
        if token.is_keyword("def"):
            return self._definition()
        if token.is_keyword("label"):
            self.advance()
            name = self.expect_kind(Kind.VARIABLE, "a label is written `label $name | …`").text
            self.expect("|")
            return Label(name, self.query())
        node = self.binary()
        if not self.accept_keyword("as"):
            return node
        shapes = patterns.alternatives(self)
        self.expect("|")
        return Bind(node, shapes, self.query())

    def _definition(self) -> Node:
        self.advance()
        name = self.expect_kind(Kind.NAME, "a function needs a name").text
        parameters: list[str] = []
        if self.accept("("):
            parameters.append(self._parameter())
            while self.accept(";"):
                parameters.append(self._parameter())
            self.expect(")")
        self.expect(":")
        body = self.query()
        self.expect(";")
        return Define(name, tuple(parameters), body, self.query())

    def _parameter(self) -> str:
        token = self.advance()
        if token.kind is Kind.VARIABLE:
            return f"${token.text}"
        if token.kind is not Kind.NAME:
            raise self.unexpected("a parameter is a name or a `$name`", token)
        return token.text

    def binary(self, lowest: int = _ALTERNATIVE) -> Node:
        left = self._unary()
        while True:
            token = self.peek()
            level = _LEVELS.get(token.text, 0) if _may_join(token) else 0
            if level < lowest:
                return left
            self.advance()
            right = self.binary(level if level == _ALTERNATIVE else level + 1)
            left = _joined(token.text, left, right)
            follows = self.peek()
            if level in _UNCHAINED and _LEVELS.get(follows.text, 0) == level:
                raise self.unexpected("these operators do not chain; use parentheses")

    def _unary(self) -> Node:
        minuses = 0
        while self.accept("-"):
            minuses += 1
        node = self._try() if self.accept_keyword("try") else self.postfix()
        for _ in range(minuses):
            node = _negated(node)
        return node

    def _try(self) -> Node:
        body = self._unary()
        return Try(body, self._unary() if self.accept_keyword("catch") else None)

    def postfix(self) -> Node:
        """A term with the paths and question marks behind it."""
        step_is_last = not self.peek().is_operator("(")
        node = self.primary()
        while True:
            token = self.peek()
            if token.is_operator("?"):
                self.advance()
                node = _optional(node, step_is_last=step_is_last)
                continue
            if token.kind is Kind.FIELD:
                self.advance()
                node = Index(node, Literal(token.text))
            elif token.is_operator("."):
                self.advance()
                node = self._after_dot(node)
            elif token.is_operator("["):
                self.advance()
                node = self._bracketed(node)
            else:
                return node
            step_is_last = True

    def _after_dot(self, target: Node) -> Node:
        if self.accept("["):  # Without slices, as jq has it.
            node = self._each_or_index(target)
            if isinstance(node, Index):
                self.expect("]")
            return node
        if self.peek().kind in (Kind.STRING, Kind.FORMAT):
            return Index(target, self.string())
        raise self.unexpected('after a dot comes a name, a "string" or `[`')

    def _bracketed(self, target: Node) -> Node:
        """`[]`, `[key]`, `[start:stop]`; the opening bracket is behind us."""
        if self.accept(":"):
            return self._slice(target, None)
        node = self._each_or_index(target)
        if isinstance(node, Each) or self.accept("]"):
            return node
        self.expect(":")
        return self._slice(target, node.key)

    def _each_or_index(self, target: Node) -> Each | Index:
        if self.accept("]"):
            return Each(target)
        return Index(target, self.query())

    def _slice(self, target: Node, start: Node | None) -> Node:
        if start is not None and self.accept("]"):
            return Slice(target, start, None)
        stop = self.query()
        self.expect("]")
        return Slice(target, start, stop)


def _may_join(token: Token) -> bool:
    return token.kind is Kind.OPERATOR or (
        token.kind is Kind.KEYWORD and token.text in ("and", "or")
    )


def _joined(operator: str, left: Node, right: Node) -> Node:
    level = _LEVELS[operator]
    if level == _ALTERNATIVE:
        return Alternative(left, right)
    if level == _UPDATES:
        return Update(operator, left, right)
    if operator in ("and", "or"):
        return Logic(operator, left, right)
    return Binary(operator, left, right)


def _negated(node: Node) -> Node:
    if isinstance(node, Literal) and type(node.value) in (int, float):
        # `-0` is 0, `-0.0` is for jq to spell.
        same = type(node.value) is int or node.value != 0
        return Literal(-node.value, node.exact and same, node.precise and same)
    return Negate(node)


def _optional(node: Node, *, step_is_last: bool) -> Node:
    """`?` on a path covers its last step only; on anything else, and said twice, all of it."""
    if step_is_last and isinstance(node, Index | Slice | Each) and not node.optional:
        return replace(node, optional=True)
    return Try(node, None)
