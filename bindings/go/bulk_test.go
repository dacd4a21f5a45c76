package kmsbox

import (
	"bytes"
	"errors"
	"testing"
)

func TestManyDataKeysAtOnce(t *testing.T) {
	client, cmk := inMemory(t)
	const count = 50
	request := DataKeyRequest{KeyID: cmk, Spec: AES128, Context: orders}
	plaintexts, blobs := make([]byte, count*16), make([]byte, count*BlobLen(16))
	result, err := client.GenerateDataKeys(request, count, plaintexts, blobs)
	must(t, err)
	if result.PlaintextLen != len(plaintexts) || result.BlobLen != len(blobs) || result.KeyID != cmk {
		t.Fatalf("%+v", result)
	}
	seen := map[string]bool{}
	for i := 0; i < count; i++ {
		blob := blobs[i*BlobLen(16) : (i+1)*BlobLen(16)]
		again := make([]byte, 16)
		_, err := client.Decrypt(decrypting(cmk, blob, orders), again)
		must(t, err)
		if !bytes.Equal(again, plaintexts[i*16:(i+1)*16]) || seen[string(again)] {
			t.Fatalf("key %d", i)
		}
		seen[string(again)] = true
	}
	result, err = client.GenerateDataKeys(request, count, plaintexts[:16], blobs)
	refused(t, err, ErrBufferTooSmall)
	if result.PlaintextLen != count*16 || result.BlobLen != count*BlobLen(16) {
		t.Fatalf("%+v", result)
	}
	// Nil is a slice that is too short, not the wish for no plaintext.
	_, err = client.GenerateDataKeys(request, count, nil, blobs)
	refused(t, err, ErrBufferTooSmall)
	_, err = client.GenerateDataKeysWithoutPlaintext(request, count, blobs)
	must(t, err)
	for _, wrong := range []int{-1, 0, BulkMax + 1} {
		if _, err = client.GenerateDataKeys(request, wrong, plaintexts, blobs); err == nil {
			t.Fatalf("a count of %d", wrong)
		}
	}
}

func TestManyBlobsAreMovedAtOnce(t *testing.T) {
	client, cmk := inMemory(t)
	short := newKey(t, client, cmk, orders)
	long, err := client.NewDataKey(DataKeyRequest{KeyID: cmk, NumberOfBytes: 100, Context: orders})
	must(t, err)
	defer long.Close()
	stranger := newKey(t, client, cmk, nil)
	request := ReEncryptManyRequest{
		ExpectedKeyID: cmk, SourceContext: orders, DestinationKeyID: cmk, DestinationContext: Pairs{"moved": "yes"},
	}
	blobs := [][]byte{short.Blob, stranger.Blob, {}, long.Blob}
	moved, refusals, _, err := client.ReEncryptAll(request, blobs)
	must(t, err)
	wanted := []error{nil, ErrCiphertextInvalid, ErrNotABlob, nil}
	for i := range blobs {
		if !errors.Is(refusals[i], wanted[i]) || (moved[i] == nil) != (wanted[i] != nil) {
			t.Fatalf("blob %d: %v", i, refusals[i])
		}
	}
	for i, key := range map[int]*DataKey{0: short, 3: long} {
		again, _, err := client.DecryptToSecret(decrypting(cmk, moved[i], request.DestinationContext))
		must(t, err)
		if !bytes.Equal(again.Bytes(), key.Plaintext.Bytes()) {
			t.Fatalf("blob %d: another key", i)
		}
		must(t, again.Close())
	}

	request.Blobs = append(append([]byte{}, stranger.Blob...), short.Blob...)
	request.Lens = []int{len(stranger.Blob), len(short.Blob)}
	together := bytes.Repeat([]byte{0xEE}, len(request.Blobs))
	statuses := make([]Status, 2)
	result, err := client.ReEncryptMany(request, together, statuses)
	must(t, err)
	if statuses[0] != ErrCiphertextInvalid || statuses[1] != OK || result.BlobLen != len(together) {
		t.Fatalf("%v %+v", statuses, result)
	}
	if !isZero(together[:len(stranger.Blob)]) || isZero(together[len(stranger.Blob):]) {
		t.Fatal("zeros are where a blob did not open")
	}
}

func TestLengthsThatAreNotThoseOfTheBlobsAreRefused(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, nil)
	room := make([]byte, 1000)
	for _, lens := range [][]int{
		nil, {141}, {143}, {142, 1}, {-1, 143}, {1 << 40}, {142, 1 << 62, 1 << 62},
	} {
		request := ReEncryptManyRequest{
			ExpectedKeyID: cmk, DestinationKeyID: cmk, Blobs: key.Blob, Lens: lens,
		}
		_, err := client.ReEncryptMany(request, room, make([]Status, len(lens)))
		refused(t, err, ErrInvalidArgument)
	}
	request := ReEncryptManyRequest{
		ExpectedKeyID: cmk, DestinationKeyID: cmk, Blobs: key.Blob, Lens: []int{142},
	}
	_, err := client.ReEncryptMany(request, room, nil)
	refused(t, err, ErrInvalidArgument)
	_, err = client.ReEncryptMany(request, room[:141], make([]Status, 1))
	refused(t, err, ErrBufferTooSmall)
	if !isZero(room) {
		t.Fatal("something was written")
	}
	if _, _, _, err = client.ReEncryptAll(ReEncryptManyRequest{DestinationKeyID: cmk}, nil); err == nil {
		t.Fatal("no blob at all")
	}
}
