"""Programs that run longer than they compile: `make test` optimises lightly, and that costs these
minutes.
"""

import functools

import jax

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 2})
