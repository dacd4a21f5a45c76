#!/usr/bin/env python3
"""Reads what kmsbox writes, from docs/blob-format.md and docs/keystore-format.md alone.

    kmsbox_format.py blobs FILE
    kmsbox_format.py keystore FILE --root-key-file F [--show-material]
    kmsbox_format.py open KEYSTORE --root-key-file F --blob BLOBFILE [--context JSON]

Instead of --root-key-file (32 bytes, or their hex or base64): --root-key-hex HEX or
--passphrase-file F. Needs pyca/cryptography, and nothing of kmsbox: it shows that the
pages suffice. Passphrase slots need Argon2id: cryptography 44 or later on OpenSSL 3.2.
"""

import argparse, base64, hashlib, hmac, json, re, struct, sys, uuid

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC


class Refused(Exception):
    """The input is not what the pages describe, or does not open."""


def need(condition, why):
    if not condition:
        raise Refused(why)


# The cipher: XAES-256-GCM with the key commitment of KC-XAES.


def cmac(key, message):
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def unseal(key, aad, nonce, ciphertext, tag, commitment):
    subkey = cmac(key, b"\0\1X\0" + nonce[:12]) + cmac(key, b"\0\2X\0" + nonce[:12])
    right = cmac(key, b"XCMT" + nonce + b"\0\1\0\1") + cmac(key, b"XCMT" + nonce + b"\0\1\0\2")
    try:
        plaintext = AESGCM(subkey).decrypt(nonce[12:], ciphertext + tag, aad)
    except InvalidTag:
        raise Refused("the tag does not hold") from None
    need(hmac.compare_digest(right, commitment), "the commitment does not hold")
    return plaintext


# The blob: docs/blob-format.md.


def canonical_context(text):
    """The bytes of an EncryptionContext, which the AAD ends with."""
    need(len(text.encode("utf-8", "surrogatepass")) <= 65536, "context over 64 KiB")
    try:
        pairs = json.loads(text, object_pairs_hook=tuple) if text else ()
    except (ValueError, RecursionError):
        raise Refused("the context is not JSON") from None
    # With the hook only an object comes back as a tuple.
    need(isinstance(pairs, tuple), "the context is not an object")
    strings = [string for pair in pairs for string in pair]
    need(all(isinstance(string, str) for string in strings), "a value is not a string")
    need(len(dict(pairs)) == len(pairs), "a key is there twice")
    need(not any("\0" in string for string in strings), "NUL in the context")
    try:
        encoded = sorted((key.encode(), value.encode()) for key, value in pairs)
    except UnicodeEncodeError:
        raise Refused("lone surrogate in the context") from None
    shortest = json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":"))
    need(len(shortest) <= 8192, "context over 8192 characters")
    sized = (struct.pack(">I", len(part)) + part for pair in encoded for part in pair)
    return struct.pack(">I", len(encoded)) + b"".join(sized)


def blob_ids(blob):
    need(111 <= len(blob) <= 6254, "length of the blob")
    need(blob[:4] == b"\x89KMB" and blob[4] == 1 and blob[5] in (0, 1), "start of the blob")
    return uuid.UUID(bytes=blob[6:22]), uuid.UUID(bytes=blob[22:38])


def open_blob(key, blob, context):
    blob_ids(blob)
    aad = b"kmsbox/wrap/v1\0" + blob[:38] + canonical_context(context)
    return unseal(key, aad, blob[38:62], blob[62:-48], blob[-48:-32], blob[-32:])


# The keystore: docs/keystore-format.md.

MEMBERS = {*"format keystore_id epoch written clock slots keys aliases seal".split()}
KEY_MEMBERS = {
    *"key_id created state origin description delete_date deletion_protection rotation".split(),
    *"tags imported primary_version versions".split(),
}
STATES = ["Enabled", "Disabled", "PendingDeletion", "PendingImport"]


def sealed(text, plaintext_len):
    """Base64 of nonce, ciphertext, tag and commitment."""
    raw = base64.b64decode(text, validate=True)
    need(len(raw) == 72 + plaintext_len, "length of a seal")
    return raw[:24], raw[24:-48], raw[-48:-32], raw[-32:]


def id_bytes(text):
    need(str(uuid.UUID(text)) == text, "spelling of an id")
    return uuid.UUID(text).bytes


