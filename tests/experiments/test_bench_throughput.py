"""Throughput on a small vocabulary: what is timed on both sides is the same number."""

import jax
import numpy as np
import pytest

from experiments.timing import throughput
from experiments.timing.large_laws import log_normal
from specjax import rules


@pytest.mark.thorough
def test_both_sides_compute_the_same():
    p, q = log_normal(48, 0, 1)
    exact = [
        np.asarray(laws[0], np.float64) / np.asarray(laws[0], np.float64).sum() for laws in (p, q)
    ]
    measured = throughput._measured(4)
    for name, scheme, fast, plain in measured:
        said = plain(*exact)
        assert float(jax.jit(fast)(p[0], q[0])) == pytest.approx(
            getattr(said, "value", said), abs=1e-5
        ), (name, scheme)
    assert (
        {"alpha*", "kseq", "optimal", "recursive_rejection"}
        <= {name for name, *_ in measured}
        <= {"alpha*", *rules.names()}
    )


def test_a_rate_below_its_limit_is_marked():
    assert throughput._marked(7.9, 8.0) == "[bold red]7.9[/]"
    assert throughput._marked(8.1, 8.0) == throughput._marked(8.1, None) == "8.1"
