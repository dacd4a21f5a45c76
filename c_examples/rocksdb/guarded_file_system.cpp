#include "guarded_file_system.h"

#include <rocksdb/io_status.h>

#include <algorithm>
#include <string>
#include <utility>

#include "file_prefix.h"

namespace kmsbox_rocksdb {

namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSSequentialFile;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class EmptyFile final : public FSSequentialFile {
 public:
  IOStatus Read(std::size_t, const IOOptions&, Slice* read, char*, IODebugContext*) override {
    *read = Slice();
    return IOStatus::OK();
  }
  IOStatus Skip(std::uint64_t) override { return IOStatus::OK(); }
};

// The info log. RocksDB goes on logging after a write that failed, as on a full disk, and then its
// writer of files ends the process where assertions are compiled in. So a failure is not told, and
// nothing follows: where the next byte would lie, and under which counter, is not known any more.
class InfoLogFile final : public FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

  IOStatus Append(const Slice& text, const IOOptions& options, IODebugContext* debug) override {
    failed_ = failed_ || !target()->Append(text, options, debug).ok();
    return IOStatus::OK();
  }
  IOStatus Append(const Slice& text, const IOOptions& options, const DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(text, options, debug);
  }

 private:
  bool failed_ = false;
};

// A file that is there, opened again: to be synced after it was ingested, or to be cut.
class ReopenedFile final : public FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

  IOStatus Truncate(std::uint64_t len, const IOOptions& options, IODebugContext* debug) override {
    return target()->Truncate(kPrefixLen + len, options, debug);
  }

  IOStatus Append(const Slice&, const IOOptions&, IODebugContext*) override { return Refused(); }
  IOStatus Append(const Slice&, const IOOptions&, const DataVerificationInfo&,
                  IODebugContext*) override {
    return Refused();
  }
  IOStatus PositionedAppend(const Slice&, std::uint64_t, const IOOptions&,
                            IODebugContext*) override {
    return Refused();
  }
  IOStatus PositionedAppend(const Slice&, std::uint64_t, const IOOptions&,
                            const DataVerificationInfo&, IODebugContext*) override {
    return Refused();
  }

 private:
  static IOStatus Refused() { return IOStatus::NotSupported("a file is written once"); }
};

// The prefix is synced before there is data. Otherwise a power cut could keep pages of a WAL and lose
// those of its prefix, and RocksDB, which puts up with a WAL that ends in rubbish, would find one
// that it cannot open.
IOStatus MakeSynced(FileSystem* encrypted, const std::string& path, const FileOptions& options,
                    std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) {
  IOStatus status = encrypted->NewWritableFile(path, options, file, debug);
  if (status.ok()) {
    status = (*file)->Sync(options.io_options, debug);
  }
  if (!status.ok()) {
    file->reset();
  }
  return status;
}

// FileSystem's way of making a log goes through NewWritableFile, as every other file does.
class InfoLogs final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  const char* Name() const override { return "KmsboxInfoLogs"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file,
                           IODebugContext* debug) override {
    std::unique_ptr<FSWritableFile> made;
    const IOStatus status = MakeSynced(target(), path, options, &made, debug);
    if (status.ok()) {
      *file = std::make_unique<InfoLogFile>(std::move(made));
    }
    return status;
  }

  IOStatus NewLogger(const std::string& path, const IOOptions& options,
                     std::shared_ptr<rocksdb::Logger>* logger, IODebugContext* debug) override {
    return FileSystem::NewLogger(path, options, logger, debug);
  }
};

class GuardedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit GuardedFileSystem(const std::shared_ptr<FileSystem>& encrypted)
      : FileSystemWrapper(encrypted), logs_(encrypted) {}

  const char* Name() const override { return "KmsboxFileSystem"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file,
                           IODebugContext* debug) override {
    return MakeSynced(target(), path, options, file, debug);
  }

  // For Options::recycle_log_file_num. The encrypted file system would write a new prefix over the
  // beginning of an old WAL. FileSystem's way empties it first.
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* file,
                             IODebugContext* debug) override {
    return FileSystem::ReuseWritableFile(path, old_path, options, file, debug);
  }

  // The encrypted file system puts a second prefix at the end of a file that is there. After
  // IngestExternalFileOptions::move_files that made a database that does not open any more.
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* file,
                              IODebugContext* debug) override {
    std::uint64_t len = 0;
    IOStatus status = GetFileSize(path, options.io_options, &len, debug);
    if (status.IsPathNotFound() || (status.ok() && len == 0)) {
      return NewWritableFile(path, options, file, debug);
    }
    std::unique_ptr<FSWritableFile> below;
    if (status.ok()) {
      status = FileSystem::Default()->ReopenWritableFile(path, options, &below, debug);
    }
    if (status.ok()) {
      *file = std::make_unique<ReopenedFile>(std::move(below));
    }
    return status;
  }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<FSSequentialFile>* file,
                             IODebugContext* debug) override {
    const IOStatus status = FileSystemWrapper::NewSequentialFile(path, options, file, debug);
    std::uint64_t len = 0;
    if (status.IsCorruption() &&
        FileSystem::Default()->GetFileSize(path, options.io_options, &len, debug).ok() &&
        len <= kPrefixLen) {
      *file = std::make_unique<EmptyFile>();
      return IOStatus::OK();
    }
    return status;
  }

  // The encrypted file system takes the prefix off the size of a file that is shorter than one: an
  // assertion fails, or a huge number comes out.
  IOStatus GetFileSize(const std::string& path, const IOOptions& options, std::uint64_t* len,
                       IODebugContext* debug) override {
    const IOStatus status = FileSystem::Default()->GetFileSize(path, options, len, debug);
    if (status.ok()) {
      *len -= std::min<std::uint64_t>(*len, kPrefixLen);
    }
    return status;
  }

  // The encrypted file system hands the info log to the one below, which writes it in the clear.
  //
  // The log is the first file that DB::Open makes, before it looks at the database. With a wrong
  // name or CMK that would leave a file that is not the database's, so CURRENT has to open first.
  // It is renamed into its place when it is whole, so it is never one that counts as empty.
  IOStatus NewLogger(const std::string& path, const IOOptions& options,
                     std::shared_ptr<rocksdb::Logger>* logger, IODebugContext* debug) override {
    const std::string current = path.substr(0, path.rfind('/') + 1) + "CURRENT";
    std::unique_ptr<FSSequentialFile> file;
    const IOStatus opens = target()->NewSequentialFile(current, FileOptions(), &file, debug);
    return opens.ok() || opens.IsPathNotFound()
               ? logs_.NewLogger(path, options, logger, debug)
               : opens;
  }

 private:
  InfoLogs logs_;
};

}  // namespace

std::shared_ptr<FileSystem> NewGuardedFileSystem(
    const std::shared_ptr<rocksdb::EncryptionProvider>& provider) {
  return std::make_shared<GuardedFileSystem>(
      rocksdb::NewEncryptedFS(FileSystem::Default(), provider));
}

}  // namespace kmsbox_rocksdb
