package kmsbox

import (
	"bytes"
	"strings"
	"testing"
)

var orders = Pairs{"table": "orders"}

func TestADataKeyComesBackFromItsBlob(t *testing.T) {
	client, cmk := inMemory(t)
	for _, c := range []struct {
		request DataKeyRequest
		length  int
	}{
		{DataKeyRequest{}, 32},
		{DataKeyRequest{Spec: AES256}, 32},
		{DataKeyRequest{Spec: AES128}, 16},
		{DataKeyRequest{NumberOfBytes: 1}, 1},
		{DataKeyRequest{NumberOfBytes: DataKeyMax, Context: orders}, DataKeyMax},
	} {
		c.request.KeyID = cmk
		key, err := client.NewDataKey(c.request)
		must(t, err)
		if key.Plaintext.Len() != c.length || len(key.Blob) != BlobLen(c.length) || key.KeyID != cmk {
			t.Fatalf("%+v: %d, %d, %s", c.request, key.Plaintext.Len(), len(key.Blob), key.KeyID)
		}
		if c.length > 8 && isZero(key.Plaintext.Bytes()) {
			t.Fatal("the key is all zeros")
		}
		again, result, err := client.DecryptToSecret(decrypting(cmk, key.Blob, c.request.Context))
		must(t, err)
		if !bytes.Equal(again.Bytes(), key.Plaintext.Bytes()) {
			t.Fatal("another key came back")
		}
		if result.KeyID != cmk || result.KeyVersionID != key.KeyVersionID || result.Content != ContentBytes {
			t.Fatalf("%+v", result)
		}
		must(t, again.Close())
		must(t, key.Close())
	}
}

func TestBuffersOfTheCallerAreFilledInPlace(t *testing.T) {
	client, cmk := inMemory(t)
	plaintext := bytes.Repeat([]byte{0xEE}, 40)
	blob := bytes.Repeat([]byte{0xEE}, DataKeyBlobMax)
	result, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, plaintext[4:36], blob)
	must(t, err)
	if result.PlaintextLen != 32 || result.BlobLen != 142 {
		t.Fatalf("%+v", result)
	}
	around := append(append([]byte{}, plaintext[:4]...), plaintext[36:]...)
	if !bytes.Equal(around, bytes.Repeat([]byte{0xEE}, 8)) {
		t.Fatal("something beside the slice was written")
	}
	again := make([]byte, 32)
	_, err = client.Decrypt(DecryptRequest{ExpectedKeyID: cmk, Blob: blob[:result.BlobLen]}, again)
	must(t, err)
	if !bytes.Equal(again, plaintext[4:36]) {
		t.Fatal("another key came back")
	}
}

func TestSlicesTooShortTellTheLengthsAndMakeNoKey(t *testing.T) {
	client, cmk := inMemory(t)
	request := DataKeyRequest{KeyID: cmk}
	for _, rooms := range [][2]int{{31, 142}, {32, 141}, {0, 0}, {0, 142}, {32, 0}} {
		plaintext, blob := make([]byte, rooms[0]), make([]byte, rooms[1])
		result, err := client.GenerateDataKey(request, plaintext, blob)
		refused(t, err, ErrBufferTooSmall)
		if result.PlaintextLen != 32 || result.BlobLen != 142 || !isZero(plaintext) || !isZero(blob) {
			t.Fatalf("%v: %+v", rooms, result)
		}
	}
	result, err := client.GenerateDataKey(request, nil, nil)
	refused(t, err, ErrBufferTooSmall)
	if result.PlaintextLen != 32 || result.BlobLen != 142 {
		t.Fatalf("%+v", result)
	}
	key := newKey(t, client, cmk, nil)
	for _, room := range [][]byte{nil, {}, make([]byte, 31)} {
		result, err = client.Decrypt(DecryptRequest{ExpectedKeyID: cmk, Blob: key.Blob}, room)
		refused(t, err, ErrBufferTooSmall)
		if result.PlaintextLen != 32 {
			t.Fatalf("%+v", result)
		}
	}
}

func TestAnEmptyOrMissingBlobIsNone(t *testing.T) {
	client, _ := inMemory(t)
	for _, blob := range [][]byte{nil, {}, {0x89}} {
		_, err := client.Decrypt(DecryptRequest{AnyKey: true, Blob: blob}, make([]byte, 32))
		refused(t, err, ErrNotABlob)
	}
}

