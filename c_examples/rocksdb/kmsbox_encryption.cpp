#include "kmsbox_encryption.h"

#include <rocksdb/file_system.h>
#include <rocksdb/io_status.h>

#include <algorithm>
#include <utility>

#include "aes_ctr.h"
#include "file_prefix.h"
#include "guarded_file_system.h"

namespace kmsbox_rocksdb {

namespace {

using rocksdb::Env;
using rocksdb::IOStatus;
using rocksdb::Slice;
using rocksdb::Status;

constexpr char kNoKey[] = "has no prefix of kmsbox, or both of its slots are damaged";

// What both the provider and Rewrap do with blobs.
class Keys {
 public:
  // Checks the options and takes them.
  static Status Make(const EncryptionOptions& options, std::unique_ptr<Keys>* keys) {
    if (!options.client || options.database.empty() || options.cmks.empty()) {
      return Status::InvalidArgument("encryption needs a client, a database's name and a CMK");
    }
    for (const auto& cmk : options.cmks) {
      if (!IsCmkId(cmk)) {
        return Status::InvalidArgument(cmk, "is not the id of a CMK");
      }
    }
    keys->reset(new Keys(options));
    const auto& context = (*keys)->context_;
    return context.usable() ? Status::OK() : ToStatus(options.database, context.refused());
  }

  // Nobody sees the key here; the stream has it unwrapped.
  Status New(const std::string& path, WrappedKey* key) const {
    const auto made = options_.client->try_generate_data_key_without_plaintext(
        options_.cmks.front(), kmsbox::of_bytes(AesCtrStream::kSecretLen), context_, key->blob);
    key->sequence = 1;
    key->cmk = options_.cmks.front();
    return made ? Status::OK() : ToStatus(path, made.error());
  }

  Status Open(const std::string& path, const WrappedKey& key, kmsbox::secret* secret) const {
    if (const Status allowed = CheckCmk(path, key); !allowed.ok()) {
      return allowed;
    }
    auto opened = options_.client->try_decrypt(key.cmk, key.blob, context_);
    if (!opened) {
      return ToStatus(path, opened.error());
    }
    *secret = std::move(opened->plaintext);
    return secret->size() == AesCtrStream::kSecretLen
               ? Status::OK()
               : Status::Corruption(path, "its key has another length");
  }

  // Under the first CMK's present version, with the next number.
  Status WrapAnew(const std::string& path, WrappedKey* key) const {
    const auto old_blob = key->blob;
    if (const Status allowed = CheckCmk(path, *key); !allowed.ok()) {
      return allowed;
    }
    const auto moved = options_.client->try_re_encrypt(
        key->cmk, old_blob, context_, options_.cmks.front(), context_, key->blob);
    key->sequence++;
    key->cmk = options_.cmks.front();
    return moved ? Status::OK() : ToStatus(path, moved.error());
  }

 private:
  explicit Keys(const EncryptionOptions& options)
      : options_(options), context_{{"purpose", "rocksdb-file"}, {"database", options.database}} {}

  Status CheckCmk(const std::string& path, const WrappedKey& key) const {
    const auto& cmks = options_.cmks;
    return std::find(cmks.begin(), cmks.end(), key.cmk) != cmks.end()
               ? Status::OK()
               : Status::InvalidArgument(path, "is under the CMK " + key.cmk +
                                                   ", which is not one of this database's");
  }

  const EncryptionOptions options_;
  const kmsbox::encryption_context context_;
};

class Provider final : public rocksdb::EncryptionProvider {
 public:
  explicit Provider(std::unique_ptr<Keys> keys) : keys_(std::move(keys)) {}

  const char* Name() const override { return "KmsboxEncryptionProvider"; }

  std::size_t GetPrefixLength() const override { return kPrefixLen; }

  Status CreateNewPrefix(const std::string& path, char* prefix, std::size_t len) const override {
    WrappedKey key;
    if (len != kPrefixLen) {
      return Status::InvalidArgument(path, "the prefix has another length");
    }
    if (const Status made = keys_->New(path, &key); !made.ok()) {
      return made;
    }
    return WriteSlot(key, prefix) && WriteSlot(key, prefix + kSlotLen)
               ? Status::OK()
               : Status::Aborted(path, "SHA-256 does not work here");
  }

