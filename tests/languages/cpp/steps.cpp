// The steps, each by the function of kmsbox.hpp that has its name.
#include "steps.hpp"

#include <algorithm>

/** A buffer of the caller's, which a failure must leave without a plaintext. */
class buffer {
public:
    explicit buffer(std::size_t capacity) : bytes_(capacity, 0xA5) {}
    kmsbox::bytes_out room() { return bytes_; }
    kmsbox::bytes_view first(std::size_t size) const
    {
        return {bytes_.data(), std::min(size, bytes_.size())};
    }
    void must_be_wiped(outcome &got) const
    {
        const auto zero = [](std::uint8_t byte) {
            return byte == 0;
        };
        const bool refused = got.status != KMS_OK && got.status != KMS_ERR_BUFFER_TOO_SMALL;
        if (refused && !std::all_of(bytes_.begin(), bytes_.end(), zero))
            got.fault = "the plaintext buffer was not wiped after a failure";
    }

private:
    bytes bytes_;
};

// ---- Arguments -------------------------------------------------------------------------------------

class arguments {
public:
    arguments(const step &from, const fields &saved) : line(from.line)
    {
        for (const auto &[name, value] : from.arguments)
            all.emplace_back(name, resolved(value, saved, line));
    }
    const std::string *find(const std::string &name) const
    {
        for (const auto &[each, value] : all)
            if (each == name) return &value;
        return nullptr;
    }
    /** NULL where it is not given. */
    kmsbox::text text(const std::string &name) const
    {
        const std::string *value = find(name);
        return value == nullptr ? kmsbox::text(static_cast<const char *>(nullptr))
                                : kmsbox::text(*value);
    }
    kmsbox::expected_key_id expected() const
    {
        const std::string *value = find("expected_key_id");
        return value == nullptr ? kmsbox::expected_key_id(kmsbox::any_key)
                                : kmsbox::expected_key_id(*value);
    }
    long long number(const std::string &name, long long otherwise) const
    {
        const std::string *value = find(name);
        if (value == nullptr) return otherwise;
        std::size_t read = 0;
        const long long number = std::stoll(*value, &read);
        if (read != value->size()) throw bad_list(line, name + " is no number");
        return number;
    }
    std::size_t size(const std::string &name, std::size_t otherwise) const
    {
        return static_cast<std::size_t>(number(name, static_cast<long long>(otherwise)));
    }
    kmsbox::data_key_spec spec() const
    {
        const std::string *name = find("key_spec");
        kmsbox::data_key_spec made;
        if (name != nullptr && *name == "AES_256")
            made = kmsbox::aes_256;
        else if (name != nullptr && *name == "AES_128")
            made = kmsbox::aes_128;
        else
            made.key_spec = static_cast<std::int32_t>(number("key_spec", KMS_KEY_SPEC_DEFAULT));
        made.number_of_bytes = static_cast<std::uint32_t>(number("number_of_bytes", 0));
        return made;
    }
    kmsbox::encryption_context context(const std::string &which) const
    {
        std::vector<std::pair<std::string, std::string>> pairs;
        for (const auto &[name, value] : all)
            if (name.rfind(which + ".", 0) == 0)
                pairs.emplace_back(name.substr(which.size() + 1), value);
        const std::string *json = find(which + "_json");
        if (json != nullptr && !pairs.empty()) throw bad_list(line, "pairs and " + which + "_json");
        if (json != nullptr) return *json;
        return pairs.empty() ? kmsbox::encryption_context() : kmsbox::encryption_context(pairs);
    }
    /** The blob given in, after flip= and cut=. */
    bytes blob() const
    {
        const std::string *hex = find("blob");
        bytes made = from_hex(hex == nullptr ? "" : *hex, line);
        const std::size_t flip = size("flip", made.size()), cut = size("cut", 0);
        if (cut > made.size() || (find("flip") != nullptr && flip >= made.size()))
            throw bad_list(line, "the blob is not that long");
        if (find("flip") != nullptr) made[flip] ^= 1;
        made.resize(made.size() - cut);
        return made;
    }

    std::size_t line;
    std::vector<std::pair<std::string, std::string>> all; // resolved
};

// ---- Steps -----------------------------------------------------------------------------------------

