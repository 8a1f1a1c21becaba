"""Rules and verifiers of files, audited before a command uses them: for one and two drafts, once
for each content of the file.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from experiments.audits import rule_audit, verifier_audit
from experiments.audits.outcomes import passes
from experiments.audits.tolerances import EXACT
from experiments.cli import code_version, whole_files
from experiments.cli.console import say
from experiments.inputs import named_verifiers
from specjax.models._cache import cache_folder
from specjax.rules import Claims, Rule
from specjax.verifiers import Verifier

DRAFTS = (1, 2)


class Finding(NamedTuple):
    """What the audit says of one file.

    Attributes:
      words: "ok", "not lossless (TV ..)", or why it is not what it claims.
      refuted: whether it claims what is not so; a rule that says that it is not lossless is not
        refuted by it.
    """

    words: str
    refuted: bool


Findings = Mapping[str, Finding]  # by the name of the rule or verifier
NONE: Findings = MappingProxyType({})


def findings(names: Iterable[str]) -> Findings:
    """What the audit says of those that are paths of files. Cost: seconds for a new file; a known
    one is read from the cache.

    Raises:
      ValueError: a file holds nothing that can be audited.
    """
    files = [Path(name) for name in dict.fromkeys(names) if name.endswith(".py")]
    return {path.stem: _finding(path) for path in files}


def refuted(found: Findings) -> list[str]:
    """The names of those that claim what is not so."""
    return [name for name, finding in found.items() if finding.refuted]


def _finding(path: Path) -> Finding:
    digest = hashlib.sha256(path.read_bytes() + code_version.version(__name__).encode()).hexdigest()
    kept = cache_folder() / "audits" / f"{path.stem}-{digest}.json"
    if kept.is_file():
        return Finding(**json.loads(kept.read_text("utf-8")))
    say(f"note: auditing {path} for one and two drafts; specjax audit {path} audits more")
    finding = _audited(named_verifiers.find(str(path)))
    whole_files.write_json(kept, finding._asdict())
    return finding


def _audited(make: type) -> Finding:
    claims, rows = _of_verifier(make) if named_verifiers.is_verifier(make) else _of_rule(make)
    lost = max((row.tv or 0 for row in rows), default=0)
    lossy = f"not lossless (TV {lost:.2g})"
    reasons = [row.verdict for row in rows if not passes(row.verdict)]
    if reasons:
        return Finding(lossy if lost > EXACT and claims.lossless else reasons[0], True)
    return Finding("ok" if claims.lossless else lossy, False)


def _of_rule(make: type[Rule]) -> tuple[Claims, list[rule_audit.Row]]:
    rule_audit.check_claims(make)
    taken = [n for n in DRAFTS if rule_audit.takes(make, n)] or [make.claims.n_range[0]]
    return make.claims, [row for n in taken for row in rule_audit.audit(make, n)]


def _of_verifier(make: type[Verifier]) -> tuple[Claims, list[verifier_audit.Row]]:
    """On the last usual tree that it takes under each scheme; no row if it takes none of them."""
    one = verifier_audit.candidate(make)
    rows = []
    for scheme in sorted(one.claims.drafting):
        for tree in reversed(verifier_audit.TREES):
            with contextlib.suppress(ValueError):  # not covered
                rows.append(verifier_audit.audit_verifier(one, scheme, tree))
                break
    return one.claims, rows
