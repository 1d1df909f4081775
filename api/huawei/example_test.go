package huawei_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"shiren/api/huawei"
)

func ExampleClient() {
	read := func(file string) string { return file } // from wherever the keys are kept
	sign, err := huawei.ParsePrivateKey(read("developer-sign.pem"))
	if err != nil {
		fmt.Println("read the developer's key:", err)
		return
	}
	platform, err := huawei.ParsePublicKey(read("platform-sign.pub"))
	if err != nil {
		fmt.Println("read the platform's key:", err)
		return
	}
	c := huawei.Client{
		Base: "https://verify.example.com", ClientID: "100001", ClientSecret: "…",
		SignKeyID: "76e5ee07…", SignKey: sign, PlatformSignKeyID: "DEVELOPER_SIGN_EB48251AC36", PlatformSignKey: platform,
		PlatformEncKeyID: "DEVELOPER_ENC_01", PlatformEncKey: platform,
		Now: time.Now, Rand: rand.Reader,
	}
	ctx := context.Background()
	id, err := c.FacePreverify(ctx, "openId of the user", "张三", "11010519491231002X") // a synthetic number
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the app opens", huawei.PageURL(c.Base, id, "", "", true))
	ok, err := c.FaceResult(ctx, "verifyResultId from the app", "openId of the user")
	fmt.Println(ok, err)
	// Output: read the developer's key: not an SM2 private key: want PKCS #8 or SEC 1 as PEM, hex or base64, or 32 bytes as hex
}

func ExampleSignString() {
	o, err := huawei.ParseObject([]byte(`{"verifyResult":true,"resultDesc":"Success.","resultCode":"000000","sign":"…","subCode":null}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(huawei.SignString(o))
	// Output: resultCode=000000&resultDesc=Success.&verifyResult=true
}

func ExampleSign() {
	key, err := huawei.GenerateKey(rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := huawei.SignStringOf([]byte(`{"verifyResultId":"12407091401520894056950001","openId":"88e9eae2"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	sig, err := huawei.Sign(rand.Reader, key, text)
	fmt.Println(text, huawei.Verify(key.Public(), text, sig), err)
	// Output: openId=88e9eae2&verifyResultId=12407091401520894056950001 true <nil>
}
