package server

import (
	"encoding/hex"
	"fmt"
	"io"

	"shiren/internal/ekyc"
)

// NewBearer makes a key that alone admits: 32 hexadecimal digits, as the vendor's.
func NewBearer(rand io.Reader) (ekyc.Secret, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return ekyc.Secret(hex.EncodeToString(b[:])), nil
}

// keyAlphabet has no letters that are mistaken for others (0 O 1 I l): keys are read
// out and typed. 57 characters.
const keyAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// NewKey makes an API key or a secret key: 24 characters, 139 bits, as long as the vendor's.
func NewKey(rand io.Reader) (string, error) {
	key := make([]byte, 0, 24)
	var b [32]byte
	for len(key) < cap(key) {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("make a key: %w", err)
		}
		for _, c := range b {
			// 228 = 4*57: above it, some characters would be likelier.
			if c < 228 && len(key) < cap(key) {
				key = append(key, keyAlphabet[c%57])
			}
		}
	}
	return string(key), nil
}
