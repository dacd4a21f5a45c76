"""Runs a list of shared cases through the Python binding; tests/cases/README.md says what they are.

python3 run_cases.py LIST --dir DIR [--load FILE] [--save FILE]
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import unquote, urlencode

from case_list import Arguments, BadList, Step, encode, from_hex, read, unquoted
from members import call_method, members

import kmsbox
from kmsbox import Client, Status

ROOT_KEY = b"\x42" * 32
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Unmet(Exception):
    """An expectation was not met."""


#: What a step gave: saved fields, and what its checks are compared with.
Fields = dict[str, str]


class Case:
    """A case while it runs: its client, its folder and what its steps saved."""

    def __init__(self, directory: Path, saved: Fields, request_ids: set[str]) -> None:
        self.directory = directory
        self.saved = saved
        self.request_ids = request_ids
        self.client: Optional[Client] = None
        #: Whether the last `open` failed.
        self.refused = False

    def perform(self, step: Step) -> None:
        """Performs a step and holds it against its expectations."""
        given = [(unquoted(name), self.decode(value)) for name, value in step.given]
        expected = [(unquoted(name), self.decode(value)) for name, value in step.checks]
        arguments = Arguments(given)
        save = arguments.text("save")
        fields: Fields = {}
        try:
            fields, request_id = STEPS[step.what](self, arguments)
            status, code = Status.OK, ""
        except kmsbox.KmsError as error:
            status, code, request_id = error.status, error.code, error.request_id
            if isinstance(error, kmsbox.BufferTooSmallError):
                names = {"plaintext": "plaintext_len"}
                for name, length in error.needed.items():
                    fields[names.get(name, "blob_len")] = str(length)
        arguments.finish()
        came = "KMS_OK" if status == Status.OK else f"KMS_ERR_{status.name} {code}"
        if came != f"{step.status} {step.code}".strip():
            raise Unmet(f"expected {step.status} {step.code}, came {came}")
        found_here = status in (Status.INVALID_PARAMETER, Status.INVALID_OPTION)
        if request_id is not None and not (found_here and request_id == ""):
            if not UUID.fullmatch(request_id) or request_id in self.request_ids:
                raise Unmet(f"{request_id!r} is no request id, or another step's")
            self.request_ids.add(request_id)
        for name, value in expected:
            if name.startswith("member."):
                if f"{name}={value}" not in fields:
                    raise Unmet(f"the answer has no {name[len('member.') :]} that is {value}")
            elif fields.get(name) != value:
                raise Unmet(f"expected {name}={value}, came {fields.get(name)}")
        if save is not None and status == Status.OK:
            for name in [name for name in fields if name.endswith(("blob", "plaintext"))]:
                binary = bytes.fromhex(fields[name])
                fields[f"{name}_base64"] = base64.b64encode(binary).decode()
            for name, value in fields.items():
                if not name.startswith("member."):
                    self.saved[f"{save}.{name}"] = value

    def decode(self, word: str) -> str:
        """A word with what it refers to put in and its encoding undone."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == "dir":
                return encode(str(self.directory))
            if name not in self.saved:
                raise BadList(f"nothing was saved as {name}")
            return encode(self.saved[name])

        return unquoted(re.sub(r"\{([^}]*)\}", value, word))

    def opened(self) -> Client:
        """The client of this case."""
        if self.client is None:
            if self.refused:
                raise BadList("there is no client: it was not opened")
            self.client = Client(keystore="memory:", root_key=ROOT_KEY, create=True)
        return self.client

    def close(self) -> None:
        """Closes the client, if there is one."""
        if self.client is not None:
            self.client.close()
            self.client = None


# ---- The steps ---------------------------------------------------------------------------------

Performed = tuple[Fields, Optional[str]]