func TestPlaintextIsWipedWhereACallFails(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, orders)
	plaintext := make([]byte, 32)
	blob := make([]byte, 142)
	fill := func() { copy(plaintext, bytes.Repeat([]byte{0xEE}, 32)) }
	closed, _ := inMemory(t)
	must(t, closed.Close())
	for name, call := range map[string]func() error{
		"another context": func() error {
			_, err := client.Decrypt(decrypting(cmk, key.Blob, nil), plaintext)
			return err
		},
		"a NUL in the id to expect": func() error {
			_, err := client.Decrypt(decrypting(cmk+"\x00", key.Blob, orders), plaintext)
			return err
		},
		"a NUL in the id": func() error {
			_, err := client.GenerateDataKey(DataKeyRequest{KeyID: "a\x00b"}, plaintext, blob)
			return err
		},
		"no such CMK": func() error {
			_, err := client.GenerateDataKey(DataKeyRequest{KeyID: "alias/nobody"}, plaintext, blob)
			return err
		},
		"a closed client": func() error {
			_, err := closed.Decrypt(decrypting(cmk, key.Blob, orders), plaintext)
			return err
		},
	} {
		fill()
		if call() == nil {
			t.Fatalf("%s: no error", name)
		}
		if !isZero(plaintext) {
			t.Fatalf("%s: plaintext stayed", name)
		}
	}
}

func TestSlicesThatOverlapAreRefused(t *testing.T) {
	client, cmk := inMemory(t)
	room := make([]byte, 400)
	_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, room[:32], room[31:])
	refused(t, err, ErrInvalidArgument)
	key := newKey(t, client, cmk, nil)
	copy(room, key.Blob)
	_, err = client.Decrypt(decrypting(cmk, room[:142], nil), room[100:])
	refused(t, err, ErrInvalidArgument)
}

func TestTheExpectedCMKMustBeSaid(t *testing.T) {
	client, cmk := inMemory(t)
	other, err := client.CreateKey(nil)
	must(t, err)
	key := newKey(t, client, cmk, nil)
	plaintext := make([]byte, 32)
	_, err = client.Decrypt(decrypting("", key.Blob, nil), plaintext)
	refused(t, err, ErrMissingParameter)
	_, err = client.Decrypt(decrypting(other.KeyID, key.Blob, nil), plaintext)
	refused(t, err, ErrKeyMismatch)
	_, err = client.Decrypt(DecryptRequest{AnyKey: true, Blob: key.Blob}, plaintext)
	must(t, err)
	_, err = client.GenerateDataKey(DataKeyRequest{KeyID: ""}, plaintext, make([]byte, 142))
	refused(t, err, ErrMissingParameter)
	both := decrypting(cmk, key.Blob, nil)
	both.AnyKey = true
	_, err = client.Decrypt(both, plaintext)
	refused(t, err, ErrInvalidArgument)
	_, _, err = client.ReEncryptToBlob(ReEncryptRequest{AnyKey: true, Blob: key.Blob, DestinationKeyID: cmk})
	must(t, err)
	_, _, _, err = client.ReEncryptAll(ReEncryptManyRequest{DestinationKeyID: cmk}, [][]byte{key.Blob})
	refused(t, err, ErrMissingParameter)
	_, refusals, _, err := client.ReEncryptAll(
		ReEncryptManyRequest{AnyKey: true, DestinationKeyID: cmk}, [][]byte{key.Blob})
	must(t, err)
	must(t, refusals[0])
}

func TestNULsAreRefusedByTheArgumentsName(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, nil)
	bad := cmk + "\x00and more"
	blob, plaintext := make([]byte, 142), make([]byte, 32)
	for _, c := range []struct {
		name string
		call func() error
	}{
		{"KeyID", func() error {
			_, err := client.GenerateDataKeyWithoutPlaintext(DataKeyRequest{KeyID: bad}, blob)
			return err
		}},
		{"KeyID", func() error {
			_, err := client.Encrypt(EncryptRequest{KeyID: bad, Plaintext: []byte("x")}, blob)
			return err
		}},
		{"KeyID", func() error {
			_, err := client.GenerateDataKeysWithoutPlaintext(DataKeyRequest{KeyID: bad}, 1, blob)
			return err
		}},
		{"Context", func() error {
			_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk, Context: ContextJSON("{}\x00")}, plaintext, blob)
			return err
		}},
		{"ExpectedKeyID", func() error {
			_, err := client.Decrypt(DecryptRequest{ExpectedKeyID: bad, Blob: key.Blob}, plaintext)
			return err
		}},
		{"ExpectedKeyID", func() error {
			_, err := client.ReEncrypt(ReEncryptRequest{ExpectedKeyID: bad, DestinationKeyID: cmk, Blob: key.Blob}, blob)
			return err
		}},
		{"DestinationKeyID", func() error {
			_, err := client.ReEncrypt(ReEncryptRequest{ExpectedKeyID: cmk, DestinationKeyID: bad, Blob: key.Blob}, blob)
			return err
		}},
		{"SourceContext", func() error {
			_, _, _, err := client.ReEncryptAll(ReEncryptManyRequest{ExpectedKeyID: cmk, DestinationKeyID: cmk,
				SourceContext: ContextJSON("\x00")}, [][]byte{key.Blob})
			return err
		}},
		{"DestinationContext", func() error {
			_, _, err := client.ReEncryptToBlob(ReEncryptRequest{ExpectedKeyID: cmk, DestinationKeyID: cmk,
				DestinationContext: ContextJSON("\x00"), Blob: key.Blob})
			return err
		}},
	} {
		refusal := refused(t, c.call(), ErrInvalidParameter)
		if !strings.Contains(refusal.Message, `"`+c.name+`"`) || !strings.Contains(refusal.Message, "NUL") {
			t.Errorf("%s: %s", c.name, refusal.Message)
		}
		if refusal.Code != "InvalidParameter" || refusal.HTTPStatus != 400 {
			t.Errorf("%+v", refusal)
		}
	}
}

