"""Answers without a language model: the sentences of the passages that fit the question best, each cited.

`finding` finds question and passages in whatever a workflow says, `sentences` cuts passages, `words` decides when two
words mean the same, `ranking` chooses sentences and decides whether they answer at all, `provider` says it.
"""
