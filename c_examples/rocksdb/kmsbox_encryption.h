// Encryption of a RocksDB database with data keys from kmsbox.
//
// Each file that RocksDB makes (SST, WAL, MANIFEST, OPTIONS, CURRENT, LOG) gets a data key of its
// own, and the key's blob lies in the file's prefix (file_prefix.h). So no list of keys can get
// lost or go out of step: a file that is there has its key, and one that is deleted takes it along.
// Only LOCK, which is always empty, has none.
//
// What a blob is bound to: the database, by the name that the engine gives it. A file of another
// database that gets in here does not open. It is not bound to the file's name, because RocksDB
// renames files (a .dbtmp becomes CURRENT), links them into checkpoints and copies them to backups;
// nor to the directory, because databases move.
//
// Leave Options::paranoid_checks on, as it is by default. Without it RocksDB goes on after a WAL
// that it cannot read, and here a disabled CMK is enough for that.
#ifndef KMSBOX_EXAMPLE_KMSBOX_ENCRYPTION_H
#define KMSBOX_EXAMPLE_KMSBOX_ENCRYPTION_H

#include <rocksdb/env.h>
#include <rocksdb/env_encryption.h>

#include <cstddef>
#include <kmsbox.hpp>
#include <memory>
#include <string>
#include <vector>

namespace kmsbox_rocksdb {

struct EncryptionOptions {
  // Shared by all threads of RocksDB.
  std::shared_ptr<const kmsbox::client> client;
  // What this database is called, whatever its directory is. Not to be changed later.
  std::string database;
  // Ids (not aliases, which can move) of the CMKs that this database's files may be under. New
  // files and re-wrapped ones are under the first. They come from the engine's configuration: what
  // a file says about its CMK is believed only where it is one of these.
  std::vector<std::string> cmks;
};

// For engines that put their own Env together. InvalidArgument where an option is missing.
rocksdb::Status NewProvider(const EncryptionOptions& options,
                            std::shared_ptr<rocksdb::EncryptionProvider>* provider);

// An Env for Options::env, and for BackupEngine::Open. Beyond rocksdb::NewEncryptedEnv it encrypts
// the info log, too, in which RocksDB writes keys of the database here and there; leaves a database
// alone that does not open; survives files that are cut off in their prefix; and opens files again
// without a second prefix (guarded_file_system.h). It must outlive the database.
rocksdb::Status NewEnv(const EncryptionOptions& options, std::unique_ptr<rocksdb::Env>* env);

// How RocksDB says what kmsbox refused. `what` is a file's path.
rocksdb::Status ToStatus(const std::string& what, const kmsbox::error& error);

// A file and what its key is wrapped under.
struct FileKey {
  std::string path;
  std::string cmk;
  std::string key_version;
};

// Tells of every file below the directories. Needs no client, and the database may be open, but
// then files may go while this looks.
rocksdb::Status ListKeys(const std::vector<std::string>& directories, std::vector<FileKey>* files);

// Wraps the keys of all files below the database's directory (and of further ones, such as wal_dir
// and db_paths) anew under the first CMK's present version. The data after the prefixes stay as
// they are. RocksDB's own lock is held meanwhile: where the database is open, this is refused. Within
// one process RocksDB knows a database by the name of its directory, so name it as for DB::Open: under
// another name this is not refused, and the open database loses its lock.
//
// Nothing is written before every key has opened. Killed at any moment, this loses no key; run it
// again to have all files moved. Only after an OK is no file under the old version any more.
rocksdb::Status Rewrap(const EncryptionOptions& options, const std::string& database_directory,
                       const std::vector<std::string>& further_directories, std::size_t* files);

}  // namespace kmsbox_rocksdb

#endif
