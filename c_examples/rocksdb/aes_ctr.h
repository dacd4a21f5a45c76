// AES-256-CTR as RocksDB asks for it: any stretch of a file, by any thread.
#ifndef KMSBOX_EXAMPLE_AES_CTR_H
#define KMSBOX_EXAMPLE_AES_CTR_H

#include <rocksdb/env_encryption.h>

#include <cstddef>
#include <cstdint>
#include <kmsbox.hpp>
#include <string>
#include <utility>

namespace kmsbox_rocksdb {

// The stream of one file. What a file needs is 48 bytes: the key and the first counter block.
//
// This is secrecy and nothing more. CTR does not notice a changed bit, and RocksDB has no place for
// a tag: whoever can write the files can flip bits of the plaintext or put an older file back.
// RocksDB's own checksums find accidents, not attackers.
class AesCtrStream final : public rocksdb::BlockAccessCipherStream {
 public:
  static constexpr std::size_t kBlockLen = 16;
  static constexpr std::size_t kKeyLen = 32;
  static constexpr std::size_t kSecretLen = kKeyLen + kBlockLen;

  // `secret` holds kSecretLen bytes.
  explicit AesCtrStream(kmsbox::secret secret) : secret_(std::move(secret)) {}

  std::size_t BlockSize() override { return kBlockLen; }

  // In CTR, encrypting and decrypting are one thing.
  rocksdb::Status Encrypt(std::uint64_t offset, char* data, std::size_t len) override {
    return Apply(offset, data, len);
  }
  rocksdb::Status Decrypt(std::uint64_t offset, char* data, std::size_t len) override {
    return Apply(offset, data, len);
  }

 protected:
  // RocksDB's Encrypt and Decrypt would call these, block by block; ours do not.
  void AllocateScratch(std::string&) override {}
  rocksdb::Status EncryptBlock(std::uint64_t block, char* data, char*) override {
    return Apply(block * kBlockLen, data, kBlockLen);
  }
  rocksdb::Status DecryptBlock(std::uint64_t block, char* data, char*) override {
    return Apply(block * kBlockLen, data, kBlockLen);
  }

 private:
  rocksdb::Status Apply(std::uint64_t offset, char* data, std::size_t len) const;

  const kmsbox::secret secret_;
};

}  // namespace kmsbox_rocksdb

#endif