static void open(kmsbox::client &client, const arguments &given, outcome &got)
{
    client = kmsbox::client();
    kmsbox::options options;
    for (const auto &[name, value] : given.all) {
        const kmsbox::result<void> set = name == "root_key_bytes"
                                             ? options.try_set_root_key(from_hex(value, given.line))
                                             : options.try_set(name, value);
        if (!set) return got.refused(set.error());
    }
    kmsbox::result<kmsbox::client> opened = kmsbox::client::try_open(options);
    if (!opened) return got.refused(opened.error());
    client = *std::move(opened);
}

static void call(kmsbox::client &client, const arguments &given, outcome &got)
{
    const std::string *action = given.find("Action");
    // A request may also be refused for having no action.
    kmsbox::request request(action == nullptr ? "" : *action);
    for (const auto &[name, value] : given.all)
        if (name != "Action") request.set(name, value);
    kmsbox::document document;
    const std::string_view without = "Action=&";
    const bool bare = action == nullptr && request.view().substr(0, without.size()) == without;
    const auto made = bare ? client.try_call(request.view().substr(without.size()), document)
                           : client.try_call(request, document);
    if (!made)
        got.refused(made.error());
    else
        got.answered(*made);
    const std::string_view text = document.view();
    if (text.find(got.request_id) == text.npos || text.find(got.code) == text.npos)
        got.fault = "the document has another request id or code";
    if (!made || text[0] != '{') return;
    std::optional<words> members = json_members(text);
    if (!members) {
        got.fault = "the document is no JSON";
        return;
    }
    got.members = *std::move(members);
    for (const auto &[name, value] : got.members) {
        got.found.emplace(name, value);
        const std::optional<bytes> blob = name == "CiphertextBlob" ? from_base64(value) : std::nullopt;
        if (blob) got.put("blob", *blob);
    }
}

static void generate(kmsbox::client &client, const arguments &given, outcome &got)
{
    const kmsbox::encryption_context context = given.context("context");
    if (given.find("plaintext_capacity") == nullptr && given.find("blob_capacity") == nullptr) {
        const auto made = client.try_generate_data_key(given.text("key_id"), given.spec(), context);
        if (!made) return got.refused(made.error());
        got.answered(*made);
        got.put("plaintext", made->plaintext);
        got.put("blob", made->blob);
        return;
    }
    buffer plaintext(given.size("plaintext_capacity", KMS_DATA_KEY_MAX));
    buffer blob(given.size("blob_capacity", KMS_DATA_KEY_BLOB_MAX));
    const auto made = client.try_generate_data_key(given.text("key_id"), given.spec(), context,
                                                   plaintext.room(), blob.room());
    if (!made) {
        got.refused(made.error());
        return plaintext.must_be_wiped(got);
    }
    got.answered(*made);
    got.put("plaintext", plaintext.first(made->plaintext_size));
    got.put("blob", blob.first(made->blob_size));
}

/** What a call that wraps gave: a blob in the caller's buffer, or one of its own. */
template <class Answer>
static void wrapped(const kmsbox::result<Answer> &made, outcome &got, const buffer *blob = nullptr)
{
    if (!made) return got.refused(made.error());
    got.answered(*made);
    if constexpr (std::is_same_v<Answer, kmsbox::written>)
        got.put("blob", blob->first(made->size));
    else
        got.put("blob", made->blob);
}

static void generate_without_plaintext(kmsbox::client &client, const arguments &given, outcome &got)
{
    const kmsbox::text key_id = given.text("key_id");
    const kmsbox::encryption_context context = given.context("context");
    if (given.find("blob_capacity") == nullptr)
        return wrapped(client.try_generate_data_key_without_plaintext(key_id, given.spec(), context),
                       got);
    buffer blob(given.size("blob_capacity", 0));
    wrapped(client.try_generate_data_key_without_plaintext(key_id, given.spec(), context, blob.room()),
            got, &blob);
}

