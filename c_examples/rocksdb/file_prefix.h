// What lies before the data of each file: its wrapped key, twice.
//
// A prefix is two slots of 4096 bytes. A slot, integers big-endian:
//
//      0    8  magic 89 4B 4D 52 44 42 0D 0A
//      8    4  format version, 1
//     12    4  length of the blob, 158
//     16    8  sequence number
//     24   36  id of the CMK, as text
//     60    4  zeros
//     64  158  CiphertextBlob of the file's key and first counter block
//    222 3842  zeros
//   4064   32  SHA-256 of all before
//
// A slot counts where its hash is right; of two, the one with the higher number. The hash finds
// accidents such as torn writes. That nobody exchanged the blob is for kmsbox to say.
//
// A new file has two equal slots. To re-wrap, one slot is written with the next number and synced,
// then the other. Each lies in a page of its own, so that a power cut can spoil the slot that was
// being written and never the other: at every moment one of them is whole.
#ifndef KMSBOX_EXAMPLE_FILE_PREFIX_H
#define KMSBOX_EXAMPLE_FILE_PREFIX_H

#include <rocksdb/slice.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "aes_ctr.h"

namespace kmsbox_rocksdb {

constexpr std::size_t kSlotLen = 4096;
constexpr std::size_t kPrefixLen = 2 * kSlotLen;
constexpr std::size_t kCmkIdLen = 36;
constexpr std::size_t kBlobLen = AesCtrStream::kSecretLen + KMS_CIPHERTEXT_BLOB_OVERHEAD;

// Whether this is an id of a CMK, as kmsbox writes it.
bool IsCmkId(const std::string& text);

struct WrappedKey {
  std::uint64_t sequence = 0;
  std::string cmk;  // its id
  std::array<std::uint8_t, kBlobLen> blob{};
};

// The version of the CMK, which the blob names (docs/blob-format.md).
std::string KeyVersionOf(const WrappedKey& key);

// What a prefix says.
struct Prefix {
  WrappedKey key;
  // The slot that `key` was not read from, to be replaced first.
  std::size_t spare = 0;
};

// Fills the kSlotLen bytes at `slot`. False where libcrypto does not work.
bool WriteSlot(const WrappedKey& key, char* slot);

// Nothing where no slot counts: too short, another format, damaged in both.
std::optional<Prefix> ReadPrefix(const rocksdb::Slice& bytes);

}  // namespace kmsbox_rocksdb

#endif
