"""`specjax bound` on top-k log-probabilities: the interval holds the optimum of whole laws, and
both of its ends are the optimum of some.
"""

import json

import numpy as np
import pytest
from rich.console import Console
from scipy import special

import theory
from experiments import bound
from experiments.__main__ import main
from experiments.inputs import model_logits, top_k_files
from experiments.ladders import top_k
from specjax.models import pairs
from tests.helpers.bound_files import columns_of, elsewhere, one_scheme

NS = (1, 2, 3, 4)
SLACK = 1e-12  # of float64


def listed(laws, k, dtype=np.float64):
    """The k likeliest tokens of each row, as arrays of a file."""
    ids = np.argsort(-laws, 1)[:, :k]
    with np.errstate(divide="ignore"):
        logprobs = np.log(np.take_along_axis(laws, ids, 1))
    return {"logprobs": logprobs.astype(dtype), "ids": ids}


@pytest.fixture
def lists(tmp_path):
    """Writes the lists of target and draft into files."""

    def save(p, q):
        for name, arrays in (("p", p), ("q", q)):
            np.savez(tmp_path / f"{name}.npz", **arrays)
        return tmp_path / "p.npz", tmp_path / "q.npz"

    return save


def found(lists, p, q, *ns, **options):
    return bound.run(bound.Config(*lists(p, q), ns, **options))


def alpha(p, q, n):
    return theory.subsets.optimum(theory.Problem(p, q, n, "iid")).value


def truth(p, q, n):
    return np.array([alpha(*laws, n) for laws in zip(p, q, strict=True)])


def outside(study, p, q, slack=SLACK):
    """At how many contexts and n the optimum of the whole laws is below, and above, the ends."""
    below, above = 0, 0
    for found in study.intervals:
        exact = truth(p, q, found.n)
        below += int(np.sum(exact < found.lower - slack))
        above += int(np.sum(exact > found.upper + slack))
    return below, above


