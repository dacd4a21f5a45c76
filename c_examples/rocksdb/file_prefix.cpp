#include "file_prefix.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

namespace kmsbox_rocksdb {

namespace {

constexpr unsigned char kMagic[8] = {0x89, 'K', 'M', 'R', 'D', 'B', '\r', '\n'};
constexpr std::uint64_t kFormatVersion = 1;
constexpr std::size_t kVersionAt = 8, kBlobLenAt = 12, kSequenceAt = 16, kCmkAt = 24, kBlobAt = 64;
constexpr std::size_t kHashLen = 32, kHashAt = kSlotLen - kHashLen;
static_assert(kCmkAt + kCmkIdLen <= kBlobAt && kBlobAt + kBlobLen <= kHashAt);

void Put(char* at, std::size_t len, std::uint64_t value) {
  for (std::size_t i = len; i-- > 0; value >>= 8) {
    at[i] = static_cast<char>(value & 0xFF);
  }
}

std::uint64_t Get(const char* at, std::size_t len) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < len; i++) {
    value = value << 8 | static_cast<unsigned char>(at[i]);
  }
  return value;
}

bool Hash(const char* slot, char* hash) {
  unsigned len = 0;
  return EVP_Digest(slot, kHashAt, reinterpret_cast<unsigned char*>(hash), &len, EVP_sha256(),
                    nullptr) == 1 &&
         len == kHashLen;
}

std::optional<WrappedKey> ReadSlot(const char* slot) {
  char hash[kHashLen];
  if (std::memcmp(slot, kMagic, sizeof kMagic) != 0 || !Hash(slot, hash) ||
      std::memcmp(slot + kHashAt, hash, kHashLen) != 0 ||
      Get(slot + kVersionAt, 4) != kFormatVersion || Get(slot + kBlobLenAt, 4) != kBlobLen) {
    return std::nullopt;
  }
  WrappedKey key;
  key.sequence = Get(slot + kSequenceAt, 8);
  key.cmk.assign(slot + kCmkAt, kCmkIdLen);
  std::memcpy(key.blob.data(), slot + kBlobAt, kBlobLen);
  // It ends up in messages, so it must be nothing else.
  return IsCmkId(key.cmk) ? std::optional(key) : std::nullopt;
}

}  // namespace

bool IsCmkId(const std::string& text) {
  std::size_t at = 0;
  return text.size() == kCmkIdLen && std::all_of(text.begin(), text.end(), [&at](char c) {
           const bool hyphen = at == 8 || at == 13 || at == 18 || at == 23;
           at++;
           return hyphen ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string KeyVersionOf(const WrappedKey& key) {
  constexpr std::size_t kAt = 22, kLen = 16;
  std::string text;
  for (std::size_t i = 0; i < kLen; i++) {
    text += i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
    text += "0123456789abcdef"[key.blob[kAt + i] >> 4];
    text += "0123456789abcdef"[key.blob[kAt + i] & 15];
  }
  return text;
}

bool WriteSlot(const WrappedKey& key, char* slot) {
  std::memset(slot, 0, kSlotLen);
  std::memcpy(slot, kMagic, sizeof kMagic);
  Put(slot + kVersionAt, 4, kFormatVersion);
  Put(slot + kBlobLenAt, 4, kBlobLen);
  Put(slot + kSequenceAt, 8, key.sequence);
  std::memcpy(slot + kCmkAt, key.cmk.data(), std::min(key.cmk.size(), kCmkIdLen));
  std::memcpy(slot + kBlobAt, key.blob.data(), kBlobLen);
  return Hash(slot, slot + kHashAt);
}

std::optional<Prefix> ReadPrefix(const rocksdb::Slice& bytes) {
  std::optional<Prefix> found;
  for (std::size_t slot = 0; slot < 2 && bytes.size() >= kPrefixLen; slot++) {
    const auto key = ReadSlot(bytes.data() + slot * kSlotLen);
    if (key && (!found || key->sequence > found->key.sequence)) {
      found = Prefix{*key, 1 - slot};
    }
  }
  return found;
}

}  // namespace kmsbox_rocksdb