static void generate_many(kmsbox::client &client, const arguments &given, outcome &got)
{
    const kmsbox::encryption_context context = given.context("context");
    const kmsbox::data_key_spec spec = given.spec();
    const std::size_t count = given.size("count", 0);
    // For a count that is refused any room will do.
    const std::size_t room = count > 1024 ? 1 : count;
    const std::size_t blob_size = kmsbox::ciphertext_blob_len(spec.size());
    const std::string *asked = given.find("without_plaintext");
    const bool without = asked != nullptr;
    if (without && *asked != "true")
        throw bad_list(given.line, "without_plaintext is true, or not given");
    buffer plaintexts(without ? 0 : room * spec.size()), blobs(room * blob_size);
    const auto each = [&](const kmsbox::answer &made) {
        got.answered(made);
        got.found["count"] = std::to_string(count);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint8_t *plaintext = plaintexts.room().data() + (without ? 0 : i * spec.size());
            if (!without) got.put(std::to_string(i) + ".plaintext", {plaintext, spec.size()});
            got.put(std::to_string(i) + ".blob", {blobs.room().data() + i * blob_size, blob_size});
        }
        if (!without) got.found["plaintext_len"] = got.found["0.plaintext_len"];
        got.found["blob_len"] = got.found["0.blob_len"];
    };
    const kmsbox::text key_id = given.text("key_id");
    if (without) {
        const auto made =
            client.try_generate_data_keys_without_plaintext(key_id, spec, context, count, blobs.room());
        if (!made) return got.refused(made.error());
        return each(*made);
    }
    const auto made =
        client.try_generate_data_keys(key_id, spec, context, count, plaintexts.room(), blobs.room());
    if (!made) {
        got.refused(made.error());
        return plaintexts.must_be_wiped(got);
    }
    each(*made);
}

static void decrypt(kmsbox::client &client, const arguments &given, outcome &got)
{
    const kmsbox::encryption_context context = given.context("context");
    const bytes blob = given.blob();
    const auto opened = [&](const kmsbox::answer &made, kmsbox::content content,
                            kmsbox::bytes_view plaintext) {
        got.answered(made);
        got.put("plaintext", plaintext);
        got.found["content"] = content == kmsbox::content::text ? "text" : "bytes";
    };
    if (given.find("plaintext_capacity") == nullptr) {
        const auto made = client.try_decrypt(given.expected(), blob, context);
        if (!made) return got.refused(made.error());
        return opened(*made, made->content, made->plaintext);
    }
    buffer plaintext(given.size("plaintext_capacity", 0));
    const auto made = client.try_decrypt(given.expected(), blob, context, plaintext.room());
    if (made) return opened(*made, made->content, plaintext.first(made->size));
    got.refused(made.error());
    plaintext.must_be_wiped(got);
}

static void encrypt(kmsbox::client &client, const arguments &given, outcome &got)
{
    const std::string *hex = given.find("plaintext");
    const bytes plaintext = from_hex(hex == nullptr ? "" : *hex, given.line);
    const kmsbox::encryption_context context = given.context("context");
    if (given.find("blob_capacity") == nullptr)
        return wrapped(client.try_encrypt(given.text("key_id"), plaintext, context), got);
    buffer blob(given.size("blob_capacity", 0));
    wrapped(client.try_encrypt(given.text("key_id"), plaintext, context, blob.room()), got, &blob);
}

static void re_encrypt(kmsbox::client &client, const arguments &given, outcome &got)
{
    const bytes blob = given.blob();
    const kmsbox::encryption_context source = given.context("source_context");
    const kmsbox::encryption_context destination = given.context("destination_context");
    const kmsbox::text key_id = given.text("destination_key_id");
    if (given.find("blob_capacity") == nullptr)
        return wrapped(client.try_re_encrypt(given.expected(), blob, source, key_id, destination), got);
    buffer made(given.size("blob_capacity", 0));
    wrapped(client.try_re_encrypt(given.expected(), blob, source, key_id, destination, made.room()), got,
            &made);
}

static void re_encrypt_many(kmsbox::client &client, const arguments &given, outcome &got)
{
    bytes blobs;
    std::vector<std::size_t> sizes;
    const std::string *all = given.find("blobs");
    for (std::size_t at = 0; all != nullptr && !all->empty() && at <= all->size();) {
        const std::size_t end = std::min(all->find(',', at), all->size());
        const bytes blob = from_hex(std::string_view(*all).substr(at, end - at), given.line);
        blobs.insert(blobs.end(), blob.begin(), blob.end());
        sizes.push_back(blob.size());
        at = end + 1;
    }
    bytes rewrapped(blobs.size());
    std::vector<kms_status> statuses(sizes.size());
    const auto made = client.try_re_encrypt_many(
        blobs, sizes, given.expected(), given.context("source_context"),
        given.text("destination_key_id"), given.context("destination_context"), rewrapped, statuses);
    if (!made) return got.refused(made.error());
    got.answered(*made);
    std::string &names = got.found["statuses"];
    const std::uint8_t *next = rewrapped.data();
    for (std::size_t i = 0; i < sizes.size(); next += sizes[i++]) {
        names += (i == 0 ? "" : ",") + std::string(kmsbox::status_name(statuses[i]));
        if (statuses[i] == KMS_OK) got.put(std::to_string(i) + ".blob", {next, sizes[i]});
    }
}

