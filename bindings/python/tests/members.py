"""Answers as the shared cases see them: members by the API's names, with their texts."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import json
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Callable, Optional

from kmsbox import Client, Listing
from kmsbox._actions import ACTIONS
from kmsbox._answers import api_name


def members(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every member of a document, or of an answer made of one, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from members(item, key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from members(item)
    elif dataclasses.is_dataclass(value):
        # In an answer, lists come first and the request id last, as in the document.
        fields = [field.name for field in dataclasses.fields(value)]
        if isinstance(value, Listing):
            yield from members(value.items)
            fields.remove("items")
        for field in fields:
            yield from members(getattr(value, field), api_name(field))
    elif name:
        yield name, text(value)


def text(value: Any) -> str:
    """A member as the API writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def call_method(
    client: Client, action: str, parameters: dict[str, str]
) -> Optional[Callable[[], Any]]:
    """The client's method for an action, with its arguments. None where the action is none of those
    with such methods, lacks a parameter, or has one that the method does not."""
    known = next((known for known in ACTIONS if known.name == action), None)
    if known is None or not set(known.needed) <= set(parameters):
        return None
    names = {name: snake(name) for name in (*known.needed, *known.optional)}
    if not set(parameters) <= set(names):
        return None
    method = getattr(client, snake(action))
    types = inspect.signature(method).parameters
    given = {
        names[name]: converted(name, types[names[name]].annotation, value)
        for name, value in parameters.items()
    }
    return partial(method, **given)


def snake(name: str) -> str:
    """Python's name: ``KeyId`` is ``key_id``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def converted(name: str, annotation: str, value: str) -> Any:
    """A value in the type that the method takes; as it stands where it is none of that type."""
    if annotation.startswith("bool") and value in ("true", "false"):
        return value == "true"
    if "int" in annotation.split(" | ") and value == str(int(value) if value.isdigit() else ""):
        return int(value)
    if name in ("Tags", "TagKeys", "Filters"):
        return from_json(name, value)
    return value


def from_json(name: str, value: str) -> Any:
    """Tags and filters as mappings, where the text is of that form and says nothing twice."""
    names = {"Tags": ("TagKey", "TagValue"), "Filters": ("Key", "Values")}
    try:
        items = json.loads(value)
        if name == "TagKeys":
            return (
                items
                if isinstance(items, list) and all(isinstance(i, str) for i in items)
                else value
            )
        key, item = names[name]
        pairs = {one[key]: one[item] for one in items if set(one) == {key, item}}
    except (ValueError, TypeError, KeyError):
        return value
    return pairs if len(pairs) == len(items) else value
