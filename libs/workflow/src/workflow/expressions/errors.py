"""How an expression can go wrong: refused when it is read, or failed when it is evaluated."""


class ExpressionSyntaxError(ValueError):
    """The text is not an expression we accept. Raised at registration, never while running."""

    def __init__(self, message: str, *, advice: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        """What the author may do about it; empty when the message says it all."""
        self.offset = offset
        """Position in the text that was compiled, in characters from 0."""

    def __str__(self) -> str:
        where = f"{self.message} (at character {self.offset + 1})"
        return f"{where}. {self.advice}" if self.advice else where


class ExpressionFailed(Exception):
    """Evaluation ended without a value: error `expression`, 400. Says types, never values."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class JqError(Exception):
    """A jq error on its way to `?`, `//` or the end of the evaluation; private to this package."""


class NeedsWorker(Exception):
    """What is asked is too large, or too particular, for this process; private to this package.

    It passes through `?` and `//`, and makes the whole expression one for the host's workers.
    """
