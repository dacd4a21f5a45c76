"""Writes src/kmsbox/_operations.py from the table in src/kmsbox/_actions.py:

    python3 generate_operations.py          writes the file
    python3 generate_operations.py --check  fails where the file is not what the table says

The table is read alone, without the package around it, so no library is needed.
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent / "src" / "kmsbox"
TARGET = PACKAGE / "_operations.py"

#: The types of parameters that are not str.
TYPES = {
    "EnableAutomaticRotation": "bool",
    "EnableDeletionProtection": "bool",
    "Tags": "Mapping[str, str]",
    "TagKeys": "Iterable[str]",
    "Filters": "Mapping[str, Iterable[str]]",
    "PageNumber": "int",
    "PageSize": "int",
    "PendingWindowInDays": "int",
    "EncryptedKeyMaterial": "bytes | str",
    "KeyMaterialExpireUnix": "datetime | int",
}

HEAD = '''\
"""The actions of the API as methods. Written by generate_operations.py; do not edit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ._answers import (
{answers})
from ._answers import answer as _answer
from ._answers import listing as _listing
from ._answers import page as _page


class Operations:
    """What manages CMKs. Each method performs the action of its name; docs/api.md says what its
    parameters take."""

    def call(self, action: str, /, **parameters: Any) -> dict[str, Any]:
        """Performs an action by its name; see Client.call."""
        raise NotImplementedError
'''


def main() -> int:
    text = operations()
    if sys.argv[1:] == ["--check"]:
        if TARGET.read_text() != text:
            print(
                f"{TARGET} is not what the table says: run generate_operations.py", file=sys.stderr
            )
            return 1
    elif sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    else:
        TARGET.write_text(text)
    return 0


def operations() -> str:
    """The text of the module."""
    actions = runpy.run_path(str(PACKAGE / "_actions.py"))["ACTIONS"]
    classes = sorted({kind for action in actions for kind in re.findall(r"\w+", action.answer)})
    head = HEAD.format(answers="".join(f"    {kind},\n" for kind in classes))
    methods = [method(action) for action in actions]
    methods += [iterator(action) for action in actions if action.answer.startswith("Page[")]
    return head + "".join(f"\n{text}" for text in methods)


def method(action: Any) -> str:
    """The method for an action."""
    name = snake(action.name)
    given = "".join(
        f"            {known}={snake(known)},\n" for known in (*action.needed, *action.optional)
    )
    call = f'self.call(\n            "{action.name}",\n{given}        )'
    kind = re.findall(r"\w+", action.answer)
    make = {1: "_answer", 2: f"_{kind[0].lower()}"}[len(kind)]
    path = "".join(f', "{member}"' for member in action.path)
    return (
        f"    def {name}(\n{signature(action)}    ) -> {action.answer}:\n"
        f'        """{action.text}"""\n'
        f"        document = {call}\n"
        f"        return {make}({kind[-1]}, document{path})\n"
    )


def iterator(action: Any) -> str:
    """The method that goes through all pages of a list."""
    name = snake(action.name).replace("list_", "iter_", 1)
    item = re.findall(r"\w+", action.answer)[1]
    given = "".join(f"{known}, " for known in map(snake, action.needed))
    given += "page_number=number, page_size=page_size"
    given += "".join(f", {known}={known}" for known in map(snake, action.optional[2:]))
    arguments = signature(action, paged=True)
    return (
        f"    def {name}(\n{arguments}    ) -> Iterator[{item}]:\n"
        f'        """As {snake(action.name)}, through all pages. What is made or deleted meanwhile\n'
        f'        may be left out or come twice."""\n'
        f"        number = 1\n"
        f"        while True:\n"
        f"            page = self.{snake(action.name)}({given})\n"
        f"            yield from page\n"
        f"            if not page or page.page_number * page.page_size >= page.total_count:\n"
        f"                return\n"
        f"            number += 1\n"
    )


def signature(action: Any, paged: bool = False) -> str:
    """The parameters, one in each line. What may be left out is given by name."""
    lines = ["self"]
    lines += [f"{snake(name)}: {TYPES.get(name, 'str')}" for name in action.needed]
    optional = list(action.optional)
    if optional:
        lines.append("*")
    if paged:
        optional.remove("PageNumber")
    for name in optional:
        if paged and name == "PageSize":
            lines.append("page_size: int = 100")
        else:
            lines.append(f"{snake(name)}: {TYPES.get(name, 'str')} | None = None")
    return "".join(f"        {line},\n" for line in lines)


def snake(name: str) -> str:
    """Python's name for one of the API's: ``key_id`` for ``KeyId``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    sys.exit(main())
