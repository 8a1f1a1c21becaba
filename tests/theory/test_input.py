"""What theory refuses, what it repairs, and what it does not import."""

import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import theory
from theory import Problem, battery, closed_form, drafting, lp, subsets

P, Q = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.49], [0.5, 0.5], 2, "iid"), "p: expected a sum within 0.001 of 1, got 0.99"),
        ((P, [0.2, 0.3, 0.6], 2, "iid"), "q: expected a sum within 0.001 of 1, got 1.1"),
        (
            ([0.5, np.nan, 0.5], Q, 2, "iid"),
            "p: expected finite probabilities of at least 0, got nan",
        ),
        (
            ([1.2, -0.2, 0.0], Q, 2, "iid"),
            "p: expected finite probabilities of at least 0, got -0.2",
        ),
        (([], Q, 2, "iid"), "p: expected a law over at least one token"),
        (("half", Q, 2, "iid"), "p: expected an array of probabilities, got str"),
        (([[0.5, 0.5], [1.0]], Q, 2, "iid"), "p: expected an array of probabilities, got list"),
        (([P, P], Q, 2, "iid"), r"p: expected shape \(V,\), got \(2, 3\)"),
        ((P, [0.5, 0.5], 2, "iid"), r"q: expected a law over the 3 tokens of p, got shape \(2,\)"),
        ((P, Q, 0, "iid"), "n: expected an integer of at least 1, got 0"),
        ((P, Q, 2.5, "iid"), "n: expected an integer of at least 1, got 2.5"),
        ((P, Q, 2, "beam"), "unknown drafting scheme 'beam': expected one of greedy, hub, iid"),
        ((P, Q, 3, "hub"), "n: scheme hub drafts pairs, expected 2, got 3"),
        (
            (P, [Q, Q], 2, "iid"),
            r"q: this scheme draws from one law, expected shape \(V,\), got \(2, 3\)",
        ),
        (
            (P, Q, 2, "independent"),
            r"q: scheme independent draws slot i from q\[i\], expected shape \(2, V\), got \(3,\)",
        ),
        ((P, [Q, Q], 3, "independent"), r"expected shape \(3, V\), got \(2, 3\)"),
    ],
)
def test_a_bad_problem_is_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        Problem(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: subsets.brute_force(Problem(np.ones(21) / 21, np.ones(21) / 21, 2, "iid")),
            "at most 20 tokens, got 21",
        ),
        (
            lambda: lp.plan(Problem(np.ones(320) / 320, np.ones(320) / 320, 2, "iid")),
            "V\\^n of at most 100000, got 320\\^2",
        ),
        (lambda: closed_form.total_variation(P, [0.5, 0.5]), "q: expected the shape of p"),
        (lambda: battery.laws(1, seed=0), "vocabulary: expected at least 2 tokens, got 1"),
    ],
)
def test_a_bad_call_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_law_off_by_little_is_renormalised_with_a_note():
    with pytest.warns(UserWarning, match="p sums to 0.9993: renormalised"):
        problem = Problem([0.4993, 0.5], [0.5, 0.5], 2, "iid")
    assert problem.p.sum() == pytest.approx(1.0, abs=1e-15)


def test_rounding_is_renormalised_in_silence(recwarn):
    law = np.random.default_rng(0).dirichlet(np.ones(1000)).astype(np.float32)
    assert abs(Problem(law, law, 2, "iid").p.sum() - 1) < 1e-12
    assert not recwarn


def test_a_problem_does_not_change_under_its_reader():
    p = np.array(P)
    problem = Problem(p, Q, 2, "iid")
    p[0] = 0.0
    assert problem.p[0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        problem.p[0] = 0.0


def printed(code: str, folder: Path) -> set[str]:
    return set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_the_referee_loads_neither_jax_nor_specjax():
    loaded = printed("import sys, theory; print(*sys.modules)", Path(theory.__file__).parents[1])
    assert not loaded & {"jax", "jaxlib", "specjax"}
    assert loaded >= {"numpy", "scipy.optimize"}, "a module that is loaded on the way must be seen"


def test_all_public_modules_are_reachable_and_dir_shows_public_names_alone():
    folder = Path(theory.__file__).parent
    public = {module.name for module in pkgutil.iter_modules([folder]) if module.name[0] != "_"}
    shown = printed("import theory; print(*dir(theory))", folder.parent)
    assert shown == set(theory.__all__) >= public
    code = "import theory; print(*(name for name in theory.__all__ if hasattr(theory, name)))"
    assert printed(code, folder.parent) == shown
    schemes = (theory.drafting.iid, theory.growth.beam)
    assert schemes == (drafting.get("iid"), theory.growth.get("beam"))


def test_the_battery_is_deterministic_and_seeded():
    first = battery.laws(5, 0)
    again = battery.laws(5, 0)
    other = battery.laws(5, 1)
    assert all(
        (a.p == b.p).all() and (a.q == b.q).all() and a.name == b.name
        for a, b in zip(first, again, strict=True)
    )
    assert any((a.p != b.p).any() for a, b in zip(first, other, strict=True))
    assert len({pair.name for pair in first}) == len(first)


def test_a_copy_of_the_template_is_a_scheme(tmp_path):
    package = shutil.copytree(Path(theory.__file__).parent, tmp_path / "theory")
    shutil.copy(package / "drafting" / "_template.py", package / "drafting" / "mine.py")
    code = (
        "import theory; print(*theory.drafting.names(), theory.lp.solve(theory.Problem([.5, .5], "
        "[.5, .5], 2, 'mine')).value)"
    )
    assert printed(code, tmp_path) == {*drafting.names(), "mine", "1.0"}


def test_a_scheme_without_a_formula_is_one_clear_line(monkeypatch):
    monkeypatch.delattr(drafting.get("hub"), "optimum")
    with pytest.raises(ValueError, match="scheme 'hub' has no formula for its optimum"):
        subsets.optimum(Problem(P, Q, 2, "hub"))