def drawn(rng, contexts=40):
    """Laws over 6 to 12 tokens, near and far, with zeros; and how many are listed of each."""
    vocabulary = rng.integers(6, 13)
    p = rng.dirichlet(np.full(vocabulary, 0.7), contexts)
    noise = rng.dirichlet(np.full(vocabulary, 0.7), contexts)
    share = rng.uniform(size=(contexts, 1))
    q = share * p + (1 - share) * noise
    q[: contexts // 4, :2] = 0
    return p, q / q.sum(1, keepdims=True), *rng.integers(1, vocabulary, 2)


def test_the_interval_holds_the_optimum_of_whole_laws(lists, seed):
    rng = np.random.default_rng(seed)
    for _ in range(6):
        p, q, k_p, k_q = drawn(rng)
        study = found(lists, listed(p, k_p), listed(q, k_q), *NS)
        assert outside(study, p, q) == (0, 0)
        assert study.unknown[0] == pytest.approx(np.sort(p)[:, :-k_p].sum(1), abs=SLACK)
        for one in study.intervals:
            assert (one.lower <= one.upper).all()


PLANTED = {
    "the tails forgotten": lambda common: (common.p + 1e-300, common.q + 1e-300),
    "unlisted tokens have probability 0": lambda common: (
        np.column_stack([common.p, common.alone[0], 0 * common.alone[1]]),
        np.column_stack([common.q, 0 * common.alone[0], common.alone[1]]),
    ),
    "the lower end": top_k.lower_laws,
    "the upper end": top_k.upper_laws,
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_ends_are_caught(name, lists, seed, monkeypatch):
    """Wrong laws, or right ones at the other end."""
    p, q, _, _ = drawn(np.random.default_rng(seed))
    monkeypatch.setattr(top_k, "lower_laws", PLANTED[name])
    monkeypatch.setattr(top_k, "upper_laws", PLANTED[name])
    below, above = outside(found(lists, listed(p, 3), listed(q, 4), *NS), p, q)
    assert below + above > 10
    assert below == 0 or name != "the lower end"
    assert above == 0 or name != "the upper end"


@pytest.mark.parametrize("apart", [False, True])
def test_both_ends_are_the_optimum_of_laws_with_these_lists(apart, lists, seed):
    """And no other such laws, of 300, lie beyond. Each lists four of ten tokens, two in common; the
    last entry of a law is the rest. `apart` says that the rests cannot be proportional.
    """
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet((2, 2, 1, 1, 0.1 if apart else 6), 2)
    tokens = {"p": [0, 1, 2, 3], "q": [5, 1, 0, 4]}
    rows = {
        name: {"logprobs": np.log(law[None, :4]), "ids": np.array([tokens[name]])}
        for name, law in (("p", p), ("q", q))
    }
    study = found(lists, rows["p"], rows["q"], *NS)
    known_p, known_q = np.zeros((2, 10))
    known_p[tokens["p"]] = p[:4]
    known_q[tokens["q"]] = q[:4]
    own_p, own_q = known_p * (known_q == 0), known_q * (known_p == 0)
    p0, q0 = p[4], q[4]
    assert apart == (own_p.sum() * own_q.sum() > p0 * q0)
    ratio = (own_p.sum() + p0) / (own_q.sum() + q0)
    rest = np.eye(10)[6:]
    if apart:
        best = known_p + p0 * own_q / own_q.sum(), known_q + q0 * own_p / own_p.sum()
    else:
        own = known_p + ratio * own_q, known_q + own_p / ratio
        left = (1 - own[0].sum()) * rest[2:].mean(0), (1 - own[1].sum()) * rest[2:].mean(0)
        best = own[0] + left[0], own[1] + left[1]
    worst = known_p + p0 * rest[0], known_q + q0 * rest[1]
    unlisted = [[token for token in range(10) if token not in tokens[name]] for name in "pq"]
    shares = rng.dirichlet(np.full(6, 0.4), (300, 2))
    others = np.tile([known_p, known_q], (300, 1, 1))
    others[:, 0, unlisted[0]] += p0 * shares[:, 0]
    others[:, 1, unlisted[1]] += q0 * shares[:, 1]
    for one in study.intervals:
        assert one.lower[0] == pytest.approx(alpha(*worst, one.n), rel=0, abs=SLACK)
        assert one.upper[0] == pytest.approx(alpha(*best, one.n), rel=0, abs=SLACK)
        all_of_them = truth(others[:, 0], others[:, 1], one.n)
        assert (one.lower[0] - SLACK <= all_of_them).all()
        assert (all_of_them <= one.upper[0] + SLACK).all()


@pytest.mark.parametrize(("dtype", "width"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_the_whole_vocabulary_leaves_no_width(dtype, width, lists, seed):
    p, q, _, _ = drawn(np.random.default_rng(seed))
    every = p.shape[1]
    study = found(lists, listed(p, every, dtype), listed(q, every, dtype), *NS)
    for one in study.intervals:
        assert (one.upper - one.lower).max() < width
        assert one.lower == pytest.approx(truth(p, q, one.n), rel=0, abs=width)


def test_rows_without_a_common_token_and_entries_that_are_none(lists):
    """Padding changes nothing, whatever its id; nothing in common is anything from 0 on."""
    p = {"logprobs": np.log([[0.6, 0.3]]), "ids": np.array([[7, 3]])}
    q = {"logprobs": np.log([[0.5, 0.2]]), "ids": np.array([[1, 7]])}
    padded = {
        "logprobs": np.append(p["logprobs"], [[-np.inf, -np.inf]], 1),
        "ids": np.append(p["ids"], [[7, -1]], 1).astype(np.int32),
    }
    plain = found(lists, p, q, 1, 2)
    other = found(lists, padded, q, 1, 2)
    for one, two in zip(plain.intervals, other.intervals, strict=True):
        assert (one.lower, one.upper) == (two.lower, two.upper)
    assert plain.intervals[0].lower == pytest.approx(0.2)
    assert plain.intervals[0].upper == pytest.approx(0.2 + 0.3 + 0.1)  # 0.3 of q on 3, 0.1 of p
    apart = found(lists, p, {**q, "ids": np.array([[1, 2]])}, 2).intervals[0]
    assert apart.lower == pytest.approx(0)
    assert 0.1 < apart.upper[0] < 0.7


def test_chunks_do_not_matter(lists, seed, monkeypatch):
    p, q, k_p, k_q = drawn(np.random.default_rng(seed))
    whole = found(lists, listed(p, k_p), listed(q, k_q), 2).intervals[0]
    monkeypatch.setattr(top_k, "SIDE_BY_SIDE", 7 * (k_p + k_q))
    parts = found(lists, listed(p, k_p), listed(q, k_q), 2).intervals[0]
    assert np.array_equal(whole.lower, parts.lower)
    assert np.array_equal(whole.upper, parts.upper)


@pytest.mark.usefixtures("one_scheme")
def test_a_real_pair_against_its_whole_logits(lists, tmp_path):
    """The optimum of all 256 tokens, in float32, lies between the ends of 20."""
    text = tmp_path / "text.txt"
    text.write_text("TO BE OR NOT TO BE, THAT IS THE QUESTION. WHO GOES THERE?\n")
    files = model_logits.write(pairs.load("bytes"), text, tmp_path)
    whole = bound.run(bound.Config(files.target, files.draft, (1, 4), ("kseq",)))
    laws = [special.softmax(np.load(file).astype(float), -1) for file in files[:2]]
    study = found(lists, *(listed(law, 20, np.float32) for law in laws), 1, 4)
    for ladder, one in zip(whole.ladders, study.intervals, strict=True):
        exact = ladder.alpha_star["iid"]
        print(one.n, one.lower.mean(), exact.mean(), one.upper.mean())
        assert (one.lower - 2e-6 <= exact).all()
        assert (exact <= one.upper + 2e-6).all()
        assert 0 < np.mean(one.upper - one.lower) < 0.1


def test_a_long_tail_in_float32(lists, seed):
    rng = np.random.default_rng(seed)
    scores = 2 * rng.normal(size=(3, 32000))
    p, q = special.softmax([scores, scores + rng.normal(size=scores.shape)], -1)
    study = found(lists, listed(p, 64, np.float32), listed(q, 50, np.float32), 1, 4)
    assert outside(study, p, q, 1e-6) == (0, 0)
    assert min(unknown.min() for unknown in study.unknown) > 0.1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_contract(suffix, lists, tmp_path, seed, capsys):
    p, q = np.random.default_rng(seed).dirichlet(np.full(12, 0.3), (2, 40))
    paths = map(str, lists(listed(p, 4, np.float16), listed(q, 3)))
    command = ["bound", "--target", next(paths), "--draft", next(paths), "--n", "1", "4"]
    rows = tmp_path / f"rows.{suffix}"
    more = ["--json", "ends.json", "--figure", "band.svg", "--rows", str(rows)]
    assert main([*command, *more]) == 0
    out = capsys.readouterr().out
    assert all(words in out for words in ("k = 4 of p and 3 of q", "at least", "Not listed"))
    assert "<svg" in (tmp_path / "band.svg").read_text()
    documents = json.loads((tmp_path / "ends.json").read_text())
    assert [document["n"] for document in documents] == [1, 4]
    columns = columns_of(rows)
    for document in documents:
        assert list(document) == ["n", "alpha_star", "unknown", "contexts"]
        mine = columns["n"] == document["n"]
        for end, value in document["alpha_star"]["iid"].items():
            assert value["low"] < value["mean"] < value["high"]
            assert value["mean"] == pytest.approx(columns[f"alpha_star_iid_{end}"][mine].mean())
        assert document["unknown"]["draft"]["mean"] == pytest.approx(
            columns["unknown_draft"][mine].mean()
        )
    assert (columns["context"][columns["n"] == 4] == np.arange(len(p))).all()


def test_a_single_context_has_no_interval(lists, capsys):
    p, q = np.array([[0.5, 0.3, 0.2]]), np.array([[0.2, 0.3, 0.5]])
    study = found(lists, listed(p, 2), listed(q, 2), 2)
    bound.show(study, Console(width=80))
    assert "- to -" in capsys.readouterr().out
    bound.plot(study)


def changed(**arrays):
    """The lists p and q, p with other arrays; None takes one out."""

    def change(p, q):
        merged = {name: array for name, array in (p | arrays).items() if array is not None}
        return merged, q

    return change


def spoilt(name, row, value):
    """The lists p and q, q with other entries in one row."""

    def change(p, q):
        array = q[name].copy()
        array[row] = value
        return p, {**q, name: array}

    return change


IDS = np.tile(np.arange(3), (4, 1))
FAULTS = {
    "no ids in one file": (changed(ids=None), "p.npz: holds no array ids"),
    "no logprobs": (changed(logprobs=None), "p.npz: holds no array logprobs"),
    "nan": (spoilt("logprobs", 2, np.nan), "q.npz: row 2 holds NaN"),
    "inf": (spoilt("logprobs", 2, np.inf), "q.npz: row 2 holds a log-probability above 0"),
    "above 0": (spoilt("logprobs", 1, 0.1), "q.npz: row 1 holds a log-probability above 0"),
    "too much": (spoilt("logprobs", 3, -1.0), "q.npz: row 3 has probabilities that sum to more"),
    "negative": (spoilt("ids", 1, -3), "q.npz: row 1 holds a negative id"),
    "twice": (spoilt("ids", 3, 8), "q.npz: row 3 holds an id twice"),
    "floats as ids": (changed(ids=IDS * 1.0), "p.npz: ids: expected integers, got float64"),
    "integers as logprobs": (changed(logprobs=-IDS), "p.npz: logprobs: expected floats, got int64"),
    "objects": (changed(ids=IDS.astype(object)), "p.npz: not a whole .npz archive of numbers"),
    "one axis": (changed(ids=IDS[0]), "p.npz: expected logprobs and ids of one shape [T, k]"),
    "three axes": (
        changed(ids=IDS[None], logprobs=np.full((1, 4, 3), -2.0)),
        "p.npz: expected logprobs and ids of one shape [T, k]",
    ),
    "no entries": (
        changed(ids=IDS[:, :0], logprobs=np.zeros((4, 0))),
        "p.npz: expected logprobs and ids of one shape [T, k]",
    ),
    "other contexts": (
        changed(ids=IDS[:2], logprobs=np.full((2, 3), -2.0)),
        "p.npz has 2 rows and",
    ),
}


def refused(paths, capsys, *options):
    """The one line on stderr."""
    command = ["bound", "--target", str(paths[0]), "--draft", str(paths[1]), "--n", "2"]
    assert main([*command, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    return err


@pytest.fixture
def sound(seed):
    """Lists of 3 of 9 tokens at 4 contexts."""
    p, q = np.random.default_rng(seed).dirichlet(np.ones(9), (2, 4))
    return listed(p, 3), listed(q, 3)


@pytest.mark.parametrize(("change", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_line_that_names_the_file(change, words, lists, sound, capsys):
    assert words in refused(lists(*change(*sound)), capsys)


@pytest.mark.parametrize(
    "option",
    [
        ("--temperature", "0.5"),
        ("--top-p", "0.9"),
        ("--vocabulary", "9"),
        ("--shift",),
        ("--rules", "kseq"),
    ],
)
def test_what_needs_whole_laws_is_refused(option, lists, sound, capsys):
    assert "need whole laws, got top-k" in refused(lists(*sound), capsys, *option)


def test_lists_beside_logits_and_a_file_cut_short(lists, sound, tmp_path, capsys):
    target, draft = lists(*sound)
    np.save(tmp_path / "whole.npy", np.zeros((4, 9)))
    assert "whole.npy: not a whole .npz archive" in refused(
        (target, tmp_path / "whole.npy"), capsys
    )
    assert "nowhere.npz: No such file" in refused((target, tmp_path / "nowhere.npz"), capsys)
    draft.write_bytes(draft.read_bytes()[:-40])
    assert "q.npz: not a whole .npz archive" in refused((target, draft), capsys)


def test_other_archives_are_no_lists(lists, sound, tmp_path):
    """The array `logprobs` alone is logits, as before."""
    target, _ = lists(*sound)
    np.savez(tmp_path / "alone.npz", logprobs=np.zeros((4, 9)))
    found = map(top_k_files.holds, (target, tmp_path / "alone.npz", tmp_path / "nowhere.npz"))
    assert list(found) == [True, False, False]


def test_rounded_rows_are_scaled(lists):
    """float16 lifts this sum above 1 by 3e-4: nothing is unknown, and p = q is accepted."""
    law = np.array([[0.4, 0.35, 0.2, 0.05]])
    row = listed(law, 4, np.float16)
    row["logprobs"] = row["logprobs"] + np.float16(3e-4)
    study = found(lists, row, row, 1, 3)
    assert np.exp(row["logprobs"].astype(float)).sum() > 1
    assert study.unknown[0] == pytest.approx(0, abs=SLACK)
    assert study.intervals[1].lower == pytest.approx(1, abs=SLACK)
