// The same as consumer.c with kmsbox.hpp: each opens what the other has made.
#include <kmsbox.hpp>

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <unistd.h>

static std::string read_file(const char *name)
{
    std::ifstream file(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

int main(int argc, char **argv)
try {
    if (argc != 2 || chdir(argv[1]) != 0) return 2;
    const unsigned char root_key[KMS_ROOT_KEY_LEN] = {0x91, 2, 3};
    const kmsbox::encryption_context context{{"table", "orders"}};

    kmsbox::options options;
    options.set("keystore", "keystore").set("create", "true").set_root_key(root_key);
    const kmsbox::client client(options);

    const bool first = access("blob", F_OK) != 0;
    if (first) {
        kmsbox::secret_array<32> key;
        kmsbox::data_key_blob blob;
        const auto cmk = client.call("Action=CreateKey");
        const auto made = client.generate_data_key(cmk.key_id, context, key, blob);
        // As consumer.c keeps it: all the room of the id, with zeros at its end.
        std::string id = made.key_id.str();
        id.resize(64);
        std::ofstream("id", std::ios::binary) << id;
        std::ofstream("blob", std::ios::binary).write(reinterpret_cast<const char *>(blob.data()), blob.size());
        std::ofstream("key", std::ios::binary).write(reinterpret_cast<const char *>(key.data()), key.size());
    }
    const std::string id = read_file("id").c_str(), blob = read_file("blob"), key = read_file("key");
    const auto opened = client.decrypt(id, blob, context);
    if (std::string(reinterpret_cast<const char *>(opened.plaintext.data()), opened.plaintext.size()) != key) {
        std::cerr << "another key came back\n";
        return 1;
    }
    const auto refused = client.try_decrypt(id, blob, {});
    if (refused || refused.error().status != KMS_ERR_CIPHERTEXT_INVALID) {
        std::cerr << "the blob opened without its context\n";
        return 1;
    }
    std::cout << (first ? "made" : "opened") << '\n';
} catch (const std::exception &failure) {
    std::cerr << failure.what() << '\n';
    return 1;
}
