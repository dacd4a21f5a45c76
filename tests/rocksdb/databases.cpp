// What RocksDB makes of the encryption where the example program does not show it, in a database DIR.
//
//   databases disabled KEYSTORE ROOT_KEY DIR  a CMK that is disabled while the database is open
//   databases full KEYSTORE ROOT_KEY DIR      files that cannot be written to their end
//   databases ingest KEYSTORE ROOT_KEY DIR    tables from elsewhere, copied and moved into it
//   databases backup KEYSTORE ROOT_KEY DIR    a backup, re-wrapped and brought back
//   databases reopen KEYSTORE ROOT_KEY DIR    WALs that are cut, reused and followed
//
// Exit status 0 and "done" where all is as it should be.
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/utilities/backup_engine.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <thread>

#include "check.h"
#include "file_prefix.h"
#include "kmsbox_encryption.h"

namespace {

using kmsbox_rocksdb::EncryptionOptions;
using kmsbox_rocksdb::kSlotLen;
using rocksdb::Status;

// One that is made where there is none.
struct Database {
  explicit Database(const EncryptionOptions& encryption) {
    CHECK(kmsbox_rocksdb::NewEnv(encryption, &env).ok());
    options.env = env.get();
    options.create_if_missing = true;
  }
  Status Open(const std::string& directory) {
    rocksdb::DB* opened = nullptr;
    const Status status = rocksdb::DB::Open(options, directory, &opened);
    db.reset(opened);
    return status;
  }
  void Close() {
    CHECK(db->Close().ok());
    db.reset();
  }
  bool Has(const std::string& name, const std::string& value) {
    std::string found;
    return db->Get({}, name, &found).ok() && found == value;
  }

  std::unique_ptr<rocksdb::Env> env;
  rocksdb::Options options;
  std::unique_ptr<rocksdb::DB> db;
};

void CheckDisabled(const EncryptionOptions& encryption, const std::string& directory) {
  const auto call = [&](const char* action) {
    const auto done = encryption.client->call(
        kmsbox::request(action).set("KeyId", encryption.cmks[0]));
    CHECK(!done.request_id.empty());
  };
  std::unique_ptr<rocksdb::Env> env;
  CHECK(kmsbox_rocksdb::NewEnv(encryption, &env).ok());
  rocksdb::Options options;
  options.env = env.get();
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  CHECK(rocksdb::DB::Open(options, directory, &opened).ok());
  std::unique_ptr<rocksdb::DB> db(opened);
  CHECK(db->Put({}, "before", "1").ok());
  CHECK(db->Flush({}).ok());
  CHECK(db->Put({}, "in the WAL", "2").ok());

  call("DisableKey");
  const Status flushed = db->Flush({});
  std::cout << flushed.ToString() << "\n";
  CHECK(flushed.IsIOError());
  CHECK(flushed.ToString().find("KMS_ERR_DISABLED") != std::string::npos);
  std::string value;
  CHECK(db->Get({}, "before", &value).ok() && value == "1");  // files that are open stay so
  CHECK(db->Get({}, "in the WAL", &value).ok() && value == "2");

  call("EnableKey");
  // RocksDB tries again by itself.
  Status written = db->Put({}, "after", "3");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!written.ok() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    written = db->Put({}, "after", "3");
  }
  CHECK(written.ok());
  CHECK(db->Flush({}).ok());
  CHECK(db->Close().ok());
  db.reset();

  CHECK(rocksdb::DB::Open(options, directory, &opened).ok());
  db.reset(opened);
  for (const auto& [name, expected] : {std::pair{"before", "1"}, {"in the WAL", "2"}, {"after", "3"}}) {
    CHECK(db->Get({}, name, &value).ok() && value == expected);
  }
}

