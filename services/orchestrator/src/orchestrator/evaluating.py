"""Expressions that the fast path does not cover, evaluated in killable processes."""

from __future__ import annotations

from common.evaluation import EvaluationFailed, EvaluationPool
from common.metrics import GUARDED_EVALUATIONS
from workflow.core.turn import EvaluationFailure, EvaluationResult, NeedEvaluation


class GuardedEvaluator:
    """`orchestrator.ports.Evaluator` on the pool of worker processes."""

    def __init__(self, pool: EvaluationPool) -> None:
        self._pool = pool

    async def evaluate(self, need: NeedEvaluation) -> EvaluationResult | EvaluationFailure:
        try:
            value = await self._pool.evaluate(need.source, need.current, need.variables)
        except EvaluationFailed as failed:
            GUARDED_EVALUATIONS.labels(outcome="failed").inc()
            return EvaluationFailure(str(failed))
        GUARDED_EVALUATIONS.labels(outcome="completed").inc()
        return EvaluationResult(value)
