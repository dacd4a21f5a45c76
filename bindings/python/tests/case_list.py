"""The format of the shared cases; tests/cases/README.md says what it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from kmsbox import ANY_KEY, Status

#: Every step with its checks.
CHECKS: dict[str, set[str]] = {
    "open": set(),
    "call": {"key_id", "key_version_id"},
    "generate_data_key": {"plaintext_len", "blob_len", "key_id", "key_version_id"},
    "generate_data_key_without_plaintext": {"blob_len", "key_id", "key_version_id"},
    "decrypt": {"plaintext", "plaintext_len", "content", "key_id", "key_version_id"},
    "encrypt": {"blob_len", "key_id", "key_version_id"},
    "re_encrypt": {"blob_len", "key_id", "key_version_id"},
    "generate_data_keys": {"count", "plaintext_len", "blob_len", "key_id"},
    "re_encrypt_many": {"statuses"},
}


TOO_SMALL = "KMS_ERR_BUFFER_TOO_SMALL"


class BadList(Exception):
    """The list cannot be read."""


class Step(NamedTuple):
    """A line of a case: what to do, and what is to come of it. Still encoded."""

    number: int
    what: str
    given: list[tuple[str, str]]
    status: str
    code: str
    checks: list[tuple[str, str]]


def unquoted(word: str) -> str:
    """A word with its encoding undone."""
    if re.search("%(?![0-9A-Fa-f]{2})", word):
        raise BadList(f"{word} is not percent-encoded")
    return unquote(word, errors="strict")


def encode(value: str) -> str:
    """A value as the list may hold it."""
    return quote(value, safe="/:+,;=@!$&'()*?#[]|\"<>^`\\~-._")


def read(path: Path) -> list[tuple[str, list[Step]]]:
    """The cases of a list."""
    cases: list[tuple[str, list[Step]]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        words = line.split(" ")
        if words[0] == "case":
            if len(words) != 2:
                raise BadList(f"line {number}: a case has one name")
            cases.append((words[1], []))
        elif not cases:
            raise BadList(f"line {number}: no case has begun")
        else:
            cases[-1][1].append(parse(number, words))
    return cases


def parse(number: int, words: list[str]) -> Step:
    """A step of its words."""
    if words.count("->") != 1:
        raise BadList(f"line {number}: a step has one ->")
    arrow = words.index("->")
    what, expected = words[0], words[arrow + 1 :]
    if what not in CHECKS:
        raise BadList(f"line {number}: unknown step {what}")
    bare = [word for word in expected if "=" not in word]
    known = "KMS_OK", *(f"KMS_ERR_{status.name}" for status in Status if status)
    if not bare or expected[: len(bare)] != bare or bare[0] not in known:
        raise BadList(f"line {number}: a known status is expected after ->")
    if len(bare) != (1 if bare[0] == "KMS_OK" else 2):
        raise BadList(f"line {number}: a code goes with every status but KMS_OK")
    pairs = []
    for word in words[1:arrow] + expected[len(bare) :]:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadList(f"line {number}: {word} is not NAME=VALUE")
        pairs.append((name, value))
    given, checks = pairs[: arrow - 1], pairs[arrow - 1 :]
    for name, _ in checks:
        if name not in CHECKS[what] and not (what == "call" and name.startswith("member.")):
            raise BadList(f"line {number}: unknown check {name}")
        if bare[0] != "KMS_OK" and (bare[0] != TOO_SMALL or not name.endswith("_len")):
            raise BadList(f"line {number}: {name} is not checked after {bare[0]}")
    return Step(number, what, given, bare[0], "".join(bare[1:]), checks)


def from_hex(text: str) -> bytes:
    """Bytes as the list has them."""
    if not re.fullmatch("([0-9a-f]{2})*", text):
        raise BadList(f"{text} is not lower-case hex")
    return bytes.fromhex(text)


class Arguments:
    """The arguments of a step; one that nobody asks for is an error of the list."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs

    def text(self, name: str) -> Any:
        """An argument, or None where it is not given, which is then for the library to judge."""
        found = [value for known, value in self.pairs if known == name]
        if len(found) > 1:
            raise BadList(f"{name} is given twice")
        self.pairs = [pair for pair in self.pairs if pair[0] != name]
        return found[0] if found else None

    def expected_key_id(self) -> Any:
        """The CMK that a blob must be under; any, where none is given."""
        given = self.text("expected_key_id")
        return ANY_KEY if given is None else given

    def number(self, name: str) -> Any:
        """A number, or None."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]+", value):
            raise BadList(f"{name} is no number")
        return int(value)

    def binary(self, name: str) -> bytes:
        """Bytes in hex; none where they are not given."""
        return from_hex(self.text(name) or "")

    def context(self, name: str = "context") -> Any:
        """Pairs, JSON text, or None."""
        written = self.text(f"{name}_json")
        begin = f"{name}."
        pairs = {key[len(begin) :]: value for key, value in self.pairs if key.startswith(begin)}
        rest = [pair for pair in self.pairs if not pair[0].startswith(begin)]
        if len(rest) + len(pairs) != len(self.pairs):
            raise BadList(f"{name} has a key twice")
        self.pairs = rest
        if written is not None and pairs:
            raise BadList(f"{name} is given as pairs and as JSON")
        return written if written is not None else pairs or None

    def buffer(self, name: str) -> Any:
        """A buffer with the given room, or None."""
        capacity = self.number(name)
        return None if capacity is None else bytearray(capacity)

    def blob(self) -> bytes:
        """The blob, changed as the step wants it."""
        blob = bytearray(self.binary("blob"))
        flip, cut = self.number("flip"), self.number("cut")
        if flip is not None:
            if not 0 <= flip < len(blob):
                raise BadList(f"the blob has no byte {flip}")
            blob[flip] ^= 1
        if not 0 <= (cut or 0) <= len(blob):
            raise BadList(f"the blob has no {cut} bytes")
        return bytes(blob[: len(blob) - (cut or 0)])

    def length(self) -> dict[str, Any]:
        """How long a data key is to be."""
        given: dict[str, Any] = {}
        spec, number = self.text("key_spec"), self.number("number_of_bytes")
        if spec in ("AES_256", "AES_128"):
            given["key_spec"] = spec
        elif spec is not None:
            if not re.fullmatch(r"-?[0-9]+", spec):
                raise BadList(f"unknown key_spec {spec}")
            given["key_spec"] = int(spec)
        if number is not None:
            given["number_of_bytes"] = number
        return given

    def flag(self, name: str) -> bool:
        """Whether something is given as "true"."""
        value = self.text(name)
        if value not in (None, "true"):
            raise BadList(f"{name} is true, or not given")
        return value is not None

    def rest(self) -> list[tuple[str, str]]:
        """All that was not asked for yet."""
        rest, self.pairs = self.pairs, []
        return rest

    def finish(self) -> None:
        """Complains about what nobody asked for."""
        if self.pairs:
            raise BadList(f"unknown argument {self.pairs[0][0]}")
