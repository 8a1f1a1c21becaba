"""Sweeps: the same table whatever happened on the way to it, and wrong input in one line."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import merge, status, sweep
from experiments.__main__ import main
from experiments.cli import code_version
from experiments.sweeps import grids
from tests.helpers.grids import environment, grid, start

pytest.importorskip("pyarrow")
BROKEN = """
from specjax.rules import Claims, register

@register
class Broken:
    claims = Claims(lossless=True, drafting=frozenset({"iid"}))
    def law(self, tokens, p, q, mask):
        raise ArithmeticError("as planted")
"""


def compute(config, out, shard="1/1"):
    return sweep.run(sweep.Config(config, out, shard))


def table(folder):
    """The bytes of the merged table."""
    out = folder.with_suffix(".parquet")
    merge.run(merge.Config(folder, out))
    return out.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A grid of 40 cells, its undisturbed table, and how many cells it has."""
    folder = tmp_path_factory.mktemp("sweep")
    config = grid(folder / "grid.toml", 10)
    assert compute(config, folder / "whole")["computed"] == 40
    return config, table(folder / "whole")


def test_shards_write_the_same_table(whole, tmp_path):
    config, expected = whole
    counts = [compute(config, tmp_path / "out", f"{i}/3") for i in (3, 1, 2)]
    assert sum(count["computed"] for count in counts) == counts[0]["cells"] == 40
    assert table(tmp_path / "out") == expected


def test_a_sweep_killed_three_times_goes_on_and_loses_nothing(whole, tmp_path, seed):
    config, expected = whole
    out, rng, kept = tmp_path / "out", random.Random(seed), {}
    for _ in range(3):
        process = start("sweep", config, "--out", out)
        goal = len(kept) + rng.randint(1, 8)
        while process.poll() is None and len(list(out.glob("cells/[!.]*"))) < goal:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = {path: path.stat().st_mtime_ns for path in out.glob("cells/[!.]*")}
        assert kept.items() <= now.items(), "a finished cell was lost or computed twice"
        kept = now
    (
        out / "cells" / f".{json.loads((out / 'plan.json').read_text())['cells'][-1]}.npz.half"
    ).write_bytes(b"half")
    last = compute(config, out)
    assert last["found"] == len(kept) < 40
    assert table(out) == expected
    assert not list(out.glob("*/.*"))


@pytest.mark.thorough
def test_a_failed_cell_leaves_its_error_and_the_rest_goes_on(whole, tmp_path, monkeypatch, capsys):
    config, expected = whole
    out, measure = tmp_path / "out", sweep._measure

    def fail(cell):
        if (cell.seed, cell.rule) == (3, "naive_first"):
            raise ArithmeticError("as planted")
        return measure(cell)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_measure", fail)
        assert main(["sweep", str(config), "--out", str(out)]) == 1
    assert main(["status", str(out)]) == 0
    said = capsys.readouterr().out
    assert "38 finished, 2 failed, 0 missing" in said
    assert "ArithmeticError: as planted" in said
    assert main(["merge", str(out), "--out", str(tmp_path / "part.parquet")]) == 1
    assert "2 of 40 cells are not in the table: 2 failed, 0 missing" in capsys.readouterr().err
    assert compute(config, out)["computed"] == 2
    assert table(out) == expected
    assert status.run(status.Config(out))["failed"] == 0


def test_the_rows_hold_together(whole, tmp_path):
    config, _ = whole
    compute(config, tmp_path / "out")
    rows = merge.run(merge.Config(tmp_path / "out", tmp_path / "rows.parquet"))["rows"]
    for row in rows:
        assert list(row) == list(merge.TYPES)
        assert row["acceptance"] == pytest.approx(
            np.average(row["acceptance_values"], weights=row["weights"])
        )
        assert row["gap"] == pytest.approx(row["alpha_star"] - row["acceptance"])
        assert row["first_try_alpha"] - 1e-6 <= row["acceptance"] <= row["alpha_star"] + 1e-6
        assert row["exact"]
        assert row["consistent"]
    by_laws = {(row["family"], row["seed"]): row["alpha_star_values"] for row in rows}
    # rules see the same laws
    assert all(row["alpha_star_values"] == by_laws[row["family"], row["seed"]] for row in rows)
    assert len({tuple(by_laws["markov", seed]) for seed in range(10)}) == 10


