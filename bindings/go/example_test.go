package kmsbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"

	"kmsbox"
)

// open stands for what a program does once: a keystore in memory with a CMK, alias/orders.
func open() *kmsbox.Client {
	client, err := kmsbox.Open(kmsbox.Options{
		Keystore:     "memory:",
		RootKeyBytes: bytes.Repeat([]byte{0xA7}, kmsbox.RootKeyLen),
	})
	if err != nil {
		log.Fatal(err)
	}
	key, err := client.CreateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.CreateAlias(key.KeyID, "alias/orders"); err != nil {
		log.Fatal(err)
	}
	return client
}

func Example() {
	client := open()
	defer client.Close()
	context := kmsbox.Pairs{"table": "orders"}

	key, err := client.NewDataKey(kmsbox.DataKeyRequest{KeyID: "alias/orders", Context: context})
	if err != nil {
		log.Fatal(err)
	}
	defer key.Close()
	fmt.Println("a key of", key.Plaintext.Len(), "bytes in a blob of", len(key.Blob))

	// What a later process does with the blob and the CMK's id, both kept beside the data.
	again, _, err := client.DecryptToSecret(kmsbox.DecryptRequest{
		ExpectedKeyID: key.KeyID, Blob: key.Blob, Context: context,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	fmt.Println("the same key:", bytes.Equal(again.Bytes(), key.Plaintext.Bytes()))
	// Output:
	// a key of 32 bytes in a blob of 142
	// the same key: true
}

// Into slices of the program's own, over and over, without an allocation.
func ExampleClient_GenerateDataKey() {
	client := open()
	defer client.Close()
	context, err := kmsbox.Prepare(kmsbox.Pairs{"table": "orders"})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, blob := make([]byte, 32), make([]byte, kmsbox.BlobLen(32))
	defer kmsbox.Zeroize(plaintext)
	for page := 0; page < 3; page++ {
		request := kmsbox.DataKeyRequest{KeyID: "alias/orders", Context: context}
		result, err := client.GenerateDataKey(request, plaintext, blob)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.PlaintextLen, result.BlobLen)
	}
	// Output:
	// 32 142
	// 32 142
	// 32 142
}

func ExampleError() {
	client := open()
	defer client.Close()
	_, err := client.NewDataKey(kmsbox.DataKeyRequest{KeyID: "alias/people"})
	fmt.Println(errors.Is(err, kmsbox.ErrAliasNotFound))
	var refusal *kmsbox.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Status, refusal.Code, refusal.HTTPStatus)
	}
	// Output:
	// true
	// kmsbox: The specified Alias is not found. Forbidden.AliasNotFound 404
}

func ExampleClient_CreateKeyVersion() {
	client := open()
	defer client.Close()
	old, err := client.NewDataKeyWithoutPlaintext(kmsbox.DataKeyRequest{KeyID: "alias/orders"})
	if err != nil {
		log.Fatal(err)
	}
	version, err := client.CreateKeyVersion("alias/orders")
	if err != nil {
		log.Fatal(err)
	}
	_, result, err := client.ReEncryptToBlob(kmsbox.ReEncryptRequest{
		ExpectedKeyID: old.KeyID, Blob: old.Blob, DestinationKeyID: old.KeyID,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("moved to the new version:", result.KeyVersionID == version.KeyVersionID)
	// Output: moved to the new version: true
}

func ExampleClient_Call() {
	client := open()
	defer client.Close()
	document, _, err := client.Call("ListAliases", kmsbox.Params{"PageSize": "1"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.Contains(document, []byte(`"AliasName":"alias/orders"`)))
	// Output: true
}
