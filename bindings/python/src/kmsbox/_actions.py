"""The actions of the API and their parameters: the one table that the client's methods are made of.

``generate_operations.py`` writes ``_operations.py`` from it, and a test compares both with
docs/api.md. So this file imports nothing of the package.
"""

from __future__ import annotations

from typing import NamedTuple


class Action(NamedTuple):
    """An action of the API."""

    name: str
    #: Parameters that it needs, and those that may be left out.
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    #: The class of what it answers, within Page or Listing where it is a list.
    answer: str
    #: Where that lies in the document.
    path: tuple[str, ...]
    #: What it does, in a sentence.
    text: str


_PAGE = ("PageNumber", "PageSize")

#: Those that are done through kms_call.
ACTIONS: tuple[Action, ...] = (
    Action(
        "CreateKey",
        (),
        ("Description", "KeySpec", "KeyUsage", "Origin", "ProtectionLevel")
        + ("EnableAutomaticRotation", "RotationInterval", "Tags"),
        "KeyMetadata",
        ("KeyMetadata",),
        "Makes a CMK.",
    ),
    Action("DescribeKey", ("KeyId",), (), "KeyMetadata", ("KeyMetadata",), "Tells what a CMK is."),
    Action("ListKeys", (), (*_PAGE, "Filters"), "Page[Key]", ("Keys", "Key"), "Lists CMKs."),
    Action(
        "UpdateKeyDescription",
        ("KeyId", "Description"),
        (),
        "Answer",
        (),
        'Gives a CMK another description; "" is none.',
    ),
    Action("EnableKey", ("KeyId",), (), "Answer", (), "Allows the use of a CMK again."),
    Action("DisableKey", ("KeyId",), (), "Answer", (), "Stops all use of a CMK."),
    Action(
        "ScheduleKeyDeletion",
        ("KeyId", "PendingWindowInDays"),
        (),
        "Answer",
        (),
        "Stops all use of a CMK now, and deletes it after 7 to 366 days.",
    ),
    Action("CancelKeyDeletion", ("KeyId",), (), "Answer", (), "Keeps a CMK from being deleted."),
    Action(
        "SetDeletionProtection",
        ("ProtectedResourceArn", "EnableDeletionProtection"),
        ("DeletionProtectionDescription",),
        "Answer",
        (),
        "Has the deletion of a CMK, named by its ARN or id, refused, or no longer.",
    ),
    Action(
        "CreateKeyVersion",
        ("KeyId",),
        (),
        "KeyVersion",
        ("KeyVersion",),
        "Rotates a CMK: makes a version, which wraps from now on.",
    ),
    Action(
        "ListKeyVersions",
        ("KeyId",),
        _PAGE,
        "Page[KeyVersion]",
        ("KeyVersions", "KeyVersion"),
        "Lists the versions of a CMK.",
    ),
    Action(
        "DescribeKeyVersion",
        ("KeyId", "KeyVersionId"),
        (),
        "KeyVersion",
        ("KeyVersion",),
        "Tells what a version is.",
    ),
    Action(
        "UpdateRotationPolicy",
        ("KeyId", "EnableAutomaticRotation"),
        ("RotationInterval",),
        "Answer",
        (),
        'Has a CMK rotate by itself, every "90d" for example, or no longer.',
    ),
    Action("CreateAlias", ("KeyId", "AliasName"), (), "Answer", (), "Gives a CMK a name."),
    Action("UpdateAlias", ("KeyId", "AliasName"), (), "Answer", (), "Moves a name to another CMK."),
    Action("DeleteAlias", ("AliasName",), (), "Answer", (), "Deletes a name."),
    Action("ListAliases", (), _PAGE, "Page[Alias]", ("Aliases", "Alias"), "Lists names."),
    Action(
        "ListAliasesByKeyId",
        ("KeyId",),
        _PAGE,
        "Page[Alias]",
        ("Aliases", "Alias"),
        "Lists the names of a CMK.",
    ),
    Action("TagResource", ("KeyId", "Tags"), (), "Answer", (), "Gives a CMK tags."),
    Action("UntagResource", ("KeyId", "TagKeys"), (), "Answer", (), "Takes tags from a CMK."),
    Action(
        "ListResourceTags",
        ("KeyId",),
        (),
        "Listing[Tag]",
        ("Tags", "Tag"),
        "Lists the tags of a CMK.",
    ),
    Action(
        "GetParametersForImport",
        ("KeyId", "WrappingAlgorithm", "WrappingKeySpec"),
        (),
        "ImportParameters",
        (),
        "Gives what key material must be wrapped with, and a token for it.",
    ),
    Action(
        "ImportKeyMaterial",
        ("KeyId", "EncryptedKeyMaterial", "ImportToken"),
        ("KeyMaterialExpireUnix",),
        "Answer",
        (),
        "Brings wrapped key material into a CMK.",
    ),
    Action("DeleteKeyMaterial", ("KeyId",), (), "Answer", (), "Deletes imported key material."),
)

#: Those that the client performs by functions of their own, which take and give bytes. Through
#: ``call`` they are to be had as the API documents them, in base64 and with DryRun.
TYPED_ACTIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Encrypt", ("KeyId", "Plaintext"), ("EncryptionContext", "DryRun")),
    ("Decrypt", ("CiphertextBlob",), ("EncryptionContext", "DryRun")),
    (
        "ReEncrypt",
        ("CiphertextBlob", "DestinationKeyId"),
        ("SourceEncryptionContext", "DestinationEncryptionContext", "DryRun"),
    ),
    (
        "GenerateDataKey",
        ("KeyId",),
        ("KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun"),
    ),
    (
        "GenerateDataKeyWithoutPlaintext",
        ("KeyId",),
        ("KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun"),
    ),
)
