package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shiren/api/huawei"
)

// huaweiCmd helps a developer whose signatures do not agree with the server's. It opens no
// data: keys come from files.
func (a *app) huaweiCmd() *cobra.Command {
	var key, body, header, sig, text string
	file := func(c *cobra.Command, to *string, name, usage string) { c.Flags().StringVar(to, name, "", usage) }

	sign := &cobra.Command{
		Use: "sign", Short: "Sign a body, and PayDevAuth with it", Args: cobra.NoArgs,
		Long: `Sign a body, and PayDevAuth with it, and print the texts that were signed. Without --header
the body's signature alone is made. In PayDevAuth, bodySign and headerSign are filled in.`,
		RunE: func(*cobra.Command, []string) error { return a.huaweiSign(key, body, header) },
	}
	file(sign, &key, "key", "`file` of the private key")
	file(sign, &body, "body", "`file` of the JSON body")
	file(sign, &header, "header", "`file` of PayDevAuth's JSON, without signatures")
	required(sign, "key", "body")

	verify := &cobra.Command{
		Use: "verify", Short: "Check the signatures of a request or of an answer", Args: cobra.NoArgs,
		Long: `Check signatures and print the texts that they must be of. With --header, the body's and the
header's own; otherwise the body is an answer and its sign is checked, or --sign where that is given.`,
		RunE: func(*cobra.Command, []string) error { return a.huaweiVerify(key, body, header, sig) },
	}
	file(verify, &key, "key", "`file` of the public key")
	file(verify, &body, "body", "`file` of the JSON body")
	file(verify, &header, "header", "`file` of PayDevAuth's JSON, as it was sent")
	file(verify, &sig, "sign", "the body's `signature`, base64")
	required(verify, "key", "body")

	encrypt := &cobra.Command{
		Use: "encrypt", Short: "Encrypt a field for a public key", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			k, err := readKey(a, key, huawei.ParsePublicKey)
			if err != nil {
				return err
			}
			plain, err := a.readText(text)
			if err != nil {
				return err
			}
			c, err := huawei.Encrypt(a.rand, k, strings.TrimRight(plain, "\r\n"))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, c)
			return err
		},
	}
	file(encrypt, &key, "key", "`file` of the public key")
	file(encrypt, &text, "text", "`file` of the text; - is standard input, so that it stays out of the shell's history")
	required(encrypt, "key", "text")

	decrypt := &cobra.Command{
		Use: "decrypt", Short: "Decrypt a field with a private key", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			k, err := readKey(a, key, huawei.ParsePrivateKey)
			if err != nil {
				return err
			}
			c, err := a.readText(text)
			if err != nil {
				return err
			}
			plain, err := huawei.Decrypt(k, c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, plain)
			return err
		},
	}
	file(decrypt, &key, "key", "`file` of the private key")
	file(decrypt, &text, "text", "`file` of the field in hex; - is standard input")
	required(decrypt, "key", "text")
	return group("huawei", "Sign, verify, encrypt and decrypt as the Huawei protocol does", sign, verify, encrypt, decrypt)
}

func readKey[K any](a *app, name string, parse func(string) (K, error)) (k K, err error) {
	text, err := a.readText(name)
	if err != nil {
		return k, err
	}
	if k, err = parse(text); err != nil {
		return k, fmt.Errorf("%s: %w", name, err)
	}
	return k, nil
}

// signed prints a text as it is signed: on a line of its own, with its length, since what
// differs is often a byte that cannot be seen.
func (a *app) signed(what, text, sig string) {
	fmt.Fprintf(a.out, "%s, %d bytes in UTF-8:\n%s\n%s\n\n", what, len(text), text, sig)
}

func (a *app) readObject(name string) (huawei.Object, error) {
	text, err := a.readText(name)
	if err != nil {
		return nil, err
	}
	o, err := huawei.ParseObject([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

func (a *app) huaweiSign(key, body, header string) error {
	k, err := readKey(a, key, huawei.ParsePrivateKey)
	if err != nil {
		return err
	}
	o, err := a.readObject(body)
	if err != nil {
		return err
	}
	text := huawei.SignString(o)
	bodySign, err := huawei.Sign(a.rand, k, text)
	if err != nil {
		return err
	}
	a.signed("body", text, bodySign)
	if header == "" {
		return nil
	}
	h, err := a.readObject(header)
	if err != nil {
		return err
	}
	h["bodySign"] = bodySign
	text = huawei.SignString(h, "headerSign")
	headerSign, err := huawei.Sign(a.rand, k, text)
	if err != nil {
		return err
	}
	a.signed("header", text, headerSign)
	h["headerSign"] = headerSign
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: %s\n", huawei.HeaderAuth, line)
	return err
}

var errNotSigned = errors.New("a signature does not verify: compare the text above, byte by byte, with the one that you signed; then whether the key belongs to the private one")

func (a *app) huaweiVerify(key, body, header, sig string) error {
	k, err := readKey(a, key, huawei.ParsePublicKey)
	if err != nil {
		return err
	}
	o, err := a.readObject(body)
	if err != nil {
		return err
	}
	ok := true
	check := func(what, text, sig string) {
		word := "verifies"
		if !huawei.Verify(k, text, sig) {
			word, ok = "does not verify", false
		}
		a.signed(what, text, what+" signature "+word)
	}
	if header == "" {
		if sig == "" {
			sig, _ = o["sign"].(string)
		}
		check("body", huawei.SignString(o), sig)
	} else {
		text, err := a.readText(header)
		if err != nil {
			return err
		}
		h, err := huawei.ParsePayDevAuth(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("%s: %w", header, err)
		}
		check("header", h.HeaderString(), h.HeaderSign)
		check("body", huawei.SignString(o), h.BodySign)
	}
	if !ok {
		return errNotSigned
	}
	return nil
}
