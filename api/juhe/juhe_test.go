package juhe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestEveryCodeHasItsText(t *testing.T) {
	t.Parallel()
	for _, c := range Codes() {
		if c.Reason() == "" {
			t.Errorf("%d has no text", c)
		}
		if c.System() != (c.ResultCode() != "") {
			t.Errorf("%d: resultcode %q", c, c.ResultCode())
		}
	}
	for c, want := range map[Code]string{10001: "101", 10014: "114", 10020: "120", 10021: "121", 280101: "", 0: ""} {
		if got := c.ResultCode(); got != want {
			t.Errorf("%d: resultcode %q, want %q", c, got, want)
		}
	}
	for r := AllMatch; r <= IdentityUncheckedMobileBad; r++ {
		if r.String() == "" {
			t.Errorf("result %d has no text", r)
		}
	}
}

// The texts are those of the vendor's page, letter by letter, where a copy is at hand.
func TestTextsAreTheVendors(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "seeds", "002_eb6ec38abae1bbde.txt"))
	if err != nil {
		t.Skip("the vendor's page is not at hand: ", err)
	}
	text := string(page)
	for r, s := range resultTexts {
		if !regexp.MustCompile(`\b` + string(rune('0'+r/100)) + string(rune('0'+r/10%10)) + string(rune('0'+r%10)) + `：` + regexp.QuoteMeta(s) + `[ |]`).MatchString(text) {
			t.Errorf("the page does not say %d：%s", r, s)
		}
	}
	for _, c := range Codes() {
		if !regexp.MustCompile(`\| ` + string(json.Number(itoa(c))) + ` *\| ` + regexp.QuoteMeta(c.Reason()) + ` *\|`).MatchString(text) {
			t.Errorf("the page does not say %d %s", c, c.Reason())
		}
	}
}

func itoa(c Code) string { b, _ := json.Marshal(c); return string(b) }

func TestOrderID(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 9, 13, 9, 0, 41, 0, time.UTC)
	for _, n := range []uint64{0, 1, 1 << 63, 9e18} {
		if got := OrderID(at, n); !regexp.MustCompile(`^JH801240913170041[0-9A-Za-z]{5}$`).MatchString(got) {
			t.Errorf("%d: got %s", n, got)
		}
	}
}

func TestReplyHasTheSeedsShape(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Reply{Reason: OK.Reason(), Result: Result{OrderID: "JH801240913170041JZU80", Res: 100, ResMsg: Res(100).String(), Score: 982.7, Type: ChinaUnicom}})
	want := `{"reason":"成功","result":{"orderid":"JH801240913170041JZU80","res":100,"resmsg":"身份、人像核验通过，手机号核验通过","score":982.7,"type":"联通"},"error_code":0}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	got, err = json.Marshal(Refusal{ResultCode: KeyWrong.ResultCode(), Reason: KeyWrong.Reason(), ErrorCode: KeyWrong})
	want = `{"resultcode":"101","reason":"错误的请求KEY","result":null,"error_code":10001}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func serve(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	return &Client{Base: srv.URL, Key: "0123456789abcdef0123456789abcdef"}
}

func TestClient(t *testing.T) {
	t.Parallel()
	image := []byte{0xff, 0xd8, 0xfb, 0xef}
	reply := ""
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		want := map[string]string{"key": "0123456789abcdef0123456789abcdef", "realname": "张三", "idcard": "1", "mobile": "2", "image": base64.StdEncoding.EncodeToString(image)}
		for k, v := range want {
			if got := r.PostFormValue(k); got != v {
				t.Errorf("%s: sent %q, want %q", k, got, v)
			}
		}
		io.WriteString(w, reply)
	})
	query := func() (Result, error) {
		return c.Query(t.Context(), Request{RealName: "张三", IDCard: "1", Mobile: "2", Image: image})
	}
	reply = `{"reason":"成功","result":{"orderid":"JH1","res":102,"resmsg":"x","score":12.5,"type":"移动"},"error_code":0}`
	if got, err := query(); err != nil || got != (Result{"JH1", PortraitFails, "x", 12.5, "移动"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, x := range []struct {
		reply string
		want  Error
	}{
		{`{"resultcode":"101","reason":"错误的请求KEY!","result":null,"error_code":10001}`, Error{Code: KeyWrong, Reason: "错误的请求KEY!"}},
		{`{"resultcode":"101","reason":"r","result":"","error_code":10001,"error_detail":"d"}`, Error{Code: KeyWrong, Reason: "r", Detail: "d"}},
		{`{"reason":"x","result":{"orderid":"JH2"},"error_code":280105}`, Error{Code: Unanswered, Reason: "x", OrderID: "JH2"}},
	} {
		reply = x.reply
		_, err := query()
		var e *Error
		if !errors.As(err, &e) || *e != x.want {
			t.Errorf("%s: got %v, want %+v", x.reply, err, x.want)
		}
		if !strings.Contains(err.Error(), x.want.Reason) {
			t.Errorf("%v does not say the reason", err)
		}
	}
	for _, reply = range []string{"", "<html>", "{}", `{"error_code":0,"result":7}`, strings.Repeat("x", maxReply+1)} {
		_, err := query()
		var e *Error
		if err == nil || errors.As(err, &e) {
			t.Errorf("%.20q: got %v, want an error that is no refusal", reply, err)
		}
	}
}

func TestClientNamesNoSecret(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Query(ctx, Request{RealName: "张三"})
	if err == nil || strings.Contains(err.Error(), c.Key) || strings.Contains(err.Error(), "张三") || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c.Base = "::"
	if _, err = c.Query(t.Context(), Request{}); err == nil {
		t.Error("an address that cannot be read gave no error")
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add([]byte(`{"reason":"成功","result":{"orderid":"JH1","res":102,"score":12.5},"error_code":0}`))
	f.Add([]byte(`{"reason":"x","result":{"orderid":"JH2"},"error_code":280105}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := parseReply(200, body)
		var e *Error
		if errors.As(err, &e) && e.Code == OK {
			t.Errorf("%q: success said as an error", body)
		}
	})
}
