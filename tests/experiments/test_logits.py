"""Files of logits: every format gives the same rows, in chunks; what is broken is named."""

import shutil
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.inputs import logit_files

DTYPES = [np.float16, jnp.bfloat16, np.float32, np.float64]
T, V = 7, 30


@pytest.fixture
def logits(seed):
    return np.random.default_rng(seed).normal(size=(T, V)) * 5


def save(path, values, name="logits"):
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **{name: values})
    else:
        pytest.importorskip("safetensors.numpy").save_file({name: values}, path)
    return path


@pytest.mark.parametrize("rows", [1, 3, T, 50])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_the_rows_come_back_bit_for_bit(suffix, dtype, rows, logits, tmp_path):
    values = logits.astype(dtype)
    found = logit_files.find(save(tmp_path / f"logits{suffix}", values))
    chunks = list(found.read(rows))
    assert found.shape == (T, V)
    assert [len(chunk) for chunk in chunks] == [min(rows, T - start) for start in range(0, T, rows)]
    assert all(chunk.dtype == values.dtype for chunk in chunks)
    assert np.array_equal(np.concatenate(chunks), values)


def test_other_layouts(logits, tmp_path):
    swapped = logit_files.find(save(tmp_path / "swapped.npy", logits.astype(">f4")))
    assert np.array_equal(next(swapped.read(T)), logits.astype(np.float32))
    stored = tmp_path / "stored.npz"  # not compressed
    np.savez(stored, logits)
    assert np.array_equal(next(logit_files.find(stored).read(T)), logits)
    with pytest.raises(ValueError, match="column by column"):
        logit_files.find(save(tmp_path / "columns.npy", np.asfortranarray(logits)))


def test_a_file_is_read_again_from_its_start(logits, tmp_path):
    found = logit_files.find(save(tmp_path / "x.npz", logits))
    assert np.array_equal(next(found.read(2)), next(found.read(2)))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_cut_short_is_named(suffix, kept, logits, tmp_path):
    whole = save(tmp_path / f"whole{suffix}", logits)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(ValueError, match=str(cut)):
        logit_files.find(cut)


def test_a_flipped_bit_in_an_archive_is_seen_while_reading(logits, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, np.tile(logits, (20, 1)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{path}: broken or cut short in rows"):
        list(logit_files.find(path).read(2))


def test_what_is_no_array_of_floats_is_named(logits, tmp_path):
    whole = save(tmp_path / "whole.npy", logits.astype(np.int32))
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}]), allow_pickle=True)
    two, none, text = tmp_path / "two.npz", tmp_path / "none.npz", tmp_path / "text.npz"
    np.savez(two, target=logits, draft=logits)
    zipfile.ZipFile(none, "w").close()
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("readme.txt", "no array")
    other = shutil.copy(whole, tmp_path / "logits.pt")
    wrong = {
        whole: "got int32",
        objects: "got object",
        two: "expected one array, got 2: target, draft; name one, as in two.npz:NAME",
        none: "got 0",
        text: "not a .npy file",
        other: "expected a file that ends in .npy, .npz, .safetensors",
        tmp_path / "nowhere.npy": "No such file",
        tmp_path: "expected a file",
    }
    for path, words in wrong.items():
        with pytest.raises(ValueError, match=words) as error:
            logit_files.find(path)
        assert str(error.value).startswith(str(path))


def test_safetensors_with_several_arrays_or_integers_is_named(logits, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"a": logits, "b": logits}, tmp_path / "two.safetensors")
    numpy.save_file({"a": logits.astype(np.int32)}, tmp_path / "whole.safetensors")
    with pytest.raises(ValueError, match="got 2: a, b"):
        logit_files.find(tmp_path / "two.safetensors")
    with pytest.raises(ValueError, match="got I32"):
        logit_files.find(tmp_path / "whole.safetensors")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_one_of_several_arrays_goes_by_its_name(suffix, logits, tmp_path):
    path, texts = tmp_path / f"both{suffix}", np.stack([logits, -logits])
    held = {"target": texts, "draft": texts + 1}
    if suffix == ".npz":
        np.savez(path, **held)
    else:
        pytest.importorskip("safetensors.numpy").save_file(held, path)
    for name, values in held.items():
        found = logit_files.find(tmp_path / f"both{suffix}:{name}")
        assert found.shape == (2, T, V)
        for rows in (1, 4, T, 50):
            chunks = list(found.read(rows))
            assert [len(chunk) for chunk in chunks] == [
                min(rows, 2 * T - start) for start in range(0, 2 * T, rows)
            ]
            assert np.array_equal(np.concatenate(chunks), values.reshape(-1, V))
    save(tmp_path / "one.npy", logits)
    for name, words in (
        (f"both{suffix}:third", "holds no array third: expected one of"),
        ("one.npy:third", "without a name"),
    ):
        with pytest.raises(ValueError, match=words):
            logit_files.find(tmp_path / name)


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_a_part_has_the_rows_of_every_text_and_no_padding(rows, logits, tmp_path):
    texts = np.stack([logits, -logits, 2 * logits]).astype(np.float32)
    part = logit_files.part(logit_files.find(save(tmp_path / "texts.npy", texts)), 1, 5, V - 3)
    chunks, right = list(part.read(rows)), texts[:, 1:5, : V - 3].reshape(-1, V - 3)
    assert part.shape == (3, 4, V - 3)
    assert [len(chunk) for chunk in chunks] == [
        min(rows, 12 - start) for start in range(0, 12, rows)
    ]
    assert np.array_equal(np.concatenate(chunks), right)
    assert all(chunk.dtype == np.float32 for chunk in chunks)
