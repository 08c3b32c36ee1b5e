"""The local model, as it is installed."""

import numpy as np
import pytest

from common.errors import InvalidRequest
from knowledge.embedding.local import DIMENSIONS, LocalEmbedder


@pytest.fixture(scope="module")
def model() -> LocalEmbedder:
    return LocalEmbedder()


def test_vectors_have_unit_length(model: LocalEmbedder) -> None:
    vectors, tokens = model.embed_now(["refund", "A longer text about shipping.", "漢字 😀"])
    assert vectors.shape == (3, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert tokens > 3


def test_a_text_has_the_same_vector_alone_in_a_batch_and_in_another_process_of_the_model(
    model: LocalEmbedder,
) -> None:
    texts = [f"text number {number} about {'refunds ' * number}" for number in range(150)]
    together, _ = model.embed_now(texts)
    again, _ = LocalEmbedder().embed_now(texts)
    assert np.array_equal(together, again)
    for place in (0, 63, 64, 149):
        alone, _ = model.embed_now([texts[place]])
        assert np.array_equal(alone[0], together[place])


def test_near_meanings_are_nearer(model: LocalEmbedder) -> None:
    query, near, far = model.embed_now(
        ["return policy", "how to send an item back for a refund", "volcanoes of Iceland"]
    )[0]
    assert query @ near > query @ far


@pytest.mark.parametrize("text", [""])
def test_nothing_to_embed_is_refused_instead_of_not_a_number(
    model: LocalEmbedder, text: str
) -> None:
    with pytest.raises(InvalidRequest):
        model.embed_now(["fine", text])


async def test_it_can_be_awaited(model: LocalEmbedder) -> None:
    vectors, _ = await model.embed(["refund"])
    assert np.array_equal(vectors, model.embed_now(["refund"])[0])
