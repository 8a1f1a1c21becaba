"""What the tests of `specjax bound` share: two laws or logits in files, and the study of them."""

import numpy as np
import pytest

from experiments import bound
from specjax import bounds

REVERSED = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5])
T, V = 9, 60


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Figures go to the folder that a command runs in."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(tmp_path):
    """Writes two laws, or rows of logits, into files."""

    def save(p, q, dtype=np.float64):
        for name, law in (("p", p), ("q", q)):
            np.save(tmp_path / f"{name}.npy", np.asarray(law, dtype))
        return tmp_path / "p.npy", tmp_path / "q.npy"

    return save


@pytest.fixture
def logits(seed):
    """Target and draft at T contexts, in float32; some tokens are masked."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=(T, V)) * 2
    draft = target + rng.normal(size=(T, V))
    target[2, :20] = -np.inf
    draft[3, 5:50] = -np.inf
    return target.astype(np.float32), draft.astype(np.float32)


@pytest.fixture
def one_scheme(monkeypatch):
    """The optimum of one scheme only: the others are compiled in the tests that are about them."""
    monkeypatch.setattr(bounds, "schemes", lambda: ("iid",))


def study(files, pair, *ns, **options):
    """What `specjax bound` finds for these."""
    return bound.run(bound.Config(*files(*pair, np.float32), ns, **options))


def columns_of(path):
    """The columns of a table in a file, as floats."""
    if path.suffix == ".parquet":
        read = pytest.importorskip("pyarrow.parquet").read_table(path).to_pydict()
        return {name: np.array(values, float) for name, values in read.items()}
    head, *lines = path.read_text().splitlines()
    table = np.array([[float(entry or "nan") for entry in line.split(",")] for line in lines])
    return dict(zip(head.split(","), table.T, strict=True))
