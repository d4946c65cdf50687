import numpy as np
import pytest

from shared.classifier.classifier import softmax, top_k
from shared.classifier.efficientnet_lite import VARIANTS, _blocks


def test_top_k_is_best_first_and_ties_keep_the_order_of_labels() -> None:
    scores = np.array([0.1, 0.4, 0.1, 0.4], np.float32)
    assert top_k(scores, 3) == [1, 3, 0]
    assert top_k(scores, 9) == [1, 3, 0, 2]


def test_softmax_sums_to_one_and_does_not_overflow() -> None:
    scores = softmax(np.array([1000.0, 1000.0, -1000.0], np.float32))
    assert scores.tolist() == pytest.approx([0.5, 0.5, 0])


@pytest.mark.parametrize(("name", "blocks"), [("lite0", 16), ("lite1", 21), ("lite2", 21)])
def test_depth_is_scaled_as_published(name: str, blocks: int) -> None:
    assert len(_blocks(VARIANTS[name])) == blocks
