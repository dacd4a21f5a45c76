//! Requests in a row, with parameters that fit and such that do not. A refusal changes nothing, JSON and
//! XML tell the same, and what a client was told last is there when the keystore is opened anew.
#![no_main]

use arbitrary::Arbitrary;
use kmsbox::action::Action;
use kmsbox::clock::Timestamp;
use kmsbox::document::{actions, perform};
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use kmsbox_fuzz::{PLACE, ask, judge, plain_keystore, whole};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// The text as it is.
    Text(&'a [u8]),
    /// An action and its parameters in their order; what is missing here is left out.
    Action {
        number: u8,
        parameters: Vec<Given<'a>>,
    },
    Reopen,
}

#[derive(Arbitrary, Debug)]
enum Given<'a> {
    Nothing,
    /// One of the values that such a parameter has.
    Fitting(u8),
    /// Any text.
    Text(&'a str),
}

/// A blob that was made: under which CMK, and what it holds if that was told.
struct Made {
    key_id: String,
    blob: String,
    plaintext: Option<Value>,
}

struct Run {
    kms: Kms,
    whole: Vec<Value>,
    made: Vec<Made>,
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    PLACE.clear();
    PLACE.put("keystore", &plain_keystore());
    let kms = PLACE.open().expect("the keystore is sound");
    let mut run = Run {
        whole: whole(&kms),
        kms,
        made: Vec::new(),
    };
    for step in steps.iter().take(24) {
        match step {
            Step::Text(text) => run.perform(text, Changes::Maybe),
            Step::Action { number, parameters } => run.act(*number, parameters),
            Step::Reopen => run = run.reopened(),
        }
    }
    run.reopened().decrypt_all();
});

/// Whether a request may change what is kept.
#[derive(Clone, Copy, PartialEq)]
enum Changes {
    Maybe,
    Never,
}

