package juhe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"shiren/api/juhe"
)

// A check of name, identity number, mobile number and portrait.
func Example() {
	client := &juhe.Client{Base: "https://id.example.com", Key: "your key"}
	portrait, err := os.ReadFile("portrait.jpg")
	if err != nil {
		log.Fatal(err)
	}
	r, err := client.Query(context.Background(), juhe.Request{
		RealName: "张三", IDCard: "11010519491231002X", Mobile: "13800138000", Image: portrait,
	})
	var refusal *juhe.Error
	switch {
	case errors.As(err, &refusal):
		fmt.Println("not answered, not charged:", refusal.Code, refusal.Reason)
	case err != nil:
		log.Fatal(err)
	case r.Res == juhe.AllMatch:
		fmt.Println("all four belong together, with", r.Score)
	default:
		fmt.Println(r.ResMsg)
	}
}

func ExampleRes_String() {
	fmt.Println(juhe.PortraitFails)
	// Output: 身份、手机核验通过，人像核验不通过
}

func ExampleOrderID() {
	fmt.Println(juhe.OrderID(time.Date(2024, 9, 13, 9, 0, 41, 0, time.UTC), 7))
	// Output: JH80124091317004170000
}
