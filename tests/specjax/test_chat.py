"""Chat templates: what they render, BOS once, all messages; and who has none."""

import json
import shutil

import pytest
import tokenizers

from experiments.__main__ import main
from experiments.inputs import prompt_files
from specjax.models import folder, pairs
from specjax.models.chat import ChatTokenizer, Conversation, render
from tests.helpers.places import DATA

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}\n"
    "{% if message['role'] not in ['user', 'system'] %}"
    "{{ raise_exception('no ' + message['role']) }}{% endif %}\n"
    "{{ message['role'] | upper }}: {{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}ANSWER: {% endif %}"
)
ASKED = "<s>USER: WHO ARE YOU</s>ANSWER: "


@pytest.fixture
def chatty(tmp_path):
    """A folder whose tokenizer adds BOS, with a template that writes it."""
    mine = shutil.copytree(DATA / "folders" / "llama", tmp_path / "mine")
    inner = tokenizers.Tokenizer.from_file(str(mine / "tokenizer.json"))
    inner.post_processor = tokenizers.processors.TemplateProcessing("<s> $A", None, [("<s>", 0)])
    inner.save(str(mine / "tokenizer.json"))
    tokens = {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    (mine / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE} | tokens))
    return mine


def test_bos_is_there_once(chatty):
    """Planted: encoded as a plain text, what was rendered gets a second BOS."""
    plain = folder.load(chatty).tokenizer
    ids = ChatTokenizer(plain).encode("WHO ARE YOU")
    assert plain.decode(ids) == ASKED
    assert ids.count(0) == 1
    assert plain.encode(ASKED).count(0) == 2


def test_all_messages_are_rendered(chatty, tmp_path):
    path = tmp_path / "asked.jsonl"
    messages = [
        {"role": "system", "content": "BE BRIEF"},
        {"role": "user", "content": "WHO ARE YOU"},
        {"role": "assistant", "content": "NO ONE"},
    ]
    path.write_text(json.dumps({"messages": messages}) + "\n")
    (text,) = prompt_files.read(path)
    assert text == "BE BRIEF\n\nWHO ARE YOU"
    chat = ChatTokenizer(folder.load(chatty).tokenizer)
    assert chat.decode(chat.encode(text)) == "<s>SYSTEM: BE BRIEF</s>" + ASKED[3:]


def test_a_template_of_its_own_and_one_of_several(chatty):
    named = [{"name": "tools", "template": "no"}, {"name": "default", "template": "A"}]
    (chatty / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert folder.load(chatty).tokenizer.template == "A"
    (chatty / "chat_template.jinja").write_text("B")
    assert folder.load(chatty).tokenizer.template == "B"


def test_on_the_command_line(chatty, capsys):
    names = ["--target", str(chatty), "--draft", "exit:1", "--tokens", "3", "--chat"]
    assert main(["decode", "WHO ARE YOU", *names]) == 0
    pair = pairs.load(f"{chatty}::exit:1::chat")
    assert pair.name == pairs.label(f"{chatty}::exit:1::chat")
    assert pair.name.endswith("+exit:1+chat")
    capsys.readouterr()
    assert main(["decode", "A", "--pair", "bytes", "--chat"]) == 2
    said = capsys.readouterr().err.strip()
    assert said == "specjax: error: pair bytes: its tokenizer has no chat template"
    assert main(["decode", "A", "--pair", "bytes", *names]) == 2
    assert "expected both --target and --draft, or --pair" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("template", "words"),
    [("{{", "chat template: unexpected"), (TEMPLATE, "chat template: no tool")],
)
def test_what_cannot_be_rendered_is_refused(template, words):
    with pytest.raises(ValueError, match=words):
        render(template, {}, Conversation([{"role": "tool", "content": "X"}]).messages)


def test_templates_may_ask_for_tools_and_mark_what_is_said():
    """As transformers renders them: no tools, plain JSON, `generation` marks nothing here."""
    template = (
        "{% if tools is not none %}TOOLS{% endif %}{% for message in messages %}"
        "{% generation %}{{ message | tojson }}{% endgeneration %}{% endfor %}"
    )
    rendered = render(template, {}, [{"role": "user", "content": "<é>"}])
    assert rendered == '{"role": "user", "content": "<é>"}'
