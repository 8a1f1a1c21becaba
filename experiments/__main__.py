"""The command line: every file of this folder is a command, every folder a room that commands
share.
"""

import ast
import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import io
import itertools
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import tyro
from rich.console import Console

from experiments.cli import experiment, seeds, whole_files
from experiments.cli.console import first_paragraph, say
from experiments.cli.experiment import Draws, Ends, Experiment, Stores

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WRONG_INPUT, INTERRUPTED = 2, 130
FOLDERS = {  # options of every command that takes a pair
    "target": "a Hugging Face folder or GGUF file with the target model, in place of a pair",
    "draft": "the draft model beside --target: another one; or, beside a pair too, a draft that "
    "the target brings along: exit:4, skip:3,7, groups:2, unified:1.5, no_mlp:3, own:skip:3",
}
CHAT = "prompts are messages of the user, by the tokenizer's chat template"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 2 and one line on stderr where the input is
    wrong.
    """
    try:
        return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except ModuleNotFoundError as error:
        say(f"error: {_missing(error)}")
    except (ValueError, OSError, RuntimeError) as error:
        say(f"error: {error}")
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    return WRONG_INPUT


def commands() -> dict[str, str]:
    """The name of every command and the first line of its help, without importing it."""
    sources = {name: (experiment.FOLDER / f"{name}.py").read_text() for name in experiment.names()}
    documents = {name: ast.get_docstring(ast.parse(text)) for name, text in sources.items()}
    return {name: first_paragraph(text) for name, text in documents.items()}


def usage(name: str) -> str:
    """The help of a command, as `specjax NAME --help` prints it, without colours."""
    module = experiment.load(name)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        _parse(module, name, _default_figure(module, name), ["--help"])
    return text.getvalue().strip()


def _dispatch(arguments: list[str]) -> int:
    known = commands()
    if not arguments:
        raise ValueError(f"expected a command, one of {', '.join(known)}; see specjax --help")
    name, *rest = arguments
    if name in ("-h", "--help"):
        print("usage: specjax COMMAND [OPTIONS]\n")
        width = max(map(len, known))
        print("\n".join(f"  {name:<{width}} {text}" for name, text in known.items()))
        print(
            "\nspecjax COMMAND --help has the options of a command; specjax --version the version."
        )
        return 0
    if name == "--version":
        print(f"specjax {importlib.metadata.version('specjax')}")
        return 0
    if name not in known:
        raise ValueError(f"unknown command {name!r}: expected one of {', '.join(known)}")
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    module = experiment.load(name)
    _keep_programs()
    default = _default_figure(module, name)
    options = _parse(module, name, default, arguments)
    seeds.check(getattr(options, "seed", None) or 0)  # the audit draws one where none is given
    figure = _figure_path(options.figure, default) if default else None
    for path in filter(None, (options.json, figure)):
        whole_files.check_writable(path)
    config = module.Config(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(module.Config)}
    )
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        content = module.run(config)
    for note in dict.fromkeys(str(warning.message) for warning in notes):
        say(f"note: {note}")
    module.show(content, Console())
    image = (
        _render(module, content, figure.suffix[1:]) if figure and isinstance(module, Draws) else b""
    )
    if options.json:
        whole_files.write_json(
            options.json, module.document(content) if isinstance(module, Stores) else content
        )
    if figure:
        whole_files.write(figure, image)
        print(f"figure: {figure}")
    return module.status(content) if isinstance(module, Ends) else 0


def _keep_programs() -> None:
    """Keep compiled programs in the user's cache folder, unless the user named another."""
    jax = sys.modules.get("jax")
    if jax and not jax.config.jax_compilation_cache_dir:
        from specjax.models._cache import cache_folder

        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))


def _default_figure(module: Experiment, name: str) -> Path | None:
    return Path("out") / f"{name}.png" if isinstance(module, Draws) else None


class _Output(Protocol):
    """Where the user wants the results."""

    json: Path | None
    figure: Path


