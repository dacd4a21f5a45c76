
// What is declared for the piece: a client that may do everything, the id of its CMK alias/orders, and the blob of a
// data key of 32 bytes under it, bound to {"table":"orders"}.
func piece(client *kmsbox.Client, keystore, rootKey, keyID string, blob []byte) error {
STATEMENTS
	return nil
}

func prepare(keystore, rootKey string) error {
	client, err := kmsbox.Open(kmsbox.Options{Keystore: keystore, RootKey: rootKey, Create: true})
	if err != nil {
		return err
	}
	defer client.Close()
	made, err := client.CreateKey(nil)
	if err != nil {
		return err
	}
	if err := client.CreateAlias(made.KeyID, "alias/orders"); err != nil {
		return err
	}
	key := make([]byte, 32)
	blob := make([]byte, kmsbox.BlobLen(len(key)))
	request := kmsbox.DataKeyRequest{KeyID: made.KeyID, Context: kmsbox.Pairs{"table": "orders"}}
	if _, err := client.GenerateDataKey(request, key, blob); err != nil {
		return err
	}
	kmsbox.Zeroize(key)
	return piece(client, keystore, rootKey, made.KeyID, blob)
}

func main() {
	if err := prepare(os.Args[1], "file:"+os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
