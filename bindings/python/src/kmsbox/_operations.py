"""The actions of the API as methods. Written by generate_operations.py; do not edit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ._answers import (
    Alias,
    Answer,
    ImportParameters,
    Key,
    KeyMetadata,
    KeyVersion,
    Listing,
    Page,
    Tag,
)
from ._answers import answer as _answer
from ._answers import listing as _listing
from ._answers import page as _page


class Operations:
    """What manages CMKs. Each method performs the action of its name; docs/api.md says what its
    parameters take."""

    def call(self, action: str, /, **parameters: Any) -> dict[str, Any]:
        """Performs an action by its name; see Client.call."""
        raise NotImplementedError

    def create_key(
        self,
        *,
        description: str | None = None,
        key_spec: str | None = None,
        key_usage: str | None = None,
        origin: str | None = None,
        protection_level: str | None = None,
        enable_automatic_rotation: bool | None = None,
        rotation_interval: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> KeyMetadata:
        """Makes a CMK."""
        document = self.call(
            "CreateKey",
            Description=description,
            KeySpec=key_spec,
            KeyUsage=key_usage,
            Origin=origin,
            ProtectionLevel=protection_level,
            EnableAutomaticRotation=enable_automatic_rotation,
            RotationInterval=rotation_interval,
            Tags=tags,
        )
        return _answer(KeyMetadata, document, "KeyMetadata")

    def describe_key(
        self,
        key_id: str,
    ) -> KeyMetadata:
        """Tells what a CMK is."""
        document = self.call(
            "DescribeKey",
            KeyId=key_id,
        )
        return _answer(KeyMetadata, document, "KeyMetadata")

    def list_keys(
        self,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
        filters: Mapping[str, Iterable[str]] | None = None,
    ) -> Page[Key]:
        """Lists CMKs."""
        document = self.call(
            "ListKeys",
            PageNumber=page_number,
            PageSize=page_size,
            Filters=filters,
        )
        return _page(Key, document, "Keys", "Key")

    def update_key_description(
        self,
        key_id: str,
        description: str,
    ) -> Answer:
        """Gives a CMK another description; "" is none."""
        document = self.call(
            "UpdateKeyDescription",
            KeyId=key_id,
            Description=description,
        )
        return _answer(Answer, document)

    def enable_key(
        self,
        key_id: str,
    ) -> Answer:
        """Allows the use of a CMK again."""
        document = self.call(
            "EnableKey",
            KeyId=key_id,
        )
        return _answer(Answer, document)

    def disable_key(
        self,
        key_id: str,
    ) -> Answer:
        """Stops all use of a CMK."""
        document = self.call(
            "DisableKey",
            KeyId=key_id,
        )
        return _answer(Answer, document)

    def schedule_key_deletion(
        self,
        key_id: str,
        pending_window_in_days: int,
    ) -> Answer:
        """Stops all use of a CMK now, and deletes it after 7 to 366 days."""
        document = self.call(
            "ScheduleKeyDeletion",
            KeyId=key_id,
            PendingWindowInDays=pending_window_in_days,
        )
        return _answer(Answer, document)

    def cancel_key_deletion(
        self,
        key_id: str,
    ) -> Answer:
        """Keeps a CMK from being deleted."""
        document = self.call(
            "CancelKeyDeletion",
            KeyId=key_id,
        )
        return _answer(Answer, document)

    def set_deletion_protection(
        self,
        protected_resource_arn: str,
        enable_deletion_protection: bool,
        *,
        deletion_protection_description: str | None = None,
    ) -> Answer:
        """Has the deletion of a CMK, named by its ARN or id, refused, or no longer."""
        document = self.call(
            "SetDeletionProtection",
            ProtectedResourceArn=protected_resource_arn,
            EnableDeletionProtection=enable_deletion_protection,
            DeletionProtectionDescription=deletion_protection_description,
        )
        return _answer(Answer, document)

    def create_key_version(
        self,
        key_id: str,
    ) -> KeyVersion:
        """Rotates a CMK: makes a version, which wraps from now on."""
        document = self.call(
            "CreateKeyVersion",
            KeyId=key_id,
        )
        return _answer(KeyVersion, document, "KeyVersion")

    def list_key_versions(
        self,
        key_id: str,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
    ) -> Page[KeyVersion]:
        """Lists the versions of a CMK."""
        document = self.call(
            "ListKeyVersions",
            KeyId=key_id,
            PageNumber=page_number,
            PageSize=page_size,
        )
        return _page(KeyVersion, document, "KeyVersions", "KeyVersion")

    def describe_key_version(
        self,
        key_id: str,
        key_version_id: str,
    ) -> KeyVersion:
        """Tells what a version is."""
        document = self.call(
            "DescribeKeyVersion",
            KeyId=key_id,
            KeyVersionId=key_version_id,
        )
        return _answer(KeyVersion, document, "KeyVersion")

    def update_rotation_policy(
        self,
        key_id: str,
        enable_automatic_rotation: bool,
        *,
        rotation_interval: str | None = None,
    ) -> Answer:
        """Has a CMK rotate by itself, every "90d" for example, or no longer."""
        document = self.call(
            "UpdateRotationPolicy",
            KeyId=key_id,
            EnableAutomaticRotation=enable_automatic_rotation,
            RotationInterval=rotation_interval,
        )
        return _answer(Answer, document)

    def create_alias(
        self,
        key_id: str,
        alias_name: str,
    ) -> Answer:
        """Gives a CMK a name."""
        document = self.call(
            "CreateAlias",
            KeyId=key_id,
            AliasName=alias_name,
        )
        return _answer(Answer, document)

    def update_alias(
        self,
        key_id: str,
        alias_name: str,
    ) -> Answer:
        """Moves a name to another CMK."""
        document = self.call(
            "UpdateAlias",
            KeyId=key_id,
            AliasName=alias_name,
        )
        return _answer(Answer, document)

    def delete_alias(
        self,
        alias_name: str,
    ) -> Answer:
        """Deletes a name."""
        document = self.call(
            "DeleteAlias",
            AliasName=alias_name,
        )
        return _answer(Answer, document)

    def list_aliases(
        self,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
    ) -> Page[Alias]:
        """Lists names."""
        document = self.call(
            "ListAliases",
            PageNumber=page_number,
            PageSize=page_size,
        )
        return _page(Alias, document, "Aliases", "Alias")

    def list_aliases_by_key_id(
        self,
        key_id: str,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
    ) -> Page[Alias]:
        """Lists the names of a CMK."""
        document = self.call(
            "ListAliasesByKeyId",
            KeyId=key_id,
            PageNumber=page_number,
            PageSize=page_size,
        )
        return _page(Alias, document, "Aliases", "Alias")

    def tag_resource(
        self,
        key_id: str,
        tags: Mapping[str, str],
    ) -> Answer:
        """Gives a CMK tags."""
        document = self.call(
            "TagResource",
            KeyId=key_id,
            Tags=tags,
        )
        return _answer(Answer, document)

    def untag_resource(
        self,
        key_id: str,
        tag_keys: Iterable[str],
    ) -> Answer:
        """Takes tags from a CMK."""
        document = self.call(
            "UntagResource",
            KeyId=key_id,
            TagKeys=tag_keys,
        )
        return _answer(Answer, document)

    def list_resource_tags(
        self,
        key_id: str,
    ) -> Listing[Tag]:
        """Lists the tags of a CMK."""
        document = self.call(
            "ListResourceTags",
            KeyId=key_id,
        )
        return _listing(Tag, document, "Tags", "Tag")

    def get_parameters_for_import(
        self,
        key_id: str,
        wrapping_algorithm: str,
        wrapping_key_spec: str,
    ) -> ImportParameters:
        """Gives what key material must be wrapped with, and a token for it."""
        document = self.call(
            "GetParametersForImport",
            KeyId=key_id,
            WrappingAlgorithm=wrapping_algorithm,
            WrappingKeySpec=wrapping_key_spec,
        )
        return _answer(ImportParameters, document)

    def import_key_material(
        self,
        key_id: str,
        encrypted_key_material: bytes | str,
        import_token: str,
        *,
        key_material_expire_unix: datetime | int | None = None,
    ) -> Answer:
        """Brings wrapped key material into a CMK."""
        document = self.call(
            "ImportKeyMaterial",
            KeyId=key_id,
            EncryptedKeyMaterial=encrypted_key_material,
            ImportToken=import_token,
            KeyMaterialExpireUnix=key_material_expire_unix,
        )
        return _answer(Answer, document)

    def delete_key_material(
        self,
        key_id: str,
    ) -> Answer:
        """Deletes imported key material."""
        document = self.call(
            "DeleteKeyMaterial",
            KeyId=key_id,
        )
        return _answer(Answer, document)

    def iter_keys(
        self,
        *,
        page_size: int = 100,
        filters: Mapping[str, Iterable[str]] | None = None,
    ) -> Iterator[Key]:
        """As list_keys, through all pages. What is made or deleted meanwhile
        may be left out or come twice."""
        number = 1
        while True:
            page = self.list_keys(page_number=number, page_size=page_size, filters=filters)
            yield from page
            if not page or page.page_number * page.page_size >= page.total_count:
                return
            number += 1

    def iter_key_versions(
        self,
        key_id: str,
        *,
        page_size: int = 100,
    ) -> Iterator[KeyVersion]:
        """As list_key_versions, through all pages. What is made or deleted meanwhile
        may be left out or come twice."""
        number = 1
        while True:
            page = self.list_key_versions(key_id, page_number=number, page_size=page_size)
            yield from page
            if not page or page.page_number * page.page_size >= page.total_count:
                return
            number += 1

    def iter_aliases(
        self,
        *,
        page_size: int = 100,
    ) -> Iterator[Alias]:
        """As list_aliases, through all pages. What is made or deleted meanwhile
        may be left out or come twice."""
        number = 1
        while True:
            page = self.list_aliases(page_number=number, page_size=page_size)
            yield from page
            if not page or page.page_number * page.page_size >= page.total_count:
                return
            number += 1

    def iter_aliases_by_key_id(
        self,
        key_id: str,
        *,
        page_size: int = 100,
    ) -> Iterator[Alias]:
        """As list_aliases_by_key_id, through all pages. What is made or deleted meanwhile
        may be left out or come twice."""
        number = 1
        while True:
            page = self.list_aliases_by_key_id(key_id, page_number=number, page_size=page_size)
            yield from page
            if not page or page.page_number * page.page_size >= page.total_count:
                return
            number += 1
