"""Expressions that the fast path does not cover, evaluated in killable processes."""

from __future__ import annotations

from common.evaluation import EvaluationFailed, EvaluationPool
from workflow.core.turn import EvaluationFailure, EvaluationResult, NeedEvaluation


class GuardedEvaluator:
    """`orchestrator.ports.Evaluator` on the pool of worker processes."""

    def __init__(self, pool: EvaluationPool) -> None:
        self._pool = pool

    async def evaluate(self, need: NeedEvaluation) -> EvaluationResult | EvaluationFailure:
        try:
            return EvaluationResult(
                await self._pool.evaluate(need.source, need.current, need.variables)
            )
        except EvaluationFailed as failed:
            return EvaluationFailure(str(failed))
