"""The page of results shows what the stored rows hold, and the stored rows hold together."""

import io
import json

import pytest
from rich.console import Console

from experiments import bench_decode, compare, plane, production, tree_budget, tree_gap
from experiments.cli import tables
from tests.helpers.places import ROOT

PAGE = (ROOT / "notebooks" / "results.md").read_text()
RESULTS = " ".join(PAGE.split())
REJECTION = "recursive_rejection_without_replacement"
STORED = sorted((ROOT / "experiments" / "results").glob("compare-*.json"))


def as_printed(content):
    text = io.StringIO()
    compare.show(content, Console(file=text, width=110))
    return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines())


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_stored_rule_was_consistent(path):
    content = json.loads(path.read_text())
    assert all(row["consistent"] for row in content["rows"])
    assert {"revision", "jax", "backend", "dtype", "config"} <= content["provenance"].keys()
    compare.plot(content)


def stored(name):
    return json.loads((ROOT / "experiments" / "results" / f"{name}.json").read_text())["rows"]


def test_the_page_quotes_the_stored_worst_ratios():
    rows = [row for row in stored("worst_ratio") if row["rule"] == "kseq"]
    worst = [min(row["ratio"] for row in rows if row["n"] == n) for n in (2, 3, 4, 8)]
    assert (
        "K-SEQ keeps {}, {}, {} and {} of it for 2, 3, 4 and 8 drafts".format(
            *(f"{x:.4f}"[1:] for x in worst)
        )
        in RESULTS
    )


def test_the_page_quotes_the_stored_best_temperatures():
    rows = [
        row
        for row in stored("best_draft-smollm2")
        if (row["study"], row["scheme"]) == ("temperature", "iid")
    ]
    one, eight = (
        max((row for row in rows if row["n"] == n), key=lambda row: row["alpha_star"])["value"]
        for n in (1, 8)
    )
    assert (
        f"drawn at temperature {one:g} when there is one, and at {eight:g} when there are eight"
        in RESULTS
    )


def by_tree(scheme, verifier):
    """The least and the largest mean gap over the branching trees of depth 2, in %."""
    rows = [
        row
        for row in tree_gap.chosen(stored("tree_gap"), scheme=scheme, verifier=verifier)
        if row["depth"] == 2
    ]
    rows = [row for row in rows if not row["tree"].startswith("chain")]
    means = [
        100 * tree_gap.pooled(tree_gap.chosen(rows, tree=tree), "gap")[0]
        for tree in tree_gap.distinct(rows, "tree")
    ]
    return f"{min(means):.1f} to {max(means):.1f}"


def most(verifier, *depths):
    """By how many % the optimum beats a verifier in the worst single problem of iid drafts on trees
    of these depths, and on which tree.
    """
    rows = [
        row
        for row in tree_gap.chosen(stored("tree_gap"), scheme="iid", verifier=verifier)
        if row["depth"] in depths
    ]
    worst = max(rows, key=lambda row: row["gap_max"])
    return f"{100 * tree_gap.excess([worst])[1]:.0f} %", f"`{worst['tree']}`", worst["depth"]


def worst_problems(name, verifier):
    """The sentence on a verifier's worst problems."""
    (shallow, tree, _), (deep, other, depth) = most(verifier, 2), most(verifier, 2, 3, 4)
    return (
        f"up to {shallow} more than {name} on depth 2 ({tree}) and {deep} at most ({other}, depth "
        f"{depth})"
    )


def lead(tree):
    """By how much traversal leads the optimal node rule under independent drafts, in % of the
    optimum.
    """
    value, error = tree_gap.pooled(
        tree_gap.chosen(stored("tree_gap"), scheme="iid", verifier="top_down:optimal", tree=tree),
        "lead",
    )
    return f"{100 * value:.1f} ± {100 * error:.1f} %"


def test_the_page_quotes_who_leads_where():
    """Layers and the block of the largest path, by how far the laws are apart."""
    rows = tree_gap.chosen(stored("tree_gap"), scheme="iid")
    whole = ("layer:optimal", "greedy_multi_path_block", "traversal")
    paths = tree_gap.distinct(tree_gap.chosen(rows, verifier=whole[1]), "tree")
    for family in ("random", "zipf", "peaked", "temperature", "near_30", "near_10"):
        held = tree_gap.chosen(rows, family=family)
        cells = [f"{tree_gap._distance(held, family):.2f}"]
        for verifier in whole:
            group = [
                row
                for row in tree_gap.chosen(held, verifier=verifier)
                if row["tree"] in paths and not row["tree"].startswith("chain")
            ]
            cells.append(f"{100 * tree_gap.pooled(group, 'gap')[0]:.1f}")
        assert f"| {family} | {' | '.join(cells)} |" in RESULTS
    assert f"lose {by_tree('iid', 'layer:optimal')} %" in RESULTS
    assert f"over `kseq` {by_tree('iid', 'layer:kseq')}" in RESULTS
    for verifier, words in (
        ("layer:optimal", "leads by up to {} % of"),
        (whole[1], "by up to {} %."),
    ):
        most = max(row["lead_max"] for row in tree_gap.chosen(rows, verifier=verifier))
        assert words.format(f"{100 * most:.1f}") in RESULTS
    for tree in ("full:1,2", "full:1,1,2"):
        for row in tree_gap.chosen(rows, verifier="layer:optimal", tree=tree):
            assert abs(row["gap_max"]) < 1e-9
    for tree in tree_gap.distinct(rows, "tree"):
        layers = tree_gap.chosen(rows, verifier="layer:optimal", tree=tree)
        assert not layers or tree_gap.pooled(layers, "lead")[0] < 0


