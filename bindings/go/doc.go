//go:build cgo

// Package kmsbox is an embedded key-management service: a binding of the C library of the same name.
//
// A program opens a keystore and asks for data keys. Each comes twice: as plaintext, to encrypt with and
// wipe, and wrapped under a customer master key (CMK) as a CiphertextBlob, or blob, to be stored beside the
// data. Later [Client.Decrypt] turns the blob back into the key.
//
//	client, err := kmsbox.Open(kmsbox.Options{Keystore: "keystore", RootKey: "file:root.key"})
//	defer client.Close()
//	key, err := client.NewDataKey(kmsbox.DataKeyRequest{
//		KeyID:   "alias/orders",
//		Context: kmsbox.Pairs{"table": "orders"},
//	})
//	defer key.Close()
//	// Encrypt with key.Plaintext.Bytes(); store key.Blob and key.KeyID.
//
// # Buffers
//
// The functions that fill the caller's slices write into b[:len(b)] and tell in the [Result] how much they
// have written. Where a slice is too short the error is [ErrBufferTooSmall], the Result tells the lengths
// needed, and no key was made. After any other error no slice holds key material: plaintext slices are
// wiped. A slice handed in must not overlap with another one of the same call. None is kept after a call.
//
// # Secrets in Go
//
// The garbage collector does not move what lies on the heap, but stacks are copied as they grow, and the
// old copy is not wiped. Slices handed to this package are therefore always on the heap, even if they are
// slices of a local array. Heap memory can still be swapped out and be in a core dump. A [Secret] lies
// outside Go's memory, locked where the system allows, and is wiped when it is closed; where a key must be
// in a slice of your own, wipe it with [Zeroize].
//
// What Go's own packages make of a key, such as the expanded key inside a cipher.Block, cannot be wiped.
//
// # Concurrency
//
// A [Client] may be used by any number of goroutines at once. A program should open each keystore once and
// share the Client.
package kmsbox
