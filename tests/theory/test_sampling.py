"""The referee's transforms of laws, against numbers worked out by hand."""

import numpy as np
import pytest

from theory import sampling

LOGITS = np.log([0.4, 0.3, 0.2, 0.1])
TIED = np.log([0.4, 0.2, 0.2, 0.2])


@pytest.mark.parametrize(
    ("steps", "law"),
    [
        ([], [0.4, 0.3, 0.2, 0.1]),
        ([("temperature", 0.5)], [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        ([("temperature", 0)], [1, 0, 0, 0]),
        ([("top_k", 0)], [0.4, 0.3, 0.2, 0.1]),
        ([("top_k", 2)], [4 / 7, 3 / 7, 0, 0]),
        ([("top_p", 1)], [0.4, 0.3, 0.2, 0.1]),
        ([("top_p", 0.65)], [4 / 7, 3 / 7, 0, 0]),
        ([("min_p", 0.45)], [4 / 9, 3 / 9, 2 / 9, 0]),
        ([("temperature", 0.5), ("top_p", 0.8)], [16 / 25, 9 / 25, 0, 0]),
        ([("top_p", 0.8), ("temperature", 0.5)], [16 / 29, 9 / 29, 4 / 29, 0]),
        ([("top_k", 3), ("top_p", 0.75)], [4 / 7, 3 / 7, 0, 0]),
        ([("top_p", 0.75), ("top_k", 3)], [4 / 9, 3 / 9, 2 / 9, 0]),
    ],
)
def test_steps_one_after_the_other(steps, law):
    np.testing.assert_allclose(sampling.law(LOGITS, steps), law, atol=1e-15)


@pytest.mark.parametrize("step", [("top_k", 2), ("top_p", 0.5), ("min_p", 0.5)])
def test_ties_at_the_edge_are_all_kept(step):
    assert (sampling.law(TIED, [step]) > 0).all()


def test_a_masked_token_has_no_mass():
    law = sampling.law([0.0, -np.inf, 0.0], [("temperature", 1e6), ("top_k", 2)])
    np.testing.assert_array_equal(law, [0.5, 0, 0.5])


@pytest.mark.parametrize("logits", [[-np.inf] * 2, [0, np.nan], [0, np.inf]])
def test_logits_of_no_law_are_refused(logits):
    with pytest.raises(ValueError, match="expected a finite number"):
        sampling.law(logits, [])
