"""The verifier of a decode, and what it reads of the target."""

from specjax import rules
from specjax._types import Rule, Sees
from specjax.trees import Topology, growth
from specjax.verifiers import TopDown, Verifier, check_covers, node_rule


def evidence(*chosen: Rule | Verifier) -> tuple[int, ...]:
    """The layers of the target that rules or verifiers read: the last, if one reads evidence.

    Args:
      *chosen: rules or verifiers.

    Returns:
      The layers, as `decoder` takes them.

    Example:
      >>> from specjax import decode, rules
      >>> decode.evidence(rules.KSeq()), decode.evidence(rules.KSeq(), rules.Judge())
      ((), (-1,))
    """
    found = [node_rule(one) if isinstance(one, Verifier) else one for one in chosen]
    return (-1,) if any(isinstance(rule, Sees) for rule in found) else ()


def verifier(chosen: Rule | Verifier, scheme: str, topology: Topology) -> Verifier:
    """The verifier of a decode, after a check that its proof covers the tree.

    A verifier of whole paths is returned as it is. A node rule becomes a verifier from the root
    down.

    Args:
      chosen: a rule or a verifier.
      scheme: name of the drafting scheme.
      topology: the tree.

    Returns:
      The verifier.

    Raises:
      ValueError: the scheme, or an n of the tree, is not covered; the rule holds the plan of one
        pair (p, q).

    Example:
      >>> from specjax import decode, rules, trees
      >>> decode.verifier(rules.KSeq(), "iid", trees.full(2, 2)).name
      'top_down'
    """
    made: Verifier = chosen if isinstance(chosen, Verifier) else TopDown(chosen)
    rule = node_rule(made)
    if rule is not None:
        rules.check_decodes(rule)
        at_node = growth.node_scheme(f"rule {rule.name}", rule.claims, scheme)
        for n in topology.arities:
            if n > 0:
                rules.check_scheme(rule, at_node, n)
    if not isinstance(made, TopDown):
        check_covers(made, scheme, topology)
    return made
