// What RocksDB makes of the encryption where the example program does not show it, in a database DIR.
//
//   databases disabled KEYSTORE ROOT_KEY DIR  a CMK that is disabled while the database is open
//   databases full KEYSTORE ROOT_KEY DIR      files that cannot be written to their end
//   databases ingest KEYSTORE ROOT_KEY DIR    tables from elsewhere, copied and moved into it
//   databases backup KEYSTORE ROOT_KEY DIR    a backup, re-wrapped and brought back
//   databases reopen KEYSTORE ROOT_KEY DIR    WALs that are cut and reused
//   databases direct KEYSTORE ROOT_KEY DIR    all of it past the page cache
//   databases mapped KEYSTORE ROOT_KEY DIR    files mapped into memory, which is refused
//   databases follow KEYSTORE ROOT_KEY DIR    a second instance that follows the first
//   databases sizes KEYSTORE ROOT_KEY DIR     what is told of files, and cut off them, at any length
//
// Exit status 0 and "done" where all is as it should be.
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/utilities/backup_engine.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "file_prefix.h"
#include "kmsbox_encryption.h"

namespace {

using kmsbox_rocksdb::EncryptionOptions;
using kmsbox_rocksdb::kPrefixLen;
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
  // What is there already has a sequence number, so that what replaces it needs a higher one.
  CHECK(database.db->Put({}, "copied", "old").ok() && database.db->Put({}, "moved", "old").ok());
  for (const bool move : {false, true}) {
    const std::string path = directory + "-table", aside = path + "-aside";
    const std::string name = move ? "moved" : "copied";
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), database.options);
    CHECK(writer.Open(path).ok() && writer.Put(name, "x").ok() && writer.Finish().ok());
    CHECK(database.env->LinkFile(path, aside).ok());
    std::string before, after;
    CHECK(ReadFileToString(rocksdb::Env::Default(), aside, &before).ok());
    rocksdb::IngestExternalFileOptions ingest;  // with write_global_seqno
    ingest.move_files = move;
    CHECK(database.db->IngestExternalFile({path}, ingest).ok());
    CHECK(database.Has(name, "x"));
    // Not a byte of the table was written over: that would be under used counters.
    CHECK(ReadFileToString(rocksdb::Env::Default(), aside, &after).ok() && after == before);
    CHECK(database.env->DeleteFile(aside).ok());
  }
  database.Close();
  CHECK(database.Open(directory).ok());
  CHECK(database.Has("copied", "x") && database.Has("moved", "x"));
  database.Close();
}

std::unique_ptr<rocksdb::BackupEngine> OpenBackups(const Database& database, const std::string& directory) {
  rocksdb::BackupEngine* engine = nullptr;
  const rocksdb::BackupEngineOptions options(directory);
  CHECK(rocksdb::BackupEngine::Open(database.env.get(), options, &engine).ok());
  return std::unique_ptr<rocksdb::BackupEngine>(engine);
}

