"""Encrypted Parquet files from the command line:

    parquet_kms.py [OPTIONS] write TABLE.csv FILE --footer-key KEY [--column-key KEY=COLUMN,...]...
                                                                   [--clear COLUMN,...]
    parquet_kms.py [OPTIONS] read FILE [--columns COLUMN,...] [--only KEY]...
    parquet_kms.py [OPTIONS] rotate FILE...
    parquet_kms.py [OPTIONS] keys FILE

OPTIONS are --keystore PATH, --root-key SOURCE (such as file:PATH) and --dataset NAME; KEY is the
alias or the id of a CMK. `read` prints CSV, `keys` which CMK and version each key is wrapped under.
Exit status: 0 done; 1 refused or failed; 2 usage.
"""

from __future__ import annotations

import argparse
import sys

import pyarrow
import pyarrow.csv
from kmsbox_parquet import ParquetKeys

import kmsbox


def write(keys: ParquetKeys, arguments: argparse.Namespace) -> None:
    column_keys: dict[str, list[str]] = {}
    for given in arguments.column_key:
        key, equals, columns = given.partition("=")
        if not equals:
            raise ValueError(f"--column-key {given} is not KEY=COLUMN,...")
        column_keys.setdefault(key, []).extend(columns.split(","))
    table = pyarrow.csv.read_csv(arguments.table)
    clear = arguments.clear.split(",") if arguments.clear else []
    keys.write(
        table,
        arguments.file,
        footer_key=arguments.footer_key,
        column_keys=column_keys,
        clear=clear,
    )


def read(keys: ParquetKeys, arguments: argparse.Namespace) -> None:
    columns = arguments.columns.split(",") if arguments.columns else None
    table = keys.read(arguments.file, columns)
    pyarrow.csv.write_csv(table, sys.stdout.buffer)


def rotate(keys: ParquetKeys, arguments: argparse.Namespace) -> None:
    for file in arguments.files:
        keys.rotate(file)


def show(keys: ParquetKeys, arguments: argparse.Namespace) -> None:
    for key in keys.keys(arguments.file):
        print(key.name, key.master_key, key.key_id, key.key_version_id)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="parquet_kms.py")
    whole.add_argument("--keystore", required=True)
    whole.add_argument("--root-key", required=True)
    whole.add_argument("--dataset", required=True)
    commands = whole.add_subparsers(required=True)

    command = commands.add_parser("write")
    command.add_argument("table")
    command.add_argument("file")
    command.add_argument("--footer-key", required=True)
    command.add_argument("--column-key", action="append", default=[])
    command.add_argument("--clear")
    command.set_defaults(run=write, permissions=["Encrypt"])

    command = commands.add_parser("read")
    command.add_argument("file")
    command.add_argument("--columns")
    command.add_argument("--only", action="append", default=[])
    command.set_defaults(run=read, permissions=["Decrypt"])

    command = commands.add_parser("rotate")
    command.add_argument("files", nargs="+")
    command.set_defaults(run=rotate, permissions=["Encrypt", "Decrypt"])

    command = commands.add_parser("keys")
    command.add_argument("file")
    command.set_defaults(run=show, permissions=["Decrypt"])
    return whole


def main() -> int:
    arguments = parser().parse_args()
    permissions = arguments.permissions
    if getattr(arguments, "only", None):
        # Blobs under other CMKs are refused, whatever the key material says.
        permissions = [f"Decrypt@{key}" for key in arguments.only]
    try:
        with kmsbox.Client(
            keystore=arguments.keystore, root_key=arguments.root_key, permissions=permissions
        ) as client:
            arguments.run(ParquetKeys(client, arguments.dataset), arguments)
    except (pyarrow.ArrowException, kmsbox.KmsError, OSError, ValueError) as error:
        print(f"parquet_kms.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
