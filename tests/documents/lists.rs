//! ListKeys, in pages.

use kmsbox::error::Status;
use serde_json::Value;

use super::fields;
use crate::client::Client;

fn ids(page: &Value) -> Vec<String> {
    let keys = page["Keys"]["Key"].as_array().unwrap();
    keys.iter()
        .map(|key| {
            let id = key["KeyId"].as_str().unwrap();
            assert_eq!(key["KeyArn"], format!("acs:kms:local:0:key/{id}"));
            assert_eq!(fields(&key.to_string()), ["KeyArn", "KeyId"]);
            id.to_owned()
        })
        .collect()
}

#[test]
fn an_empty_list() {
    let client = Client::in_memory();
    let answer = client.call("Action=ListKeys");
    let names = ["Keys", "PageNumber", "PageSize", "RequestId", "TotalCount"];
    assert_eq!(fields(&answer.text), names);
    let page = answer.json();
    assert!(ids(&page).is_empty());
    assert_eq!(
        (&page["TotalCount"], &page["PageNumber"], &page["PageSize"]),
        (&Value::from(0), &Value::from(1), &Value::from(10))
    );
    assert_eq!(answer.key_id, "");
    let xml = client.call("Action=ListKeys&Format=XML").text;
    assert!(
        xml.contains("<Keys></Keys>") && xml.contains("<TotalCount>0</TotalCount>"),
        "{xml}"
    );
}

#[test]
fn twenty_five_keys_in_pages() {
    let client = Client::in_memory();
    let made: Vec<String> = (0..25).map(|_| client.create_key()).collect();
    // PageNumber, PageSize, which keys.
    let cases = [
        ("", 1, 10, 0..10),
        ("&PageNumber=1", 1, 10, 0..10),
        ("&PageNumber=3", 3, 10, 20..25),
        ("&PageNumber=4", 4, 10, 25..25),
        ("&PageSize=1", 1, 1, 0..1),
        ("&PageNumber=25&PageSize=1", 25, 1, 24..25),
        ("&PageNumber=26&PageSize=1", 26, 1, 25..25),
        ("&PageSize=24", 1, 24, 0..24),
        ("&PageNumber=2&PageSize=24", 2, 24, 24..25),
        ("&PageSize=25", 1, 25, 0..25),
        ("&PageSize=100", 1, 100, 0..25),
        ("&PageNumber=2&PageSize=100", 2, 100, 25..25),
        (
            "&PageNumber=4294967295&PageSize=100",
            4_294_967_295_u64,
            100,
            25..25,
        ),
        ("&PageNumber=&PageSize=", 1, 10, 0..10),
    ];
    for (asked, number, size, which) in cases {
        let page = client.done(&format!("Action=ListKeys{asked}"));
        assert_eq!(ids(&page), made[which], "{asked}");
        assert_eq!(page["TotalCount"], 25);
        assert_eq!(page["PageNumber"], Value::from(number));
        assert_eq!(page["PageSize"], size);
    }
}

#[test]
fn pages_that_cannot_be() {
    let client = Client::in_memory();
    for (parameter, values) in [
        (
            "PageNumber",
            &[
                "0",
                "-1",
                "4294967296",
                "1.0",
                "x",
                "%2B1",
                "18446744073709551617",
            ][..],
        ),
        (
            "PageSize",
            &[
                "0",
                "-1",
                "101",
                "1e1",
                "0x10",
                " 5",
                "99999999999999999999",
            ][..],
        ),
    ] {
        for value in values {
            let answer = client.call(&format!("Action=ListKeys&{parameter}={value}"));
            let refusal = answer.outcome.unwrap_err();
            assert_eq!(
                refusal.status,
                Status::InvalidParameter,
                "{parameter}={value}"
            );
            assert!(refusal.message.contains(parameter), "{}", refusal.message);
        }
    }
}
