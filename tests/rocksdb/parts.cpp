// What the parts of c_examples/rocksdb do where a whole database would not show it.
//
//   parts stream                          the cipher stream against known answers
//   parts prefix KEYSTORE ROOT_KEY        prefixes that are damaged, short or another's
//
// Exit status 0 and "done" where all is as it should be.
#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

#include "aes_ctr.h"
#include "check.h"
#include "file_prefix.h"
#include "kmsbox_encryption.h"

namespace {

using kmsbox_rocksdb::AesCtrStream;
using kmsbox_rocksdb::EncryptionOptions;
using kmsbox_rocksdb::kPrefixLen;
using kmsbox_rocksdb::kSlotLen;
using kmsbox_rocksdb::ReadPrefix;
using kmsbox_rocksdb::WriteSlot;
using rocksdb::Status;
using Bytes = std::string;

Bytes FromHex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

AesCtrStream MakeStream(const Bytes& key, const Bytes& counter) {
  kmsbox::secret secret(AesCtrStream::kSecretLen);
  const Bytes both = key + counter;
  CHECK(both.size() == secret.size());
  std::memcpy(secret.data(), both.data(), both.size());
  return AesCtrStream(std::move(secret));
}

// ---- The stream ----------------------------------------------------------------------------

// NIST SP 800-38A, F.5.5: CTR-AES256.Encrypt.
const Bytes kKey =
    FromHex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
const Bytes kCounter = FromHex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
const Bytes kPlaintext = FromHex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
const Bytes kCiphertext = FromHex(
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6");

// The key stream from block to block by AES alone, with the sum done another way than in the stream.
Bytes KeyStream(const Bytes& counter, std::uint64_t first_block, int blocks) {
  std::array<unsigned char, 16> block;
  std::uint64_t high = 0, low = 0;
  for (int i = 0; i < 8; i++) {
    high = high << 8 | static_cast<unsigned char>(counter[i]);
    low = low << 8 | static_cast<unsigned char>(counter[i + 8]);
  }
  low += first_block;
  high += low < first_block ? 1 : 0;
  Bytes stream;
  EVP_CIPHER_CTX* aes = EVP_CIPHER_CTX_new();
  CHECK(EVP_EncryptInit_ex(aes, EVP_aes_256_ecb(), nullptr,
                           reinterpret_cast<const unsigned char*>(kKey.data()), nullptr) == 1);
  for (int i = 0; i < blocks; i++, high += ++low == 0 ? 1 : 0) {
    for (int at = 0; at < 8; at++) {
      block[7 - at] = static_cast<unsigned char>(high >> (8 * at));
      block[15 - at] = static_cast<unsigned char>(low >> (8 * at));
    }
    int n = 0;
    CHECK(EVP_EncryptUpdate(aes, block.data(), &n, block.data(), 16) == 1 && n == 16);
    stream.append(reinterpret_cast<char*>(block.data()), 16);
  }
  EVP_CIPHER_CTX_free(aes);
  return stream;
}

void CheckKnownAnswer() {
  AesCtrStream stream = MakeStream(kKey, kCounter);
  CHECK(stream.BlockSize() == 16);
  for (std::size_t from = 0; from <= 64; from++) {
    for (std::size_t len = 0; from + len <= 64; len++) {
      Bytes data = kPlaintext.substr(from, len);
      CHECK(stream.Encrypt(from, data.data(), len).ok());
      CHECK(data == kCiphertext.substr(from, len));
      CHECK(stream.Decrypt(from, data.data(), len).ok());
      CHECK(data == kPlaintext.substr(from, len));
    }
  }
}

void CheckCarries() {
  const std::uint64_t far[] = {0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, 0x0FFFFFFFFFFFFFF0};
  for (const char* counter : {"00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff",
                              "00000000000000ffffffffffffffffff", "fffffffffffffffffffffffffffffff0",
                              "000000000000000000000000ffffffff"}) {
    for (const std::uint64_t block : far) {
      AesCtrStream stream = MakeStream(kKey, FromHex(counter));
      const Bytes expected = KeyStream(FromHex(counter), block, 40);
      for (const std::size_t skip : {0, 1, 15, 16, 17, 63}) {
        Bytes data(40 * 16 - skip, '\0');
        CHECK(stream.Encrypt(block * 16 + skip, data.data(), data.size()).ok());
        CHECK(data == expected.substr(skip));
      }
    }
  }
}

void CheckThreads() {
  const Bytes expected = KeyStream(kCounter, 0, 4096);
  AesCtrStream shared = MakeStream(kKey, kCounter);
  std::vector<std::thread> threads;
  std::array<bool, 4> same{};
  for (std::size_t thread = 0; thread < same.size(); thread++) {
    threads.emplace_back([&, thread] {
      bool good = true;
      for (std::size_t from = thread; from < expected.size(); from += 997) {
        Bytes data(expected.size() - from, '\0');
        good = good && shared.Decrypt(from, data.data(), data.size()).ok() &&
               data == expected.substr(from);
      }
      same[thread] = good;
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(same[0] && same[1] && same[2] && same[3]);
}

// ---- Prefixes ------------------------------------------------------------------------------

Status OpenPrefix(const EncryptionOptions& options, const Bytes& prefix, Bytes* encrypted = nullptr) {
  std::shared_ptr<rocksdb::EncryptionProvider> provider;
  std::unique_ptr<rocksdb::BlockAccessCipherStream> stream;
  CHECK(kmsbox_rocksdb::NewProvider(options, &provider).ok());
  rocksdb::Slice bytes(prefix);
  const Status status =
      provider->CreateCipherStream("/db/a file", rocksdb::EnvOptions(), bytes, &stream);
  CHECK(status.ok() == (stream != nullptr));
  if (!status.ok()) {
    CHECK(status.ToString().find("/db/a file") != std::string::npos);
  } else if (encrypted != nullptr) {
    *encrypted = kPlaintext;
    CHECK(stream->Encrypt(kPrefixLen, encrypted->data(), encrypted->size()).ok());
  }
  return status;
}

Bytes NewPrefix(const EncryptionOptions& options) {
  std::shared_ptr<rocksdb::EncryptionProvider> provider;
  CHECK(kmsbox_rocksdb::NewProvider(options, &provider).ok());
  CHECK(provider->GetPrefixLength() == kPrefixLen);
  Bytes prefix(kPrefixLen, 'x');
  CHECK(provider->CreateNewPrefix("/db/a file", prefix.data(), prefix.size()).ok());
  CHECK(provider->CreateNewPrefix("/db/a file", prefix.data(), kSlotLen).IsInvalidArgument());
  CHECK(provider->AddCipher("", "", 0, true).IsNotSupported());
  return prefix;
}

void CheckDamage(const EncryptionOptions& options) {
  const Bytes prefix = NewPrefix(options);
  Bytes expected, encrypted;
  CHECK(OpenPrefix(options, prefix, &expected).ok() && expected != kPlaintext);
  CHECK(prefix.substr(0, kSlotLen) == prefix.substr(kSlotLen));
  for (std::size_t at = 0; at < kSlotLen; at++) {
    Bytes damaged = prefix;
    damaged[at] ^= 1;  // the second slot stands in
    CHECK(OpenPrefix(options, damaged, &encrypted).ok() && encrypted == expected);
    damaged[at + kSlotLen] ^= 1;
    CHECK(OpenPrefix(options, damaged).IsCorruption());
    damaged[at] ^= 1;
    CHECK(OpenPrefix(options, damaged, &encrypted).ok() && encrypted == expected);
  }
  for (const std::size_t len : {0, 1, 4095, 4096, 4097, 8191}) {
    CHECK(OpenPrefix(options, prefix.substr(0, len)).IsCorruption());
  }
  for (const char byte : {'\0', 'x', '\xFF'}) {
    CHECK(OpenPrefix(options, Bytes(kPrefixLen, byte)).IsCorruption());
  }
}

// A prefix whose hash is right, as somebody could write it who is not this program.
Bytes Forged(kmsbox_rocksdb::WrappedKey key) {
  Bytes prefix(kPrefixLen, '\0');
  CHECK(WriteSlot(key, prefix.data()));
  key.sequence++;
  CHECK(WriteSlot(key, prefix.data() + kSlotLen));
  return prefix;
}

void CheckForgeries(EncryptionOptions options) {
  const auto key = ReadPrefix(NewPrefix(options))->key;
  CHECK(OpenPrefix(options, Forged(key)).ok());
  for (std::size_t at = 0; at < key.blob.size(); at++) {
    auto changed = key;
    changed.blob[at] ^= 1;
    // The version is looked for before the rest is judged; an old keystore may lack one.
    const bool in_version = at >= 22 && at < 38;
    const Status status = OpenPrefix(options, Forged(changed));
    CHECK(in_version ? status.IsInvalidArgument() : status.IsCorruption());
  }
  // The other CMK of this database, and one that is none of its own.
  auto changed = key;
  changed.cmk = options.cmks[1];
  CHECK(OpenPrefix(options, Forged(changed)).IsCorruption());
  changed.cmk = std::string("\x1b[2J", 4) + options.cmks[1].substr(4);
  CHECK(OpenPrefix(options, Forged(changed)).IsCorruption());
  changed.cmk = options.cmks[1];
  options.cmks.pop_back();
  CHECK(OpenPrefix(options, Forged(changed)).IsInvalidArgument());
  // A key of this CMK and this database that has another length.
  const kmsbox::encryption_context context{{"purpose", "rocksdb-file"}, {"database", "parts"}};
  changed = key;
  const auto shorter = options.client->generate_data_key_without_plaintext(
      options.cmks[0], kmsbox::aes_256, context);
  changed.blob.fill(0);
  std::memcpy(changed.blob.data(), shorter.blob.data(), shorter.blob.size());
  CHECK(OpenPrefix(options, Forged(changed)).IsCorruption());
  // Another database under the same CMK.
  options.database = "another";
  CHECK(OpenPrefix(options, Forged(key)).IsCorruption());
}

void CheckSlots() {
  kmsbox_rocksdb::WrappedKey older, newer;
  older.cmk = newer.cmk = "3616a673-22d4-4ef1-9944-5a0815e28300";
  older.sequence = 0xFFFFFFFF;
  newer.sequence = 0x100000000;
  Bytes prefix(kPrefixLen, '\0');
  CHECK(WriteSlot(newer, prefix.data()) && WriteSlot(older, prefix.data() + kSlotLen));
  CHECK(ReadPrefix(prefix)->key.sequence == newer.sequence && ReadPrefix(prefix)->spare == 1);
  CHECK(WriteSlot(older, prefix.data()) && WriteSlot(newer, prefix.data() + kSlotLen));
  CHECK(ReadPrefix(prefix)->key.sequence == newer.sequence && ReadPrefix(prefix)->spare == 0);
  prefix[kSlotLen] ^= 1;
  CHECK(ReadPrefix(prefix)->key.sequence == older.sequence && ReadPrefix(prefix)->spare == 1);
}

void CheckOptions(const EncryptionOptions& good) {
  std::shared_ptr<rocksdb::EncryptionProvider> provider;
  const auto refused = [&](EncryptionOptions options) {
    const Status status = kmsbox_rocksdb::NewProvider(options, &provider);
    return status.IsInvalidArgument() && !provider;
  };
  EncryptionOptions options = good;
  options.client.reset();
  CHECK(refused(options));
  options = good;
  options.database.clear();
  CHECK(refused(options));
  options.database = std::string("a\0b", 3);
  CHECK(refused(options));
  options = good;
  options.cmks.clear();
  CHECK(refused(options));
  for (const char* cmk : {"", "alias/orders", "alias/7b41-4cde-ac5c-6d92738335fa-xx"}) {
    options.cmks = {cmk};
    CHECK(refused(options));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc > 1 ? argv[1] : "";
  if (part == "stream" && argc == 2) {
    CheckKnownAnswer();
    CheckCarries();
    CheckThreads();
  } else if (part == "prefix" && argc == 4) {
    const EncryptionOptions options = Options(argv[2], argv[3], 2);
    CheckSlots();
    CheckOptions(options);
    CheckDamage(options);
    CheckForgeries(options);
  } else {
    return 2;
  }
  std::cout << "done\n";
  return 0;
}
