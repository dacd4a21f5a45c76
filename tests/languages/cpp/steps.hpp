// A step of the list, performed.
#pragma once

#include "list.hpp"

#include <kmsbox.hpp>

/** What came of it. */
struct outcome {
    kms_status status = KMS_OK;
    std::string code, message, request_id;
    int http_status = 200;
    fields found; // by the names that checks and saved fields have
    words members;
    std::string fault; // what of the conventions does not hold

    void refused(const kmsbox::error &error)
    {
        status = error.status;
        code = error.code.str();
        message = error.message.str();
        request_id = error.request_id.str();
        http_status = error.http_status;
        if (status == KMS_ERR_BUFFER_TOO_SMALL) {
            found["plaintext_len"] = std::to_string(error.plaintext_size);
            found["blob_len"] = std::to_string(error.blob_size);
        } else if (error.plaintext_size != 0 || error.blob_size != 0) {
            fault = "a length is not 0 after a failure";
        }
    }
    void answered(const kmsbox::answer &answer)
    {
        request_id = answer.request_id.str();
        found["key_id"] = answer.key_id.str();
        found["key_version_id"] = answer.key_version_id.str();
    }
    void put(const std::string &name, kmsbox::bytes_view value)
    {
        found[name] = to_hex(value.data(), value.size());
        found[name + "_len"] = std::to_string(value.size());
        found[name + "_base64"] = to_base64(value.data(), value.size());
    }
};

/** What the steps are called, what they take and what can be checked; throws bad_list for others. */
void must_be_known(const step &from);

void perform(kmsbox::client &client, const step &from, const fields &saved, outcome &got);
