"""The handler of `llm:1.0.0`: which provider is asked, in which order, and what is recorded of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.bounded_labels import FirstComers
from common.logs import contents_are_logged, get_logger
from common.metrics import LLM_REQUESTS, LLM_SECONDS, LLM_TOKENS, ORGANIZATION_TOKENS
from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.telemetry import SpanKind, span
from executor.llm.providers import Completion, Provider, Sampling
from executor.llm.request import LlmRequest, parse_request
from executor.llm.structured import AnswerForm

log = get_logger(__name__)

MODELS_MAX: Final = 50
"""Models are named by tasks; a label must not be, beyond this many."""


class LlmFunction:
    def __init__(
        self, providers: Mapping[str, Provider], *, default: str, fallback: Sequence[str]
    ) -> None:
        self._providers = providers
        self._default = default
        self._fallback = tuple(fallback)
        self._models = FirstComers(MODELS_MAX)

    async def __call__(self, input: Any, context: TaskContext) -> Any:
        request = parse_request(input)
        form = AnswerForm(request)
        first, *others = self._order(request)
        try:
            return await self._ask(first, request, form, context, use_model=True)
        except FunctionError as error:
            if not error.retryable or not others:
                raise
            failure = error
        for provider in others:
            log.info("llm_fallback", provider=provider.name, reason=failure.type)
            try:
                return await self._ask(provider, request, form, context, use_model=False)
            except FunctionError as error:
                log.info("llm_fallback_failed", provider=provider.name, reason=error.type)
        # The first provider's failure is what an operator would mend, and its pause is what a retry should keep.
        raise failure

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()

    def _order(self, request: LlmRequest) -> list[Provider]:
        first = request.provider or self._default
        if first not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise FunctionError(
                f"llm: there is no provider {first!r}; use one of {known}.",
                type="validation",
                retryable=False,
            )
        ordered = dict.fromkeys((first, *self._fallback))
        return [self._providers[name] for name in ordered]

    async def _ask(
        self,
        provider: Provider,
        request: LlmRequest,
        form: AnswerForm,
        context: TaskContext,
        *,
        use_model: bool,
    ) -> Any:
        sampling = provider.sampling(request, use_model=use_model)
        label, began = self._models.of(sampling.model), time.perf_counter()
        with span(
            f"chat {sampling.model}",
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": provider.name,
                "gen_ai.request.model": sampling.model,
                "gen_ai.request.max_tokens": sampling.max_tokens,
            },
        ) as recorded:
            if contents_are_logged():
                log.debug("llm_asked", input=request.model_dump(mode="json", exclude_none=True))
            try:
                completion = await provider.complete(request, sampling, context.emit_delta)
            except FunctionError as error:
                LLM_REQUESTS.labels(provider.name, label, _outcome(error)).inc()
                raise
            if contents_are_logged():
                log.debug("llm_answered", completion=completion.text)
            recorded.set_attributes(
                {
                    "gen_ai.response.model": completion.model,
                    "gen_ai.response.finish_reasons": [completion.finish_reason],
                    "gen_ai.usage.input_tokens": completion.usage.input_tokens,
                    "gen_ai.usage.output_tokens": completion.usage.output_tokens,
                }
            )
        LLM_SECONDS.labels(provider.name, label).observe(time.perf_counter() - began)
        LLM_REQUESTS.labels(provider.name, label, "completed").inc()
        self._record(provider, sampling, completion, context)
        return _output(provider, completion, form)

    def _record(
        self,
        provider: Provider,
        sampling: Sampling,
        completion: Completion,
        context: TaskContext,
    ) -> None:
        label, usage = self._models.of(sampling.model), completion.usage
        LLM_TOKENS.labels(provider.name, label, "input").inc(usage.input_tokens)
        LLM_TOKENS.labels(provider.name, label, "output").inc(usage.output_tokens)
        ORGANIZATION_TOKENS.inc(context.organization_id, usage.input_tokens + usage.output_tokens)
        context.usage = {
            "provider": provider.name,
            "model": completion.model,
            **usage.as_json(),
        }


def _output(provider: Provider, completion: Completion, form: AnswerForm) -> dict[str, Any]:
    output: dict[str, Any] = {
        "text": completion.text,
        "finishReason": completion.finish_reason,
        "model": completion.model,
        "provider": provider.name,
        "usage": completion.usage.as_json(),
    }
    if completion.json_text is not None:
        output["json"] = form.read(completion)
    if completion.tool_calls:
        output["toolCalls"] = completion.tool_calls
    return output | completion.extra


def _outcome(error: FunctionError) -> str:
    if error.status in {429, 529, 503}:
        return "overloaded"
    return "failed" if error.retryable else "rejected"