def step_open(case: Case, given: Arguments) -> Performed:
    case.close()
    case.refused = True
    root_key: Any = given.text("root_key")
    in_bytes = given.text("root_key_bytes")
    others = {}
    if in_bytes is not None and root_key is not None:
        others["root_key"], root_key = root_key, from_hex(in_bytes)
    elif in_bytes is not None:
        root_key = from_hex(in_bytes)
    options: dict[str, Any] = {}
    for name, value in given.rest():
        if name in ("create", "read_only") and value in ("true", "false"):
            options[name] = value == "true"
        elif name.endswith(("_ms", "_max")) and re.fullmatch(r"\d{1,18}", value):
            options[name] = int(value)
        elif name == "permissions":
            options[name] = value.split(",")
        elif name in ("keystore", "audit_log", "keystore_id"):
            options[name] = value
        else:
            others[name] = value
    case.client = Client(root_key=root_key, options=others, **options)
    case.refused = False
    return {}, None


def step_call(case: Case, given: Arguments) -> Performed:
    pairs = given.rest()
    parameters = dict(pairs)
    action = parameters.pop("Action", None)
    client = case.opened()
    if action is None or len(pairs) != len(parameters) + 1 or "Format" in parameters:
        document = client.request(urlencode(pairs))
        if parameters.get("Format") == "XML":
            root = xml.etree.ElementTree.fromstring(document)
            ids = ("KeyId", "KeyVersionId", "PrimaryKeyVersion", "RequestId")
            found = [(leaf.tag, leaf.text or "") for leaf in root.iter() if leaf.tag in ids]
        else:
            found = list(members(json.loads(document)))
    else:
        method = call_method(client, action, parameters)
        answer = method() if method is not None else client.call(action, **parameters)
        found = list(members(answer))
    fields: Fields = {}
    for name, value in reversed(found):
        fields[name] = value
    for name, value in found:
        fields[f"member.{name}={value}"] = value
    for name, api_names in (
        ("key_id", ("KeyId",)),
        ("key_version_id", ("KeyVersionId", "PrimaryKeyVersion")),
    ):
        for api_name in api_names:
            if api_name in fields:
                fields.setdefault(name, fields[api_name])
    if "CiphertextBlob" in fields:
        fields["blob"] = base64.b64decode(fields["CiphertextBlob"]).hex()
    return fields, fields.get("RequestId", "")


def step_generate_data_key(case: Case, given: Arguments) -> Performed:
    room = given.buffer("plaintext_capacity")
    blob_room = given.buffer("blob_capacity")
    arguments = given.text("key_id"), given.context()
    try:
        with case.opened().generate_data_key(
            *arguments, **given.length(), plaintext=room, ciphertext_blob=blob_room
        ) as key:
            if blob_room is not None and not blob_room.startswith(key.ciphertext_blob):
                raise Unmet("the blob is not in the buffer")
            return {**plaintext(key), **ciphertext(key)}, key.request_id
    finally:
        # After an error, as after the `with`, nothing may be left.
        if room is not None and any(room):
            raise Unmet("a plaintext was left in the buffer")


def step_generate_data_key_without_plaintext(case: Case, given: Arguments) -> Performed:
    room = given.buffer("blob_capacity")
    answer = case.opened().generate_data_key_without_plaintext(
        given.text("key_id"), given.context(), **given.length(), ciphertext_blob=room
    )
    return ciphertext(answer), answer.request_id


def step_decrypt(case: Case, given: Arguments) -> Performed:
    room = given.buffer("plaintext_capacity")
    try:
        with case.opened().decrypt(
            given.blob(),
            given.context(),
            expected_key_id=given.expected_key_id(),
            plaintext=room,
        ) as answer:
            content = answer.content.name.lower()
            return {**plaintext(answer), **versions(answer), "content": content}, answer.request_id
    finally:
        if room is not None and any(room):
            raise Unmet("a plaintext was left in the buffer")


def step_encrypt(case: Case, given: Arguments) -> Performed:
    answer = case.opened().encrypt(
        given.text("key_id"),
        given.binary("plaintext"),
        given.context(),
        ciphertext_blob=given.buffer("blob_capacity"),
    )
    return ciphertext(answer), answer.request_id


def step_re_encrypt(case: Case, given: Arguments) -> Performed:
    answer = case.opened().re_encrypt(
        given.blob(),
        given.text("destination_key_id"),
        source_encryption_context=given.context("source_context"),
        destination_encryption_context=given.context("destination_context"),
        expected_key_id=given.expected_key_id(),
        rewrapped=given.buffer("blob_capacity"),
    )
    return ciphertext(answer), answer.request_id


