package huawei_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"testing"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// number finds the private number in PKCS #8: 32 bytes after the SEC 1 structure's 02 01 01 04 20.
func number(t *testing.T, der []byte) []byte {
	t.Helper()
	i := bytes.Index(der, []byte{2, 1, 1, 4, 0x20})
	if i < 0 {
		t.Fatalf("no private number in %d bytes", len(der))
	}
	return der[i+5 : i+37]
}

// openHarmony is the key as that system writes it: SEC 1 without the public half, 51 bytes.
func openHarmony(t *testing.T, der []byte) []byte {
	t.Helper()
	b := append([]byte{0x30, 0x31, 2, 1, 1, 4, 0x20}, number(t, der)...)
	b = append(b, 0xa0, 0x0a, 6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x82, 0x2d)
	if len(b) != 51 {
		t.Fatalf("%d bytes, want 51", len(b))
	}
	return b
}