def argon2id(passphrase, slot):
    """The stretched passphrase, and what the slot's AAD says of the stretching."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    salt = base64.b64decode(slot["salt"], validate=True)
    memory, passes, lanes = slot["memory_kib"], slot["passes"], slot["lanes"]
    need(len(salt) == 16, "length of the salt")
    need(19456 <= memory <= 1048576 and 2 <= passes <= 16 and 1 <= lanes <= 16, "Argon2's bounds")
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    return kdf.derive(passphrase), salt + struct.pack(">III", memory, passes, lanes)


def open_slot(store, slot, kind, secret):
    need(slot["kind"] == kind and ("argon2" in slot) == (kind == "passphrase"), "kind of slot")
    aad = b"kmsbox/slot/v1\0" + id_bytes(store["keystore_id"]) + id_bytes(slot["slot_id"])
    aad += b"\1" if kind == "passphrase" else b"\0"
    if kind == "passphrase":
        secret, stretching = argon2id(secret, slot["argon2"])
        aad += stretching
    return unseal(secret, aad, *sealed(slot["sealed_store_key"], 32))


def open_any_slot(store, kind, secret):
    for slot in store["slots"]:
        try:
            return open_slot(store, slot, kind, secret)
        except Refused:
            pass
    raise Refused("no slot opens")


def open_keystore(raw, kind, secret):
    """The file as JSON, and the key material of every version by its two ids."""
    body, closing = raw[:-111], raw[-111:]
    need(raw.startswith(b'{\n  "format": "kmsbox keystore 1",\n'), "beginning of the keystore")
    need(closing[:11] == b'  "seal": "' and closing[107:] == b'"\n}\n', "end of the keystore")
    store = json.loads(raw)
    need(1 <= len(store["slots"]) <= 4, "number of slots")
    need(set(store) <= MEMBERS, "a member that this page does not know")
    need(all(set(key) <= KEY_MEMBERS for key in store["keys"]), "a CMK's member")
    need(all(key["state"] in STATES for key in store["keys"]), "a CMK's state")
    store_key = open_any_slot(store, kind, secret)
    unseal(store_key, b"kmsbox/keystore/v1\0" + body, *sealed(store["seal"], 0))
    material = {}
    for key in store["keys"]:
        external = key.get("origin", "Aliyun_KMS") == "EXTERNAL"
        for version in key["versions"]:
            names = key["key_id"], version["key_version_id"]
            if "sealed_material" not in version:
                need(external and key["state"].startswith("Pending"), "material is missing")
                continue
            ids = b"".join(map(id_bytes, (store["keystore_id"], *names)))
            aad = b"kmsbox/version/v1\0" + ids + (b"\1" if external else b"\0")
            material[names] = unseal(store_key, aad, *sealed(version["sealed_material"], 32))
        if "imported" in key:
            check_material(store, store_key, key, material)
    return store, material


def check_material(store, store_key, key, material):
    """What is imported is what was imported first."""
    label, key_id = b"kmsbox/material-check/v1\0", id_bytes(key["key_id"])
    aad = label + id_bytes(store["keystore_id"]) + key_id
    check = unseal(store_key, aad, *sealed(key["imported"]["check"], 32))
    for (of, _), secret in material.items():
        if of == key["key_id"]:
            digest = hashlib.sha256(label + key_id + secret).digest()
            need(hmac.compare_digest(check, digest), "the material's check does not hold")


# The commands.


def read(path):
    with open(path, "rb") as file:
        return file.read()


def root_secret(arguments):
    """The kind of slot that it opens, and the root key or the passphrase."""
    if arguments.passphrase_file:
        return "passphrase", re.sub(rb"\r?\n\Z", b"", read(arguments.passphrase_file))
    key = (arguments.root_key_hex or "").encode() or read(arguments.root_key_file)
    if len(key) != 32:
        text = key.decode("ascii").strip()
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    need(len(key) == 32, "length of the root key")
    return "key", key


def known_answers(path):
    """The parts of the file: for each field, its values in order."""
    for part in read(path).decode().replace("\n  ", "").split("\n\n"):
        fields = {}
        for line in part.split("\n"):
            if line and line[0] != "#":
                name, _, value = line.partition(":")
                fields.setdefault(name, []).append(value[1:])
        if fields:
            yield fields


def check_blobs(path):
    under, *cases, refused = known_answers(path)
    ids = uuid.UUID(under["key id"][0]), uuid.UUID(under["key version id"][0])
    for case in cases:
        (plaintext,), (blob,) = case["plaintext"], case["blob"]
        rule, _, count = plaintext.partition(" ")
        counting = bytes(i % 251 for i in range(int(count or 0)))
        plaintext = counting if rule == "counting" else bytes.fromhex(plaintext)
        blob = bytes.fromhex(blob)
        header = [*blob_ids(blob), ["bytes", "text"][blob[5]], blob[38:62].hex()]
        need(header == [*ids, *case["content"], *case["nonce"]], f"header: {case['case']}")
        for context in case["context"]:
            opened = open_blob(bytes.fromhex(under["key"][0]), blob, context)
            need(opened == plaintext, f"plaintext: {case['case']}")
    for context in refused["refused context"]:
        try:
            canonical_context(context)
        except Refused:
            continue
        raise Refused(f"not refused: {context}")
    return f"{len(cases)} blobs open, {len(refused['refused context'])} contexts are refused"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("blobs").add_argument("file")
    for name in ("keystore", "open"):
        command = commands.add_parser(name)
        command.add_argument("file")
        root = command.add_mutually_exclusive_group(required=True)
        for option in ("--root-key-file", "--root-key-hex", "--passphrase-file"):
            root.add_argument(option)
    commands.choices["keystore"].add_argument("--show-material", action="store_true")
    commands.choices["open"].add_argument("--blob", required=True)
    commands.choices["open"].add_argument("--context", default="")
    arguments = parser.parse_args()

    if arguments.command == "blobs":
        return check_blobs(arguments.file)
    store, material = open_keystore(read(arguments.file), *root_secret(arguments))
    if arguments.command == "open":
        blob = read(arguments.blob)
        ids = tuple(map(str, blob_ids(blob)))
        need(ids in material, "the keystore has no such key version")
        return open_blob(material[ids], blob, arguments.context).hex()
    keys = {}
    for (key, version), secret in material.items():
        keys.setdefault(key, {})[version] = secret.hex() if arguments.show_material else "opens"
    found = {"keystore_id": store["keystore_id"], "epoch": store["epoch"], "keys": keys}
    return json.dumps(found, indent=2)


if __name__ == "__main__":
    try:
        print(main())
    except (Refused, KeyError, ValueError, OSError, ImportError, UnsupportedAlgorithm) as error:
        sys.exit(f"refused: {error!r}")
