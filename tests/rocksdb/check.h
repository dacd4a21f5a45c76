// What both programs beside this file check with.
#ifndef KMSBOX_TESTS_ROCKSDB_CHECK_H
#define KMSBOX_TESTS_ROCKSDB_CHECK_H

#include <cstdlib>
#include <iostream>
#include <memory>

#include "kmsbox_encryption.h"

#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) {                                                \
      std::cerr << "line " << __LINE__ << ": not so: " #condition "\n"; \
      std::exit(1);                                                    \
    }                                                                  \
  } while (false)

// Of a database called "parts", under so many CMKs that are made for it.
inline kmsbox_rocksdb::EncryptionOptions Options(const char* keystore, const char* root_key, int cmks) {
  kmsbox_rocksdb::EncryptionOptions options;
  options.client = std::make_shared<const kmsbox::client>(kmsbox::options(
      {{"keystore", keystore}, {"root_key", root_key}, {"refresh_interval_ms", "0"}}));
  options.database = "parts";
  for (int i = 0; i < cmks; i++) {
    options.cmks.push_back(options.client->call("Action=CreateKey").key_id.str());
  }
  return options;
}

#endif
