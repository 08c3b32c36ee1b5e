"""Which parameters a model takes, beyond what is known of its name: learned from its first refusal.

OpenAI's reasoning models refuse `temperature` and know the limit as `max_completion_tokens`; servers that speak its API
often know the older `max_tokens` alone. New models come faster than lists of them, so a refusal that names the parameter
is believed: the call is repeated once without it or under its other name, and later calls begin like that.
"""

from __future__ import annotations

from typing import Any, Final

from common.logs import get_logger

log = get_logger(__name__)

FIXED_TEMPERATURE: Final = ("o1", "o3", "o4", "gpt-5")
"""Models that are known to refuse any temperature but their own."""

MODELS_MAX: Final = 256
"""Tasks name models, so what is remembered of them is bounded."""

_NEW_LIMIT: Final = "max_completion_tokens"
_OLD_LIMIT: Final = "max_tokens"
_OTHER_LIMIT: Final = {_NEW_LIMIT: _OLD_LIMIT, _OLD_LIMIT: _NEW_LIMIT}
_REFUSALS: Final = (
    "unsupported",
    "not support",
    "unrecognized",
    "unknown",
    "not permitted",
    "extra inputs",
)


class Dialect:
    def __init__(self, *, is_openai: bool) -> None:
        # Servers of others know only the older name of the limit.
        self._limit: Final = _NEW_LIMIT if is_openai else _OLD_LIMIT
        self._limits: dict[str, str] = {}
        self._without_temperature: set[str] = set()

    def parameters(
        self, model: str, *, temperature: float | None, max_tokens: int
    ) -> dict[str, Any]:
        """The part of the request's body that depends on the model."""
        parameters: dict[str, Any] = {self._limits.get(model, self._limit): max_tokens}
        if temperature is not None and model not in self._without_temperature:
            parameters["temperature"] = temperature
        return parameters

    def learns(self, model: str, sent: dict[str, Any], error: Any) -> bool:
        """Whether the refusal names a parameter that can be left out or renamed; it is remembered then."""
        if error.status_code not in {400, 422}:
            return False
        refused = _refused_parameter(sent, error)
        if refused is None or len(self._limits) + len(self._without_temperature) >= MODELS_MAX:
            return False
        if refused == "temperature":
            self._without_temperature.add(model)
        elif self._limits.get(model) == refused:
            return False  # neither name pleases it
        else:
            self._limits[model] = _OTHER_LIMIT[refused]
        log.warning("llm_parameter_refused", model=model, parameter=refused)
        return True


def _refused_parameter(sent: dict[str, Any], error: Any) -> str | None:
    """Of those that we sent and can do without."""
    candidates = [name for name in ("temperature", _NEW_LIMIT, _OLD_LIMIT) if name in sent]
    if (named := getattr(error, "param", None)) in candidates:
        # A value out of range is the task's fault; only what is refused altogether is ours to leave out.
        return str(named) if _is_refusal(error) else None
    text = str(getattr(error, "message", "")).lower()
    if not _is_refusal(error):
        return None
    return next((name for name in candidates if f"'{name}'" in text or f'"{name}"' in text), None)


def _is_refusal(error: Any) -> bool:
    code = str(getattr(error, "code", "") or "").lower()
    text = str(getattr(error, "message", "")).lower()
    return code.startswith("unsupported") or any(words in text for words in _REFUSALS)
