package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"shiren/api/webhook"
)

var at = time.Unix(1_790_000_000, 0)

// The expected value was computed with OpenSSL:
//
//	printf '1790000000.{"id":"a"}' | openssl dgst -sha256 -hmac whsec_one
func TestSignKnown(t *testing.T) {
	t.Parallel()
	const want = "v1=e734c5bd7876a49cdcc248233cd31d4ae9f10abe0074d5ce5346a6c67857a548"
	if got := webhook.Sign("whsec_one", at, []byte(`{"id":"a"}`)); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{"id":"a"}`)
	h := http.Header{}
	webhook.SetHeaders(h, "a", []string{"new", "old"}, at, body)
	for _, c := range []struct {
		name    string
		change  func(h http.Header)
		body    string
		now     time.Time
		secrets []string
		want    error
	}{
		{"the new secret", nil, string(body), at, []string{"new"}, nil},
		{"the old secret, while both sign", nil, string(body), at, []string{"old"}, nil},
		{"one of several", nil, string(body), at, []string{"other", "old"}, nil},
		{"at the window's end", nil, string(body), at.Add(webhook.Window), []string{"new"}, nil},
		{"a receiver whose clock is behind", nil, string(body), at.Add(-webhook.Window), []string{"new"}, nil},
		{"another secret", nil, string(body), at, []string{"other"}, webhook.ErrSignature},
		{"no secret", nil, string(body), at, nil, webhook.ErrSignature},
		{"an empty secret", nil, string(body), at, []string{""}, webhook.ErrSignature},
		{"another body", nil, `{"id":"b"}`, at, []string{"new"}, webhook.ErrSignature},
		{"replayed later", nil, string(body), at.Add(webhook.Window + time.Second), []string{"new"}, webhook.ErrTimestamp},
		{"from the future", nil, string(body), at.Add(-webhook.Window - time.Second), []string{"new"}, webhook.ErrTimestamp},
		{"a changed timestamp", func(h http.Header) { h.Set(webhook.HeaderTimestamp, fmt.Sprint(at.Unix()+1)) }, string(body), at, []string{"new"}, webhook.ErrSignature},
		{"no timestamp", func(h http.Header) { h.Del(webhook.HeaderTimestamp) }, string(body), at, []string{"new"}, webhook.ErrTimestamp},
		{"no signature", func(h http.Header) { h.Del(webhook.HeaderSignature) }, string(body), at, []string{"new"}, webhook.ErrSignature},
		{"another scheme", func(h http.Header) { h.Set(webhook.HeaderSignature, "v2="+h.Get(webhook.HeaderSignature)[3:67]) }, string(body), at, []string{"new"}, webhook.ErrSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := h.Clone()
			if c.change != nil {
				c.change(h)
			}
			if err := webhook.Verify(h, []byte(c.body), c.now, c.secrets...); !errors.Is(err, c.want) {
				t.Errorf("Verify = %v, want %v", err, c.want)
			}
		})
	}
}

func ExampleVerify() {
	http.HandleFunc("POST /alarms", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || webhook.Verify(r.Header, body, time.Now(), "whsec_…") != nil {
			http.Error(w, "not signed", http.StatusForbidden)
			return
		}
		var m webhook.Message
		if json.Unmarshal(body, &m) != nil {
			http.Error(w, "not readable", http.StatusBadRequest)
			return
		}
		fmt.Println(m.Event, m.Rule.Name)
	})
}
