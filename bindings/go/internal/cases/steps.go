package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kmsbox"
)

var verbs = map[string]func(*runner, *asked) *outcome{
	"open":                                (*runner).stepOpen,
	"call":                                (*runner).stepCall,
	"generate_data_key":                   (*runner).stepGenerate,
	"generate_data_key_without_plaintext": (*runner).stepGenerateBlind,
	"decrypt":                             (*runner).stepDecrypt,
	"encrypt":                             (*runner).stepEncrypt,
	"re_encrypt":                          (*runner).stepReEncrypt,
	"generate_data_keys":                  (*runner).stepGenerateMany,
	"re_encrypt_many":                     (*runner).stepReEncryptMany,
}

// outcomeOf is that of a step on one key or blob; nil stands for what it has none of.
func outcomeOf(result kmsbox.Result, plaintext, blob []byte, err error) *outcome {
	o := &outcome{err: err, request: result.RequestID(), gives: saved{}}
	o.facts = map[string]string{"key_id": result.KeyID, "key_version_id": result.KeyVersionID}
	if err != nil {
		return o
	}
	o.gives["key_id"], o.gives["key_version_id"] = result.KeyID, result.KeyVersionID
	o.give("plaintext", plaintext)
	o.give("blob", blob)
	return o
}

func (o *outcome) give(field string, value []byte) {
	if value != nil {
		o.gives[field] = hex.EncodeToString(value)
		o.gives[field+"_base64"] = base64.StdEncoding.EncodeToString(value)
	}
}

func (o *outcome) fact(name string, value int) *outcome {
	o.facts[name] = strconv.Itoa(value)
	return o
}

// filled is the outcome of a call that filled buffers of the caller's: its lengths are those it told, and
// after a failure nothing is left.
func filled(result kmsbox.Result, plaintext, blob buffer, err error) *outcome {
	if err != nil {
		o := outcomeOf(result, nil, nil, err)
		tooSmall := errors.Is(err, kmsbox.ErrBufferTooSmall)
		switch {
		case plaintext.touched() || blob.touched():
			o.left = "bytes in a buffer"
		case !tooSmall && (result.PlaintextLen != 0 || result.BlobLen != 0):
			o.left = "a length"
		}
		return o
	}
	var key, wrapped []byte
	if plaintext != nil {
		key = plaintext[:result.PlaintextLen]
	}
	if blob != nil {
		wrapped = blob[:result.BlobLen]
	}
	return outcomeOf(result, key, wrapped, nil)
}

func (r *runner) stepGenerate(a *asked) *outcome {
	request := a.dataKey()
	plaintextRoom, ofCaller := a.number("plaintext_capacity")
	blobRoom, alsoOfCaller := a.number("blob_capacity")
	if ofCaller != alsoOfCaller {
		a.err = fmt.Errorf("plaintext_capacity and blob_capacity go together")
	}
	if ofCaller {
		plaintext, blob := newBuffer(plaintextRoom), newBuffer(blobRoom)
		result, err := r.client.GenerateDataKey(request, plaintext, blob)
		return filled(result, plaintext, blob, err).
			fact("plaintext_len", result.PlaintextLen).fact("blob_len", result.BlobLen)
	}
	key, err := r.client.NewDataKey(request)
	if err != nil {
		return leaving(key != nil, err).fact("plaintext_len", 0).fact("blob_len", 0)
	}
	defer func() { _ = key.Close() }()
	return outcomeOf(key.Result, key.Plaintext.Bytes(), key.Blob, nil).
		fact("plaintext_len", key.Plaintext.Len()).fact("blob_len", len(key.Blob))
}

// leaving is the outcome of a failure of a call that allocates.
func leaving(left bool, err error) *outcome {
	o := outcomeOf(kmsbox.Result{}, nil, nil, err)
	if left {
		o.left = "a value"
	}
	return o
}

func (r *runner) stepGenerateBlind(a *asked) *outcome {
	request := a.dataKey()
	if room, ofCaller := a.number("blob_capacity"); ofCaller {
		blob := newBuffer(room)
		result, err := r.client.GenerateDataKeyWithoutPlaintext(request, blob)
		return filled(result, nil, blob, err).fact("blob_len", result.BlobLen)
	}
	key, err := r.client.NewDataKeyWithoutPlaintext(request)
	if err != nil {
		return leaving(key != nil, err).fact("blob_len", 0)
	}
	return outcomeOf(key.Result, nil, key.Blob, nil).fact("blob_len", len(key.Blob))
}

func (r *runner) stepDecrypt(a *asked) *outcome {
	request := kmsbox.DecryptRequest{Blob: a.blob(), Context: a.context("context")}
	request.ExpectedKeyID, request.AnyKey = a.expected()
	var o *outcome
	var result kmsbox.Result
	var err error
	var plaintext []byte
	if room, ofCaller := a.number("plaintext_capacity"); ofCaller {
		b := newBuffer(room)
		result, err = r.client.Decrypt(request, b)
		o = filled(result, b, nil, err)
		plaintext = b[:min(result.PlaintextLen, len(b))]
	} else {
		var secret *kmsbox.Secret
		secret, result, err = r.client.DecryptToSecret(request)
		defer func() { _ = secret.Close() }()
		plaintext = secret.Bytes()
		if err != nil {
			o = leaving(secret != nil, err)
		} else {
			o = outcomeOf(result, plaintext, nil, nil)
		}
	}
	o.facts["plaintext"] = hex.EncodeToString(plaintext)
	o.facts["content"] = map[kmsbox.Content]string{
		kmsbox.ContentBytes: "bytes", kmsbox.ContentText: "text",
	}[result.Content]
	return o.fact("plaintext_len", result.PlaintextLen)
}

