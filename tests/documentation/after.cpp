
// What is declared for the piece: a client that may do everything, the options it was opened with, the id of
// its CMK alias/orders, and the blob of a data key of 32 bytes under it, bound to {"table":"orders"}.
static void piece(const std::string &keystore, const std::string &root_key, kmsbox::options &options,
                  const kmsbox::client &client, const std::string &key_id, const kmsbox::data_key_blob &blob)
{
STATEMENTS
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    try {
        const std::string keystore = argv[1], root_key = std::string("file:") + argv[2];
        kmsbox::options options;
        options.set("keystore", keystore).set("create", "true").set("root_key", root_key);
        const kmsbox::client client(options);
        const std::string key_id = client.call(kmsbox::request("CreateKey")).key_id.str();
        client.call(kmsbox::request("CreateAlias").set("AliasName", "alias/orders").set("KeyId", key_id));
        kmsbox::secret_array<32> key;
        kmsbox::data_key_blob blob;
        client.generate_data_key(key_id, kmsbox::encryption_context{{"table", "orders"}}, key, blob);
        piece(keystore, root_key, options, client, key_id, blob);
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
