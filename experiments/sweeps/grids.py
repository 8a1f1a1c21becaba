"""What a sweep asks for: grids in a TOML or Python file, and the cells that they spell out."""

import dataclasses
import hashlib
import itertools
import json
import tomllib
import typing
from pathlib import Path

from experiments.cli import seeds
from experiments.cli.rows import Record
from experiments.decoding.programs import fitting
from experiments.enumeration import rule_laws
from experiments.inputs import named_verifiers, sampling_options
from experiments.inputs.sampling_options import USUAL, PairSamplingOptions
from specjax import drafting, families, rules
from specjax._registry import find, load_file
from specjax._types import Rule
from specjax.models import pairs
from specjax.trees import growth

ID_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Grid:
    """One cell for each combination of what is listed: of laws of a family, or of a pair of models,
    with a rule.

    Combinations that a rule's proof does not cover are left out.

    Attributes:
      family: synthetic laws, NAME or NAME:parameter=value,..; see `specjax.families`.
      pair: model pairs, in place of families: names, Python files, or two folders TARGET::DRAFT.
      rule: names of rules, or paths of Python files; all that are lossless and do not search
        if none is listed.
      scheme: drafting schemes; for each rule the first that its proof covers if none is listed. Not
        for pairs.
      n: drafts at a node.
      tree: draft trees of a pair, in place of n: as `specjax compare --tree` takes them
      vocabulary: V of the families.
      temperature: of target and draft alike.
      top_k: how many of the most likely tokens are kept, of target and draft alike; 0 keeps all.
      top_p: nucleus of target and draft alike.
      min_p: the least share of the largest probability, of target and draft alike.
      order: of these four steps, for example "top_k,top_p,min_p,temperature".
      draft_temperature: of the draft alone; the target's if none is listed, as of the next four.
      draft_top_k: of the draft alone.
      draft_top_p: of the draft alone.
      draft_min_p: of the draft alone.
      draft_order: of the draft alone.
      seed: of all random streams.
      contexts: pairs of laws behind a cell of a family; target calls, at least, behind one of a
        pair.
    """

    family: tuple[str, ...] = ()
    pair: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    scheme: tuple[str, ...] = ()
    n: tuple[int, ...] = (1, 2, 4)
    tree: tuple[str, ...] = ()
    vocabulary: tuple[int, ...] = (1024,)
    temperature: tuple[float, ...] = (1.0,)
    top_k: tuple[int, ...] = (0,)
    top_p: tuple[float, ...] = (1.0,)
    min_p: tuple[float, ...] = (0.0,)
    order: tuple[str, ...] = (USUAL,)
    draft_temperature: tuple[float, ...] = ()
    draft_top_k: tuple[int, ...] = ()
    draft_top_p: tuple[float, ...] = ()
    draft_min_p: tuple[float, ...] = ()
    draft_order: tuple[str, ...] = ()
    seed: tuple[int, ...] = (0,)
    contexts: int = 64


@dataclasses.dataclass(frozen=True)
class Cell(PairSamplingOptions):
    """One measurement. What does not apply is None.

    Attributes:
      source: hash of the rule's file where the rule is not one of the package's.
    """

    pair: str | None
    family: str | None
    vocabulary: int | None
    rule: str
    scheme: str | None
    n: int | None
    tree: str
    seed: int
    contexts: int
    source: str | None

    def record(self) -> Record:
        """The configuration as rows hold it: models in folders go by name and weights."""
        return dataclasses.asdict(self) | {"pair": self.pair and pairs.label(self.pair)}

    def identity(self, code: str) -> str:
        """The hash of this configuration and of the code's version; a rule in a file goes by its
        name and text, not by its path.
        """
        named = self.record() | {"rule": Path(self.rule).stem, "code": code}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:ID_DIGITS]


def read(path: Path) -> tuple[Grid, ...]:
    """The grids of a file: tables [[grid]] of a TOML file, or `grids` of a Python file.

    Raises:
      ValueError: the file cannot be read, or holds something else.
    """
    if path.suffix == ".py":
        grids = getattr(load_file(path), "grids", None)
        if not isinstance(grids, tuple | list) or not all(isinstance(grid, Grid) for grid in grids):
            raise ValueError(f"{path}: expected `grids`, a tuple of experiments.sweep.Grid")
    else:
        grids = _from_toml(path)
    if not grids:
        raise ValueError(f"{path}: expected at least one grid")
    return tuple(_checked(path, grid) for grid in grids)


def _from_toml(path: Path) -> list[Grid]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no TOML: {error}") from None
    tables = content.get("grid")
    if (
        set(content) != {"grid"}
        or not isinstance(tables, list)
        or not all(isinstance(table, dict) for table in tables)
    ):
        raise ValueError(
            f"{path}: expected tables [[grid]] and nothing else, got "
            f"{', '.join(content) or 'an empty file'}"
        )
    known = {field.name for field in dataclasses.fields(Grid)}
    for key in itertools.chain(*tables):
        if key not in known:
            raise ValueError(
                f"{path}: unknown key {key!r} in a grid: expected some of "
                f"{', '.join(sorted(known))}"
            )
    grids = []
    for table in tables:
        values = {key: _listed(key, value) for key, value in table.items()}
        grids.append(Grid(**values))  # type: ignore[arg-type]
    return grids


def _listed(key: str, value: object) -> object:
    return value if key == "contexts" else tuple(value) if isinstance(value, list) else (value,)


