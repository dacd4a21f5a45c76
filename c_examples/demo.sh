#!/bin/sh
# Shows the main job of kmsbox on real files. `make demo` runs it with
#
#     KMSBOX_DEMO_BIN   the compiled demo.c
#     KMSBOX_DEMO_DIR   an empty directory of mode 0700; what the demo made stays there to be looked at
#
# Ends with 0 only where all of it held.
set -eu
umask 077
: "${KMSBOX_DEMO_BIN:?}" "${KMSBOX_DEMO_DIR:?}"

# The program starts itself anew by this path, from the other directory.
case $KMSBOX_DEMO_BIN in
/*) program=$KMSBOX_DEMO_BIN ;;
*) program=$PWD/$KMSBOX_DEMO_BIN ;;
esac
cd "$KMSBOX_DEMO_DIR"

head -c 32 /dev/urandom >root.key
echo "in           $PWD"
echo "root key     root.key, 32 random bytes that only this user may read"
"$program" keystore root.key orders.blob

# A keystore does not open with another root key.
head -c 32 /dev/urandom >other.key
if "$program" keystore other.key orders.blob orders >/dev/null 2>other.log; then
    echo 'demo: another root key opened the keystore' >&2
    exit 1
fi
grep -q KMS_ERR_ROOT_KEY other.log || { cat other.log >&2; exit 1; }
rm other.key other.log
echo "other key    another root key does not open the keystore"
echo "All of it held."
