// RocksDB's own encrypted file system, with what it leaves out.
#ifndef KMSBOX_EXAMPLE_GUARDED_FILE_SYSTEM_H
#define KMSBOX_EXAMPLE_GUARDED_FILE_SYSTEM_H

#include <rocksdb/env_encryption.h>
#include <rocksdb/file_system.h>

#include <memory>

namespace kmsbox_rocksdb {

// Files on the local disk, each with a prefix of kPrefixLen bytes from this provider.
//
// No byte of data is ever in a file before its prefix is on the disk. So a file that is no longer
// than a prefix has no data, and where its prefix is not whole, a crash or a full disk came in
// between: it counts as empty.
std::shared_ptr<rocksdb::FileSystem> NewGuardedFileSystem(
    const std::shared_ptr<rocksdb::EncryptionProvider>& provider);

}  // namespace kmsbox_rocksdb

#endif
