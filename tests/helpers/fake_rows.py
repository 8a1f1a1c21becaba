"""Rows as `specjax merge` writes them, of laws that were never drawn: what figures and pages are
tested on.
"""

import numpy as np

LOSS = {"kseq": 0.05, "optimal": 0.0, "recursive_rejection": 0.08}


def rows(temperatures=(1.0,), ns=(1, 2), seeds=(0,), contexts=40, families=("zipf",)):
    """One row per cell; the rule falls below the optimum by `LOSS` on average, context by
    context.
    """
    cells = [(f, t, n, s) for f in families for t in temperatures for n in ns for s in seeds]
    return [row for cell in cells for row in _cell(*cell, contexts)]


def _cell(family, temperature, n, seed, contexts):
    rng = np.random.default_rng((seed, n, int(100 * temperature), len(family)))
    best = rng.uniform(0.6, 0.9, contexts)
    for rule, loss in LOSS.items():
        values = best - loss * rng.uniform(0, 2, contexts)
        means = {
            "acceptance": values,
            "alpha_star": best,
            "gap": best - values,
            "block_efficiency": 1 + values,
        }
        yield {
            "cell": f"{family}-{rule}-{temperature}-{n}-{seed}",
            "pair": None,
            "family": family,
            "parameters": "exponent=1.1",
            "vocabulary": 32,
            "rule": rule,
            "scheme": "iid",
            "n": n,
            "tree": f"star:{n}",
            "temperature": temperature,
            "top_p": 1.0,
            "seed": seed,
            **{name: float(x.mean()) for name, x in means.items()},
            **{f"{name}_se": float(x.std(ddof=1) / np.sqrt(contexts)) for name, x in means.items()},
            "contexts": contexts,
            "consistent": True,
            "acceptance_values": values.tolist(),
            "alpha_star_values": best.tolist(),
            "weights": [1.0] * contexts,
        }
