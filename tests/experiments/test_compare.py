"""The main job: what it measures agrees with theory, and it says so where it does not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import compare
from experiments.decoding import comparison, paired, target_texts
from experiments.decoding.programs import programs
from experiments.stats import consistency
from experiments.stats.means import clustered_mean
from experiments.sweeps import grids, pair_cell
from specjax import decode, drafting, rules
from specjax.models import pairs
from specjax.numerics import AS_IS
from specjax.trees import chain

CONFIG = compare.Config(pair="markov", rules=("kseq", "recursive_rejection"), n=(2,), contexts=180)


@pytest.fixture(scope="module")
def content():
    return compare.run(CONFIG)


def test_rows_hold_what_the_contract_says(content):
    means = {
        "acceptance_count",
        "acceptance_law_mass",
        "expected",
        "alpha_star",
        "block_efficiency",
    }
    plain = {
        "pair",
        "rule",
        "scheme",
        "n",
        "tree",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "order",
        "draft_sampling",
        "repetition_penalty",
        "presence_penalty",
        "contexts",
        "alpha_token",
        "alpha_token_se",
        "consistent",
    }
    for row in content["rows"]:
        assert plain | means | {f"{name}_se" for name in means} <= row.keys()
        assert row["contexts"] >= 180
        assert row["consistent"]
        assert row["alpha_token"] == [row["acceptance_law_mass"]]
        assert row["alpha_star_token"] == [row["alpha_star"]]
        assert row["calls"] == 45
        assert row["expected"] <= row["alpha_star"] <= 1 < row["block_efficiency"] <= 2
    assert content["provenance"]["config"]["seed"] == 0


def test_a_row_is_the_same_in_every_company(content):
    """Other rules and trees beside it change nothing that is shown of K-SEQ; what is left is
    rounding.
    """
    config = dataclasses.replace(CONFIG, rules=("kseq", "naive_first"), n=(2,))
    (found,) = [
        row for row in compare.run(config)["rows"] if (row["rule"], row["n"]) == ("kseq", 2)
    ]
    first = content["rows"][0]
    assert found.keys() == first.keys()
    flat = [{**row, **row["by_prompt"], "by_prompt": None} for row in (first, found)]
    assert {
        name for name, value in flat[0].items() if flat[1][name] != pytest.approx(value, abs=1e-6)
    } == set()


@pytest.mark.thorough
def test_at_one_draft_the_schemes_show_one_optimum():
    """Where the one draft is drawn from q; that of top_n is no draw."""
    config = dataclasses.replace(
        CONFIG, rules=("kseq", "recursive_rejection_without_replacement", "greedy"), n=(1,)
    )
    rows = compare.run(config)["rows"]
    assert [row["scheme"] for row in rows] == ["iid", "without_replacement", "greedy"]
    for name in ("alpha_star", "alpha_star_se"):
        assert [row[name] for row in rows] == pytest.approx([rows[0][name]] * 3, abs=1e-6)
    cells = [
        grids.Cell("markov", None, None, rule, None, None, "star:1", 0, 180, None)
        for rule in ("kseq", "greedy")
    ]
    by_prompt = [pair_cell.measure(cell).arrays["alpha_star_values"] for cell in cells]
    # so the cells of a sweep are paired
    assert by_prompt[0] == pytest.approx(by_prompt[1], abs=1e-6)


def test_contexts_are_drawn_from_the_target(seed):
    """Markov's own bigrams after each prompt, counted: a text led by a draft model, .3 away in
    total variation, is told apart.
    """
    pair, key = pairs.load("markov"), jax.random.key(seed)
    prompts = jnp.tile(jnp.array([[3, 1]]), (4000, 1))
    said = target_texts.drawn(pair, AS_IS, key, prompts, jnp.full(4000, 2), 2).said
    laws = [
        jax.nn.softmax(jnp.array(table))[3 * 26 + 1]
        for table in (pair.target_params, pair.draft_params)
    ]
    counted = np.bincount(said[:, 0], minlength=26) / 4000
    distance = [float(np.abs(counted - law).sum() / 2) for law in laws]
    # 26 tokens, 4000 draws: .03 on average, .07 with probability below 1e-6
    assert distance[0] < 0.07 < distance[1]


def test_a_text_ends_with_eos_and_nothing_below_it_counts():
    """With a letter as EOS: no context follows it, and a walk that accepts it emits nothing
    more.
    """
    pair = pairs.load("markov")._replace(eos=4)
    prompts, lengths = decode.padded([pair.tokenizer.encode(text) for text in pair.prompts])
    texts = target_texts.drawn(pair, AS_IS, jax.random.key(0), prompts, lengths, 24)
    tree = chain(2)
    chosen = (decode.verifier(rules.get("kseq")(), "iid", tree),)
    found = paired.measure(
        decode.decoder(pair, tree, "iid"), chosen, jax.random.key(1), pair, texts, 6
    )
    ends = [
        int(np.argmax(text == 4)) if 4 in text else len(text) - 1 for text in np.asarray(texts.said)
    ]
    assert found.contexts.ran.sum(1).tolist() == [end + 1 for end in ends]
    assert min(ends) < 23
    cut = found.contexts.nodes.hit[..., 0] & (found.contexts.emitted == 1)
    assert (cut & found.contexts.ran[:, :, None]).any()


def test_without_names_every_rule_that_one_model_can_draft_for_is_compared():
    named = {
        rule.name for program in programs((), ("star:1", "star:2")) for rule in program.verifiers
    }
    claims = {name: rules.get(name).claims for name in rules.names()}
    drawable = {
        name
        for name, of in claims.items()
        if of.by_default and not of.per_pair and drafting.first(of)
    }
    assert named == drawable
    assert "optimal" in named


def placed(*chosen, tree):
    return {
        (program.scheme, one.name)
        for program in programs(chosen, (tree,))
        for one in program.verifiers
    }


def test_verifiers_of_whole_paths_join_the_rules_of_the_schemes_that_they_cover():
    assert placed("traversal", "kseq", tree="full:2,2") == {("iid", "traversal"), ("iid", "kseq")}
    assert placed("block", "traversal", tree="chain:2") == {("iid", "block"), ("iid", "traversal")}
    assert placed("traversal", "one_hot", tree="full:2,2") == {
        ("iid", "traversal"),
        ("top_n", "one_hot"),
    }
    rule = "recursive_rejection_without_replacement"
    assert placed("traversal", rule, tree="full:2,2") == {
        ("without_replacement", "traversal"),
        ("without_replacement", rule),
    }
    with pytest.warns(UserWarning, match="verifier block fits none of full:2,2"):
        assert placed("block", "kseq", tree="full:2,2") == {("iid", "kseq")}


def test_without_names_verifiers_join_on_deeper_trees_only():
    assert {"block", "traversal"} <= {name for _, name in placed(tree="chain:2")}
    assert {("iid", "traversal"), ("without_replacement", "traversal")} <= placed(tree="full:2,2")
    assert not {"block", "top_down"} & {name for _, name in placed(tree="full:2,2")}
    assert not {"block", "traversal"} & {name for _, name in placed(tree="star:2")}


@pytest.mark.thorough
def test_on_a_grown_tree_rules_are_measured_and_of_a_verifier_the_speed(tmp_path, capsys):
    from rich.console import Console

    content = compare.run(
        dataclasses.replace(CONFIG, rules=("traversal", "kseq"), tree=("paths:2x2",))
    )
    kseq, traversal = content["rows"]
    assert kseq.keys() == traversal.keys()
    assert (kseq["rule"], kseq["tree"], kseq["scheme"], kseq["n"], len(kseq["alpha_token"])) == (
        "kseq",
        "paths:2x2",
        "iid",
        2,
        2,
    )
    assert (traversal["rule"], traversal["scheme"], traversal["n"], traversal["consistent"]) == (
        "traversal",
        "iid",
        2,
        None,
    )
    unknown = {"acceptance_law_mass", "expected", "alpha_star", "gap"}
    assert {name for name in unknown if traversal[name] is None} == unknown
    assert traversal["alpha_token"] == [None, None]
    assert 1 < traversal["block_efficiency"] <= 3
    assert kseq["consistent"]
    compare.show(content, Console(width=100))
    assert "alpha*" in capsys.readouterr().out
    compare.plot(content).savefig(tmp_path / "figure.png")


def test_the_figure_and_the_table_draw(content, tmp_path, capsys):
    from rich.console import Console

    compare.show(content, Console(width=100))
    assert "alpha*" in capsys.readouterr().out
    compare.plot(content).savefig(tmp_path / "figure.png")


class TestConsistency:
    """Planted errors that the verdict must catch, and a sound table that it must pass."""

    rng = np.random.default_rng(0)
    expected = rng.uniform(0.5, 0.9, 2000)
    mass = rng.beta(4 * expected, 4 * (1 - expected))
    rule = rules.get("kseq")()

    def verdict(self, mass, expected, alpha_star):
        return comparison._verdict(self.rule, mass, expected, alpha_star, 1e-4)[0]

    def test_sound(self):
        assert self.verdict(self.mass, self.expected, self.expected + 0.01)
        assert self.verdict(self.mass, np.full(2000, np.nan), self.expected + 0.01)

    def test_an_expectation_above_the_optimum_at_one_context(self):
        alpha_star = self.expected + 0.01
        alpha_star[7] = self.expected[7] - 1e-5
        assert not self.verdict(self.mass, self.expected, alpha_star)

    def test_a_law_mass_off_its_expectation(self):
        assert not self.verdict(np.clip(self.mass + 0.06, 0, 1), self.expected, self.expected + 0.1)

    def test_a_law_mass_above_the_optimum_where_no_expectation_is_known(self):
        assert not self.verdict(
            np.clip(self.mass + 0.1, 0, 1), np.full(2000, np.nan), self.expected
        )

    def test_no_theory_no_verdict(self):
        unknown = np.full(2000, np.nan)
        assert self.verdict(self.mass, unknown, unknown) is None

    def test_the_allowance_holds_as_often_as_it_says(self):
        e = np.full(400, 0.9)
        draws = self.rng.random((5000, 400)) < e
        assert (np.abs(draws.mean(1) - 0.9) > consistency.allowance(e, 0.05)).mean() < 0.05


def test_standard_errors_take_prompts_as_clusters():
    values = np.repeat([[0.0], [1.0], [0.0], [1.0]], 50, 1)
    mean = clustered_mean(values, np.ones_like(values, bool))
    assert mean.value == 0.5
    assert mean.error == pytest.approx(np.std([0, 1, 0, 1], ddof=1) / 2)
    assert clustered_mean(values, np.zeros_like(values, bool)).value is not None
    assert np.isnan(clustered_mean(values, np.zeros_like(values, bool)).value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rules": ("nonsense",)}, "unknown rule or verifier 'nonsense'"),
        ({"rules": ("single",), "n": (2,)}, "fits none of star:2"),
        ({"rules": ("transport",)}, "cannot decode"),
        (
            {"rules": ("block",), "n": (2,)},
            "block: takes one path, got nodes with 2 children; it fits none of star:2",
        ),
        ({"rules": ("top_down",)}, "or the rule itself"),
        ({"n": (0,)}, "n: expected"),
        ({"tree": ("bush:3",)}, "tree: expected none, chain:D"),
        ({"temperature": -1.0}, "temperature"),
        ({"pair": "nonsense"}, "unknown pair"),
        ({"contexts": 0}, "contexts"),
    ],
)
def test_bad_input_is_refused_before_any_work(change, message):
    with pytest.raises(ValueError, match=message):
        compare.run(dataclasses.replace(CONFIG, **change))


def test_a_file_of_prompts_must_hold_text(tmp_path):
    empty, missing = tmp_path / "empty.txt", tmp_path / "missing.txt"
    empty.write_text("\n\n")
    for path, message in ((empty, "one prompt a line"), (missing, "cannot be read")):
        with pytest.raises(ValueError, match=message):
            compare.run(dataclasses.replace(CONFIG, prompts=path))


@pytest.mark.parametrize(
    ("tree", "covered"),
    [
        (
            "paths:2x2",
            {("iid", "kseq"), ("iid", "recursive_rejection"), ("iid", "naive_membership")},
        ),
        ("beam:2x2", {("without_replacement", "recursive_rejection_without_replacement")}),
        ("best_first:4x2x2", {("top_n", "one_hot"), ("top_n", "naive_membership")}),
        (
            "sampled_best_first:4x2x2",
            {("without_replacement", "recursive_rejection_without_replacement")},
        ),
    ],
)
def test_a_tree_grown_while_drafting_is_left_to_the_rules_that_stay_lossless_on_it(tree, covered):
    cells = programs((), (tree,))
    found = {(cell.scheme, rule.name) for cell in cells for rule in cell.verifiers}
    assert covered <= found
    assert {scheme for scheme, _ in found} == {scheme for scheme, _ in covered}
    assert ("traversal" in {name for _, name in found}) != tree.startswith("best_first")
    found = {(scheme, name) for scheme, name in found if name in rules.names()}
    assert not {"hub", "single"} & {name for _, name in found}
    sequential = {name for _, name in found if rules.get(name).claims.sequential}
    assert sequential == {name for _, name in found} or tree.startswith(("paths", "best_first"))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("beam:2", "tree: expected beam:WIDTHxDEPTH with numbers >= 1, got 'beam:2'"),
        ("best_first:9x2x2", "nodes: expected from 2 to 1 [+] width [*] depth = 5, got 9"),
        (
            "beam:2x2",
            "rule kseq: expected one that takes its drafts one by one: .*; it fits none of "
            "beam:2x2",
        ),
    ],
)
def test_trees_that_cannot_be_grown_are_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        compare.run(dataclasses.replace(CONFIG, tree=(tree,)))
