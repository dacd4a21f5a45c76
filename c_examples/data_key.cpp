// data_key.c in C++17: make a data key, keep only its blob, get the key back from the blob.
// Usage: data_key KEYSTORE ROOT_KEY_FILE    (each run makes a new key, its blob in data_key.blob)
#include <kmsbox.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

static const char cmk[] = "alias/orders";

// The first run makes the CMK. Where another process was faster, its CMK serves as well.
static void have_cmk(const kmsbox::client &client)
{
    const auto found = client.try_call(kmsbox::request("DescribeKey").set("KeyId", cmk));
    if (found) return;
    if (found.status() != KMS_ERR_ALIAS_NOT_FOUND) throw kmsbox::exception(found.error());
    const kmsbox::uuid key_id = client.call("Action=CreateKey").key_id;
    const auto named =
        client.try_call(kmsbox::request("CreateAlias").set("AliasName", cmk).set("KeyId", key_id));
    if (!named && named.status() != KMS_ERR_ALIAS_EXISTS) throw kmsbox::exception(named.error());
}

static bool comes_back(const char *keystore, const std::string &root_key)
{
    kmsbox::options options;
    options.set("keystore", keystore).set("create", "true").set("root_key", "file:" + root_key);
    const kmsbox::client client(options);
    have_cmk(client);

    // No secret: bound to the blob, but not stored in it.
    const kmsbox::encryption_context context{{"table", "orders"}};
    // Wiped when they go, here or by an exception.
    kmsbox::secret_array<32> key, again;
    kmsbox::data_key_blob blob;
    const kmsbox::uuid key_id = client.generate_data_key(cmk, context, key, blob).key_id;

    std::fstream file;
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file.open("data_key.blob", std::ios::out | std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char *>(blob.data()), static_cast<std::streamsize>(blob.size()));
    file.close();

    // From here on, what a later process does with the blob and the CMK's id, kept too.
    file.open("data_key.blob", std::ios::in | std::ios::binary);
    const std::vector<char> kept{std::istreambuf_iterator<char>(file), {}};
    client.decrypt(key_id, kept, context, again);
    return std::equal(key.begin(), key.end(), again.begin());
}

int main(int argc, char **argv)
{
    if (argc != 3) return std::cerr << "usage: data_key KEYSTORE ROOT_KEY_FILE\n", 2;
    try {
        if (!comes_back(argv[1], argv[2])) return 1;
        std::cout << "the same data key came back from its blob\n";
        return 0;
    } catch (const kmsbox::exception &error) {
        std::cerr << error.what() << '\n';
    } catch (const std::ios::failure &) {
        std::cerr << "data_key.blob cannot be written or read\n";
    }
    return 1;
}