def _parse(module: Experiment, name: str, figure: Path | None, arguments: list[str]) -> _Output:
    """The experiment's Config together with the options that every command has; a parser's
    complaint becomes a ValueError.
    """
    added: list[tuple[str, object, object]] = [
        ("json", Annotated[Path | None, tyro.conf.arg(help="write the result there")], None)
    ]
    if hasattr(module.Config, "pair"):
        added += [
            (name, Annotated[str | None, tyro.conf.arg(help=words)], None)
            for name, words in FOLDERS.items()
        ]
        added.append(("chat", Annotated[bool, tyro.conf.arg(help=CHAT)], False))
    if figure:
        added.append(
            ("figure", Annotated[Path, tyro.conf.arg(help="write the figure there")], figure)
        )
    options = dataclasses.make_dataclass("Options", added, bases=(module.Config,), frozen=True)
    _put_last(options)
    _check_names(arguments, [field.name for field in dataclasses.fields(options)])
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parsed: _Output = tyro.cli(
                options, prog=f"specjax {name}", description=module.__doc__, args=arguments
            )
    except SystemExit as end:
        if end.code == 0:
            raise
        raise ValueError(_first_paragraph(complaint.getvalue())) from None
    return _with_folders(parsed, {argument.partition("=")[0] for argument in arguments})


def _put_last(options: type["DataclassInstance"]) -> None:
    """Let the help show a command's own options before those that it inherits."""
    fields = options.__dataclass_fields__
    for name in [name for name, field in fields.items() if field.kw_only]:
        fields[name] = fields.pop(name)


def _with_folders(options: "_Output", given: set[str]) -> "_Output":
    """The pair of the two folders, where they are given, and whether its prompts are a chat."""
    asked: Any = options
    folders = [getattr(options, name) for name in FOLDERS] if hasattr(options, "pair") else []
    if not any(folders) and not getattr(options, "chat", False):
        return options
    target, draft = folders
    if target and (not draft or "--pair" in given):
        raise ValueError("expected both --target and --draft, or --pair")
    from specjax.models import pairs  # loads jax

    pair = pairs.BETWEEN.join(filter(None, [target or asked.pair, draft]))
    changed: _Output = dataclasses.replace(asked, pair=pair + pairs.CHAT * asked.chat)
    return changed


def _check_names(arguments: list[str], known: list[str]) -> None:
    """Name an option that there is not, before the parser misses another one for it."""
    for argument in itertools.takewhile(lambda argument: argument != "--", arguments):
        name = argument.removeprefix("--").partition("=")[0].replace("-", "_")
        if argument.startswith("--") and name.removeprefix("no_") not in (*known, "help"):
            options = [f"--{option.replace('_', '-')}" for option in known]
            raise ValueError(f"unknown option {argument}: expected some of {', '.join(options)}")


def _first_paragraph(box: str) -> str:
    """The sentence that a parser drew a box around."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]
    end = next((i for i, line in enumerate(lines) if line.startswith(("─", "╰"))), len(lines))
    return " ".join(lines[:end])


def _figure_path(path: Path, default: Path) -> Path | None:
    """The path of the figure, checked; None, with a note, where nobody asked for one and matplotlib
    is not installed.
    """
    if importlib.util.find_spec("matplotlib"):
        from matplotlib.figure import Figure

        formats = Figure().canvas.get_supported_filetypes()
        if path.suffix[1:] not in formats:
            raise ValueError(
                f"{path}: expected a figure in one of the formats {', '.join(sorted(formats))}"
            )
        return path
    if path != default:
        raise ModuleNotFoundError("a figure needs matplotlib", name="matplotlib")
    say("note: no figure, matplotlib is not installed: pip install 'specjax[plots]'")
    return None


def _render(module: Draws, content: object, suffix: str) -> bytes:
    buffer = io.BytesIO()
    module.plot(content).savefig(buffer, format=suffix)
    return buffer.getvalue()


def _missing(error: ModuleNotFoundError) -> str:
    """What is not installed, and the extra of this package that brings it."""
    package = (error.name or "").partition(".")[0]
    for requirement in importlib.metadata.requires("specjax") or ():
        found = re.match(
            rf"{re.escape(package)}\b[^;]*;.*extra == ['\"](?P<extra>[\w-]+)", requirement
        )
        if found:
            return f"{package} is not installed: pip install 'specjax[{found['extra']}]'"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
