#include "guarded_file_system.h"

#include <rocksdb/io_status.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "file_prefix.h"

namespace kmsbox_rocksdb {

namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSRandomAccessFile;
using rocksdb::FSRandomRWFile;
using rocksdb::FSSequentialFile;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr char kWrittenOnce[] = "an encrypted file is written once, from its beginning to its end";

// With mapped files RocksDB would bypass the encryption. It does not ask before it uses them, so every
// file is refused: the first ones that it reads are CURRENT and the MANIFEST, before anything is done.
IOStatus CheckOptions(const std::string& path, const FileOptions& options) {
  if (options.use_mmap_reads || options.use_mmap_writes) {
    return IOStatus::InvalidArgument(
        path, options.use_mmap_reads ? "allow_mmap_reads does not go with encrypted files"
                                     : "allow_mmap_writes does not go with encrypted files");
  }
  return IOStatus::OK();
}

IOStatus RawSize(const std::string& path, const IOOptions& options, std::uint64_t* len,
                 IODebugContext* debug) {
  return FileSystem::Default()->GetFileSize(path, options, len, debug);
}

std::uint64_t WithoutPrefix(std::uint64_t raw_len) {
  return raw_len - std::min<std::uint64_t>(raw_len, kPrefixLen);
}

// A file that has no data yet. It is opened once it has some, as when another process writes a WAL that
// this one follows.
class EarlyFile final : public FSSequentialFile {
 public:
  EarlyFile(FileSystem* encrypted, std::string path, const FileOptions& options)
      : encrypted_(encrypted), path_(std::move(path)), options_(options) {}

  IOStatus Read(std::size_t most, const IOOptions& options, Slice* read, char* room,
                IODebugContext* debug) override {
    *read = Slice();
    std::uint64_t len = 0;
    IOStatus status;
    if (!file_) {
      status = RawSize(path_, options, &len, debug);
    }
    if (status.ok() && len > kPrefixLen) {
      status = encrypted_->NewSequentialFile(path_, options_, &file_, debug);
    }
    return status.ok() && file_ ? file_->Read(most, options, read, room, debug) : status;
  }

  IOStatus Skip(std::uint64_t len) override { return file_ ? file_->Skip(len) : IOStatus::OK(); }

 private:
  FileSystem* const encrypted_;
  const std::string path_;
  const FileOptions options_;
  std::unique_ptr<FSSequentialFile> file_;
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

// A file that is there, opened again: to be synced after it was ingested, or to be cut. All offsets
// are those of the data, which begins behind the prefix.
class ReopenedFile final : public FSWritableFileOwnerWrapper {
 public:
  ReopenedFile(std::unique_ptr<FSWritableFile> raw, std::uint64_t len)
      : FSWritableFileOwnerWrapper(std::move(raw)), len_(len) {}

  // The file below counts from where it was opened.
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return len_; }

  IOStatus Truncate(std::uint64_t len, const IOOptions& options, IODebugContext* debug) override {
    if (len > len_) {
      return Refused();  // zeros on the disk are no data
    }
    const IOStatus status = target()->Truncate(kPrefixLen + len, options, debug);
    len_ = status.ok() ? len : len_;
    return status;
  }

  IOStatus RangeSync(std::uint64_t offset, std::uint64_t len, const IOOptions& options,
                     IODebugContext* debug) override {
    return target()->RangeSync(kPrefixLen + offset, len, options, debug);
  }

  IOStatus InvalidateCache(std::size_t offset, std::size_t len) override {
    return target()->InvalidateCache(kPrefixLen + offset, len);
  }

  IOStatus Allocate(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return Refused();
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
  static IOStatus Refused() { return IOStatus::NotSupported(kWrittenOnce); }

  std::uint64_t len_;
};

// The prefix is synced before there is data. Otherwise a power cut could keep pages of a WAL and lose
// those of its prefix, and RocksDB, which puts up with a WAL that ends in rubbish, would find one
// that it cannot open.
IOStatus MakeSynced(FileSystem* encrypted, const std::string& path, const FileOptions& options,
                    std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) {
  IOStatus status = CheckOptions(path, options);
  if (status.ok()) {
    status = encrypted->NewWritableFile(path, options, file, debug);
  }
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
    const IOStatus allowed = CheckOptions(path, options);
    return allowed.ok() ? FileSystem::ReuseWritableFile(path, old_path, options, file, debug)
                        : allowed;
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
      status = CheckOptions(path, options);
    }
    if (status.ok()) {
      status = FileSystem::Default()->ReopenWritableFile(path, options, &below, debug);
    }
    if (status.ok()) {
      *file = std::make_unique<ReopenedFile>(std::move(below), len);
    }
    return status;
  }

  // RocksDB would write the sequence number into tables that it ingests, over what is there. Where that is
  // not supported it keeps the number in the MANIFEST alone, as with write_global_seqno off.
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<FSRandomRWFile>*, IODebugContext*) override {
    return IOStatus::NotSupported(path, kWrittenOnce);
  }

  // It would be the encrypted bytes.
  IOStatus NewMemoryMappedFileBuffer(const std::string& path,
                                     std::unique_ptr<rocksdb::MemoryMappedFileBuffer>*) override {
    return IOStatus::NotSupported(path, "an encrypted file cannot be mapped into memory");
  }

  // Read through the page cache also with use_direct_reads: the encrypted file system would read the
  // prefix in a way that such a file does not have, and end the process.
  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<FSSequentialFile>* file,
                             IODebugContext* debug) override {
    FileOptions cached = options;
    cached.use_direct_reads = false;
    std::uint64_t len = 0;
    IOStatus status = CheckOptions(path, options);
    if (status.ok()) {
      status = FileSystemWrapper::NewSequentialFile(path, cached, file, debug);
    }
    if ((status.ok() || status.IsCorruption()) && RawSize(path, options.io_options, &len, debug).ok() &&
        (len == 0 || (status.IsCorruption() && len <= kPrefixLen))) {
      *file = std::make_unique<EarlyFile>(target(), path, cached);
      return IOStatus::OK();
    }
    return status;
  }

  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<FSRandomAccessFile>* file,
                               IODebugContext* debug) override {
    const IOStatus allowed = CheckOptions(path, options);
    return allowed.ok() ? FileSystemWrapper::NewRandomAccessFile(path, options, file, debug)
                        : allowed;
  }

  // The encrypted file system takes the prefix off the size of a file that is shorter than one: an
  // assertion fails, or a huge number comes out.
  IOStatus GetFileSize(const std::string& path, const IOOptions& options, std::uint64_t* len,
                       IODebugContext* debug) override {
    const IOStatus status = RawSize(path, options, len, debug);
    if (status.ok()) {
      *len = WithoutPrefix(*len);
    }
    return status;
  }

  IOStatus GetChildrenFileAttributes(const std::string& directory, const IOOptions& options,
                                     std::vector<rocksdb::FileAttributes>* files,
                                     IODebugContext* debug) override {
    const IOStatus status =
        FileSystem::Default()->GetChildrenFileAttributes(directory, options, files, debug);
    for (auto& file : *files) {
      file.size_bytes = WithoutPrefix(file.size_bytes);
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
