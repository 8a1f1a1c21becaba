"""`specjax bound`: the ladder of two laws in files, and of many contexts in files of logits."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from scipy import special, stats

import theory
from experiments import bound
from experiments.__main__ import main
from experiments.enumeration import rule_laws
from experiments.inputs import sampling_options
from experiments.inputs.sampling_options import SamplingOptions
from experiments.ladders import many_contexts
from experiments.stats.means import interval
from specjax import bounds, rules
from tests.helpers.bound_files import REVERSED, T, V, elsewhere, files, logits, one_scheme, study

P, Q = REVERSED


def test_the_contract_of_two_laws(files, tmp_path, capsys):
    target, draft = files(*REVERSED)
    out = tmp_path / "new" / "bound.json"
    assert (
        main(
            [
                "bound",
                "--target",
                str(target),
                "--draft",
                str(draft),
                "--n",
                "2",
                "--json",
                str(out),
            ]
        )
        == 0
    )
    content = json.loads(out.read_text())
    assert list(content) == ["n", "alpha_star", "acceptance"]
    assert content["n"] == 2
    assert list(content["alpha_star"]) == ["iid", "without_replacement", "greedy", "hub", "top_n"]
    assert content["alpha_star"] == pytest.approx(
        {"iid": 0.86, "without_replacement": 0.9857142857, "greedy": 0.9, "hub": 0.9, "top_n": 0.5}
    )
    lossless = {make.name for make in rules.all() if make.claims.lossless}
    assert set(content["acceptance"]) == lossless
    golden = {
        "naive_membership": 0.483,
        "naive_first": 0.76,
        "recursive_rejection": 0.76,
        "kseq": 0.791355,
        "greedy": 0.9,
        "transport": 0.86,
    }
    golden["recursive_rejection_without_replacement"] = 0.82
    assert {name: content["acceptance"][name] for name in golden} == pytest.approx(golden, abs=1e-6)
    assert content["acceptance"]["single"] is None
    assert "|H*|" in capsys.readouterr().out


def test_null_where_it_does_not_apply(files):
    rng = np.random.default_rng(0)
    config = bound.Config(*files(*rng.dirichlet(np.ones(400), 2)), (3,))
    (ladder,) = bound.run(config).ladders
    assert ladder.alpha_star["hub"] is None
    assert ladder.alpha_star["iid"][0] > 0
    searching = {make.name for make in rules.all() if make.claims.lossless and make.claims.searches}
    missing = {rule for rule, value in ladder.acceptance.items() if value is None}
    assert {"single", "transport", *searching} <= missing
    assert not missing & {"kseq", "recursive_rejection", "naive_membership"}
    for rule in ("single", "transport"):
        with pytest.raises(ValueError, match=f"rule {rule}: "):
            bound.run(bound.Config(config.target, config.draft, (3,), (rule,)))


def test_no_lossless_rule_exceeds_the_optimum(files):
    for pair in theory.battery.laws(5, seed=0)[:6]:
        (ladder,) = bound.run(bound.Config(*files(pair.p, pair.q), (2,))).ladders
        for rule, scheme in ladder.under.items():
            if rule in ladder.lossless and scheme:
                assert ladder.acceptance[rule] <= ladder.alpha_star[scheme] + 1e-9, (
                    pair.name,
                    rule,
                )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_is_read_and_computed_in_float64(files, dtype):
    target, draft = files(*REVERSED, dtype)
    (ladder,) = bound.run(bound.Config(target, draft, (2,), ("transport",))).ladders
    exact = theory.lp.solve(
        theory.Problem(
            *(theory.problem.as_law("x", np.load(path)) for path in (target, draft)), 2, "iid"
        )
    ).value
    assert abs(ladder.alpha_star["iid"][0] - exact) < 1e-9


def test_every_context_of_a_file_is_what_theory_says(files, logits):
    """Files are computed in float32: 2e-6 of theory, which sees the same numbers in float64."""
    result = study(files, logits, 1, 2, rules=("kseq", "naive_membership", "greedy"))
    p, q = (special.softmax(values.astype(np.float64), -1) for values in logits)
    assert result.contexts == T
    assert result.first_try == pytest.approx(np.minimum(p, q).sum(1), abs=1e-6)
    assert result.entropy == pytest.approx(special.entr(p).sum(1), abs=1e-6)
    for ladder in result.ladders:
        assert ladder.singleton == pytest.approx(
            np.minimum(p, 1 - (1 - q) ** ladder.n).sum(1), abs=1e-6
        )
        for row in range(T):
            for scheme, values in ladder.alpha_star.items():
                if values is not None:
                    problem = theory.Problem(p[row], q[row], ladder.n, scheme)
                    assert abs(values[row] - theory.subsets.optimum(problem).value) < 2e-6, (
                        scheme,
                        ladder.n,
                        row,
                    )
        assert ladder.acceptance["naive_membership"] == pytest.approx(
            (p * (1 - (1 - q) ** ladder.n)).sum(1), abs=1e-6
        )
        assert (ladder.acceptance["kseq"] > ladder.acceptance["naive_membership"]).all()
    assert result.ladders[0].alpha_star["hub"] is None
    assert result.ladders[1].alpha_star["hub"] is not None


@pytest.mark.parametrize(
    "steps",
    [
        {"temperature": 0.0},
        {"temperature": 0.5},
        {"top_p": 0.6},
        {"temperature": 1.5, "top_p": 0.8},
        {"top_k": 3},
        {"min_p": 0.3},
        {"temperature": 2.0, "top_p": 0.6, "order": "top_p,top_k,min_p,temperature"},
    ],
)
@pytest.mark.usefixtures("one_scheme")
def test_each_step_acts_on_both(files, logits, steps):
    result = study(files, logits, 1, rules=("single",), **steps)
    sampling = sampling_options.of(SamplingOptions(**steps))
    with jax.enable_x64(True):
        p, q = (np.asarray(sampling.law(jnp.asarray(values, jnp.float64))) for values in logits)
    assert result.first_try == pytest.approx(np.minimum(p, q).sum(1), abs=1e-6)
    assert abs(result.first_try - study(files, logits, 1, rules=("single",)).first_try).max() > 0.01


EACH_ITS_OWN = {  # of the laws (.5, .3, .2) and (.2, .3, .5)
    "a greedy draft": ({"draft_temperature": 0.0}, P, (0, 0, 1)),
    "a greedy target": ({"temperature": 0.0, "draft_temperature": 1.0}, (1, 0, 0), Q),
    "a cold draft": ({"draft_temperature": 0.5}, P, (4 / 38, 9 / 38, 25 / 38)),
    "the draft cut": ({"draft_top_k": 2}, P, (0, 3 / 8, 5 / 8)),
    "the target cut": ({"top_k": 2, "draft_top_k": 0}, (5 / 8, 3 / 8, 0), Q),
    "no nucleus of the draft": ({"top_p": 0.4, "draft_top_p": 1.0}, (1, 0, 0), Q),
    "min-p of the draft": ({"draft_min_p": 0.5}, P, (0, 3 / 8, 5 / 8)),
    # .82 cuts the cold law, whose first two tokens have 34 / 38, and not the law itself
    "an order each": (
        {"temperature": 0.5, "top_p": 0.82, "draft_order": "top_p,temperature,top_k,min_p"},
        (25 / 34, 9 / 34, 0),
        (4 / 38, 9 / 38, 25 / 38),
    ),
}


@pytest.mark.parametrize(("steps", "p", "q"), EACH_ITS_OWN.values(), ids=EACH_ITS_OWN)
@pytest.mark.usefixtures("one_scheme")
def test_target_and_draft_take_each_its_own_steps(files, steps, p, q):
    """Both laws are known in closed form, and the optimum of two drafts with them."""
    (ladder,) = study(files, [np.log([law]) for law in (P, Q)], 2, rules=("kseq",), **steps).ladders
    exact = theory.subsets.optimum(theory.Problem(p, q, 2, "iid")).value
    assert ladder.alpha_star["iid"] == pytest.approx([exact], abs=2e-6)
    assert ladder.singleton == pytest.approx(
        [np.minimum(p, 1 - (1 - np.array(q)) ** 2).sum()], abs=2e-6
    )
    swapped = theory.subsets.optimum(theory.Problem(q, p, 2, "iid")).value
    assert abs(swapped - exact) > 1e-3, "planted: the steps of the other side"


@pytest.mark.parametrize(("side_by_side", "in_memory"), [(1, 1), (2 * V, 4 * V), (V, 5 * V)])
@pytest.mark.usefixtures("one_scheme")
def test_the_result_does_not_depend_on_the_chunks(
    files, logits, side_by_side, in_memory, monkeypatch
):
    whole = study(files, logits, 2, rules=("kseq",))
    monkeypatch.setattr(many_contexts, "SIDE_BY_SIDE", side_by_side)
    monkeypatch.setattr(many_contexts, "IN_MEMORY", in_memory)
    rows, together = many_contexts.chunk(T, V)
    assert rows % together == 0
    assert T % rows != 0 or rows == 1
    parts = study(files, logits, 2, rules=("kseq",))
    for one, other in zip(
        jax.tree.leaves(whole._replace(seconds=0.0)),
        jax.tree.leaves(parts._replace(seconds=0.0)),
        strict=True,
    ):
        assert (
            np.allclose(one, other, rtol=0, atol=1e-6)
            if isinstance(one, np.ndarray)
            else one == other
        )


def test_memory_is_bounded_by_the_shape():
    for contexts, vocabulary in ((1, 1), (20, 300), (2000, 131072), (10**6, 50), (3, 10**7)):
        rows, together = many_contexts.chunk(contexts, vocabulary)
        assert rows % together == 0
        assert 1 <= rows < contexts + together
        assert rows == 1 or rows * vocabulary <= many_contexts.IN_MEMORY


def test_the_contract_of_logits(files, logits, tmp_path, capsys):
    target, draft = map(str, files(*logits, np.float16))
    command = [
        "bound",
        "--target",
        target,
        "--draft",
        draft,
        "--rules",
        "kseq",
        "naive_first",
        "greedy",
    ]
    assert main([*command, "--n", "2", "4", "--json", "two.json", "--figure", "two.svg"]) == 0
    out = capsys.readouterr().out
    assert all(
        words in out
        for words in (
            "alpha* iid",
            "singleton bound",
            "1 - TV",
            "chain of n",
            "star of n",
            "contexts per second",
        )
    )
    assert "<svg" in (tmp_path / "two.svg").read_text()
    two = json.loads((tmp_path / "two.json").read_text())
    assert [ladder["n"] for ladder in two] == [2, 4]
    assert main([*command, "--n", "4", "--json", "one.json"]) == 0
    assert json.loads((tmp_path / "one.json").read_text()) == two[1]
    ladder = two[0]
    assert list(ladder)[:3] == ["n", "alpha_star", "acceptance"]
    assert list(ladder["alpha_star"]) == ["iid", "without_replacement", "greedy", "hub", "top_n"]
    assert two[1]["alpha_star"]["hub"] is None
    for value in (
        *ladder["alpha_star"].values(),
        *ladder["acceptance"].values(),
        ladder["singleton"],
        *ladder["block_efficiency"].values(),
    ):
        assert list(value) == ["mean", "error", "low", "high"]
        assert value["low"] < value["mean"] < value["high"]
    a = ladder["first_try_alpha"]["mean"]
    assert ladder["block_efficiency"]["chain"]["mean"] == pytest.approx(1 + a + a**2)
    assert ladder["block_efficiency"]["star_optimum"]["mean"] == pytest.approx(
        1 + max(v["mean"] for v in ladder["alpha_star"].values())
    )
    assert ladder["contexts"] == T


def test_the_interval():
    values = np.random.default_rng(0).normal(size=12)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values) == pytest.approx((values.mean(), stats.sem(values), low, high))
    assert np.isnan(interval(values[:1]).low)


@pytest.mark.usefixtures("one_scheme")
def test_a_single_context_has_no_interval(files, logits, tmp_path):
    target, draft = map(str, files(*(values[:1] for values in logits)))
    assert (
        main(
            [
                "bound",
                "--target",
                target,
                "--draft",
                draft,
                "--rules",
                "kseq",
                "--n",
                "2",
                "--json",
                "one.json",
            ]
        )
        == 0
    )
    value = json.loads((tmp_path / "one.json").read_text())["acceptance"]["kseq"]
    assert value["mean"] > 0
    assert value["low"] is None


def test_a_named_rule_without_a_value_is_an_error(files, logits):
    for name in ("single", "transport"):
        with pytest.raises(ValueError, match=f"rule {name}: does not verify 3 drafts"):
            study(files, logits, 3, rules=(name,))


@pytest.mark.usefixtures("one_scheme")
def test_an_expectation_above_the_optimum_is_counted_and_named(files, logits, monkeypatch):
    """The planted error: an optimum that is too small at the contexts whose first-try acceptance is
    above 1/2.
    """
    honest = bounds.bracket
    over = int(np.sum(study(files, logits, 2, rules=("kseq",)).first_try > 0.5))
    assert over > 0

    def planted(p, q, n, scheme):
        found = honest(p, q, n, scheme)
        return found._replace(
            upper=jnp.where(bounds.overlap(p, q) > 0.5, found.lower - 0.5, found.upper)
        )

    monkeypatch.setattr(bounds, "bracket", planted)
    with pytest.raises(
        RuntimeError,
        match=f"rule kseq: .* n = 2 .* alpha\\* under iid at {over} of {T} contexts, most in row",
    ):
        study(files, logits, 2, rules=("kseq",))


@pytest.mark.usefixtures("one_scheme")
def test_a_rule_without_a_closed_form_is_estimated(files, seed, capsys):
    """Each of 4000 equal contexts draws 4 sets: by Hoeffding a bias above 0.026 is seen, a sound
    mean fails with probability 1e-9.
    """
    p, q = np.random.default_rng(seed).dirichlet(np.ones(5), 2)
    contexts, rule = 4000, "recursive_rejection_without_replacement"
    result = study(
        files,
        [np.tile(np.log(law), (contexts, 1)) for law in (p, q)],
        3,
        rules=(rule, "naive_first"),
    )
    (ladder,) = result.ladders
    assert ladder.estimated == {rule}
    exact = rule_laws.acceptance(rules.get(rule)(), theory.Problem(p, q, 3, "without_replacement"))
    allowed = np.sqrt(np.log(2 / 1e-9) / (2 * contexts * many_contexts.SAMPLES))
    assert abs(ladder.acceptance[rule].mean() - exact) < allowed
    assert len(np.unique(ladder.acceptance[rule])) > 10  # every context draws its own
    bound.show(result, Console(width=80))
    assert f"~ {rule[:20]}" in capsys.readouterr().out


def _spoilt(values, row, token, value):
    values = values.copy()
    values[row, token] = value
    return values


SPOILT = {
    "nan": (lambda p, q: (_spoilt(p, 7, 3, np.nan), q), "p.npy: row 7 holds NaN"),
    "nan in the draft": (lambda p, q: (p, _spoilt(q, 0, 3, np.nan)), "q.npy: row 0 holds NaN"),
    "inf": (lambda p, q: (p, _spoilt(q, 8, 3, np.inf)), "q.npy: row 8 holds +inf"),
    "nothing left": (
        lambda p, q: (_spoilt(p, 4, slice(None), -np.inf), q),
        "p.npy: row 4 is -inf everywhere",
    ),
    "contexts differ": (lambda p, q: (p, q[:5]), "the same contexts and tokens"),
    "tokens differ": (lambda p, q: (p[:, :50], q), "the same contexts and tokens"),
    "three axes and two": (lambda p, q: (p[None], q), "expected two vectors or two matrices"),
    "four axes": (lambda p, q: (p[None, None], q), "p.npy: expected probabilities"),
    "one row of probabilities": (
        lambda p, q: (_spoilt(p, 5, slice(None), 1 / V), q),
        "p.npy: row 5 holds probabilities",
    ),
    "no contexts": (lambda p, q: (p[:0], q[:0]), "at least one"),
    "vector and matrix": (lambda p, q: (p, q[0]), "expected two vectors or two matrices"),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILT.values(), ids=SPOILT)
@pytest.mark.usefixtures("one_scheme")
def test_bad_logits_are_one_line_and_exit_code_2(
    spoil, words, files, logits, tmp_path, capsys, monkeypatch
):
    # the bad row lies beyond the first chunk
    monkeypatch.setattr(many_contexts, "IN_MEMORY", 2 * V)
    target, draft = map(str, files(*spoil(*logits), np.float32))
    before = sorted(tmp_path.rglob("*"))
    command = [
        "bound",
        "--target",
        target,
        "--draft",
        draft,
        "--rules",
        "kseq",
        "--n",
        "2",
        "--json",
        "result.json",
    ]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--temperature", "-1"), "temperature=-1"),
        (("--top-p", "0"), "top_p=0"),
        (("--n", "0"), "n: expected numbers >= 1"),
        (("--n",), "n: expected numbers >= 1"),
        (("--draft-temperature", "-1"), "draft: expected temperature >= 0"),
        (("--draft-top-k", "-2"), "top_k=-2"),
        (("--draft-top-p", "1.5"), "top_p=1.5"),
        (("--draft-min-p", "-.1"), "min_p=-0.1"),
        (("--draft-order", "top_k"), "draft: order: expected temperature, top_k, top_p, min_p"),
        (("--draft-top-k", "two"), "--draft-top-k"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(option, words, files, logits, capsys):
    target, draft = map(str, files(*logits))
    assert main(["bound", "--target", target, "--draft", draft, *option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize("steps", [{"temperature": 0.5}, {"draft_temperature": 0.5}])
def test_laws_have_no_temperature(files, steps):
    with pytest.raises(ValueError, match="two vectors of probabilities"):
        bound.run(bound.Config(*files(*REVERSED), (2,), **steps))