def test_the_page_quotes_the_stored_gaps_of_trees():
    top_down = {
        "iid": ("top_down:recursive_rejection", "top_down:optimal"),
        "without_replacement": (f"top_down:{REJECTION}", "top_down:transport"),
    }
    losses = {
        scheme: " | ".join(by_tree(scheme, name) for name in ("traversal", *names))
        for scheme, names in top_down.items()
    }
    for quoted in (
        f"| independent | {losses['iid']} |",
        f"| without replacement | {losses['without_replacement']} |",
        worst_problems("traversal", "traversal"),
        worst_problems("recursive rejection", "top_down:recursive_rejection"),
        f"by {lead('full:1,1,2')} of the optimum on `full:1,1,2`, {lead('full:2,1,1')} on "
        f"`full:2,1,1`, {lead('full:2,2')} on `full:2,2`",
    ):
        assert quoted in RESULTS


@pytest.mark.parametrize("pair", ["bytes", "smollm2"])
def test_the_page_quotes_the_stored_budgets(pair):
    content = json.loads(
        (ROOT / "experiments" / "results" / f"tree_budget-{pair}.json").read_text()
    )
    assert f"- {tree_budget.summary(content)}" in RESULTS, (
        "put into notebooks/results.md what `specjax tree_budget` sums up of the stored rows"
    )


def test_the_page_quotes_the_stored_certificates():
    rows = json.loads((ROOT / "experiments" / "results" / "bench.json").read_text())["optimal"]
    rows = [
        row
        for row in rows
        if (row["rule"], row["pair"]) == ("optimal_without_replacement", "smollm2")
    ]
    assert [row["n"] for row in rows] == [2, 4, 8]
    assert all(row["solved"] == row["contexts"] for row in rows)
    assert f"of {rows[0]['contexts']} contexts of SmolLM2" in RESULTS
    assert (
        f"within 1e-5 in all of them for 2, 4 and 8 drafts, at most "
        f"{max(row['gap'] for row in rows):.1e} short of it" in RESULTS
    )


def test_the_page_shows_the_stored_table():
    content = json.loads((ROOT / "experiments" / "results" / "compare-bytes.json").read_text())
    assert f"```\n{as_printed(content)}\n```" in PAGE, (
        "put into notebooks/results.md what `specjax compare` prints of the stored rows"
    )


def emitted_table():
    """For each biased practice the row that is farthest from its claim, as the page shows them."""
    rows = [row for row in stored("production") if row["tv"] > 1e-9]
    lines = ["| practice | seen in | laws | TV | counted | honest |", "|---|---|---|---|---|---|"]
    for practice in dict.fromkeys(row["practice"] for row in rows):
        mine = [row for row in rows if row["practice"] == practice]
        row = max(mine, key=lambda row: row["tv"])
        accepted = f"{row['counted']:.4f} | {row['honest']:.4f}"
        distance = production.shown(row["tv"])
        lines.append(f"| {practice} | {row['source']} | {row['laws']} | {distance} | {accepted} |")
    return "\n".join(lines)


def emitted_words():
    """The sentences on trade-offs."""
    trades = {trade["laws"]: trade["figures"] for trade in read("production")["trades"]}
    even = trades["G3, w = 0.5"]
    cached = [figures for figures in trades.values() if "in_cache" in figures]
    acceptance = ", ".join(f"{figures['acceptance']:.4f}" for figures in cached)
    hits = ", ".join(f"{figures['in_cache']:.4f}" for figures in cached)
    floors = ", ".join(
        f"{figures['blind']:.4f}" for figures in trades.values() if "blind" in figures
    )
    return (
        f"An even ensemble of target and draft rejects {even['rejected']:.2f} on G3 at TV "
        f"{even['tv']:.2f}. Saguaro's draft law on G4 accepts {acceptance} and finds its residual "
        f"in the cache with probability {hits}, at C = 1, 0.5, 0.25, 0. A slot that does not see "
        f"the token before, which it copies with .9, is rejected at least {floors} of the time for "
        "2, 3 and 4 tokens"
    )


def test_the_page_quotes_what_engines_emit():
    assert emitted_table() in PAGE
    assert emitted_words() in RESULTS


