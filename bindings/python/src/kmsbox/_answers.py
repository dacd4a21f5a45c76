"""What the actions of the API answer, as Python has it: the documented fields by Python's names,
dates as ``datetime`` in UTC, None where the API has an empty one or leaves it out."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Generic, TypeVar, Union, overload

T = TypeVar("T")
A = TypeVar("A", bound="Answer")


@dataclass(frozen=True)
class Answer:
    """An answer that says no more than that it is done."""

    #: The id of the call, as in the audit log.
    request_id: str = field(compare=False, repr=False)


@dataclass(frozen=True)
class KeyMetadata(Answer):
    """A CMK."""

    key_id: str
    arn: str
    #: "Enabled", "Disabled", "PendingDeletion" or "PendingImport".
    key_state: str
    description: str
    key_spec: str
    key_usage: str
    origin: str
    protection_level: str
    creator: str
    creation_date: datetime | None
    #: The id of the version that wraps.
    primary_key_version: str
    last_rotation_date: datetime | None
    #: "Enabled" or "Disabled".
    automatic_rotation: str
    #: In seconds, such as "7776000s". None where automatic rotation is off, as is the next date.
    rotation_interval: str | None
    next_rotation_date: datetime | None
    delete_date: datetime | None
    material_expire_time: datetime | None
    #: "Enabled" or "Disabled"; None in the answer of create_key.
    deletion_protection: str | None
    deletion_protection_description: str | None


@dataclass(frozen=True)
class KeyVersion(Answer):
    """A version of a CMK."""

    key_id: str
    key_version_id: str
    creation_date: datetime | None


@dataclass(frozen=True)
class Key(Answer):
    """A CMK in a list."""

    key_id: str
    key_arn: str


@dataclass(frozen=True)
class Alias(Answer):
    """A name of a CMK."""

    alias_name: str
    alias_arn: str
    key_id: str


@dataclass(frozen=True)
class Tag(Answer):
    """A tag of a CMK."""

    key_id: str
    tag_key: str
    tag_value: str


@dataclass(frozen=True)
class ImportParameters(Answer):
    """What the owner of key material needs to bring it in."""

    key_id: str
    import_token: str
    #: The key to wrap the material with: DER of a SubjectPublicKeyInfo.
    public_key: bytes
    token_expire_time: datetime | None


@dataclass(frozen=True)
class Listing(Answer, Sequence[T], Generic[T]):
    """A list, whole."""

    items: tuple[T, ...]

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self.items[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)


@dataclass(frozen=True)
class Page(Listing[T]):
    """A page of a list. The client's ``iter_`` methods go through all pages."""

    total_count: int
    page_number: int
    page_size: int


#: Fields that are not handed on as they come.
_TIMES = frozenset(
    {"CreationDate", "LastRotationDate", "NextRotationDate", "DeleteDate"}
    | {"MaterialExpireTime", "TokenExpireTime"}
)
_BYTES = frozenset({"PublicKey"})


def answer(kind: type[A], document: Mapping[str, Any], *path: str) -> A:
    """The object that lies at ``path`` in a document, as an answer of this kind."""
    members = document
    for name in path:
        members = members[name]
    return _answer(kind, members, document["RequestId"])


def listing(kind: type[A], document: Mapping[str, Any], *path: str) -> Listing[A]:
    """The list that lies at ``path``."""
    request_id = document["RequestId"]
    return Listing(request_id, _items(kind, document, path))


def page(kind: type[A], document: Mapping[str, Any], *path: str) -> Page[A]:
    """The page of a list that lies at ``path``."""
    counts = (document[name] for name in ("TotalCount", "PageNumber", "PageSize"))
    return Page(document["RequestId"], _items(kind, document, path), *counts)


def api_name(name: str) -> str:
    """The API's name for one of Python's: ``KeyId`` for ``key_id``."""
    return "".join(part.capitalize() for part in name.split("_"))


def _items(kind: type[A], document: Mapping[str, Any], path: Sequence[str]) -> tuple[A, ...]:
    items: Any = document
    for name in path:
        items = items[name]
    return tuple(_answer(kind, item, document["RequestId"]) for item in items)


def _answer(kind: type[A], members: Mapping[str, Any], request_id: str) -> A:
    values = {}
    for known in fields(kind):
        if known.name != "request_id":
            name = api_name(known.name)
            values[known.name] = _value(name, members.get(name))
    return kind(request_id=request_id, **values)


def _value(name: str, value: Any) -> Union[None, str, int, bytes, datetime]:
    if name in _TIMES:
        if not value:
            return None
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    if name in _BYTES:
        return base64.b64decode(value)
    return value  # type: ignore[no-any-return]