@pytest.mark.thorough
def test_pairs_estimates_and_python_files(tmp_path):
    config = tmp_path / "grids.py"
    config.write_text(
        "from experiments.sweep import Grid\n"
        "grids = (Grid(pair=('markov',), rule=('kseq',), tree=('chain:2',), contexts=40),\n"
        "         Grid(family=('temperature:ratio=2',), rule=('naive_membership',), "
        "scheme=('top_n',), vocabulary=(16,), n=(2,),\n"
        "              temperature=(0.5, 0), top_p=(0.9,), contexts=8))\n"
    )
    compute(config, tmp_path / "out")
    pair, *estimates = merge.run(merge.Config(tmp_path / "out", tmp_path / "rows.parquet"))["rows"]
    assert (pair["pair"], pair["scheme"], pair["n"], pair["tree"], pair["vocabulary"]) == (
        "markov",
        "iid",
        1,
        "chain:2",
        26,
    )
    assert pair["acceptance"] == pytest.approx(
        np.average(pair["acceptance_values"], weights=pair["weights"])
    )
    assert pair["contexts"] == sum(pair["weights"]) >= 40
    assert [row["temperature"] for row in estimates] == [0.5, 0]
    assert not any(row["exact"] for row in estimates)
    # nothing is drawn, so nothing is uncertain
    assert estimates[0]["acceptance"] == pytest.approx(estimates[0]["alpha_star"], abs=1e-5)
    assert estimates[1]["acceptance"] == 1


def test_a_cells_name_follows_its_configuration_and_the_code(tmp_path):
    cells = grids.cells(grids.read(grid(tmp_path / "grid.toml", 2)))
    assert len({cell.identity(code) for cell in cells for code in ("a", "b")}) == 2 * len(cells)
    behind = {path.name for path in code_version._behind("experiments.sweep")}
    assert {"sweep.py", "family_cell.py", "comparison.py"} <= behind
    assert not {"merge.py", "status.py", "audit.py", "compare.py", "style.py"} & behind


def test_a_rule_in_a_file_goes_by_its_text(tmp_path):
    (tmp_path / "other").mkdir()
    names = []
    for path in (tmp_path / "mine.py", tmp_path / "other" / "mine.py"):
        path.write_text(BROKEN)
        names += [
            cell.identity("")
            for cell in grids.cells((grids.Grid(family=("zipf",), rule=(str(path),), n=(1,)),))
        ]
    path.write_text(BROKEN + "\n# changed")
    names += [
        cell.identity("")
        for cell in grids.cells((grids.Grid(family=("zipf",), rule=(str(path),), n=(1,)),))
    ]
    assert names[0] == names[1] != names[2]


