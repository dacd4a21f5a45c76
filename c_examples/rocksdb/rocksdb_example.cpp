// A RocksDB database encrypted with data keys from kmsbox.
//
//   rocksdb_example [--cmk CMK]... [--database NAME] DIR COMMAND
//
//   put NAME VALUE   get NAME   puts (where there is no database, it is made) and gets an entry
//   fill COUNT                  puts entry-0, entry-1 and so on, in many files
//   scan                        reads every entry and counts them
//   checkpoint TARGET           makes a copy of the database that shares its files where it can
//   log                         prints the info log, which is encrypted as well
//   status                      prints each file and what its key is wrapped under
//   rewrap                      wraps each file's key anew under the first CMK's present version
//
// CMK is an id or alias/NAME: the first is for new files, all are for reading; status alone needs
// none. KMSBOX_KEYSTORE and KMSBOX_ROOT_KEY say which keystore, as for the command kmsbox. NAME
// tells this database from others under the same CMK ("example" if not given). Exit status: 0 done;
// 1 failed, and standard error says why; 2 usage.
#include <rocksdb/db.h>
#include <rocksdb/utilities/checkpoint.h>

#include <charconv>
#include <cstdlib>
#include <iostream>

#include "kmsbox_encryption.h"

namespace {

using kmsbox_rocksdb::EncryptionOptions;
using rocksdb::Status;

// An alias is looked up once, here. From then on the database knows ids alone.
void Connect(EncryptionOptions* options) {
  const kmsbox::options kms({{"keystore", std::getenv("KMSBOX_KEYSTORE")},
                             {"root_key", std::getenv("KMSBOX_ROOT_KEY")}});
  options->client = std::make_shared<const kmsbox::client>(kms);
  for (auto& cmk : options->cmks) {
    cmk = options->client->call(kmsbox::request("DescribeKey").set("KeyId", cmk)).key_id.str();
  }
}

Status Fill(rocksdb::DB* db, const std::string& text) {
  Status status;
  int count = -1;
  const char* end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, count);
      read.ec != std::errc() || read.ptr != end || count < 0) {
    return Status::InvalidArgument(text, "is not a count");
  }
  for (int i = 0; status.ok() && i < count; i++) {
    const std::string name = "entry-" + std::to_string(i);
    status = db->Put(rocksdb::WriteOptions(), name, "value of " + name);
  }
  return status;
}

Status Scan(rocksdb::DB* db) {
  const std::unique_ptr<rocksdb::Iterator> entries(db->NewIterator(rocksdb::ReadOptions()));
  std::size_t count = 0;
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    count++;
  }
  if (entries->status().ok()) {
    std::cout << count << " entries\n";
  }
  return entries->status();
}

Status MakeCheckpoint(rocksdb::DB* db, const std::string& target) {
  rocksdb::Checkpoint* made = nullptr;
  const Status status = rocksdb::Checkpoint::Create(db, &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  return status.ok() ? checkpoint->CreateCheckpoint(target) : status;
}

Status PrintLog(rocksdb::Env* env, const std::string& directory) {
  std::string log;
  const Status status = rocksdb::ReadFileToString(env, directory + "/LOG", &log);
  std::cout << log;
  return status;
}

Status PrintKeys(const std::string& directory) {
  std::vector<kmsbox_rocksdb::FileKey> files;
  const Status status = kmsbox_rocksdb::ListKeys({directory}, &files);
  for (const auto& file : files) {
    std::cout << file.cmk << " " << file.key_version << " " << file.path << "\n";
  }
  return status;
}

Status Rewrap(const EncryptionOptions& options, const std::string& directory) {
  std::size_t files = 0;
  const Status status = kmsbox_rocksdb::Rewrap(options, directory, {}, &files);
  if (status.ok()) {
    std::cout << files << " files\n";
  }
  return status;
}

Status WithDatabase(rocksdb::Env* env, const std::string& directory,
                    const std::vector<std::string>& words) {
  rocksdb::Options options;
  options.env = env;
  options.create_if_missing = words[0] == "put" || words[0] == "fill";
  // Small, so that little data makes many files.
  options.write_buffer_size = 256 << 10;
  options.target_file_size_base = 32 << 10;
  rocksdb::DB* opened = nullptr;
  Status status = rocksdb::DB::Open(options, directory, &opened);
  if (!status.ok()) {
    return status;
  }
  const std::unique_ptr<rocksdb::DB> db(opened);
  const std::string& command = words[0];
  if (command == "put") {
    rocksdb::WriteOptions durable;
    durable.sync = true;
    status = db->Put(durable, words[1], words[2]);
  } else if (command == "get") {
    std::string value;
    status = db->Get(rocksdb::ReadOptions(), words[1], &value);
    if (status.ok()) {
      std::cout << value << "\n";
    }
  } else if (command == "fill") {
    status = Fill(db.get(), words[1]);
  } else if (command == "scan") {
    status = Scan(db.get());
  } else {
    status = MakeCheckpoint(db.get(), words[1]);
  }
  const Status closed = db->Close();
  return status.ok() ? closed : status;
}

// One of the commands, with as many words after it as it takes.
bool IsCommand(const std::vector<std::string>& words) {
  static const std::vector<std::pair<std::string, std::size_t>> kCommands = {
      {"put", 2}, {"get", 1},    {"fill", 1},   {"scan", 0}, {"checkpoint", 1},
      {"log", 0}, {"status", 0}, {"rewrap", 0},
  };
  for (const auto& [name, count] : kCommands) {
    if (!words.empty() && words[0] == name && words.size() == 1 + count) {
      return true;
    }
  }
  return false;
}

Status Run(EncryptionOptions options, const std::string& directory,
           const std::vector<std::string>& words) {
  if (words[0] == "status") {
    return PrintKeys(directory);
  }
  Connect(&options);
  if (words[0] == "rewrap") {
    return Rewrap(options, directory);
  }
  std::unique_ptr<rocksdb::Env> env;
  const Status status = kmsbox_rocksdb::NewEnv(options, &env);
  if (!status.ok()) {
    return status;
  }
  return words[0] == "log" ? PrintLog(env.get(), directory)
                           : WithDatabase(env.get(), directory, words);
}

}  // namespace

int main(int argc, char** argv) {
  EncryptionOptions options;
  options.database = "example";
  std::vector<std::string> words(argv + 1, argv + argc);
  while (words.size() >= 2 && (words[0] == "--cmk" || words[0] == "--database")) {
    if (words[0] == "--cmk") {
      options.cmks.push_back(words[1]);
    } else {
      options.database = words[1];
    }
    words.erase(words.begin(), words.begin() + 2);
  }
  const std::string directory = words.empty() ? "" : words[0];
  words.erase(words.begin(), words.begin() + (words.empty() ? 0 : 1));
  if (!IsCommand(words) || (options.cmks.empty() && words[0] != "status")) {
    std::cerr << "usage: rocksdb_example [--cmk CMK]... [--database NAME] DIR\n"
                 "           put NAME VALUE | get NAME | fill COUNT | scan | checkpoint TARGET |\n"
                 "           log | status | rewrap\n";
    return 2;
  }
  try {
    Status status = Run(options, directory, words);
    if (status.ok() && !std::cout.flush()) {
      status = Status::IOError("standard output cannot be written");
    }
    if (status.ok()) {
      return 0;
    }
    std::cerr << "rocksdb_example: " << status.ToString() << "\n";
  } catch (const kmsbox::exception& refused) {  // before RocksDB has begun
    std::cerr << "rocksdb_example: " << refused.what() << "\n";
  }
  return 1;
}