impl Run {
    fn act(&mut self, number: u8, parameters: &[Given<'_>]) {
        let actions: Vec<_> = actions().collect();
        let (action, names) = actions[usize::from(number) % actions.len()];
        // An RSA key takes a tenth of a second; the target `import` has its own.
        if action == Action::GetParametersForImport {
            return;
        }
        let mut request = format!("Action={}", action.name());
        for (name, given) in names.iter().zip(parameters) {
            let value = match given {
                Given::Nothing => continue,
                Given::Fitting(choice) => self.fitting(name, usize::from(*choice)),
                Given::Text(text) => (*text).to_owned(),
            };
            let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            request.push_str(&format!("&{name}={escaped}"));
        }
        let reads = action.name().starts_with("Describe") || action.name().starts_with("List");
        if reads {
            self.same_in_xml(&request);
        }
        let data = [
            "Encrypt",
            "Decrypt",
            "ReEncrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
        ];
        let changes = match reads || data.contains(&action.name()) {
            true => Changes::Never,
            false => Changes::Maybe,
        };
        self.perform(request.as_bytes(), changes);
    }

    fn perform(&mut self, request: &[u8], changes: Changes) {
        let answer = perform(&self.kms, &Call::default(), request);
        let answer = judge(&answer);
        let now = whole(&self.kms);
        if (changes == Changes::Never || answer.is_err()) && !self.rotation_is_due() {
            assert_eq!(
                self.whole, now,
                "a refusal or a reading changed the keystore"
            );
        }
        self.whole = now;
        if let Ok(answer) = answer {
            self.keep(request, answer);
        }
    }

    /// Then a call on data makes a version, whatever else comes of it.
    fn rotation_is_due(&self) -> bool {
        let now = Timestamp::now().to_string();
        let dates = self.told("KeyMetadata", "NextRotationDate");
        dates.into_iter().any(|date| date <= now)
    }

    /// Keeps blobs under the empty context.
    fn keep(&mut self, request: &[u8], mut answer: Value) {
        let text = String::from_utf8_lossy(request);
        let (Some(blob), Some(key_id)) =
            (answer["CiphertextBlob"].as_str(), answer["KeyId"].as_str())
        else {
            return;
        };
        if !text.contains("EncryptionContext") {
            self.made.push(Made {
                key_id: key_id.to_owned(),
                blob: blob.to_owned(),
                plaintext: answer.get_mut("Plaintext").map(Value::take),
            });
        }
    }

    fn same_in_xml(&self, request: &str) {
        let call = Call::default();
        let json = judge(&perform(&self.kms, &call, request.as_bytes()));
        let request = format!("{request}&Format=XML");
        let xml = judge(&perform(&self.kms, &call, request.as_bytes()));
        assert_eq!(json.as_ref().err(), xml.as_ref().err());
        if let (Ok(json), Ok(xml)) = (json, xml) {
            assert_eq!(leaves(&json), leaves(&xml));
        }
    }

    fn reopened(self) -> Self {
        let Run {
            kms,
            whole: told,
            made,
        } = self;
        drop(kms);
        let kms = PLACE.open().expect("what was open opens again");
        assert_eq!(told, whole(&kms), "what was told last is not what is kept");
        Run {
            kms,
            whole: told,
            made,
        }
    }

    fn decrypt_all(&self) {
        for made in &self.made {
            let state = ask(&self.kms, "DescribeKey", &[("KeyId", &made.key_id)])
                .expect("the CMK is there");
            let opened = ask(&self.kms, "Decrypt", &[("CiphertextBlob", &made.blob)]);
            match opened {
                Ok(opened) => {
                    assert_eq!(state["KeyMetadata"]["KeyState"], "Enabled");
                    assert!(
                        made.plaintext
                            .as_ref()
                            .is_none_or(|known| *known == opened["Plaintext"])
                    );
                }
                Err(refused) => {
                    assert_ne!(state["KeyMetadata"]["KeyState"], "Enabled", "{refused:?}")
                }
            }
        }
    }

    /// A value that such a parameter has, often one that fits what is kept.
    fn fitting(&self, name: &str, choice: usize) -> String {
        let one_of = |values: &[&str]| values[choice % values.len()].to_owned();
        match name {
            "KeyId" | "DestinationKeyId" | "ProtectedResourceArn" => {
                let ids = self.told("KeyMetadata", "KeyId");
                match choice {
                    0..=7 => format!("alias/{}", (b'a' + choice as u8) as char),
                    8..=15 => format!("acs:kms:local:0:key/{}", ids[choice % ids.len()]),
                    _ => ids[choice % ids.len()].clone(),
                }
            }
            "KeyVersionId" => {
                let ids: Vec<_> = self
                    .whole
                    .iter()
                    .filter_map(|told| told["KeyVersionId"].as_str())
                    .collect();
                one_of(&ids)
            }
            "AliasName" => format!("alias/{}", (b'a' + (choice % 8) as u8) as char),
            "CiphertextBlob" => match self.made.is_empty() {
                true => "iUtNQg==".to_owned(),
                false => self.made[choice % self.made.len()].blob.clone(),
            },
            "PendingWindowInDays" => one_of(&["7", "366", "6", "367"]),
            "RotationInterval" => one_of(&["7d", "730d", "604800s", "731d", "10080m"]),
            "EnableAutomaticRotation" | "EnableDeletionProtection" | "DryRun" => {
                one_of(&["true", "false"])
            }
            "Tags" => one_of(&[
                r#"[{"TagKey":"a","TagValue":"b"}]"#,
                r#"[{"TagKey":"b","TagValue":""},{"TagKey":"c","TagValue":"é"}]"#,
                "[]",
            ]),
            "TagKeys" => one_of(&[r#"["a"]"#, r#"["b","c"]"#]),
            "Filters" => one_of(&[
                r#"[{"Key":"KeyState","Values":["Enabled"]}]"#,
                r#"[{"Key":"Origin","Values":["EXTERNAL"]}]"#,
            ]),
            "Origin" => one_of(&["EXTERNAL", "Aliyun_KMS"]),
            "KeySpec" => one_of(&["AES_256", "AES_128", "Aliyun_AES_256"]),
            "KeyUsage" => "ENCRYPT/DECRYPT".to_owned(),
            "ProtectionLevel" => "SOFTWARE".to_owned(),
            "NumberOfBytes" | "PageSize" => one_of(&["1", "2", "100", "1024"]),
            "PageNumber" => one_of(&["1", "2", "4294967295"]),
            "EncryptionContext" | "SourceEncryptionContext" | "DestinationEncryptionContext" => {
                one_of(&[r#"{"a":"b"}"#, "{}", r#"{"é":"\u00e9"}"#])
            }
            "KeyMaterialExpireUnix" => one_of(&["0", "4294967295"]),
            _ => one_of(&["text", "AAAA", "é\u{1}<&>"]),
        }
    }

    fn told(&self, of: &str, name: &str) -> Vec<String> {
        self.whole
            .iter()
            .filter_map(|told| Some(told[of][name].as_str()?.to_owned()))
            .collect()
    }
}

/// Every text of an answer, in no order.
fn leaves(value: &Value) -> Vec<String> {
    let mut leaves = match value {
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        // XML has no place for these.
        Value::String(text) => vec![text.replace(
            |c| c < ' ' && !"\t\n\r".contains(c) || "\u{fffe}\u{ffff}".contains(c),
            "\u{fffd}",
        )],
        other => vec![other.to_string()],
    };
    leaves.retain(|text| !text.is_empty());
    leaves.sort();
    leaves
}