def step_generate_data_keys(case: Case, given: Arguments) -> Performed:
    client, count = case.opened(), given.number("count")
    arguments = given.text("key_id"), count, given.context()
    if given.flag("without_plaintext"):
        wrapped = client.generate_data_keys_without_plaintext(*arguments, **given.length())
        fields, blobs, request_id = versions(wrapped), wrapped.ciphertext_blobs, wrapped.request_id
    else:
        with client.generate_data_keys(*arguments, **given.length()) as keys:
            fields, blobs, request_id = versions(keys), keys.ciphertext_blobs, keys.request_id
            fields["plaintext_len"] = str(keys.key_length)
            for number, one in enumerate(keys.plaintexts):
                fields[f"{number}.plaintext"] = one.hex()
    for number, one in enumerate(blobs):
        fields[f"{number}.blob"] = one.hex()
        fields["blob_len"] = str(len(one))
    return {**fields, "count": str(len(blobs))}, request_id


def step_re_encrypt_many(case: Case, given: Arguments) -> Performed:
    blobs = given.text("blobs")
    answer = case.opened().re_encrypt_many(
        [from_hex(blob) for blob in blobs.split(",")] if blobs else [],
        given.text("destination_key_id"),
        source_encryption_context=given.context("source_context"),
        destination_encryption_context=given.context("destination_context"),
        expected_key_id=given.expected_key_id(),
    )
    fields = versions(answer)
    for number, blob in enumerate(answer.ciphertext_blobs):
        if blob is not None:
            fields[f"{number}.blob"] = blob.hex()
    names = ("KMS_OK" if one == 0 else f"KMS_ERR_{one.name}" for one in answer.statuses)
    return {**fields, "statuses": ",".join(names)}, answer.request_id


def versions(answer: Any) -> Fields:
    return {"key_id": answer.key_id, "key_version_id": answer.key_version_id}


def ciphertext(answer: Any) -> Fields:
    blob = answer.ciphertext_blob
    return {"blob": blob.hex(), "blob_len": str(len(blob)), **versions(answer)}


def plaintext(answer: Any) -> Fields:
    found, length = answer.plaintext, answer.plaintext_len
    view = found.view if isinstance(found, kmsbox.Secret) else memoryview(found)
    return {"plaintext": view[:length].hex(), "plaintext_len": str(length)}


STEPS: dict[str, Callable[[Case, Arguments], Performed]] = {
    name[len("step_") :]: step for name, step in list(globals().items()) if name.startswith("step_")
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("list", type=Path)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--load", type=Path)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    shared = arguments.load is not None or arguments.save is not None
    saved: Fields = {}
    try:
        if arguments.load is not None:
            for line in arguments.load.read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                saved[unquote(name)] = unquote(value)
        cases = read(arguments.list)
        failed = 0
        request_ids: set[str] = set()
        for name, steps in cases:
            directory = arguments.dir if shared else arguments.dir / name
            directory.mkdir(mode=0o700, exist_ok=shared)
            case = Case(directory, saved if shared else {}, request_ids)
            failed += not run(name, case, steps)
    except (BadList, OSError, ValueError) as error:
        print(f"{arguments.list}: {error}", file=sys.stderr)
        return 2
    if arguments.save is not None:
        lines = (f"{encode(name)}={encode(value)}\n" for name, value in saved.items())
        arguments.save.write_text("".join(lines), encoding="utf-8")
    return 1 if failed else 0


def run(name: str, case: Case, steps: list[Step]) -> bool:
    """Runs a case and tells how it went."""
    line = 0
    try:
        for step in steps:
            line = step.number
            case.perform(step)
    except BadList as error:
        raise BadList(f"line {line}: {error}") from None
    except Unmet as error:
        print(f"not ok {name}: line {line}: {error}")
        return False
    finally:
        case.close()
    print(f"ok {name}")
    return True


if __name__ == "__main__":
    sys.exit(main())
