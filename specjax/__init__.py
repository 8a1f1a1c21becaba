"""specjax: verification rules of speculative sampling as conditional laws, their optimum, and decoding in one jitted program.

Start at `specjax.rules`, `specjax.bounds.optimal_acceptance` and `specjax.decode.decode`; the float64 referee is the package `theory`.
"""