void CheckBackup(const EncryptionOptions& encryption, const std::string& directory) {
  const std::string backups = directory + "-backups", restored = directory + "-restored";
  Database database(encryption);
  CHECK(database.Open(directory).ok());
  CHECK(database.db->Put({}, "flushed", "x").ok() && database.db->Flush({}).ok());
  CHECK(database.db->Put({}, "in the WAL", "x").ok());
  const auto open = [&] { return OpenBackups(database, backups); };
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

const std::string kLong(300, 'x');

void Fill(Database* database, const std::string& first) {
  for (int i = 0; i < 4000; i++) {
    CHECK(database->db->Put({}, first + std::to_string(i), kLong).ok());
  }
  CHECK(database->db->Flush({}).ok());
}

void CheckDirect(const EncryptionOptions& encryption, const std::string& directory) {
  const std::string backups = directory + "-backups", restored = directory + "-restored";
  Database database(encryption);
  database.options.use_direct_reads = true;
  database.options.use_direct_io_for_flush_and_compaction = true;
  CHECK(database.Open(directory).ok());
  Fill(&database, "a");
  Fill(&database, "b");
  database.options.enable_blob_files = true;
  CHECK(database.db->SetOptions({{"enable_blob_files", "true"}}).ok());
  Fill(&database, "c");
  CHECK(database.db->CompactRange({}, nullptr, nullptr).ok());
  CHECK(database.db->VerifyChecksum().ok() && database.db->VerifyFileChecksums({}).IsInvalidArgument());
  std::vector<std::string> values;
  for (const auto& status : database.db->MultiGet({}, {"a0", "b1999", "c3999"}, &values)) {
    CHECK(status.ok());
  }
  CHECK(values == std::vector<std::string>(3, kLong));
  CHECK(OpenBackups(database, backups)->CreateNewBackup(database.db.get(), true).ok());
  CHECK(OpenBackups(database, backups)->VerifyBackup(1, true).ok());
  rocksdb::Checkpoint* made = nullptr;
  CHECK(rocksdb::Checkpoint::Create(database.db.get(), &made).ok());
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  CHECK(checkpoint->CreateCheckpoint(directory + "-checkpoint").ok());
  database.Close();
  CHECK(OpenBackups(database, backups)->RestoreDBFromLatestBackup(restored, restored).ok());
  for (const std::string& each : {directory, restored, directory + "-checkpoint"}) {
    CHECK(database.Open(each).ok());
    CHECK(database.Has("a3999", kLong) && database.Has("b0", kLong) && database.Has("c1", kLong));
    database.Close();
  }
}

void CheckMapped(const EncryptionOptions& encryption, const std::string& directory) {
  Database database(encryption);
  for (const bool there : {false, true}) {
    for (const bool reads : {true, false}) {
      database.options.allow_mmap_reads = reads;
      database.options.allow_mmap_writes = !reads;
      const std::string path = directory + (there ? "" : reads ? "-reads" : "-writes");
      const Status opened = database.Open(path);
      std::cout << opened.ToString() << "\n";
      const std::string name = reads ? "allow_mmap_reads" : "allow_mmap_writes";
      CHECK(opened.IsInvalidArgument() && opened.ToString().find(name) != std::string::npos);
      database.options.allow_mmap_reads = database.options.allow_mmap_writes = false;
      CHECK(database.Open(path).ok());  // nothing was spoiled
      database.Close();
    }
    CHECK(database.Open(directory).ok());
    database.Close();
  }
}

void CheckFollow(const EncryptionOptions& encryption, const std::string& directory) {
  Database first(encryption), second(encryption);
  CHECK(first.Open(directory).ok());
  second.options.max_open_files = -1;
  rocksdb::DB* opened = nullptr;
  CHECK(rocksdb::DB::OpenAsSecondary(second.options, directory, directory + "-second", &opened).ok());
  second.db.reset(opened);
  for (const char* name : {"1", "2", "3"}) {
    CHECK(first.db->Put({}, name, "x").ok());
    CHECK(second.db->TryCatchUpWithPrimary().ok() && second.Has(name, "x"));
    if (*name == '2') {
      CHECK(first.db->Flush({}).ok());
    }
  }
  second.Close();
  first.Close();
  // A file that is read from before its prefix is whole until there are data.
  const std::string whole = directory + "/whole", path = directory + "/early";
  std::string bytes, room(100, '\0');
  CHECK(rocksdb::WriteStringToFile(first.env.get(), "0123456789", whole).ok());
  CHECK(ReadFileToString(rocksdb::Env::Default(), whole, &bytes).ok());
  for (const std::size_t begin : {std::size_t{0}, kSlotLen, kPrefixLen}) {
    CHECK(rocksdb::WriteStringToFile(rocksdb::Env::Default(), bytes.substr(0, begin), path).ok());
    std::unique_ptr<rocksdb::SequentialFile> file;
    rocksdb::Slice read;
    CHECK(first.env->NewSequentialFile(path, &file, rocksdb::EnvOptions()).ok());
    CHECK(file->Read(room.size(), &read, &room[0]).ok() && read.empty());
    std::unique_ptr<rocksdb::WritableFile> rest;
    CHECK(rocksdb::Env::Default()->ReopenWritableFile(path, &rest, rocksdb::EnvOptions()).ok());
    CHECK(rest->Append(bytes.substr(begin)).ok() && rest->Close().ok());
    CHECK(file->Read(4, &read, &room[0]).ok() && read == "0123");
    CHECK(file->Skip(2).ok() && file->Read(room.size(), &read, &room[0]).ok() && read == "6789");
  }
}

std::uint64_t SizeOf(rocksdb::Env* env, const std::string& path) {
  std::uint64_t len = ~std::uint64_t{0};
  CHECK(env->GetFileSize(path, &len).ok());
  return len;
}

void CheckSizes(const EncryptionOptions& encryption, const std::string& directory) {
  Database database(encryption);
  rocksdb::Env* const env = database.env.get();
  const std::string path = directory + "/file";
  CHECK(env->CreateDir(directory).ok() && env->CreateDir(directory + "/directory").ok());
  CHECK(rocksdb::WriteStringToFile(env, "0123456789", path).ok());
  std::string bytes, text;
  CHECK(ReadFileToString(rocksdb::Env::Default(), path, &bytes).ok());
  for (const std::size_t len : {std::size_t{0}, std::size_t{1}, kSlotLen, kPrefixLen - 1, kPrefixLen,
                                kPrefixLen + 1}) {
    const std::string name = directory + "/" + std::to_string(len);
    CHECK(rocksdb::WriteStringToFile(rocksdb::Env::Default(), bytes.substr(0, len), name).ok());
  }
  std::vector<rocksdb::Env::FileAttributes> files;
  CHECK(env->GetChildrenFileAttributes(directory, &files).ok() && files.size() >= 8);
  for (const auto& file : files) {
    const bool some = file.name == "file" || file.name == std::to_string(kPrefixLen + 1);
    CHECK(file.size_bytes == (!some ? 0u : file.name == "file" ? 10u : 1u));
    if (file.name != "." && file.name != "..") {
      CHECK(SizeOf(env, directory + "/" + file.name) == file.size_bytes);
    }
  }
  std::uint64_t len = 0;
  CHECK(!env->GetFileSize(directory + "/none", &len).ok());

  // Cut, and never made longer.
  std::unique_ptr<rocksdb::WritableFile> file;
  CHECK(env->Truncate(path, 8).IsNotSupported());  // nor is it with files in the clear
  CHECK(env->ReopenWritableFile(path, &file, rocksdb::EnvOptions()).ok() && file->GetFileSize() == 10);
  CHECK(file->Truncate(11).IsNotSupported() && file->Truncate(6).ok() && file->GetFileSize() == 6);
  CHECK(file->Truncate(7).IsNotSupported() && file->Allocate(6, 100).IsNotSupported());
  CHECK(file->RangeSync(0, 6).ok() && file->InvalidateCache(0, 6).ok() && file->Close().ok());
  CHECK(rocksdb::ReadFileToString(env, path, &text).ok() && text == "012345" && SizeOf(env, path) == 6);
  CHECK(env->NewWritableFile(path, &file, rocksdb::EnvOptions()).ok() && file->GetFileSize() == 0);
  CHECK(file->Append("0123").ok() && file->Flush().ok() && file->GetFileSize() == 4 && file->Close().ok());

  // What would write over data, or read it past the encryption.
  std::unique_ptr<rocksdb::RandomRWFile> both;
  std::unique_ptr<rocksdb::MemoryMappedFileBuffer> mapped;
  CHECK(env->NewRandomRWFile(path, &both, rocksdb::EnvOptions()).IsNotSupported());
  CHECK(env->NewMemoryMappedFileBuffer(path, &mapped).IsNotSupported());
}

}  // namespace

int main(int argc, char** argv) {
  static const std::map<std::string, void (*)(const EncryptionOptions&, const std::string&)> kParts = {
      {"disabled", CheckDisabled}, {"full", CheckFull},     {"ingest", CheckIngest},
      {"backup", CheckBackup},     {"reopen", CheckReopen}, {"direct", CheckDirect},
      {"mapped", CheckMapped},     {"follow", CheckFollow}, {"sizes", CheckSizes},
  };
  const auto part = kParts.find(argc == 5 ? argv[1] : "");
  if (part == kParts.end()) {
    return 2;
  }
  part->second(Options(argv[2], argv[3], 1), argv[4]);
  std::cout << "done\n";
  return 0;
}