void LimitFiles(rlim_t len) {
  struct rlimit limit {};
  CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  limit.rlim_cur = std::min(len, limit.rlim_max);
  CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

// As on a full disk.
void CheckFull(const EncryptionOptions& encryption, const std::string& directory) {
  CHECK(std::signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  Database database(encryption);
  CHECK(database.Open(directory).ok());
  CHECK(database.db->Put({}, "first", "1").ok());
  database.Close();
  // Files end in the midst of their prefix. What is left of them is no hindrance later.
  LimitFiles(kSlotLen);
  CHECK(database.Open(directory).IsIOError());
  LimitFiles(RLIM_INFINITY);
  std::size_t moved = 0;
  CHECK(kmsbox_rocksdb::Rewrap(encryption, directory, {}, &moved).ok() && moved > 0);
  // The info log is the longest file: the rest goes on without it.
  LimitFiles(18 << 10);
  CHECK(database.Open(directory).ok());
  CHECK(database.Has("first", "1"));
  CHECK(database.db->Put({}, "second", "2").ok());
  CHECK(database.db->Flush({}).ok());
  // A WAL that cannot go on.
  CHECK(database.db->Put({}, "third", std::string(64 << 10, 'x')).IsIOError());
  database.db.reset();
  LimitFiles(RLIM_INFINITY);
  CHECK(database.Open(directory).ok());
  CHECK(database.Has("first", "1") && database.Has("second", "2"));
  database.Close();
}

void CheckIngest(const EncryptionOptions& encryption, const std::string& directory) {
  Database database(encryption);
  CHECK(database.Open(directory).ok());
  for (const bool move : {false, true}) {
    const std::string path = directory + "-table";
    const std::string name = move ? "moved" : "copied";
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), database.options);
    CHECK(writer.Open(path).ok() && writer.Put(name, "x").ok() && writer.Finish().ok());
    rocksdb::IngestExternalFileOptions ingest;
    ingest.move_files = move;
    ingest.write_global_seqno = false;
    CHECK(database.db->IngestExternalFile({path}, ingest).ok());
    CHECK(database.Has(name, "x"));
  }
  database.Close();
  CHECK(database.Open(directory).ok());
  CHECK(database.Has("copied", "x") && database.Has("moved", "x"));
  database.Close();
}

void CheckBackup(const EncryptionOptions& encryption, const std::string& directory) {
  const std::string backups = directory + "-backups", restored = directory + "-restored";
  Database database(encryption);
  CHECK(database.Open(directory).ok());
  CHECK(database.db->Put({}, "flushed", "x").ok() && database.db->Flush({}).ok());
  CHECK(database.db->Put({}, "in the WAL", "x").ok());
  const auto open = [&] {
    rocksdb::BackupEngine* engine = nullptr;
    const rocksdb::BackupEngineOptions options(backups);
    CHECK(rocksdb::BackupEngine::Open(database.env.get(), options, &engine).ok());
    return std::unique_ptr<rocksdb::BackupEngine>(engine);
  };
  CHECK(open()->CreateNewBackup(database.db.get()).ok());
  database.Close();

  std::size_t moved = 0;
  CHECK(kmsbox_rocksdb::Rewrap(encryption, backups, {}, &moved).ok() && moved > 4);
  CHECK(open()->VerifyBackup(1, true).ok());
  CHECK(open()->RestoreDBFromLatestBackup(restored, restored).ok());
  CHECK(database.Open(restored).ok());
  CHECK(database.Has("flushed", "x") && database.Has("in the WAL", "x"));
  database.Close();
}

void CheckReopen(const EncryptionOptions& encryption, const std::string& directory) {
  Database database(encryption);
  database.options.avoid_flush_during_recovery = true;  // cuts the WAL that it keeps
  database.options.avoid_flush_during_shutdown = true;
  database.options.recycle_log_file_num = 2;
  for (int round = 0; round < 8; round++) {
    CHECK(database.Open(directory).ok());
    for (int before = 0; before < round; before++) {
      CHECK(database.Has("round " + std::to_string(before), "x"));
    }
    CHECK(database.db->Put({}, "round " + std::to_string(round), "x").ok());
    if (round % 2 == 1) {
      CHECK(database.db->Flush({}).ok());
      CHECK(database.db->Put({}, "reused", std::string(1000, 'x')).ok());
      CHECK(database.db->Flush({}).ok());
    }
    database.Close();
  }
  // Nothing can be added to a file that was written before: its counters are used up.
  const std::string path = directory + "/reopened";
  std::unique_ptr<rocksdb::WritableFile> file;
  CHECK(database.env->ReopenWritableFile(path, &file, rocksdb::EnvOptions()).ok());
  CHECK(file->Append("0123456789").ok() && file->Close().ok());
  CHECK(database.env->ReopenWritableFile(path, &file, rocksdb::EnvOptions()).ok());
  CHECK(file->Append("x").IsNotSupported() && file->PositionedAppend("x", 0).IsNotSupported());
  CHECK(file->Truncate(4).ok() && file->Sync().ok() && file->Close().ok());
  std::string text;
  CHECK(rocksdb::ReadFileToString(database.env.get(), path, &text).ok() && text == "0123");
}

}  // namespace

int main(int argc, char** argv) {
  static const std::map<std::string, void (*)(const EncryptionOptions&, const std::string&)> kParts = {
      {"disabled", CheckDisabled}, {"full", CheckFull},     {"ingest", CheckIngest},
      {"backup", CheckBackup},     {"reopen", CheckReopen},
  };
  const auto part = kParts.find(argc == 5 ? argv[1] : "");
  if (part == kParts.end()) {
    return 2;
  }
  part->second(Options(argv[2], argv[3], 1), argv[4]);
  std::cout << "done\n";
  return 0;
}
