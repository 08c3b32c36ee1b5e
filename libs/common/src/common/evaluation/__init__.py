"""Expressions whose cost has no bound, evaluated where they can do no harm."""

from common.evaluation.pool import EvaluationPool
from common.evaluation.process import EvaluationFailed

__all__ = ["EvaluationFailed", "EvaluationPool"]
