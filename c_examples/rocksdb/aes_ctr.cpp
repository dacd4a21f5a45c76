#include "aes_ctr.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

namespace kmsbox_rocksdb {

namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)>;
using Block = std::array<unsigned char, AesCtrStream::kBlockLen>;

// The counter of block number `block`: a 128-bit sum, big-endian, that wraps around.
Block CounterOf(const unsigned char* first, std::uint64_t block) {
  Block counter;
  unsigned carry = 0;
  for (std::size_t i = counter.size(); i-- > 0; block >>= 8) {
    const unsigned sum = first[i] + static_cast<unsigned>(block & 0xFF) + carry;
    counter[i] = static_cast<unsigned char>(sum);
    carry = sum >> 8;
  }
  return counter;
}

}  // namespace

// A cipher context of its own for each call, because threads share the stream. The key expanded in
// it is wiped when the context is freed.
rocksdb::Status AesCtrStream::Apply(std::uint64_t offset, char* data, std::size_t len) const {
  const Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  const Block counter = CounterOf(secret_.data() + kKeyLen, offset / kBlockLen);
  bool ok = context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr, secret_.data(),
                                          counter.data()) == 1;
  // The key stream starts with a block; what lies before the offset goes to waste.
  Block waste{};
  int n = 0;
  ok = ok && EVP_EncryptUpdate(context.get(), waste.data(), &n, waste.data(),
                               static_cast<int>(offset % kBlockLen)) == 1;
  auto* at = reinterpret_cast<unsigned char*>(data);
  while (ok && len > 0) {
    const std::size_t part = std::min<std::size_t>(len, 1U << 30);  // libcrypto counts in int
    ok = EVP_EncryptUpdate(context.get(), at, &n, at, static_cast<int>(part)) == 1;
    at += part;
    len -= part;
  }
  kmsbox::zeroize(waste);
  return ok ? rocksdb::Status::OK() : rocksdb::Status::Aborted("AES-256-CTR does not work here");
}

}  // namespace kmsbox_rocksdb
