"""Prompts come in whole, however long; texts end where they should."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import decode as command
from experiments.inputs import prompt_files, stop_strings
from specjax.models import pairs, prefill
from specjax.models._base import PIECE
from specjax.models.config import Config
from specjax.models.transformer import Transformer
from specjax.trees import NO_NODE, chain

MODEL = Transformer(
    Config(vocabulary=50, width=16, layers=2, heads=4, kv_heads=2, hidden=32, window=100)
)
ROWS = 4 * PIECE
CHAT = [
    {"role": role, "content": text}
    for role, text in (("system", "be brief"), ("user", "hi"), ("assistant", "no"))
]
BAD_LINES = [
    "{",
    "[]",
    '{"text": "a"}',
    '{"turns": []}',
    '{"prompt": 3}',
    json.dumps({"messages": CHAT[:1]}),
    '{"prompt": ""}',
]


class TestFiles:
    @pytest.mark.parametrize(
        ("entry", "prompt"),
        [
            ({"prompt": "two\nlines ", "turns": ["no"]}, "two\nlines "),
            ({"turns": ["first", "second"], "reference": ["no"]}, "first"),
            ({"messages": CHAT}, "be brief\n\nhi"),
        ],
    )
    def test_jsonl(self, entry, prompt, tmp_path):
        path = tmp_path / "prompts.jsonl"
        path.write_text("\n".join([json.dumps(entry), "", '{"prompt": "b"}']))
        assert prompt_files.read(path) == [prompt, "b"]

    def test_a_line_of_text_is_a_prompt_with_its_spaces(self, tmp_path):
        path = tmp_path / "prompts.txt"
        path.write_bytes("  a \r\n\n b\u2028c\x1ed\n".encode())
        assert prompt_files.read(path) == ["  a ", " b\u2028c\x1ed"]

    @pytest.mark.parametrize("line", BAD_LINES)
    def test_what_is_no_prompt_is_named_by_its_line(self, line, tmp_path):
        path = tmp_path / "prompts.jsonl"
        path.write_text(f'{{"prompt": "a"}}\n{line}\n')
        with pytest.raises(
            ValueError, match=r"line 2: (expected a JSON object|the prompt is empty)"
        ):
            prompt_files.read(path)


class TestPrefill:
    @staticmethod
    def forward(params, prompt, length):
        """Today's caches hold what one forward over the whole prompt gives."""
        steps = jnp.arange(len(prompt))
        scores = MODEL.score(params, MODEL.init(ROWS, 0), prompt, chain(len(prompt) - 1))
        return MODEL.commit(scores.cache, jnp.where(steps < length - 1, steps, NO_NODE))

    def test_pieces_are_one_forward(self):
        params = jax.jit(MODEL.new_params)(jax.random.key(0))
        params["embed"]["kernel"] *= 50  # states of order 1
        prompt = jax.random.randint(jax.random.key(1), (3 * PIECE,), 0, 50)
        whole, lost = jax.jit(self.forward), prompt.at[0].add(1)
        for length in (1, 2, PIECE, PIECE + 1, PIECE + 2, 3 * PIECE):
            got, right, wrong = (
                prefill(MODEL, params, prompt, length, ROWS).cache,
                whole(params, prompt, length),
                whole(params, lost, length),
            )
            assert got.length == length - 1
            held = [
                np.stack([*cache.keys, *cache.values])[:, :, : length - 1]
                for cache in (got, right, wrong)
            ]
            np.testing.assert_allclose(held[0], held[1], rtol=1e-4, atol=3e-5)
            assert length == 1 or np.abs(held[0] - held[2]).max() > 1e-2, (
                "planted: another first token"
            )

    def test_memory_is_linear_in_the_prompt(self):
        """16,384 bytes under 100 MB beside the weights; the scores of one forward alone would take
        2 GB.
        """
        pair, size = pairs.load("bytes"), 2**14
        prompt, length = (
            jax.ShapeDtypeStruct((size,), jnp.int32),
            jax.ShapeDtypeStruct((), jnp.int32),
        )
        memory = (
            prefill.lower(pair.target, pair.target_params, prompt, length, size)
            .compile()
            .memory_analysis()
        )
        assert memory.temp_size_in_bytes + memory.output_size_in_bytes < 1e8


class TestStops:
    def test_the_text_ends_before_the_first_stop(self):
        tokens, to_text = list(b"one. two. three"), lambda ids: bytes(ids).decode()
        kept, tail = stop_strings.cut(tokens, ("three", ". t"), to_text)
        assert (to_text(kept), tail) == ("one. t", 3)
        assert stop_strings.cut(tokens, ("four",), to_text) == (tokens, 0)
        assert stop_strings.spans([("on", True), ("e.", False), (" t", True)], tail) == [
            ("on", True),
            ("e", False),
        ]

    def test_the_calls_end_with_the_text(self):
        records = [{"emitted": emitted, "accepted": emitted - 1} for emitted in (3, 4, 2)]
        assert stop_strings.steps(records, 6) == [
            {"emitted": 3, "accepted": 2},
            {"emitted": 3, "accepted": 3},
        ]
        assert stop_strings.steps(records, 9) == records

    def test_in_a_decode(self):
        config = command.Config("abc", pair="markov", rule="single", tree="chain:2", tokens=30)
        text, letters = (
            lambda content: "".join(piece for piece, _ in content["spans"]),
            pairs.load("markov").tokenizer,
        )
        whole = command.run(config)
        stop = text(whole)[7:9]
        found = command.run(command.dataclasses.replace(config, stop=(stop,)))
        assert text(found) == text(whole).partition(stop)[0]
        assert letters.decode(found["tokens"]) == text(found) + stop
        assert (
            sum(step["emitted"] for step in found["steps"])
            == len(found["tokens"])
            == len(found["accepted"])
        )
        assert len(found["steps"]) < len(whole["steps"])
        with pytest.raises(ValueError, match="stop: expected"):
            command.run(command.dataclasses.replace(config, stop=("",)))
