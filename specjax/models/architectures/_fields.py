"""The fields of a config.json, each read by a family or refused by name."""

import dataclasses
from pathlib import Path
from typing import Any

MISSING = object()


@dataclasses.dataclass(frozen=True)
class Fields:
    """What a JSON object holds.

    Attributes:
      file: where the object stands, for messages.
      held: the values by their names.
    """

    file: Path
    held: dict[str, Any]

    def get(self, name: str, otherwise: Any = MISSING) -> Any:  # noqa: ANN401 (JSON has its types)
        """A value, or `otherwise` where there is none or null.

        Raises:
          ValueError: there is no value, and no `otherwise`.
        """
        value = self.held.get(name)
        if value is not None:
            return value
        if otherwise is MISSING:
            raise ValueError(f"{self.file}: {name} is missing")
        return otherwise

    def only(self, name: str, *admitted: object) -> None:
        """Refuse a field of another value; where none is given, the first admitted one stands.

        Raises:
          ValueError: the field has another value.
        """
        value = self.get(name, admitted[0])
        if value not in admitted:
            raise ValueError(
                f"{self.file}: {name} = {value!r} is not supported, expected "
                f"{' or '.join(map(repr, admitted))}"
            )

    def part(self, name: str) -> "Fields":
        """The object under a name; empty where there is none."""
        return Fields(self.file, self.get(name, {}))
