"""Every method for an action of the API, and what it gives back."""

from __future__ import annotations

import os
import unittest
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from support import CONTEXT, TestCase

from kmsbox import Answer, ImportParameters, Status


class Methods(TestCase):
    def test_the_life_of_a_cmk(self) -> None:
        client = self.client()
        made = client.create_key(
            description="orders",
            key_spec="Aliyun_AES_256",
            key_usage="ENCRYPT/DECRYPT",
            origin="Aliyun_KMS",
            protection_level="SOFTWARE",
            enable_automatic_rotation=True,
            rotation_interval="90d",
            tags={"team": "billing"},
        )
        cmk = made.key_id
        self.assertEqual((made.description, made.key_state), ("orders", "Enabled"))
        self.assertEqual(made.rotation_interval, "7776000s")
        assert made.creation_date is not None and made.next_rotation_date is not None
        self.assertEqual(made.next_rotation_date - made.creation_date, timedelta(days=90))
        self.assertEqual(made.creation_date.tzinfo, timezone.utc)
        self.assertIsNone(made.delete_date)
        self.assertIsNone(made.deletion_protection)

        client.update_key_description(cmk, "")
        client.disable_key(cmk)
        self.assertEqual(client.describe_key(cmk).key_state, "Disabled")
        answer = client.enable_key(cmk)
        self.assertIs(type(answer), Answer)
        self.assertRegex(answer.request_id, r"^[0-9a-f-]{36}$")
        self.assertEqual(client.describe_key(cmk).description, "")

        client.update_rotation_policy(cmk, False)
        self.assertIsNone(client.describe_key(cmk).rotation_interval)
        client.update_rotation_policy(cmk, True, rotation_interval="7d")
        self.assertEqual(client.describe_key(cmk).automatic_rotation, "Enabled")

        version = client.create_key_version(cmk)
        self.assertEqual(client.describe_key(cmk).primary_key_version, version.key_version_id)
        self.assertEqual(client.describe_key_version(cmk, version.key_version_id), version)
        self.assertIn(version, client.list_key_versions(cmk))

        client.set_deletion_protection(made.arn, True, deletion_protection_description="in use")
        told = client.describe_key(cmk)
        self.assertEqual(told.deletion_protection, "Enabled")
        self.assertEqual(told.deletion_protection_description, "in use")
        self.assertRaises(Exception, client.schedule_key_deletion, cmk, 7)
        client.set_deletion_protection(cmk, False)
        client.schedule_key_deletion(cmk, 7)
        told = client.describe_key(cmk)
        self.assertEqual(told.key_state, "PendingDeletion")
        assert told.delete_date is not None
        self.assertGreater(told.delete_date, datetime.now(timezone.utc) + timedelta(days=6))
        client.cancel_key_deletion(cmk)
        self.assertEqual(client.describe_key(cmk).key_state, "Enabled")

    def test_aliases_and_tags(self) -> None:
        client = self.client()
        one, two = client.create_key().key_id, client.create_key().key_id
        client.create_alias(one, "alias/orders")
        self.refused(Status.ALIAS_EXISTS, client.create_alias, two, "alias/orders")
        client.update_alias(two, "alias/orders")
        (alias,) = client.list_aliases()
        self.assertEqual((alias.alias_name, alias.key_id), ("alias/orders", two))
        self.assertEqual(alias.alias_arn, "acs:kms:local:0:alias/orders")
        self.assertEqual(list(client.list_aliases_by_key_id(two)), [alias])
        self.assertEqual(len(client.list_aliases_by_key_id(one)), 0)
        client.delete_alias("alias/orders")
        self.assertEqual(list(client.iter_aliases()), [])
        client.tag_resource(one, {"a": "1", "b": ""})
        client.untag_resource(one, ["a"])
        (tag,) = client.list_resource_tags(one)
        self.assertEqual((tag.key_id, tag.tag_key, tag.tag_value), (one, "b", ""))

    def test_lists_by_page_and_whole(self) -> None:
        client = self.client()
        made = [client.create_key().key_id for _ in range(7)]
        page = client.list_keys(page_number=2, page_size=3)
        self.assertEqual([key.key_id for key in page], made[3:6])
        self.assertEqual((page.total_count, page.page_number, page.page_size), (7, 2, 3))
        self.assertEqual((page[0].key_id, len(page), page[1:]), (made[3], 3, page.items[1:]))
        for size in (1, 3, 7, 100):
            self.assertEqual([key.key_id for key in client.iter_keys(page_size=size)], made)
        client.disable_key(made[2])
        found = client.iter_keys(filters={"KeyState": ["Disabled"]})
        self.assertEqual([key.key_id for key in found], [made[2]])
        versions = [client.describe_key(made[0]).primary_key_version]
        versions += [client.create_key_version(made[0]).key_version_id for _ in range(4)]
        listed = client.iter_key_versions(made[0], page_size=2)
        self.assertEqual([version.key_version_id for version in listed], versions)
        for number in range(5):
            client.create_alias(made[0], f"alias/{number}")
        names = [f"alias/{number}" for number in range(5)]
        self.assertEqual([one.alias_name for one in client.iter_aliases(page_size=2)], names)
        by_key = client.iter_aliases_by_key_id(made[0], page_size=2)
        self.assertEqual([one.alias_name for one in by_key], names)

    def test_imported_material(self) -> None:
        client = self.client()
        cmk = client.create_key(origin="EXTERNAL").key_id
        given = client.get_parameters_for_import(cmk, "RSAES_OAEP_SHA_256", "RSA_2048")
        self.assertIsInstance(given, ImportParameters)
        assert given.token_expire_time is not None
        self.assertGreater(given.token_expire_time, datetime.now(timezone.utc))
        # DER of a SubjectPublicKeyInfo with 2048 bits.
        self.assertEqual((given.public_key[:4], len(given.public_key)), (b"\x30\x82\x01\x22", 294))
        wrong = self.refused(
            Status.INVALID_KEY_MATERIAL,
            client.import_key_material,
            cmk,
            bytes(256),
            given.import_token,
            key_material_expire_unix=datetime.now(timezone.utc) + timedelta(days=1),
        )
        self.assertEqual(wrong.code, "InvalidKeyMaterial")
        naive = datetime(2100, 1, 1)
        self.refused(
            Status.INVALID_ARGUMENT,
            client.import_key_material,
            cmk,
            bytes(256),
            given.import_token,
            key_material_expire_unix=naive,
        )
        client.delete_key_material(cmk)

    def test_imported_material_that_is_taken(self) -> None:
        client = self.client()
        cmk = client.create_key(origin="EXTERNAL").key_id
        given = client.get_parameters_for_import(cmk, "RSAES_OAEP_SHA_256", "RSA_2048")
        wrapped = wrap(given.public_key, b"m" * 32)
        expire = datetime.now(timezone.utc) + timedelta(days=1)
        client.import_key_material(
            cmk, wrapped, given.import_token, key_material_expire_unix=expire
        )
        told = client.describe_key(cmk)
        self.assertEqual(told.key_state, "Enabled")
        self.assertEqual(told.material_expire_time, expire.replace(microsecond=0))
        client.generate_data_key(cmk, CONTEXT).wipe()

    def test_wrong_use(self) -> None:
        client, cmk = self.with_cmk()
        for arguments in ((), (cmk, "more")):
            self.assertRaises(TypeError, client.describe_key, *arguments)
        self.assertRaises(TypeError, client.create_key, fly=True)
        self.refused(Status.MISSING_PARAMETER, client.describe_key, "")
        self.refused(Status.UNSUPPORTED_ALIAS, client.disable_key, "alias/orders")
        self.refused(Status.INVALID_PARAMETER, client.list_keys, page_size=101)


def wrap(public_key: bytes, message: bytes) -> bytes:
    """RSAES-OAEP with SHA-256 and no label (RFC 8017, 7.1.1), for the tests alone."""
    # DER of a SubjectPublicKeyInfo of 2048 bits ends with the modulus and the exponent 65537.
    modulus = int.from_bytes(public_key[-261:-5], "big")
    data = sha256(b"").digest() + bytes(256 - len(message) - 66) + b"\1" + message
    seed = os.urandom(32)
    data = mask(data, seed)
    padded = b"\0" + mask(seed, data) + data
    return pow(int.from_bytes(padded, "big"), 65537, modulus).to_bytes(256, "big")


def mask(data: bytes, seed: bytes) -> bytes:
    """MGF1 with SHA-256, laid over the data."""
    blocks = (sha256(seed + number.to_bytes(4, "big")).digest() for number in range(8))
    return bytes(one ^ two for one, two in zip(data, b"".join(blocks)))


if __name__ == "__main__":
    unittest.main()
