"""Variables of what the engine calls: language models, other hosts, and the key that guards secrets."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, PositiveInt, SecretStr

from common.settings.groups import SettingsGroup
from common.settings.values import aes_key, aes_keys, outbound_rule
from common.settings.variable import SPLIT, variable

LlmProvider = Literal["openai", "anthropic", "extractive"]


class OpenAISettings(SettingsGroup):
    openai_api_key: SecretStr | None = variable(
        None, secret=True, description="Key for OpenAI, or for the server at `OPENAI_BASE_URL`."
    )
    openai_base_url: str | None = variable(
        None,
        pattern=r"^https?://",
        default_text="OpenAI's",
        description="Any server that speaks OpenAI's API, `/v1` included.",
    )


def openai_key_is_missing(given: Mapping[str, str], *, production: bool) -> bool:
    """A server of one's own at `OPENAI_BASE_URL` may do without a key, except in production."""
    own_server = "openai_base_url" in given and not production
    return "openai_api_key" not in given and not own_server


class LlmSettings(OpenAISettings):
    llm_provider: LlmProvider | None = variable(
        None,
        default_text="`openai` or `anthropic` by whose key is there, else `extractive`",
        description="Who answers `llm` tasks. `extractive` quotes the passages and needs no key; in production "
        "only when it is named.",
    )
    llm_fallback: Annotated[tuple[LlmProvider, ...], SPLIT] = variable(
        (), description="Providers that are tried in this order when the first one is unavailable."
    )
    openai_model: str = variable(
        "gpt-4o-mini", example="gpt-4o-mini", description="Model, where a task names none."
    )
    openai_max_tokens: PositiveInt = variable(
        2000,
        example="2000",
        description="Most tokens of an answer, where a task does not say. For every provider.",
    )
    openai_temperature: float = variable(
        0.7,
        ge=0,
        le=2,
        example="0.7",
        description="Temperature, where a task does not say. For every provider.",
    )
    anthropic_api_key: SecretStr | None = variable(
        None, secret=True, description="Key for Anthropic."
    )
    anthropic_model: str = variable(
        "claude-sonnet-4-6",
        example="claude-sonnet-4-6",
        description="Model, where a task names none.",
    )

    @property
    def llm_provider_selected(self) -> LlmProvider:
        """`LLM_PROVIDER`, or what its documented default comes to."""
        if self.llm_provider is not None:
            return self.llm_provider
        if self.openai_api_key is not None:
            return "openai"
        return "anthropic" if self.anthropic_api_key is not None else "extractive"

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        named = given.get("llm_provider")
        used = {named, *(part.strip() for part in given.get("llm_fallback", "").split(","))}
        if "openai" in used and openai_key_is_missing(given, production=production):
            yield "OPENAI_API_KEY is required when LLM_PROVIDER or LLM_FALLBACK names openai"
        if "anthropic" in used and "anthropic_api_key" not in given:
            yield "ANTHROPIC_API_KEY is required when LLM_PROVIDER or LLM_FALLBACK names anthropic"
        has_key = "openai_api_key" in given or "anthropic_api_key" in given
        if production and named is None and not has_key:
            yield (
                "LLM_PROVIDER is required in production when neither OPENAI_API_KEY nor ANTHROPIC_API_KEY is set "
                "(extractive needs no key)"
            )


class OutboundSettings(SettingsGroup):
    outbound_allow: Annotated[tuple[Annotated[str, AfterValidator(outbound_rule)], ...], SPLIT] = (
        variable(
            (),
            description="Hosts, host:port pairs and networks (`10.0.0.0/8`) that tasks may call although their address "
            "is not public.",
        )
    )


class EncryptionSettings(SettingsGroup):
    encryption_key: Annotated[SecretStr, AfterValidator(aes_key)] | None = variable(
        None,
        secret=True,
        description="Encrypts stored secrets: 32 random bytes in base64. The same for all services.",
    )
    encryption_key_previous: Annotated[SecretStr, AfterValidator(aes_keys)] | None = variable(
        None,
        secret=True,
        description="Earlier values of `ENCRYPTION_KEY`, separated by commas: what they sealed can still be opened.",
    )
