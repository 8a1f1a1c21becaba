"""How a user says in which steps logits become laws, and what rows and titles say of it."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import best_draft, compare, decode, merge, sweep
from experiments.__main__ import main
from experiments.cli import experiment
from experiments.inputs import sampling_options
from experiments.inputs.sampling_options import PairSampling, PairSamplingOptions
from experiments.sweeps import family_cell, grids, pair_cell
from specjax.numerics import AS_IS, Sampling

CUT = {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.05}
ORDER = "top_k,top_p,min_p,temperature"
CUT_SAMPLING = Sampling(**CUT, order=tuple(ORDER.split(",")))


@pytest.mark.parametrize("name", experiment.names())
def test_what_has_a_temperature_has_every_step(name):
    """A grid of temperatures studies one step at a time, so no order matters there."""
    fields = {field.name: field for field in dataclasses.fields(experiment.load(name).Config)}
    if "temperature" in fields:
        steps = {"top_k", "top_p", "min_p"}
        alone = isinstance(fields["temperature"].default, tuple)
        assert steps | (set() if alone else {"order"}) <= fields.keys()


def test_the_draft_is_as_the_target_where_nothing_is_said():
    options = PairSamplingOptions(**CUT, order=ORDER)
    assert sampling_options.of_pair(options) == PairSampling(CUT_SAMPLING, CUT_SAMPLING)
    own = dataclasses.replace(options, draft_temperature=0.0, draft_top_k=0, draft_order="x,y")
    with pytest.raises(ValueError, match=r"order: expected temperature, .* got x, y"):
        sampling_options.of_pair(own)
    own = dataclasses.replace(own, draft_order=None)
    draft = dataclasses.replace(CUT_SAMPLING, temperature=0.0, top_k=0)
    assert sampling_options.of_pair(own) == PairSampling(CUT_SAMPLING, draft)


def test_a_title_says_what_is_not_usual():
    assert sampling_options.words({"temperature": 0.5, "top_p": 1.0}) == "temperature 0.5, top-p 1"
    row = sampling_options.columns(CUT_SAMPLING)
    said = "temperature 0.7, top-p 0.9, top-k 5, min-p 0.05, order top_k,top_p,min_p,temperature"
    assert sampling_options.words(row) == said
    merged = dict.fromkeys(row) | {"temperature": 1.0, "top_p": 1.0}  # of an older sweep
    assert sampling_options.words(merged) == "temperature 1, top-p 1"
    own = {"draft_temperature": 0.5, "draft_top_k": 0, "draft_order": ORDER, "draft_min_p": None}
    assert sampling_options.words(merged | own) == (
        f"temperature 1, top-p 1, draft temperature 0.5, draft top-k 0, draft order {ORDER}"
    )
    usual = sampling_options.columns(Sampling(1.3))
    whole = {**usual, "presence_penalty": 0.5, "draft_sampling": row}
    assert sampling_options.words(whole) == (
        f"temperature 1.3, top-p 1, presence penalty 0.5, draft: {said}"
    )


@pytest.fixture(scope="module")
def compared():
    """Both sides cut in an order of their own, with penalties, on `markov`."""
    return compare.run(
        compare.Config(
            pair="markov",
            rules=("kseq", "recursive_rejection"),
            tree=("full:2,1",),
            contexts=180,
            **CUT,
            order=ORDER,
            draft_temperature=1.2,
            draft_top_k=0,
            repetition_penalty=1.3,
            presence_penalty=0.2,
        )
    )


def test_a_comparison_of_cut_and_penalised_laws_is_consistent(compared):
    for row in compared["rows"]:
        assert row["consistent"]
        assert {name: row[name] for name in (*CUT, "order")} == CUT | {"order": ORDER}
        draft = CUT | {"order": ORDER, "temperature": 1.2, "top_k": 0}
        assert row["draft_sampling"] == draft
        assert (row["repetition_penalty"], row["presence_penalty"]) == (1.3, 0.2)


def test_a_decode_takes_each_step_and_penalty(capsys):
    """With top_k = 1 every token is the likeliest that the penalties leave: none comes twice."""
    config = decode.Config("abc", pair="markov", tokens=20, top_k=1, presence_penalty=1e3)
    content = decode.run(config)
    assert len({*content["tokens"], 0, 1, 2}) == 23
    assert content["provenance"]["config"]["presence_penalty"] == 1e3
    assert main(["decode", "a", "--pair", "markov", "--order", "top_k"]) == 2
    said = "order: expected temperature, top_k, top_p, min_p, each once, got top_k"
    assert capsys.readouterr() == ("", f"specjax: error: {said}\n")
    assert main(["decode", "a", "--pair", "markov", "--repetition-penalty", "0"]) == 2
    assert "expected repetition > 0" in capsys.readouterr().err


def test_a_sweep_takes_every_step(tmp_path):
    """Rows of one family differ in q's and p's steps, and say so."""
    config = tmp_path / "grid.toml"
    config.write_text(
        '[[grid]]\nfamily = "log_normal"\nrule = "kseq"\nn = 2\nvocabulary = 64\ncontexts = 32\n'
        f'temperature = 0.7\ntop_k = [0, 5]\nmin_p = [0.0, 0.2]\norder = ["{ORDER}"]\n'
    )
    sweep.run(sweep.Config(config, tmp_path / "out"))
    rows = merge.run(merge.Config(tmp_path / "out", tmp_path / "rows.parquet"))["rows"]
    assert [(row["top_k"], row["min_p"]) for row in rows] == [(0, 0), (0, 0.2), (5, 0), (5, 0.2)]
    assert {row["order"] for row in rows} == {ORDER}
    assert len({row["alpha_star"] for row in rows}) == 4


def test_a_sweep_takes_the_drafts_own_steps(tmp_path):
    """At one draft alpha* is the overlap of the two laws, each made by its own steps."""
    config = tmp_path / "grid.toml"
    config.write_text(
        '[[grid]]\nfamily = "log_normal"\nrule = "single"\nn = 1\nvocabulary = 64\ncontexts = 32\n'
        "temperature = [1, 0.7]\ntop_k = 5\ndraft_temperature = [0.0, 1.3]\ndraft_top_k = 0\n"
    )
    sweep.run(sweep.Config(config, tmp_path / "out"))
    rows = merge.run(merge.Config(tmp_path / "out", tmp_path / "rows.parquet"))["rows"]
    asked = [(row["temperature"], row["draft_temperature"]) for row in rows]
    assert asked == [(1, 0), (1, 1.3), (0.7, 0), (0.7, 1.3)]
    family = f"{rows[0]['family']}:{rows[0]['parameters']}"
    as_is = family_cell.Laws(family, 64, PairSampling(AS_IS, AS_IS), 0)
    logits = [jnp.log(law) for law in family_cell._sampled(as_is, 0, 32)]
    for row, (temperature, draft) in zip(rows, asked, strict=True):
        p = Sampling(temperature, 5).law(logits[0])
        q = Sampling(draft).law(logits[1])
        overlap = np.minimum(p, q).sum(1)
        assert row["alpha_star_values"] == pytest.approx(overlap, abs=1e-6)
        assert row["consistent"]
        assert (row["draft_top_k"], row["draft_top_p"], row["draft_order"]) == (0, None, None)


def test_a_sweep_of_a_pair_finds_what_compare_does_with_the_drafts_own_steps():
    own = {"top_k": 9, "draft_temperature": 1.4, "draft_top_k": 0}
    cell = grids.Cell("markov", None, None, "single", None, None, "star:1", 0, 60, None, **own)
    config = compare.Config(pair="markov", rules=("single",), n=(1,), contexts=60, **own)
    (row,) = compare.run(config)["rows"]
    found = pair_cell.measure(cell).row
    assert row["draft_sampling"]["temperature"] == 1.4
    for name in ("alpha_star", "expected", "block_efficiency"):
        assert found[name] == pytest.approx(row[name], abs=1e-6)


def test_the_best_draft_studies_each_cut():
    config = best_draft.Config(
        pair="markov", n=(1,), temperature=(), top_k=(), top_p=(0.5,), min_p=(0.2,), contexts=4
    )
    rows = best_draft.run(dataclasses.replace(config, budget=(0.0,)))["rows"]
    found = {row["study"]: row["value"] for row in best_draft.best(rows)}
    assert found == {"top_p": 0.5, "min_p": 0.2}
    best_draft.plot({"rows": rows})


@pytest.fixture
def silent(tmp_path):
    """A pair whose target has no finite logit after most tokens."""
    path = tmp_path / "silent.py"
    path.write_text(
        "import jax.numpy as jnp\n"
        "from specjax.models.pairs import markov\n\n\n"
        "def load():\n"
        "    pair = markov.load()\n"
        "    return pair._replace(target_params=pair.target_params.at[30:].set(-jnp.inf))\n"
    )
    return str(path)


@pytest.mark.parametrize(
    "command",
    [
        "compare --rules kseq --n 1 --contexts 9",
        "profile --rules single --tree chain:1 --tokens 4 --repeats 1",
        "best_draft --n 1 --contexts 4",
        "decode abc --tokens 8",
    ],
)
def test_a_row_without_a_finite_logit_is_named_in_one_line(command, silent, capsys):
    assert main([*command.split(), "--pair", silent]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("specjax: error: the target's logits hold NaN, or no finite one")
