"""`jit` for tests whose programs run longer than they compile: it optimises although `make test`
hardly does.
"""

import functools

import jax

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 2})
