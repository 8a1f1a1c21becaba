"""The same tokens on one device, on eight, and in two processes of two."""

import json
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from specjax import sharding
from tests.helpers.grids import environment

WORK = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from specjax import decode, rules, sharding, trees
from specjax.models import pairs

if len(sys.argv) > 1:
    jax.distributed.initialize(f"127.0.0.1:{sys.argv[1]}", 2, int(sys.argv[2]))

def tokens(key, shift):
    '''Emitted tokens of a short run: a loop, drawn drafts and integers.'''
    def step(state):
        i, key, found = state
        key, use = jax.random.split(key)
        return i + 1, key, found.at[i].set(jax.random.categorical(use, jnp.arange(64.) / 9))
    start = 0, key, jnp.zeros(16, jnp.int32)
    return jax.lax.while_loop(lambda s: s[0] < 16, step, start)[2] + shift

mesh = sharding.all_devices()
found = {}
for count in (13, 16):
    keys, shift = jax.random.split(jax.random.key(count), count), np.arange(count)
    first = sharding.map_over_keys(tokens, keys, mesh, shift)
    found[count] = np.asarray(first).tolist()
    again = sharding.map_over_keys(lambda key, row: row + 1, keys, mesh, first)
    assert np.array_equal(np.asarray(again), np.asarray(first) + 1)
    if jax.process_count() == 1:
        loop = [np.asarray(jax.jit(tokens)(key, s)).tolist() for key, s in zip(keys, shift)]
        assert found[count] == loop, "a plain loop"
    if count == 16 and jax.device_count() == 8 and jax.process_count() == 1:
        pmapped = jax.pmap(jax.vmap(tokens))(keys.reshape(8, 2), shift.reshape(8, 2))
        assert found[count] == np.asarray(pmapped).reshape(16, -1).tolist(), "pmap"
pair = pairs.load("bytes")
tree = trees.chain(1)
decoder = decode.decoder(pair, tree, "iid")
verifier = decode.verifier(rules.Single(), "iid", tree)
params = decode.Params(pair.target_params, pair.draft_params)

def text(key, prompt, length):
    decoded = decode.decode(decoder, verifier, key, params, prompt, length, 6)
    return decoded.tokens, decoded.steps

prompts = decode.padded([list(text.encode())[: 20 + i] for i, text in enumerate(pair.prompts[:5])])
told = sharding.map_over_keys(text, jax.random.split(jax.random.key(2), 5), mesh, *prompts)
found["texts"] = [np.asarray(part).tolist() for part in told]
flags = np.array([sharding.is_first_process()] * 2)
found["agreed"] = sharding.agreed(flags).tolist()
print(json.dumps({"devices": jax.device_count(), "found": found}), file=sys.stderr)
"""


def start(devices, *arguments):
    flags = f"--xla_force_host_platform_device_count={devices}"
    line = [sys.executable, "-c", WORK, *arguments]
    return subprocess.Popen(
        line,
        env=environment(XLA_FLAGS=flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process):
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(err.splitlines()[-1])


def test_eight_devices_are_one_device_are_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    runs = [
        result(process)
        for process in [start(2, port, "0"), start(2, port, "1"), start(8), start(1)]
    ]
    assert [run["devices"] for run in runs] == [4, 4, 8, 1]
    assert all(run["found"] == runs[0]["found"] for run in runs)
    assert len(set(runs[0]["found"]["texts"][1])) > 1, "texts end at different steps"
    assert runs[0]["found"]["agreed"] == [True, True]


def test_a_row_for_each_key(key):
    keys, mesh = jax.random.split(key, 3), sharding.all_devices()
    for wrong in (np.zeros(2), np.zeros(())):
        with pytest.raises(ValueError, match="a row for each"):
            sharding.map_over_keys(lambda key, row: row, keys, mesh, wrong)


def test_without_a_job_of_several_processes_it_says_so():
    line = (
        "from specjax import sharding\ntry:\n    sharding.connect()\nexcept RuntimeError as "
        "error:\n    print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", line], env=environment(), capture_output=True, text=True, check=False
    ).stdout
    assert said.startswith("no environment of several processes found")
