"""Prompts as messages of a chat, by the template that a model's tokenizer brings.

Rendering needs the package `jinja2`.
"""

import dataclasses
import datetime
import functools
import json
from collections.abc import Mapping, Sequence

from specjax.models._base import Pair, Tokenizer

Message = Mapping[str, str]  # its role and content


class Conversation(str):
    """The text of some messages, and the messages themselves; as a text it is their contents.

    Attributes:
      messages: role and content of each.
    """

    messages: Sequence[Message]

    def __new__(cls, messages: Sequence[Message]) -> "Conversation":
        text = "\n\n".join(message["content"] for message in messages)
        made = super().__new__(cls, text)
        made.messages = messages
        return made


@dataclasses.dataclass(frozen=True)
class ChatTokenizer(Tokenizer):
    """Encodes a text as a message of the user, up to where the answer begins.

    The template writes the control tokens, BOS included; none is added twice.

    Attributes:
      inner: the tokenizer, which has a template.
    """

    inner: Tokenizer

    def encode(self, text: str) -> list[int]:
        """Ids of the rendered text; a `Conversation` is rendered with all its messages."""
        messages = getattr(text, "messages", [{"role": "user", "content": text}])
        rendered = render(self.inner.template, self.inner.named, messages)  # type: ignore[attr-defined]
        ids: list[int] = self.inner.encode_bare(rendered)  # type: ignore[attr-defined]
        return ids

    def decode(self, tokens: list[int]) -> str:
        """The text of these ids."""
        return self.inner.decode(tokens)


def chatting(pair: Pair) -> Pair:
    """The pair whose prompts are messages of a chat.

    Raises:
      ValueError: its tokenizer has no template.
    """
    if not getattr(pair.tokenizer, "template", None):
        raise ValueError(f"pair {pair.name}: its tokenizer has no chat template")
    return pair._replace(tokenizer=ChatTokenizer(pair.tokenizer), name=f"{pair.name}+chat")


def render(template: str, named: Mapping[str, str], messages: Sequence[Message]) -> str:
    """The text of messages, with what begins the answer.

    Args:
      template: of jinja2, as tokenizer_config.json holds it.
      named: control tokens by their names there, `bos_token` and `eos_token` among them.
      messages: role and content of each.

    Returns:
      The text, control tokens written out.

    Raises:
      ValueError: the template is broken, or refuses the messages.
    """
    import jinja2
    import jinja2.sandbox

    def refuse(words: str) -> None:
        raise jinja2.TemplateError(words)

    world = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _generation()],
    )
    world.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    world.globals |= {
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.datetime.now().strftime(form),
    }
    try:
        made = world.from_string(template)
        asked = {"messages": messages, "tools": None, "documents": None}
        return made.render(**named, **asked, add_generation_prompt=True)
    except (jinja2.TemplateError, TypeError) as error:
        raise ValueError(f"chat template: {error}") from None


def _generation() -> type:
    """The tag `generation`, which marks what a model says while training, and does nothing here."""
    import jinja2.ext
    import jinja2.nodes
    import jinja2.parser

    class Generation(jinja2.ext.Extension):
        """Keeps the body of the tag."""

        tags = {"generation"}  # noqa: RUF012 (jinja2 declares a set)

        def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Generation
