"""`specjax bound` on the same contexts, given otherwise: formats of files, shapes and rows."""

import warnings

import numpy as np
import pytest
from rich.console import Console
from scipy import special

from experiments import bound
from experiments.ladders import context_rows
from experiments.stats.means import interval
from tests.helpers.bound_files import (
    REVERSED,
    T,
    V,
    columns_of,
    elsewhere,
    files,
    logits,
    one_scheme,
    study,
)


class TestFormats:
    """The same contexts, given otherwise, have the same ladder."""

    @staticmethod
    def found(files, pair, **options):
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            result = study(files, pair, 2, rules=("kseq",), **options)
        return result, [str(note.message) for note in notes]

    @pytest.mark.usefixtures("one_scheme")
    def test_probabilities(self, files, logits):
        plain, laws = (
            self.found(files, logits)[0],
            special.softmax(np.stack(logits).astype(float), -1),
        )
        result, notes = self.found(files, laws)
        assert (
            len(
                [
                    note
                    for note in notes
                    if "so they are read as probabilities, not as logits" in note
                ]
            )
            == 2
        )
        np.testing.assert_allclose(
            result.ladders[0].acceptance["kseq"], plain.ladders[0].acceptance["kseq"], atol=1e-6
        )
        laws[0, 6, 3] += 0.5
        with pytest.raises(
            ValueError, match=r"p.npy: row 6 is no law: expected probabilities, as in row 0"
        ):
            self.found(files, laws)

    @pytest.mark.usefixtures("one_scheme")
    def test_other_shapes(self, files, logits):
        flat = self.found(files, logits)[0].ladders[0].acceptance["kseq"]
        texts = [values.reshape(3, 3, V) for values in logits]
        result = self.found(files, texts)[0].ladders[0].acceptance["kseq"]
        assert np.array_equal(result, flat.reshape(3, 3))
        assert interval(result) == interval(flat.reshape(3, 3).mean(1)), "texts are the units"
        assert interval(result[:1]) == interval(flat[:3])
        shifted = self.found(files, texts, shift=True)[0].first_try
        assert np.array_equal(
            shifted, self.found(files, (texts[0][:, 1:], texts[1][:, :-1]))[0].first_try
        )
        assert not np.array_equal(
            shifted, self.found(files, (texts[0][:, :-1], texts[1][:, :-1]))[0].first_try
        ), "planted: no shift"

    @pytest.mark.usefixtures("one_scheme")
    def test_padding_is_cut_by_name(self, files, logits):
        wider = [
            np.pad(values, ((0, 0), (0, more)), constant_values=7)
            for values, more in zip(logits, (4, 9), strict=True)
        ]
        plain = self.found(files, logits)[0].first_try
        assert np.array_equal(self.found(files, wider, vocabulary=V)[0].first_try, plain)
        with pytest.raises(ValueError, match="--vocabulary V cuts the padding"):
            self.found(files, wider)
        with pytest.raises(ValueError, match="from 1 to 64 tokens, got 65"):
            self.found(files, wider, vocabulary=V + 5)

    @pytest.mark.usefixtures("one_scheme")
    def test_a_rule_that_fails_leaves_a_dash(self, files, logits, tmp_path, capsys):
        (tmp_path / "failing.py").write_text(FAILING)
        for pair in (logits, REVERSED):
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always")
                result = study(files, pair, 2, rules=("kseq", "single", "failing.py"))
            assert {
                name for name, values in result.ladders[0].acceptance.items() if values is None
            } == {"single", "failing"}
            assert any(
                "rule failing has no value at n = 2: ZeroDivisionError: planted"
                in str(note.message)
                for note in notes
            )
            bound.show(result, Console(width=100))
            assert "kseq" in capsys.readouterr().out

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    @pytest.mark.usefixtures("one_scheme")
    def test_the_rows_of_every_context(self, suffix, files, logits, tmp_path, monkeypatch):
        monkeypatch.setattr(context_rows, "BLOCK", 4)
        path = tmp_path / f"rows.{suffix}"
        with pytest.warns(UserWarning, match="hub has no value at n = 4"):
            result = study(
                files,
                [values.reshape(3, 3, V) for values in logits],
                2,
                4,
                rules=("kseq", "hub"),
                rows=path,
            )
        columns = columns_of(path)
        assert {
            "text",
            "context",
            "n",
            "first_try_alpha",
            "alpha_star_iid",
            "acceptance_kseq",
            "acceptance_hub",
        } <= columns.keys()
        for ladder in result.ladders:
            mine = columns["n"] == ladder.n
            assert np.array_equal(
                3 * columns["text"][mine] + columns["context"][mine], np.arange(T)
            )
            assert np.array_equal(
                columns["acceptance_kseq"][mine], ladder.acceptance["kseq"].ravel()
            )
        assert np.isnan(columns["acceptance_hub"][columns["n"] == 4]).all()

    @pytest.mark.usefixtures("one_scheme")
    def test_rows_are_whole_or_absent(self, files, logits, tmp_path, monkeypatch):
        path = tmp_path / "rows.csv"
        path.write_text("old")
        monkeypatch.setattr(context_rows, "_columns", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            self.found(files, logits, rows=path)
        assert path.read_text() == "old"
        assert not list(tmp_path.glob(".rows*"))
        with pytest.raises(ValueError, match=r"ends in .csv or .parquet"):
            self.found(files, logits, rows=tmp_path / "rows.txt")


FAILING = """
from specjax.rules import Claims, register

@register
class Failing:
    claims = Claims(lossless=True, drafting=frozenset({"iid"}))

    def law(self, tokens, p, q, mask):
        raise ZeroDivisionError("planted")
"""
