"""How the pages are built: from these notebooks, sections of README and CONTRIBUTING, stored results, and docstrings."""

import importlib.metadata
import inspect
import itertools
import json
import os
from pathlib import Path

import jax
from sphinx.application import Sphinx

jax.jit = lambda function=None, **options: (
    function or (lambda function: function)
)  # autodoc takes a jitted function for data

from experiments import rules
from experiments.__main__ import commands, usage
from experiments.figures import origins
from specjax.rules import Claims

HERE = Path(__file__).parent
TUPLE_FIELD = type(Claims.lossless)

project = author = "specjax"
version = release = importlib.metadata.version("specjax")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_templates", "_static"]
templates_path, html_static_path, html_css_files = ["_templates"], ["_static"], ["tables.css"]
html_theme = "alabaster"
html_theme_options = {
    "description": "The theory of speculative sampling, made runnable",
    "page_width": "1280px",
    "body_max_width": "none",
    "show_powered_by": False,
}
html_show_sourcelink = html_show_copyright = False

nb_execution_mode = "off"  # the notebooks hold what they show: make notebooks
nb_merge_streams = True

autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_mock_imports = ["torch", "transformers"]  # of one command, in an environment of its own
autodoc_typehints_format = "short"
napoleon_use_ivar = True
suppress_warnings = [
    "ref.python"
]  # a field's name may be that of several properties: then it links to one of them


def setup(app: Sphinx) -> None:
    """Docstrings are plain text, types have short names, and fields of tuples are described where they are listed."""
    app.connect("autodoc-process-docstring", _escape, priority=1)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-skip-member", _skip)


def _escape(
    app: Sphinx, what: str, name: str, documented: object, options: object, lines: list[str]
) -> None:
    lines[:] = [line.replace("|", "\\|") for line in lines]


def _shorten(
    app: Sphinx,
    what: str,
    name: str,
    documented: object,
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple:
    return tuple(
        text and text.replace("jaxlib._jax.Array", "Array") for text in (signature, returned)
    )


def _skip(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    return isinstance(member, TUPLE_FIELD) or _shown_elsewhere(app, what, member) or None


def _shown_elsewhere(app: Sphinx, what: str, member: object) -> bool:
    """Whether a package passes on what has a page of its own."""
    here, home = app.env.temp_data.get("autodoc:module"), getattr(member, "__module__", None)
    if what != "module" or not isinstance(home, str) or home == here:
        return inspect.ismodule(member)
    owner = ".".join(itertools.takewhile(lambda part: part[0] != "_", home.split(".")))
    return owner == home or owner not in ("specjax", here)


def figures() -> str:
    """Every stored figure, with the commands that draw and measure it again."""
    return "\n\n".join(map(_figure, sorted(origins.RESULTS.glob("*.png"))))


def _figure(path: Path) -> str:
    rows = path.with_suffix(".json")
    stored = f"experiments/results/{rows.name}"
    measured = origins.command(json.loads(rows.read_text("utf-8")))
    lines = (
        f"specjax plot {stored} --figure out/{path.name}   # from the stored rows",
        f"{measured}   # measured again",
    )
    return f"## {path.stem}\n\n```sh\n{chr(10).join(lines)}\n```\n\n![{path.stem}]({os.path.relpath(path, HERE)})"


def command_line() -> str:
    """Every command: what it does, and its help."""
    return "\n\n".join(f"## specjax {name}\n\n```text\n{usage(name)}\n```" for name in commands())


myst_enable_extensions = ["substitution"]
myst_substitutions = {
    "figures": figures(),
    "commands": command_line(),
    "rules": rules.markdown(rules.run(rules.Config()).rows),
}