/** A step: what it takes and what can be checked. A name that ends in "." stands for all that begin
 *  so; an empty list of arguments takes any. */
struct kind {
    const char *name;
    std::vector<std::string> takes, checks;
    void (*perform)(kmsbox::client &, const arguments &, outcome &);
};

static const kind &kind_of(const step &from)
{
    static const std::string CONTEXT = "context.", SOURCE = "source_context.",
                             DESTINATION = "destination_context.";
    static const kind kinds[] = {
        {"open", {}, {}, open},
        {"call", {}, {"key_id", "key_version_id", "member."}, call},
        {"generate_data_key",
         {"key_id", "key_spec", "number_of_bytes", "plaintext_capacity", "blob_capacity", CONTEXT,
          "context_json"},
         {"plaintext_len", "blob_len", "key_id", "key_version_id"},
         generate},
        {"generate_data_key_without_plaintext",
         {"key_id", "key_spec", "number_of_bytes", "blob_capacity", CONTEXT, "context_json"},
         {"blob_len", "key_id", "key_version_id"},
         generate_without_plaintext},
        {"generate_data_keys",
         {"key_id", "key_spec", "number_of_bytes", "count", "without_plaintext", CONTEXT,
          "context_json"},
         {"count", "plaintext_len", "blob_len", "key_id", "key_version_id"},
         generate_many},
        {"decrypt",
         {"blob", "expected_key_id", "plaintext_capacity", "flip", "cut", CONTEXT, "context_json"},
         {"plaintext", "plaintext_len", "content", "key_id", "key_version_id"},
         decrypt},
        {"encrypt",
         {"key_id", "plaintext", "blob_capacity", CONTEXT, "context_json"},
         {"blob_len", "key_id", "key_version_id"},
         encrypt},
        {"re_encrypt",
         {"blob", "expected_key_id", "destination_key_id", "blob_capacity", "flip", "cut", SOURCE,
          "source_context_json", DESTINATION, "destination_context_json"},
         {"blob_len", "key_id", "key_version_id"},
         re_encrypt},
        {"re_encrypt_many",
         {"blobs", "expected_key_id", "destination_key_id", SOURCE, "source_context_json", DESTINATION,
          "destination_context_json"},
         {"statuses"},
         re_encrypt_many},
    };
    for (const kind &each : kinds)
        if (from.name == each.name) return each;
    throw bad_list(from.line, from.name + " is no step");
}

static bool is_status(const std::string &name)
{
    for (kms_status status = 0; status < 1000; ++status)
        if (kmsbox::status_name(status) == name && name != "KMS_ERR_UNKNOWN") return true;
    return false;
}

void must_be_known(const step &from)
{
    if (!is_status(from.status)) throw bad_list(from.line, from.status + " is no status");
    const kind &kind = kind_of(from);
    const auto among = [](const std::vector<std::string> &names, const std::string &name) {
        return std::any_of(names.begin(), names.end(), [&](const std::string &each) {
            return each.back() == '.' ? name.rfind(each, 0) == 0 : name == each;
        });
    };
    for (const auto &[name, value] : from.arguments)
        if (!kind.takes.empty() && !among(kind.takes, name))
            throw bad_list(from.line, from.name + " takes no " + name);
    for (const auto &[name, value] : from.checks) {
        if (!among(kind.checks, name)) throw bad_list(from.line, from.name + " has no check " + name);
        const bool length = name == "plaintext_len" || name == "blob_len";
        if (from.status != "KMS_OK" && !(length && from.status == "KMS_ERR_BUFFER_TOO_SMALL"))
            throw bad_list(from.line, name + " cannot be checked after " + from.status);
    }
}

void perform(kmsbox::client &client, const step &from, const fields &saved, outcome &got)
{
    const kind &kind = kind_of(from);
    if (!client && kind.perform != open)
        throw bad_list(from.line, "there is no client: the open before failed");
    kind.perform(client, arguments(from, saved), got);
}
