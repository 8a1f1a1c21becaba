"""Small trees that grow while drafting, and a rule for each scheme that they draw by."""

import jax.numpy as jnp

from specjax.trees import growth

VOCABULARY, PROMPT = 3, jnp.array([2, 0, 1, 0, 0], jnp.int32)
TREES = {
    "beam:1x2": "without_replacement",
    "beam:2x2": "without_replacement",
    "beam:4x2": "without_replacement",
    "paths:2x2": "iid",
    "best_first:5x3x2": "top_n",
    "sampled_best_first:5x4x2": "without_replacement",
    "sampled_best_first:4x2x2": "without_replacement",
}
ONE_OF_EACH = ["beam:2x2", "paths:2x2", "best_first:5x3x2", "sampled_best_first:4x2x2"]
RULE = {
    "without_replacement": "recursive_rejection_without_replacement",
    "iid": "recursive_rejection",
    "top_n": "one_hot",
}


def tree(text):
    """The tree of a name, by the scheme that it draws by."""
    return growth.parse(text, TREES.get(text, "without_replacement"))
