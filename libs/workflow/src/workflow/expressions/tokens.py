"""Text to tokens, by jq's lexical rules. Strings hold the tokens of their interpolations."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from workflow.expressions.errors import ExpressionSyntaxError

SOURCE_CHARS_MAX: Final = 16_384
_NESTING_MAX: Final = 64
_LITERAL_OPENING: Final = 'To write the characters `${` as they are, use `${ "${" }`.'


class Kind(StrEnum):
    NUMBER = "number"
    STRING = "string"
    NAME = "name"
    KEYWORD = "keyword"
    FIELD = "field"
    """`.name`, in one piece as jq has it."""
    VARIABLE = "variable"
    FORMAT = "format"
    OPERATOR = "operator"
    END = "end of the expression"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    """The name without its `.`, `$` or `@`; the characters of a number or an operator."""
    offset: int
    parts: "tuple[str | tuple[Token, ...], ...]" = ()
    """Of a string: literal text, and the tokens of each `\\(…)`."""

    def is_operator(self, text: str) -> bool:
        return self.kind is Kind.OPERATOR and self.text == text

    def is_keyword(self, text: str) -> bool:
        return self.kind is Kind.KEYWORD and self.text == text

    def __str__(self) -> str:
        return self.kind.value if self.kind in (Kind.STRING, Kind.END) else f"`{self.text}`"


_KEYWORDS: Final = (
    "def module import include if then else elif end as reduce foreach try catch label and or"
    " __loc__"
)
KEYWORDS: Final = frozenset(_KEYWORDS.split())

_TOKEN: Final = re.compile(
    r"""
      (?P<blank>[ \t\r\n]+)
    | (?P<comment>\#)
    | (?P<string>")
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<field>\.[a-zA-Z_][a-zA-Z_0-9]*)
    | (?P<variable>\$[a-zA-Z_][a-zA-Z_0-9]*(?:::[a-zA-Z_][a-zA-Z_0-9]*)*)
    | (?P<format>@[a-zA-Z0-9_]+)
    | (?P<name>(?:[a-zA-Z_][a-zA-Z_0-9]*::)*[a-zA-Z_][a-zA-Z_0-9]*)
    | (?P<operator>\?//=?|\|=|//=|==|!=|<=|>=|//|\+=|-=|\*=|/=|%=|\.\.|[.?=;,:|+\-*/%$<>(){}\[\]])
    """,
    re.VERBOSE,
)
_NAMED: Final = {
    "number": Kind.NUMBER,
    "name": Kind.NAME,
    "operator": Kind.OPERATOR,
    "field": Kind.FIELD,
    "variable": Kind.VARIABLE,
    "format": Kind.FORMAT,
}
_PREFIXED: Final = (Kind.FIELD, Kind.VARIABLE, Kind.FORMAT)
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_STRING_PART: Final = re.compile(r'[^"\\]+')
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_UNICODE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True, slots=True)
class Scan:
    tokens: tuple[Token, ...]
    """Always closed by one END token."""
    end: int
    """Just after the closing bracket that was waited for, or the length of the text."""
    comments: tuple[tuple[int, int], ...]
    """Where comments were. They are taken out of what a worker gets to read."""


def tokenize(text: str, start: int = 0, closer: str = "") -> Scan:
    """Read tokens up to the unmatched `closer`, or to the end of the text without one."""
    if len(text) > SOURCE_CHARS_MAX:
        raise ExpressionSyntaxError(
            f"the expression is longer than {SOURCE_CHARS_MAX:,} characters",
            advice="Compute parts of it in tasks of their own.",
        )
    scanner = _Scanner(text)
    tokens, end = scanner.scan(start, closer, depth=0)
    return Scan(tokens, end, tuple(scanner.comments))


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self.comments: list[tuple[int, int]] = []

    def scan(self, position: int, closer: str, depth: int) -> tuple[tuple[Token, ...], int]:
        """Tokens from `position`, and where the reading ended."""
        text, started = self._text, position
        tokens: list[Token] = []
        open_brackets: list[str] = []
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._unexpected(position)
            group = match.lastgroup
            if group == "string":
                token, position = self._string(position, depth)
                tokens.append(token)
                continue
            if group == "comment":
                position = self._comment(position)
                continue
            if group in _NAMED:
                token = _named(_NAMED[group], match[0], position)
                if token.kind is Kind.OPERATOR:
                    if closer == token.text and not open_brackets:
                        tokens.append(Token(Kind.END, "", position))
                        return tuple(tokens), match.end()
                    _balance(open_brackets, token)
                tokens.append(token)
            position = match.end()
        if closer:
            raise ExpressionSyntaxError(
                f"the closing `{closer}` is missing",
                advice=_LITERAL_OPENING if closer == "}" else "",
                offset=max(0, started - 2),
            )
        tokens.append(Token(Kind.END, "", len(text)))
        return tuple(tokens), len(text)

    def _string(self, start: int, depth: int) -> tuple[Token, int]:
        if depth > _NESTING_MAX:
            raise ExpressionSyntaxError("the expression is nested too deeply", offset=start)
        text, position = self._text, start + 1
        parts: list[str | tuple[Token, ...]] = []
        while position < len(text):
            if text[position] == '"':
                return Token(Kind.STRING, "", start, _joined(parts)), position + 1
            if text.startswith("\\(", position):
                inner, position = self.scan(position + 2, ")", depth + 1)
                parts.append(inner)
            elif text[position] == "\\":
                piece, position = self._escape(position)
                parts.append(piece)
            else:
                match = _STRING_PART.match(text, position)
                assert match is not None
                parts.append(match[0])
                position = match.end()
        raise ExpressionSyntaxError("the string is not closed", offset=start)

    def _escape(self, position: int) -> tuple[str, int]:
        text = self._text
        simple = _ESCAPES.get(text[position + 1 : position + 2])
        if simple is not None:
            return simple, position + 2
        match = _UNICODE.match(text, position)
        if match is None:
            raise ExpressionSyntaxError(
                "this is not an escape sequence",
                advice=r"Write a backslash as `\\`.",
                offset=position,
            )
        code, position = int(match[1], 16), match.end()
        if 0xD800 <= code < 0xE000:
            low = _UNICODE.match(text, position)
            if code >= 0xDC00 or low is None or not 0xDC00 <= int(low[1], 16) < 0xE000:
                raise ExpressionSyntaxError(
                    "half of a surrogate pair stands alone", offset=position - 6
                )
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
            position = low.end()
        return chr(code), position

    def _comment(self, start: int) -> int:
        """The end of a comment. An odd run of backslashes carries it over the line's end."""
        text, position = self._text, start
        while True:
            end = text.find("\n", position)
            if end < 0:
                end = len(text)
                break
            line = text[position:end].removesuffix("\r")
            if (len(line) - len(line.rstrip("\\"))) % 2 == 0:
                break
            position = end + 1
        self.comments.append((start, end))
        return end

    def _unexpected(self, position: int) -> ExpressionSyntaxError:
        character = self._text[position]
        advice = "Write strings in double quotes." if character in "'`" else ""
        if not advice and character.isalpha():
            advice = 'Write names of other letters as `."name"`.'
        return ExpressionSyntaxError(
            f"the character {character!r} does not belong here", advice=advice, offset=position
        )


def _named(kind: Kind, text: str, offset: int) -> Token:
    if kind is Kind.NAME and text in KEYWORDS:
        kind = Kind.KEYWORD
    return Token(kind, text[1:] if kind in _PREFIXED else text, offset)


def _balance(open_brackets: list[str], token: Token) -> None:
    if token.text in _CLOSERS:
        open_brackets.append(_CLOSERS[token.text])
    elif token.text in (")", "]", "}") and (not open_brackets or open_brackets.pop() != token.text):
        raise ExpressionSyntaxError(
            f"`{token.text}` closes nothing that is open here", offset=token.offset
        )


def _joined(
    parts: list[str | tuple[Token, ...]],
) -> tuple[str | tuple[Token, ...], ...]:
    """Neighbouring pieces of text become one."""
    joined: list[str | tuple[Token, ...]] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)
