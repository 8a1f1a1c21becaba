"""Throughput on a small vocabulary: what is timed on both sides is the same number."""

import jax
import numpy as np
import pytest

from experiments import _bench_throughput
from experiments._large import log_normal
from specjax import rules


@pytest.mark.thorough
def test_both_sides_compute_the_same():
    p, q = log_normal(48, 0, 1)
    exact = [np.asarray(laws[0], np.float64) / np.asarray(laws[0], np.float64).sum() for laws in (p, q)]
    measured = _bench_throughput._measured(48, 4)
    for name, scheme, fast, plain in measured:
        said = plain(*exact)
        assert float(jax.jit(fast)(p[0], q[0])) == pytest.approx(getattr(said, "value", said), abs=1e-5), (name, scheme)
    assert {"alpha*", "kseq", "optimal", "recursive_rejection"} <= {name for name, *_ in measured} <= {"alpha*", *rules.names()}


def test_a_rate_below_its_limit_is_marked():
    assert _bench_throughput._marked(7.9, 8.0) == "[bold red]7.9[/]"
    assert _bench_throughput._marked(8.1, 8.0) == _bench_throughput._marked(8.1, None) == "8.1"
