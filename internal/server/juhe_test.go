package server_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"shiren/api/baidu"
	"shiren/api/juhe"
)

const bankInTest = `
listen = "127.0.0.1:0"
[[app]]
id = "7"
key = "bankbankbank"
secret = "secretsecret"
bearer_key = "0123456789abcdef0123456789abcdef"
deny = ["203.0.113.0/24"]
address_per_day = 2
test = true
[[plan]]
id = "live"
app = "7"
`

// One limiter counts the calls of both protocols; each says so in its own words. The
// address is the connection's, whatever a header says.
func TestLimitsAreSharedByProtocols(t *testing.T) {
	t.Parallel()
	o, _, _ := options(t, bankInTest)
	s := build(t, o)
	web := httptest.NewServer(s.Handler)
	defer web.Close()
	j := juhe.Client{Base: web.URL, Key: "0123456789abcdef0123456789abcdef"}
	b := baidu.Client{Base: web.URL, Key: "bankbankbank", Secret: "secretsecret"}
	q := juhe.Request{RealName: "测试", IDCard: "990111199003070018", Mobile: "13800138000", Image: []byte("x")}
	if r, err := j.Query(t.Context(), q); err != nil || r.Res != juhe.AllMatch {
		t.Errorf("the first call: got %+v, %v", r, err)
	}
	if _, err := b.Generate(t.Context(), baidu.GenerateRequest{PlanID: "live"}); err != nil {
		t.Errorf("the second call: %v", err)
	}
	_, err := j.Query(t.Context(), q)
	var je *juhe.Error
	if !errors.As(err, &je) || je.Code != juhe.AddressLimit {
		t.Errorf("the third call, of Juhe: got %v, want %d", err, juhe.AddressLimit)
	}
	_, err = b.Generate(t.Context(), baidu.GenerateRequest{PlanID: "live"})
	var be *baidu.Error
	if !errors.As(err, &be) || be.Code != baidu.DailyLimit {
		t.Errorf("the third call, of Baidu: got %v, want %d", err, baidu.DailyLimit)
	}
}

func TestProxyIsBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config string
		want   juhe.Code
	}{
		{bankInTest, juhe.OK},
		{bankInTest + "[limits]\ntrusted_proxies = [\"127.0.0.1\"]\n", juhe.AddressBanned},
	} {
		o, _, _ := options(t, c.config)
		s := build(t, o)
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", juhe.PathQuery+"?key=0123456789abcdef0123456789abcdef&realname=x&idcard=990111199003070018&mobile=13800138000&image=QQ", nil)
		r.RemoteAddr = "127.0.0.1:9"
		r.Header.Set("X-Forwarded-For", "203.0.113.5")
		s.Handler.ServeHTTP(w, r)
		if got := codeOf(t, w.Body.Bytes()); got != c.want {
			t.Errorf("got %d, want %d: %s", got, c.want, w.Body)
		}
	}
}

func codeOf(t *testing.T, reply []byte) juhe.Code {
	t.Helper()
	var r struct {
		Code juhe.Code `json:"error_code"`
	}
	if err := json.Unmarshal(reply, &r); err != nil {
		t.Fatal(err)
	}
	return r.Code
}