  Status CreateCipherStream(const std::string& path, const rocksdb::EnvOptions&, Slice& bytes,
                            std::unique_ptr<rocksdb::BlockAccessCipherStream>* stream) override {
    const auto prefix = ReadPrefix(bytes);
    kmsbox::secret secret;
    if (!prefix) {
      return Status::Corruption(path, kNoKey);
    }
    const Status opened = keys_->Open(path, prefix->key, &secret);
    if (opened.ok()) {
      *stream = std::make_unique<AesCtrStream>(std::move(secret));
    }
    return opened;
  }

  // Keys come from kmsbox alone.
  Status AddCipher(const std::string&, const char*, std::size_t, bool) override {
    return Status::NotSupported("keys come from kmsbox");
  }

 private:
  const std::unique_ptr<Keys> keys_;
};

// Every file below a directory that has something in it. LOCK, for one, is never written.
Status FindFiles(const std::string& directory, std::vector<std::string>* paths) {
  Env* env = Env::Default();
  std::vector<std::string> names;
  Status status = env->GetChildren(directory, &names);
  if (!status.ok()) {
    return Status::IOError(directory, status.ToString());  // its own text does not say where
  }
  std::sort(names.begin(), names.end());
  for (auto name = names.begin(); status.ok() && name != names.end(); ++name) {
    const std::string path = directory + "/" + *name;
    bool is_directory = false;
    std::uint64_t len = 0;
    if (*name == "." || *name == "..") {
      continue;
    }
    status = env->IsDirectory(path, &is_directory);
    if (status.ok() && is_directory) {
      status = FindFiles(path, paths);
    } else if (status.ok()) {
      status = env->GetFileSize(path, &len);
      if (status.ok() && len > 0) {
        paths->push_back(path);
      }
    }
  }
  return status;
}

Status FindFiles(const std::vector<std::string>& directories, std::vector<std::string>* paths) {
  Status status;
  for (auto it = directories.begin(); status.ok() && it != directories.end(); ++it) {
    status = FindFiles(*it, paths);
  }
  // One directory may lie in another.
  std::sort(paths->begin(), paths->end());
  paths->erase(std::unique(paths->begin(), paths->end()), paths->end());
  return status;
}

// A file and its prefix.
using Prefixed = std::pair<std::string, Prefix>;

// Adds the file, but not where a crash or a full disk came before it had data (guarded_file_system.h).
Status LoadPrefix(const std::string& path, std::vector<Prefixed>* files) {
  constexpr std::size_t kWithData = kPrefixLen + 1;
  std::unique_ptr<rocksdb::SequentialFile> file;
  std::string bytes(kWithData, '\0');
  Slice read;
  Status status = Env::Default()->NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (status.ok()) {
    status = file->Read(kWithData, &read, &bytes[0]);
  }
  const auto found = status.ok() ? ReadPrefix(read) : std::nullopt;
  if (found) {
    files->emplace_back(path, *found);
  } else if (status.ok() && read.size() == kWithData) {
    return Status::Corruption(path, kNoKey);
  }
  return status;
}

Status LoadPrefixes(const std::vector<std::string>& directories, std::vector<Prefixed>* files) {
  std::vector<std::string> paths;
  Status status = FindFiles(directories, &paths);
  for (auto path = paths.begin(); status.ok() && path != paths.end(); ++path) {
    status = LoadPrefix(*path, files);
  }
  return status;
}

// One slot, synced, and only then the other.
Status StorePrefix(const std::string& path, const Prefix& prefix) {
  std::unique_ptr<rocksdb::RandomRWFile> file;
  std::string slot(kSlotLen, '\0');
  if (!WriteSlot(prefix.key, &slot[0])) {
    return Status::Aborted(path, "SHA-256 does not work here");
  }
  Status status = Env::Default()->NewRandomRWFile(path, &file, rocksdb::EnvOptions());
  for (const std::size_t place : {prefix.spare, 1 - prefix.spare}) {
    if (status.ok()) {
      status = file->Write(place * kSlotLen, slot);
    }
    if (status.ok()) {
      status = file->Fsync();
    }
  }
  return status.ok() ? file->Close() : status;
}

Status RewrapFiles(const Keys& keys, const std::vector<std::string>& directories,
                   std::size_t* done) {
  std::vector<Prefixed> files;
  Status status = LoadPrefixes(directories, &files);
  for (auto file = files.begin(); status.ok() && file != files.end(); ++file) {
    status = keys.WrapAnew(file->first, &file->second.key);
  }
  for (auto file = files.begin(); status.ok() && file != files.end(); ++file) {
    status = StorePrefix(file->first, file->second);
  }
  *done = status.ok() ? files.size() : 0;
  return status;
}

}  // namespace

// What RocksDB makes of each kind of refusal:
//   Corruption       the file is not what the configuration says: altered, another database's
//   InvalidArgument  the configuration is wrong
//   IOError          the CMK or the keystore cannot be used at present. It is marked retryable, so
//                    that an open database whose flush met a disabled CMK goes on by itself once
//                    the CMK is enabled (Options::max_bgerror_resume_count).
// Never NotFound: in some places RocksDB takes that for a file that need not be there.
Status ToStatus(const std::string& what, const kmsbox::error& error) {
  const std::string why =
      std::string(kmsbox::status_name(error.status)) + ": " + error.message.str();
  switch (error.status) {
    case KMS_ERR_NOT_A_BLOB:
    case KMS_ERR_KEY_MISMATCH:
    case KMS_ERR_CIPHERTEXT_INVALID:
    case KMS_ERR_BUFFER_TOO_SMALL:
      return Status::Corruption(what, why);
    case KMS_ERR_KEY_NOT_FOUND:
    case KMS_ERR_KEY_VERSION_NOT_FOUND:  // more likely an old keystore than another file
    case KMS_ERR_ALIAS_NOT_FOUND:
    case KMS_ERR_UNSUPPORTED_KEY:
    case KMS_ERR_INVALID_ARGUMENT:
    case KMS_ERR_INVALID_OPTION:
    case KMS_ERR_MISSING_PARAMETER:
    case KMS_ERR_INVALID_PARAMETER:
    case KMS_ERR_NO_PERMISSION:
      return Status::InvalidArgument(what, why);
    default:
      IOStatus later = IOStatus::IOError(what, why);
      later.SetRetryable(true);
      return later;
  }
}

Status NewProvider(const EncryptionOptions& options,
                   std::shared_ptr<rocksdb::EncryptionProvider>* provider) {
  std::unique_ptr<Keys> keys;
  const Status status = Keys::Make(options, &keys);
  if (status.ok()) {
    *provider = std::make_shared<Provider>(std::move(keys));
  }
  return status;
}

Status NewEnv(const EncryptionOptions& options, std::unique_ptr<Env>* env) {
  std::shared_ptr<rocksdb::EncryptionProvider> provider;
  const Status status = NewProvider(options, &provider);
  if (status.ok()) {
    *env = rocksdb::NewCompositeEnv(NewGuardedFileSystem(provider));
  }
  return status;
}

Status ListKeys(const std::vector<std::string>& directories, std::vector<FileKey>* files) {
  std::vector<Prefixed> found;
  const Status status = LoadPrefixes(directories, &found);
  for (const auto& [path, prefix] : found) {
    files->push_back({path, prefix.key.cmk, KeyVersionOf(prefix.key)});
  }
  return status;
}

Status Rewrap(const EncryptionOptions& options, const std::string& database_directory,
              const std::vector<std::string>& further_directories, std::size_t* files) {
  Env* env = Env::Default();
  std::unique_ptr<Keys> keys;
  rocksdb::FileLock* lock = nullptr;
  auto directories = further_directories;
  directories.push_back(database_directory);
  Status status = Keys::Make(options, &keys);
  if (status.ok()) {
    status = env->LockFile(database_directory + "/LOCK", &lock);
  }
  if (status.ok()) {
    status = RewrapFiles(*keys, directories, files);
  }
  if (lock != nullptr) {
    env->UnlockFile(lock).PermitUncheckedError();
  }
  return status;
}

}  // namespace kmsbox_rocksdb
