"""A request as the API has it: form-encoded text, lists and contexts in JSON, bytes in base64."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Callable

from . import _buffers
from ._errors import Status, unusable


def request(action: str, parameters: Mapping[str, Any]) -> bytes:
    """The form-encoded request. A parameter that is None is left out."""
    if not isinstance(action, str):
        raise TypeError(f"the action must be str, not {type(action).__name__}")
    if "Action" in parameters:
        raise TypeError("the action is given twice")
    pairs = [("Action", action)]
    for name, value in parameters.items():
        if value is not None:
            pairs.append((name, _text(name, value)))
    try:
        return urllib.parse.urlencode(pairs).encode()
    except UnicodeEncodeError:
        name = _not_unicode(pairs)
        why = "is not Unicode text: it holds a lone surrogate"
        raise unusable(name, why, Status.INVALID_PARAMETER) from None


def _text(name: str, value: Any) -> str:
    """A parameter's value as the API writes it."""
    if isinstance(value, str):
        return value
    convert = _CONVERTERS.get(name, _plain)
    text = convert(value)
    if text is None:
        raise TypeError(f"{name} cannot be {type(value).__name__}")
    return text


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, int) else None


def _tags(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return None
    return json.dumps([{"TagKey": key, "TagValue": item} for key, item in value.items()])


def _filters(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return None
    if any(isinstance(values, str) for values in value.values()):
        raise TypeError("Filters must have a list of values for each key")
    return json.dumps([{"Key": key, "Values": list(values)} for key, values in value.items()])


def _list(value: Any) -> str | None:
    return json.dumps(list(value)) if isinstance(value, Iterable) else None


def _context(value: Any) -> str | None:
    encoded = _buffers.context("an encryption context", value)
    return None if encoded is None else encoded.decode()


def _base64(value: Any) -> str | None:
    try:
        return base64.b64encode(value).decode()
    except TypeError:
        return None


def _time(value: Any) -> str | None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise unusable("KeyMaterialExpireUnix", "must be a datetime with a time zone")
        return str(int(value.timestamp()))
    return _plain(value)


_CONVERTERS: dict[str, Callable[[Any], str | None]] = {
    "Tags": _tags,
    "TagKeys": _list,
    "Filters": _filters,
    "EncryptedKeyMaterial": _base64,
    "CiphertextBlob": _base64,
    "KeyMaterialExpireUnix": _time,
    "EncryptionContext": _context,
    "SourceEncryptionContext": _context,
    "DestinationEncryptionContext": _context,
}


def _not_unicode(pairs: Iterable[tuple[str, str]]) -> str:
    for name, value in pairs:
        try:
            value.encode()
        except UnicodeEncodeError:
            return name
    return "a parameter's name"
