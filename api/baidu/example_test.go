package baidu_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"shiren/api/baidu"
)

// A verification against an image of your own, from token to result.
func Example() {
	ctx := context.Background()
	client := &baidu.Client{Base: "https://id.example.com", Key: "your API key", Secret: "your secret key"}

	token, err := client.Generate(ctx, baidu.GenerateRequest{PlanID: "2"})
	if err != nil {
		log.Fatal(err)
	}
	portrait, err := os.ReadFile("portrait.jpg")
	if err != nil {
		log.Fatal(err)
	}
	if err := client.UploadMatchImage(ctx, baidu.UploadRequest{VerifyToken: token, Image: portrait}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("send the person to", baidu.H5URL(client.Base, token, "https://you.example/ok", "https://you.example/no"))

	// When they come back:
	detail, err := client.Detail(ctx, token)
	var refusal *baidu.Error
	switch {
	case errors.As(err, &refusal):
		fmt.Println("did not pass:", refusal.Code, refusal.Message)
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println("passed with", detail.VerifyResult.Score)
	}
}

// Two pictures compared directly, with a signature in place of an access token.
func ExampleClient_MatchV4() {
	client := &baidu.Client{Base: "https://id.example.com", Key: "your API key", Secret: "your secret key", SignedAt: time.Now}
	a, _ := os.ReadFile("a.jpg")
	b, _ := os.ReadFile("b.jpg")
	m, err := client.MatchV4(context.Background(), baidu.MatchRequest{Image: a, RegisterImage: b, QualityControl: baidu.ControlLow})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same person:", m.Score >= 80)
}

func ExampleH5URL() {
	fmt.Println(baidu.H5URL("https://id.example.com", "Yz9rWITm4vak16PBAh5x8oG7", "https://you.example/ok?user=7", "https://you.example/no"))
	// Output: https://id.example.com/face/print/?token=Yz9rWITm4vak16PBAh5x8oG7&successUrl=https%3A%2F%2Fyou.example%2Fok%3Fuser%3D7&failedUrl=https%3A%2F%2Fyou.example%2Fno
}

func ExampleSign() {
	req, _ := http.NewRequest(http.MethodPost, "https://id.example.com"+baidu.PathStat, nil)
	baidu.Sign(req, "ak0123456789", "sk0123456789", time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC), baidu.SignatureLifetime)
	fmt.Println(req.Header.Get("Authorization")[:54])
	// Output: bce-auth-v1/ak0123456789/2026-03-02T04:00:00Z/1800/hos
}

func ExampleCode_Message() {
	fmt.Println(baidu.NoFace.Message())
	// Output: pic not has face
}
