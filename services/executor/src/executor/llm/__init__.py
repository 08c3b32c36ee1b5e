"""The function `llm:1.0.0`: one question to a language model, whoever serves it.

`providers` says what a provider is; `openai_provider` and `anthropic_provider` speak to vendors by their own SDKs,
imported on first use; `extractive` needs neither key nor network. `function` chooses among them.
"""