GOOD = 'family = "zipf"\nrule = "kseq"\n'
WRONG = {
    "no such file": None,
    "no TOML": "[[grid",
    "nothing": "",
    "no grid": "seed = 1",
    "unknown key": "[[grid]]\n" + GOOD + "colour = 1",
    "wrong type": "[[grid]]\n" + GOOD + 'n = "two"',
    "a truth value": "[[grid]]\n" + GOOD + "n = true",
    "contexts is one number": "[[grid]]\n" + GOOD + "contexts = [1, 2]",
    "unknown rule": "[[grid]]\n" + GOOD.replace("kseq", "nobody"),
    "a per-pair rule": "[[grid]]\n" + GOOD.replace("kseq", "transport"),
    "unknown family": "[[grid]]\n" + GOOD.replace("zipf", "nobody"),
    "unknown scheme": "[[grid]]\n" + GOOD + 'scheme = "telepathy"',
    "unknown pair": "[[grid]]\npair = 'nobody'",
    "a scheme outside the proof": "[[grid]]\n" + GOOD + 'scheme = "top_n"',
    "family and pair": "[[grid]]\n" + GOOD + 'pair = "markov"',
    "a family on a tree": "[[grid]]\n" + GOOD + 'tree = "chain:2"',
    "an empty grid": "[[grid]]\n" + GOOD + "seed = []",
    "no such temperature": "[[grid]]\n" + GOOD + "temperature = -1",
    "no such temperature of the draft": "[[grid]]\n" + GOOD + "draft_temperature = [0.5, -1]",
    "a draft's cut of the wrong type": "[[grid]]\n" + GOOD + "draft_top_k = 0.5",
    "no such order of the draft": "[[grid]]\n" + GOOD + 'draft_order = "top_k"',
    "no such order": "[[grid]]\n" + GOOD + 'order = "top_k,top_p"',
    "n too small": "[[grid]]\n" + GOOD + "n = 0",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_grid_is_one_line_and_leaves_nothing(text, tmp_path, capsys):
    config, out = tmp_path / "grid.toml", tmp_path / "out"
    if text is not None:
        config.write_text(text)
    assert main(["sweep", str(config), "--out", str(out)]) == 2
    refused(capsys)
    assert not out.exists()


@pytest.mark.parametrize("shard", ["0/4", "5/4", "a/b", "2", "-1/4", "1/0", "1/2/3"])
def test_a_wrong_shard(shard, tmp_path, capsys):
    assert (
        main(
            [
                "sweep",
                str(grid(tmp_path / "grid.toml", 1)),
                f"--out={tmp_path / 'out'}",
                f"--shard={shard}",
            ]
        )
        == 2
    )
    assert "shard: expected i/n" in refused(capsys)
    assert not (tmp_path / "out").exists()


def refused(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("specjax: error: ")
    return err


def test_an_impossible_folder(tmp_path, capsys):
    config = grid(tmp_path / "grid.toml", 1)
    assert main(["sweep", str(config), "--out", str(config / "below" / "deep")]) == 2
    assert "is not a writable folder" in refused(capsys)
    for command in (["status"], ["merge", "--out", str(tmp_path / "rows.parquet")]):
        assert main([*command, str(tmp_path)]) == 2
        assert "not the folder of a sweep" in refused(capsys)


@pytest.mark.thorough
def test_a_full_disk_leaves_finished_cells_whole(whole, tmp_path):
    config, expected = whole
    out = tmp_path / "out"
    compute(config, out, "1/4")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    line = f"ulimit -f 1; exec {sys.executable} -m experiments sweep {config} --out {out}"
    limited = environment(JAX_ENABLE_COMPILATION_CACHE="false")
    process = subprocess.run(
        ["bash", "-c", line], env=limited, capture_output=True, text=True, check=False
    )
    assert process.returncode == 2, process.stderr
    assert "cannot be written: File too large" in process.stderr.splitlines()[-1]
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    compute(config, out)
    assert table(out) == expected


def test_nothing_finished_cannot_be_merged_and_a_broken_cell_is_named(whole, tmp_path, capsys):
    config, _ = whole
    out = tmp_path / "out"
    compute(config, out, "1/20")
    assert main(["status", str(out)]) == 0
    assert "2 finished, 0 failed, 38 missing" in capsys.readouterr().out
    broken, other = sorted(out.glob("cells/*"))
    broken.write_bytes(b"half")
    for command in (["merge", "--out", str(tmp_path / "rows.parquet")], ["status"]):
        assert main([*command, str(out)]) == 2
        assert broken.name in refused(capsys)
    os.remove(broken)
    os.remove(other)
    assert main(["merge", str(out), "--out", str(tmp_path / "rows.parquet")]) == 2
    assert "none of its 40 cells is finished" in refused(capsys)


@pytest.mark.thorough
def test_two_processes_compute_each_cell_together(tmp_path):
    """The environment is what mpirun sets; gloo prints on stdout."""
    config, out = grid(tmp_path / "grid.toml", 1), tmp_path / "out"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        job = {"JAX_COORDINATOR_PORT": str(free.getsockname()[1])}
    job |= {"OMPI_MCA_orte_hnp_uri": "4096.0;tcp://127.0.0.1:1", "OMPI_COMM_WORLD_SIZE": "2"}
    job |= {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    ranks = [{"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_LOCAL_RANK": rank} for rank in "01"]
    processes = [
        start("sweep", config, "--out", out, "--distributed", **job, **rank) for rank in ranks
    ]
    for process in processes:
        said, complaint = process.communicate(timeout=300)
        assert process.returncode == 0, complaint
        assert said.endswith("0 found, 4 computed, 0 failed\n")
    compute(config, tmp_path / "alone")
    together, alone = (
        merge.run(merge.Config(folder, tmp_path / "rows.parquet"))["rows"]
        for folder in (out, tmp_path / "alone")
    )
    assert [row["cell"] for row in together] == [row["cell"] for row in alone]
    np.testing.assert_allclose(
        [row["acceptance_values"] for row in together],
        [row["acceptance_values"] for row in alone],
        rtol=1e-6,
    )


@pytest.mark.thorough
def test_the_local_executor_runs_a_job_array(whole, tmp_path):
    submitit = pytest.importorskip("submitit")
    config, expected = whole
    executor = submitit.LocalExecutor(folder=tmp_path / "logs")
    executor.update_parameters(timeout_min=5)
    jobs = sweep.submit(executor, sweep.Config(config, tmp_path / "out"), 2)
    assert sum(job.result()["computed"] for job in jobs) == 40
    assert table(tmp_path / "out") == expected
