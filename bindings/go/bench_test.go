package kmsbox

import "testing"

func BenchmarkGenerateDataKey(b *testing.B) {
	client, cmk := inMemory(b)
	prepared, err := Prepare(orders)
	must(b, err)
	for name, context := range map[string]Context{"prepared": prepared, "pairs": orders, "none": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			plaintext, blob := make([]byte, 32), make([]byte, 142)
			for i := 0; i < b.N; i++ {
				_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk, Context: context}, plaintext, blob)
				must(b, err)
			}
		})
	}
	b.Run("allocating", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			key, err := client.NewDataKey(DataKeyRequest{KeyID: cmk, Context: prepared})
			must(b, err)
			must(b, key.Close())
		}
	})
}

func BenchmarkDecrypt(b *testing.B) {
	client, cmk := inMemory(b)
	prepared, err := Prepare(orders)
	must(b, err)
	key := newKey(b, client, cmk, prepared)
	for name, context := range map[string]Context{"prepared": prepared, "pairs": orders} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			plaintext := make([]byte, 32)
			for i := 0; i < b.N; i++ {
				_, err := client.Decrypt(decrypting(cmk, key.Blob, context), plaintext)
				must(b, err)
			}
		})
	}
	b.Run("allocating", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			secret, _, err := client.DecryptToSecret(decrypting(cmk, key.Blob, prepared))
			must(b, err)
			must(b, secret.Close())
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			plaintext := make([]byte, 32)
			for p.Next() {
				if _, err := client.Decrypt(decrypting(cmk, key.Blob, prepared), plaintext); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkBareCall is what it costs to call C at all: a function of the library that does next to nothing.
func BenchmarkBareCall(b *testing.B) {
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if BlobLen(32) != 142 {
			b.Fatal("another length")
		}
	}
}