def _checked(path: Path, grid: Grid) -> Grid:
    """The grid with whole numbers as floats where floats are meant.

    Raises:
      ValueError: a value has the wrong type, or is out of its range.
    """
    values: dict[str, object] = {}
    for name, hint in typing.get_type_hints(Grid).items():
        kind = next(iter(typing.get_args(hint)), hint)
        given = getattr(grid, name)
        items = given if isinstance(given, tuple) else (given,)
        takes = (int, float) if kind is float else kind
        if isinstance(given, tuple) is (hint is int) or not all(
            isinstance(item, takes) and not isinstance(item, bool) for item in items
        ):
            raise ValueError(
                f"{path}: {name}: expected {kind.__name__}{'' if hint is int else 's'}, got "
                f"{given!r}"
            )
        values[name] = given if hint is int else tuple(map(kind, items))
    for seed in grid.seed:
        seeds.check(seed)
    for name in ("n", "vocabulary", "contexts"):
        items = getattr(grid, name)
        least = 2 if name == "vocabulary" else 1
        if min((items,) if name == "contexts" else items, default=least) < least:
            raise ValueError(f"{path}: {name}: expected numbers >= {least}, got {items}")
    if bool(grid.family) == bool(grid.pair):
        raise ValueError(f"{path}: a grid takes either family or pair")
    if grid.family and grid.tree:
        raise ValueError(f"{path}: tree: a family has one node, list n")
    if grid.pair and grid.scheme:
        raise ValueError(f"{path}: scheme: a pair drafts by the first scheme that covers the rule")
    return Grid(**values)  # type: ignore[arg-type]


def cells(grids: tuple[Grid, ...]) -> list[Cell]:
    """The cells of all grids in order, each once.

    Raises:
      ValueError: a name that nothing has, a setting out of its range, a rule that nothing in its
        grid fits, or no cell at all.
    """
    found = dict.fromkeys(cell for grid in grids for cell in _cells(grid))
    if not found:
        raise ValueError("the grid is empty: expected at least one value of each field")
    return list(found)


def _cells(grid: Grid) -> list[Cell]:
    samplings = _samplings(grid)
    for name in grid.pair:
        if pairs.label(name) == name:  # neither folders nor a file
            find({pair: pair for pair in pairs.names()}, "pair", name)
    measured = _of_family(grid) if grid.family else _of_pair(grid)
    sources: list[tuple[str | None, str | None, int | None]] = [
        (name, None, None) for name in grid.pair
    ]
    sources += [(None, _canonical(text), size) for text in grid.family for size in grid.vocabulary]
    return [
        Cell(
            pair,
            family,
            size,
            rule,
            scheme,
            n,
            tree,
            seed,
            grid.contexts,
            source,
            **dataclasses.asdict(sampling),
        )
        for seed in grid.seed
        for pair, family, size in sources
        for sampling in samplings
        for rule, source, scheme, n, tree in measured
    ]


def _samplings(grid: Grid) -> list[PairSamplingOptions]:
    """Every way to make laws of logits, each checked."""
    fields = dataclasses.fields(PairSamplingOptions)
    unsaid = {field.name: (None,) for field in fields if field.default is None}
    axes = {field.name: getattr(grid, field.name) or unsaid.get(field.name, ()) for field in fields}
    found = []
    for values in itertools.product(*axes.values()):
        found.append(PairSamplingOptions(**dict(zip(axes, values, strict=True))))
        sampling_options.of_pair(found[-1])
    return found


def _canonical(text: str) -> str:
    """The family with all of its parameters."""
    family = families.parse(text)
    return f"{family.name}:{families.parameters(family)}"


# rule, hash of its file, scheme, n, tree
Measured = tuple[str, str | None, str | None, int | None, str]


def _of_family(grid: Grid) -> list[Measured]:
    """Every rule under each listed scheme, or its first, with each n that both take."""
    for scheme in grid.scheme:
        drafting.get(scheme)
        if scheme not in drafting.from_one_law():
            raise ValueError(f"scheme {scheme}: does not draft from one law")
    found: list[Measured] = []
    for name, source, make in _rules(grid):
        own = drafting.first(make.claims)
        schemes = [scheme for scheme in grid.scheme or (own,) if scheme in make.claims.drafting]
        fits = [
            (scheme, n)
            for scheme in schemes
            for n in grid.n
            if make.claims.admits(n) and rule_laws.drafts(scheme, n)
        ]
        if grid.rule and not fits:
            raise ValueError(
                f"rule {make.name}: takes none of the schemes "
                f"{', '.join(grid.scheme) or 'from one law'} with n = {grid.n}"
            )
        found += [(name, source, scheme, n, f"star:{n}") for scheme, n in fits]
    return found


def _of_pair(grid: Grid) -> list[Measured]:
    """Every rule on each tree that it fits."""
    shapes = grid.tree or tuple(f"star:{n}" for n in grid.n)
    drawn = {tree: growth.drawable(tree) for tree in shapes}
    found: list[Measured] = []
    for name, source, make in _rules(grid):
        fits = [tree for tree in shapes if fitting(make.claims, drawn[tree])]
        if grid.rule and not fits:
            raise ValueError(
                f"rule {make.name}: takes n in {make.claims.n_range}, which fits none of "
                f"{', '.join(shapes)}"
            )
        found += [(name, source, None, None, tree) for tree in fits]
    return found


def _rules(grid: Grid) -> list[tuple[str, str | None, type[Rule]]]:
    """The rules that can verify many pairs of laws, with the hash of their file if they lie outside
    the package.
    """
    found = []
    for name in grid.rule or named_verifiers.usual():
        make: type[Rule] = rules.get(name)
        if grid.rule:
            rules.check_decodes(make)
        if not make.claims.per_pair and (grid.rule or drafting.first(make.claims)):
            source = (
                None
                if name in rules.names()
                else hashlib.sha256(Path(name).read_bytes()).hexdigest()[:ID_DIGITS]
            )
            found.append((name, source, make))
    return found
