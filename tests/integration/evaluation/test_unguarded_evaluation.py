"""The evaluator of tests and of `kwe test` answers as the pool does."""

import pytest

from common.evaluation import EvaluationFailed, EvaluationPool
from common.evaluation.unguarded import evaluate_now


async def test_it_answers_as_the_pool_does() -> None:
    async with EvaluationPool(processes=1) as pool:
        for source in (
            "reduce .[] as $x ($start; . + $x)",
            "empty",
            "[range(3)] # a comment",
            "1.10",
        ):
            ours = evaluate_now(source, [1, 2], {"start": 10})
            assert ours == await pool.evaluate(source, [1, 2], {"start": 10})


@pytest.mark.parametrize("source", ["1, 2", "error", "1 +", ".[] | keys"])
def test_it_fails_as_the_pool_does(source: str) -> None:
    with pytest.raises(EvaluationFailed):
        evaluate_now(source, [1], {})