func (r *runner) stepEncrypt(a *asked) *outcome {
	request := kmsbox.EncryptRequest{
		KeyID: a.text("key_id"), Plaintext: a.bytes("plaintext"), Context: a.context("context"),
	}
	if room, ofCaller := a.number("blob_capacity"); ofCaller {
		blob := newBuffer(room)
		result, err := r.client.Encrypt(request, blob)
		return filled(result, nil, blob, err).fact("blob_len", result.BlobLen)
	}
	return allocated(r.client.EncryptToBlob(request))
}

func (r *runner) stepReEncrypt(a *asked) *outcome {
	request := kmsbox.ReEncryptRequest{
		Blob: a.blob(), SourceContext: a.context("source_context"),
		DestinationKeyID: a.text("destination_key_id"), DestinationContext: a.context("destination_context"),
	}
	request.ExpectedKeyID, request.AnyKey = a.expected()
	if room, ofCaller := a.number("blob_capacity"); ofCaller {
		blob := newBuffer(room)
		result, err := r.client.ReEncrypt(request, blob)
		return filled(result, nil, blob, err).fact("blob_len", result.BlobLen)
	}
	return allocated(r.client.ReEncryptToBlob(request))
}

// allocated is the outcome of a call that gives a blob.
func allocated(blob []byte, result kmsbox.Result, err error) *outcome {
	if err != nil {
		return leaving(blob != nil, err).fact("blob_len", 0)
	}
	return outcomeOf(result, nil, blob, nil).fact("blob_len", len(blob))
}

func (r *runner) stepGenerateMany(a *asked) *outcome {
	request := a.dataKey()
	count, _ := a.number("count")
	length := request.NumberOfBytes
	if length == 0 {
		length = map[kmsbox.KeySpec]int{kmsbox.AES128: 16}[request.Spec]
	}
	if length == 0 {
		length = 32
	}
	// Room for what will be made; a count or length out of range is refused before it is looked at.
	made := max(min(count, 10000), 0)
	length = min(length, kmsbox.DataKeyMax)
	blobs := newBuffer(made * kmsbox.BlobLen(length))
	var plaintexts buffer
	var result kmsbox.Result
	var err error
	switch without := a.text("without_plaintext"); without {
	case "":
		plaintexts = newBuffer(made * length)
		result, err = r.client.GenerateDataKeys(request, count, plaintexts, blobs)
	case "true":
		result, err = r.client.GenerateDataKeysWithoutPlaintext(request, count, blobs)
	default:
		a.err = fmt.Errorf("without_plaintext=%s", without)
	}
	o := filled(result, plaintexts, blobs, err)
	o.gives = saved{"key_id": result.KeyID, "key_version_id": result.KeyVersionID}
	delete(o.facts, "key_version_id")
	if made == 0 || err != nil {
		return o.fact("count", 0).fact("plaintext_len", 0).fact("blob_len", 0)
	}
	for i := 0; i < made; i++ {
		o.give(strconv.Itoa(i)+".blob", part(blobs[:result.BlobLen], i, made))
		if plaintexts != nil {
			o.give(strconv.Itoa(i)+".plaintext", part(plaintexts[:result.PlaintextLen], i, made))
		}
	}
	return o.fact("count", made).
		fact("plaintext_len", result.PlaintextLen/made).fact("blob_len", result.BlobLen/made)
}

func part(all []byte, at, parts int) []byte {
	length := len(all) / parts
	return all[at*length : (at+1)*length]
}

func (r *runner) stepReEncryptMany(a *asked) *outcome {
	request := kmsbox.ReEncryptManyRequest{
		SourceContext:    a.context("source_context"),
		DestinationKeyID: a.text("destination_key_id"), DestinationContext: a.context("destination_context"),
	}
	request.ExpectedKeyID, request.AnyKey = a.expected()
	var blobs [][]byte
	if list := a.text("blobs"); list != "" {
		for _, blob := range strings.Split(list, ",") {
			blobs = append(blobs, a.unhex("blobs", blob))
		}
	}
	rewrapped, refusals, result, err := r.client.ReEncryptAll(request, blobs)
	if err != nil {
		o := leaving(rewrapped != nil || refusals != nil, err)
		o.facts["statuses"] = ""
		return o
	}
	o := outcomeOf(result, nil, nil, nil)
	var statuses []string
	for i := range blobs {
		status := kmsbox.OK
		if refusals[i] != nil && !errors.As(refusals[i], &status) {
			o.err = refusals[i]
		}
		if (status == kmsbox.OK) != (rewrapped[i] != nil) {
			o.left = "a blob that does not go with its status"
		}
		statuses = append(statuses, status.String())
		o.give(strconv.Itoa(i)+".blob", rewrapped[i])
	}
	o.facts = map[string]string{"statuses": strings.Join(statuses, ",")}
	return o
}
