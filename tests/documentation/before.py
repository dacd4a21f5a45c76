"""Runs a piece of the documentation: PIECE PAGE LINE KEYSTORE ROOT_KEY_FILE.

What is declared for it: a client that may do everything, the id of its CMK alias/orders, and the blob of a data key
of 32 bytes under it, bound to {"table": "orders"}.
"""

import sys

import kmsbox

piece, page, line, keystore, root_key_file = sys.argv[1:]
root_key = f"file:{root_key_file}"
with kmsbox.Client(keystore=keystore, root_key=root_key, create=True) as client:
    key_id = client.create_key().key_id
    client.create_alias(alias_name="alias/orders", key_id=key_id)
    with client.generate_data_key(key_id, {"table": "orders"}) as key:
        blob = key.ciphertext_blob
    with open(piece, encoding="utf-8") as file:
        text = "\n" * (int(line) - 1) + file.read()
    declared = {"kmsbox": kmsbox, "client": client, "key_id": key_id, "blob": blob}
    declared.update(keystore=keystore, root_key=root_key, __name__="__main__")
    exec(compile(text, page, "exec"), declared)