def read(name):
    return json.loads((ROOT / "experiments" / "results" / f"{name}.json").read_text())


def speed_table():
    """Times of decodes here and by transformers, as the page shows them."""
    lines = ["| draft | ms a token | transformers | times as fast | tokens per call |"]
    lines.append("|---|---|---|---|---|")
    for row in read("bench_decode")["rows"]:
        (_, ours, _), (_, theirs, _) = row["ours"], row["peer"]
        cells = f"{ours:.1f} | {theirs:.1f} | {row['faster']:.2f} | {row['tokens_per_call']:.2f}"
        lines.append(f"| {row['what']} | {cells} |")
    return "\n".join(lines)


def speed_words():
    held = read("bench_decode")
    return (
        f"Reading all weights once takes {held['read_ms'][1]:.1f} ms; plain decoding takes "
        f"{held['plain_over_read']:.2f} times that.\nFour drafts that are always accepted reach "
        f"{held['of_prediction']:.2f} of the speed that c(T) predicts. A batch of 8\ntexts is "
        f"{held['batch_gain']:.1f} times as fast as 8 single decodes."
    )


def profile_table():
    """Measured and predicted times of a step, as the page shows them."""
    lines = ["| rule | tree | tokens per call | a step, ms | predicted, ms | beside forwards, ms |"]
    lines.append("|---|---|---|---|---|---|")
    for row in read("profile-smollm2")["rows"]:
        times = (f"{row[name]:.1f}" for name in ("step_ms", "predicted_ms"))
        beside = f"{row['beside_ms']:.2f}"
        cells = [row["rule"], row["tree"], f"{row['tokens_per_call']:.2f}", *times, beside]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def profile_words():
    rows = read("profile-smollm2")["rows"]
    worst = max(abs(row["predicted_ms"] / row["step_ms"] - 1) for row in rows)
    share = max(row["beside_ms"] / row["step_ms"] for row in rows)
    return (
        f"The prediction is off by {100 * worst:.1f} % at the most. What a step does beside its "
        f"forwards takes\n{100 * share:.1f} % of it at the most."
    )


def test_the_page_quotes_the_stored_speeds():
    for said in (speed_table(), speed_words(), profile_table(), profile_words()):
        assert said in PAGE


def test_the_stored_speeds_keep_their_limits():
    held = read("bench_decode")
    assert held["plain_over_read"] <= bench_decode.PLAIN
    assert held["of_prediction"] >= bench_decode.OF_PREDICTION
    rows = read("profile-smollm2")["rows"]
    assert len(rows) >= 6
    assert all(abs(row["predicted_ms"] / row["step_ms"] - 1) < 0.1 for row in rows)
    assert all(row["beside_ms"] <= 0.05 * row["step_ms"] for row in rows)


def test_the_stored_speeds_are_those_of_one_text():
    for row in read("bench_decode")["rows"]:
        assert row["limit"] is None or row["faster"] >= row["limit"]
        assert row["equal"] == 3 or row["parts_at"] < 1e-3, "texts part at a near tie"
        assert row["tokens_per_call"] == row["peer_tokens_per_call"] or row["equal"] < 3


def plane_table(pair):
    """The lossy rules of one draft as published, on the plane."""
    lines = ["| rule | A | TV | KL | efficiency | repaired: A | TV | KL | best KL |"]
    lines.append("|---" * 9 + "|")
    for row in read(f"plane-{pair}")["rows"]:
        if (row["n"], row["scale"]) == (1, 1):
            cells = [tables.number(row[name], 3) for name in ("accepted", "tv", "kl")]
            cells.append(tables.number(row["efficiency"], 2))
            repaired = ("repaired", "repaired_tv", "repaired_kl", "best_kl")
            cells += [tables.number(row[name], 3) for name in repaired]
            lines.append(f"| {row['rule']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plane_words(content):
    """What halving costs, and what budgets come to."""
    halved = [plane.said_of_halved(row) for row in content["halved"]]
    budgets = [
        plane.said_of_budget(row)
        for row in content["rows"]
        if row["stated_kl"] is not None and row["scale"] == 1
    ]
    return [*halved, *budgets]


@pytest.mark.parametrize("pair", ["bytes", "smollm2"])
def test_the_page_quotes_the_stored_planes(pair):
    content = read(f"plane-{pair}")
    assert plane_table(pair) in PAGE
    for said in plane_words(content):
        assert f"- {pair}, {said}" in RESULTS


@pytest.mark.parametrize("pair", ["bytes", "smollm2"])
def test_the_page_quotes_who_shares_a_budget_best(pair):
    """The front at the mean KL that a budget of .02 nats a context comes to."""
    for row in read(f"plane-{pair}")["front"]:
        if (row["n"], row["budget"]) == (1, 0.02):
            ways = " / ".join(f"{row[way]:.4f}" for way in plane.SPENT)
            assert f"{ways} at a mean of {row['kl']:.4f} nats" in RESULTS
