"""The bench on small vocabularies: its rows, its limits, and that a figure beyond its limit is
marked.
"""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from experiments import bench
from experiments.timing import clock, decodes, fronts, nodes, optimal_rules, throughput, trees
from experiments.timing.large_laws import log_normal
from specjax import rules
from specjax.rules import Certificate, Claims, register
from specjax.trees import Draft
from specjax.verifiers import TopDown

# one law of drafts, several, and none drawn twice
TIMED = ("kseq", "multi_drafter", "recursive_rejection_without_replacement")
LIFTED = ("layer:recursive_rejection", "top_down:recursive_rejection")
PATHS = ("greedy_multi_path_block", "traversal")  # verifiers of several paths


@register
class Greedy:
    """The greedy rule, which certifies that it is the optimum, one part in 10^4 short."""

    claims = Claims(lossless=True, drafting=frozenset({"greedy"}), optimal_for=-1)

    def law(self, tokens, p, q, mask):
        return rules.get("greedy")().law(tokens, p, q, mask)

    def certificate(self, p, q, n):
        alpha = rules.get("greedy")().expected_acceptance(p, q, n)
        return Certificate(
            alpha, alpha + 1e-4, jnp.float32(1e-4), jnp.float32(1e-7), jnp.bool_(True)
        )


def small_front(run, vocabularies, lengths, repeats, seed):
    """The rows of the smallest V and the largest n."""
    return run(vocabularies[:1], lengths[-1:], repeats, seed)


@pytest.fixture(scope="module")
def content():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "_rules", lambda n: [rules.get(name)() for name in TIMED])
        patch.setattr(optimal_rules, "_rules", lambda: [Greedy()])
        patch.setattr(optimal_rules, "smollm2", lambda: None)
        patch.delitem(trees.SHAPES, "full:3,4,4")
        patch.setitem(trees.RULES, "iid", ("recursive_rejection",))
        patch.setattr(trees, "PAIRS", ("absent", "markov"))
        patch.setattr(decodes, "VOCABULARY", 26)
        patch.setattr(decodes, "RULES", ("kseq",))
        patch.setattr(throughput, "_rules", lambda n: [rules.get("greedy")])
        patch.setattr(fronts, "run", functools.partial(small_front, fronts.run))
        return bench.run(bench.Config(vocabulary=(40, 60), n=(1, 2), repeats=2))


def test_every_lossless_rule_that_decodes_is_timed():
    made = [make for make in rules.all() if make.claims.lossless and not make.claims.per_pair]
    assert [rule.name for rule in nodes._rules(2)] == [
        make.name for make in made if make.claims.admits(2)
    ]


def test_rules_are_timed_at_the_largest_size(content):
    assert [row["rule"] for row in content["rows"]] == list(TIMED)
    assert {(row["vocabulary"], row["n"]) for row in content["rows"]} == {(60, 2)}
    assert min(row["milliseconds"] for row in content["rows"]) > 0


def test_the_front_has_a_cost_and_its_rule_a_distance_from_the_line(content):
    (row,) = content["fronts"]
    assert (row["vocabulary"], row["n"]) == (40, 2)
    assert abs(row["below_line"]) <= 2e-6
    assert min(row["bound_of_argsort"], row["rule_of_argsort"]) > 0


def test_the_bounds_have_a_cost_and_a_width(content):
    keys = [(row["vocabulary"], row["scheme"], row["n"]) for row in content["bounds"]]
    assert keys == [
        (v, scheme, n)
        for v in (40, 60)
        for scheme in ("iid", "without_replacement")
        for n in (1, 2)
    ]
    for row in content["bounds"]:
        assert 0 <= row["width"] <= row["width_limit"]
        assert row["multiple_of_argsort"] > 0


def test_the_certificates_are_stored_and_one_beyond_its_limit_is_marked(content):
    rows = content["optimal"]
    assert [(row["vocabulary"], row["n"], row["pair"]) for row in rows] == [
        (v, n, pair) for v in (40, 60) for n in (1, 2) for pair in ("log-normal", "zipf")
    ]
    assert all(
        row["gap"] == pytest.approx(1e-4) and row["solved"] == row["contexts"] == 1 for row in rows
    )
    assert clock.against(rows[0]["gap"], rows[0]["gap_limit"], ".1e") == "[bold red]1.0e-04[/]"
    text = io.StringIO()
    bench.show(content, Console(file=text, width=160))
    assert "1.0e-04" in text.getvalue()


def test_every_verifier_is_timed_on_the_trees_that_it_covers(content):
    assert [(row["tree"], row["verifier"]) for row in content["trees"]] == [
        *(("chain:63", name) for name in (*LIFTED, "block", *PATHS)),
        *((trees.PATHS, name) for name in (*LIFTED, *PATHS)),
        *(("full:1,2,2,2,2,2", name) for name in (*LIFTED, "traversal")),
        ("beam:9x7", "top_down:recursive_rejection_without_replacement"),
    ]
    assert {(row["nodes"], row["vocabulary"]) for row in content["trees"]} == {(64, 40)}
    assert content["drafting"]["pair"] == "markov"
    assert content["drafting"]["share_beside_forwards"] > -1


@pytest.mark.parametrize("name", trees.SHAPES)
def test_the_walks_that_are_timed_go_to_the_last_depth(name):
    shape = trees._shape(name)
    p, q = log_normal(64, 0, shape.nodes)
    draft = Draft(shape, trees._tokens(shape, np.argsort(p / q, -1)), q, trees.SHAPES[name])
    rule = rules.get(trees.RULES[draft.scheme][0])()
    assert TopDown(rule).verify(jax.random.key(0), draft, p).length == shape.height + 1
    assert shape.nodes == 64


def test_the_throughput_has_a_ratio(content):
    rows = content["throughput"]
    assert [(row["what"], row["scheme"]) for row in rows] == [
        ("alpha*", "iid"),
        ("alpha*", "without_replacement"),
        ("greedy", "greedy"),
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(
            row["contexts_a_second"] / row["numpy_contexts_a_second"]
        )


def test_a_decode_is_timed_beside_its_parts(content):
    assert [row["rule"] for row in content["decodes"]] == ["kseq"]
    for row in content["decodes"]:
        assert row["multiple_of_parts"] == pytest.approx(row["milliseconds"] / row["parts_ms"])
        assert row["recorded_ms"] > 0


def test_the_optimal_rules_are_those_that_certify_it():
    found = {rule.name for rule in optimal_rules._rules()}
    assert found == {name for name in rules.names() if hasattr(rules.get(name), "certificate")}


@pytest.mark.parametrize("wrong", [{"n": ()}, {"n": (0,)}, {"vocabulary": (3,)}, {"repeats": 0}])
def test_sizes_that_cannot_be_timed_are_refused(wrong):
    with pytest.raises(ValueError, match="expected vocabularies"):
        bench.run(bench.Config(**wrong))