func TestALongNameIsCopiedWhole(t *testing.T) {
	client, cmk := inMemory(t)
	alias := "alias/" + strings.Repeat("a", 255)
	must(t, client.CreateAlias(cmk, alias))
	_, err := client.NewDataKeyWithoutPlaintext(DataKeyRequest{KeyID: alias})
	must(t, err)
	// Beyond what is copied to the stack, with nothing but the end to tell it apart.
	for _, length := range []int{319, 320, 321, 100_000} {
		name := alias + strings.Repeat("b", length-len(alias))
		_, err = client.NewDataKeyWithoutPlaintext(DataKeyRequest{KeyID: name})
		if err == nil {
			t.Fatalf("a name of %d bytes was cut", length)
		}
	}
}

func TestEveryResultHasItsOwnIDs(t *testing.T) {
	client, cmk := inMemory(t)
	other, err := client.CreateKey(nil)
	must(t, err)
	// More versions than ids are remembered.
	blobs := map[string][]byte{}
	for i := 0; i < 300; i++ {
		keyID := []string{cmk, other.KeyID}[i%2]
		version, err := client.CreateKeyVersion(keyID)
		must(t, err)
		key, err := client.NewDataKeyWithoutPlaintext(DataKeyRequest{KeyID: keyID})
		must(t, err)
		if key.KeyID != keyID || key.KeyVersionID != version.KeyVersionID {
			t.Fatalf("expected %+v, came %s %s", version, key.KeyID, key.KeyVersionID)
		}
		blobs[keyID+key.KeyVersionID] = key.Blob
	}
	for ids, blob := range blobs {
		result, err := client.Decrypt(DecryptRequest{AnyKey: true, Blob: blob}, make([]byte, 32))
		must(t, err)
		if result.KeyID+result.KeyVersionID != ids {
			t.Fatalf("expected %s, came %s %s", ids, result.KeyID, result.KeyVersionID)
		}
	}
}

func TestNumbersOutOfRange(t *testing.T) {
	client, cmk := inMemory(t)
	for _, request := range []DataKeyRequest{
		{NumberOfBytes: -1}, {NumberOfBytes: 1025}, {NumberOfBytes: 1 << 32}, {NumberOfBytes: 1<<32 + 32},
		{Spec: 3}, {Spec: -1},
	} {
		request.KeyID = cmk
		_, err := client.NewDataKey(request)
		refused(t, err, ErrInvalidParameter)
	}
	for length, want := range map[int]int{-1: 0, 0: 0, 1: 111, 32: 142, 6144: BlobMax, 6145: 0} {
		if got := BlobLen(length); got != want {
			t.Errorf("BlobLen(%d) is %d", length, got)
		}
	}
}

func TestWrappingBytesOfTheCaller(t *testing.T) {
	client, cmk := inMemory(t)
	longest := bytes.Repeat([]byte("x"), PlaintextMax)
	for _, plaintext := range [][]byte{{0}, []byte("a key of an engine"), longest} {
		blob, _, err := client.EncryptToBlob(EncryptRequest{cmk, plaintext, orders})
		must(t, err)
		again, _, err := client.DecryptToSecret(decrypting(cmk, blob, orders))
		must(t, err)
		if !bytes.Equal(again.Bytes(), plaintext) {
			t.Fatal("other bytes came back")
		}
		must(t, again.Close())
	}
	for _, plaintext := range [][]byte{nil, {}, append(longest, 'x')} {
		_, _, err := client.EncryptToBlob(EncryptRequest{cmk, plaintext, nil})
		refused(t, err, ErrInvalidParameter)
	}
}

func TestReEncryptMovesABlob(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, orders)
	version, err := client.CreateKeyVersion(cmk)
	must(t, err)
	people := Pairs{"table": "people"}
	moved, result, err := client.ReEncryptToBlob(moving(cmk, key.Blob, orders, cmk, people))
	must(t, err)
	if result.KeyVersionID != version.KeyVersionID || len(moved) != len(key.Blob) || bytes.Equal(moved, key.Blob) {
		t.Fatalf("%+v", result)
	}
	again, _, err := client.DecryptToSecret(decrypting(cmk, moved, people))
	must(t, err)
	defer again.Close()
	if !bytes.Equal(again.Bytes(), key.Plaintext.Bytes()) {
		t.Fatal("another key came back")
	}
	_, _, err = client.ReEncryptToBlob(moving(cmk, key.Blob, people, cmk, people))
	refused(t, err, ErrCiphertextInvalid)
}
