package upstream_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
	"shiren/internal/testkit"
)

// A made-up person: GB 11643's own example number.
var zhang = ekyc.Claim{Name: "张三丰", Number: "11010519491231002X"}

// journal keeps calls in memory, or fails.
type journal struct {
	mu    sync.Mutex
	calls []upstream.Call
	err   error
}

func (j *journal) BeginCall(_ context.Context, c upstream.Call) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.calls = append(j.calls, c)
	}
	return j.err
}

func (j *journal) EndCall(_ context.Context, c upstream.Call) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.calls {
		if j.calls[i].ID == c.ID {
			j.calls[i] = c
			return nil
		}
	}
	return errors.New("a call ended that did not begin")
}

func (j *journal) last(t *testing.T) upstream.Call {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.calls) == 0 {
		t.Fatal("nothing was written into the journal")
	}
	return j.calls[len(j.calls)-1]
}

// logs collects what was logged.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *logs) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// open makes a source of a kind whose vendor is handle.
func open(t *testing.T, kind string, handle http.HandlerFunc, change func(*upstream.Config)) (ekyc.Source, *journal) {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	j := &journal{}
	c := upstream.Config{
		Name: "them", Kind: kind, Address: srv.URL, Key: "theApiKey0001", Secret: "theSecret0001", Cost: 350_000, Timeout: 2 * time.Second,
		Journal: j, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if kind == upstream.HTTP {
		c.Answers = []string{upstream.AnswersIdentity, upstream.AnswersPortrait, upstream.AnswersFace, upstream.AnswersMobile}
	}
	if change != nil {
		change(&c)
	}
	s, err := upstream.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, j
}

// says is a vendor that gives access tokens and one reply to everything else.
func says(status int, reply string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasPrefix(r.URL.Path, "/oauth/") {
			fmt.Fprint(w, `{"access_token":"24.x","expires_in":2592000,"scope":"brain_all_scope"}`)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, reply)
	}
}

// TestRepliesOfFaceSources is every way in which a vendor that compares may answer or not:
// what is no answer is an error, and none of it a non-match.
func TestRepliesOfFaceSources(t *testing.T) {
	t.Parallel()
	const ok = ekyc.OK
	for _, tt := range []struct {
		kind    string
		status  int
		reply   string
		code    ekyc.Code
		score   ekyc.Score
		charged bool
	}{
		{upstream.BaiduV4, 200, `{"error_code":0,"error_msg":"SUCCESS","log_id":1,"result":{"score":93.5,"verify_status":0}}`, ok, 0.935, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{"score":12,"verify_status":"0"}}`, ok, 0.12, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{"score":0,"verify_status":1}}`, ekyc.IdentityMismatch, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{"verify_status":2}}`, ekyc.PortraitNone, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{"verify_status":7,"score":90}}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{}}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":null}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{"score":250}}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"result":{"score":-1}}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":222351,"error_msg":"id number and name not match"}`, ekyc.IdentityMismatch, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":222354}`, ekyc.IdentityUnknown, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":222355}`, ekyc.PortraitNone, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":222350}`, ekyc.PortraitPoor, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":222360}`, ekyc.BadIDNumber, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":222202}`, ekyc.NoFace, 0, false},
		{upstream.BaiduV4, 200, `{"error_code":223120}`, ekyc.RefLiveness, 0, false},
		{upstream.BaiduV4, 200, `{"error_code":18}`, ekyc.Busy, 0, false},
		{upstream.BaiduV4, 200, `{"error_code":17}`, ekyc.SourceFailed, 0, false},
		{upstream.BaiduV4, 200, `{"error_code":6}`, ekyc.SourceFailed, 0, false},
		{upstream.BaiduV4, 200, `{"error_code":222361}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":999999}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"surprise":true}`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, `{"error_code":0,"resu`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 500, `<html>oops</html>`, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV4, 200, ``, ekyc.SourceFailed, 0, true},
		{upstream.BaiduV3, 200, `{"error_code":0,"result":{"score":81}}`, ok, 0.81, true},
		{upstream.BaiduV3, 200, `{"error_code":222351}`, ekyc.IdentityMismatch, 0, true},
		{upstream.JuheFace, 200, `{"error_code":0,"reason":"成功","result":{"res":1,"score":"91.25","orderid":"x"}}`, ok, 0.9125, true},
		{upstream.JuheFace, 200, `{"error_code":0,"result":{"res":2,"score":0}}`, ekyc.SourceFailed, 0, true},
		{upstream.JuheFace, 200, `{"error_code":0,"result":{"res":1}}`, ekyc.SourceFailed, 0, true},
		{upstream.JuheFace, 200, `{"error_code":0,"result":{"res":1,"score":"high"}}`, ekyc.SourceFailed, 0, true},
		{upstream.JuheFace, 200, `{"resultcode":"112","reason":"请求超过次数限制","result":null,"error_code":10012}`, ekyc.SourceFailed, 0, false},
		{upstream.JuheFace, 200, `{"resultcode":"120","reason":"接口维护","result":null,"error_code":10020}`, ekyc.Busy, 0, false},
		{upstream.JuheFace, 200, `{}`, ekyc.SourceFailed, 0, true},
		{upstream.HTTP, 200, `{"identity":"match","outcome":"match","score":0.97}`, ok, 0.97, true},
		{upstream.HTTP, 200, `{"identity":"match","outcome":"non_match","score":0.1,"charged":false}`, ok, 0.1, false},
		{upstream.HTTP, 200, `{"identity":"non_match"}`, ekyc.IdentityMismatch, 0, true},
		{upstream.HTTP, 200, `{"identity":"no_record","charged":false}`, ekyc.IdentityUnknown, 0, false},
		{upstream.HTTP, 200, `{"identity":"match","outcome":"no_record"}`, ekyc.PortraitNone, 0, true},
		{upstream.HTTP, 200, `{"identity":"match","outcome":"match"}`, ekyc.SourceFailed, 0, true},
		{upstream.HTTP, 200, `{"identity":"match","outcome":"match","score":1.5}`, ekyc.SourceFailed, 0, true},
		{upstream.HTTP, 200, `{"identity":"match","outcome":"yes","score":1}`, ekyc.SourceFailed, 0, true},
		{upstream.HTTP, 200, `[]`, ekyc.SourceFailed, 0, true},
		{upstream.HTTP, 401, `{"error":"other"}`, ekyc.SourceFailed, 0, false},
		{upstream.HTTP, 422, `{"error":"no_face"}`, ekyc.NoFace, 0, false},
		{upstream.HTTP, 422, `{"error":"image","charged":true}`, ekyc.ImageFormat, 0, true},
		{upstream.HTTP, 503, `busy`, ekyc.Busy, 0, false},
		{upstream.HTTP, 302, ``, ekyc.SourceFailed, 0, false},
	} {
		t.Run(tt.kind+" "+tt.reply, func(t *testing.T) {
			t.Parallel()
			s, j := open(t, tt.kind, says(tt.status, tt.reply), nil)
			out, score, err := s.Face.Face(ekyc.WithCall(t.Context(), "123"), zhang, []byte("a face"))
			if ekyc.CodeOf(err) != tt.code || score != tt.score {
				t.Errorf("got %s %v, %v; want %q and %v", out, score, err, tt.code, tt.score)
			}
			if tt.code == ok && out != ekyc.Match && out != ekyc.NonMatched || tt.code != ok && out != ekyc.Failed {
				t.Errorf("got outcome %q with code %q", out, tt.code)
			}
			c := j.last(t)
			if c.Charged != tt.charged || c.Code != tt.code || c.Ended.IsZero() || c.LogID != "123" || (c.Cost == 350_000) != tt.charged {
				t.Errorf("journal: %+v; want it ended with %q, charged %v", c, tt.code, tt.charged)
			}
			for _, secret := range []string{"张三丰", "11010519491231002X", "theApiKey0001", "theSecret0001"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds %q: %v", secret, err)
				}
			}
		})
	}
}

func TestRepliesOfMobileSources(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind, reply string
		want        ekyc.Outcome
		carrier     ekyc.Carrier
		code        ekyc.Code
	}{
		{upstream.JuheMobile, `{"error_code":0,"result":{"res":1,"resmsg":"一致","type":"中国联通"}}`, ekyc.Match, ekyc.ChinaUnicom, ekyc.OK},
		{upstream.JuheMobile, `{"error_code":0,"result":{"res":"2","type":"移动"}}`, ekyc.NonMatched, ekyc.ChinaMobile, ekyc.OK},
		{upstream.JuheMobile, `{"error_code":0,"result":{"res":0,"type":"广电"}}`, ekyc.NonMatched, ekyc.ChinaBroadcast, ekyc.OK},
		{upstream.JuheMobile, `{"error_code":0,"result":{"res":3}}`, ekyc.Failed, "", ekyc.SourceFailed},
		{upstream.JuheMobile, `{"error_code":0,"result":{}}`, ekyc.Failed, "", ekyc.SourceFailed},
		{upstream.JuheMobile, `{"error_code":220803,"reason":"?","result":null}`, ekyc.Failed, "", ekyc.SourceFailed},
		{upstream.HTTP, `{"outcome":"no_record","carrier":"telecom"}`, ekyc.NoRecord, ekyc.ChinaTelecom, ekyc.OK},
		{upstream.HTTP, `{"outcome":"match","carrier":"pigeon"}`, ekyc.Match, "", ekyc.OK},
		{upstream.HTTP, `{}`, ekyc.Failed, "", ekyc.SourceFailed},
	} {
		s, _ := open(t, tt.kind, says(200, tt.reply), nil)
		out, carrier, err := s.Mobile.Mobile(t.Context(), zhang, "13800138000")
		if out != tt.want || carrier != tt.carrier || ekyc.CodeOf(err) != tt.code {
			t.Errorf("%s %s: got %s %q, %v; want %s %q, %q", tt.kind, tt.reply, out, carrier, err, tt.want, tt.carrier, tt.code)
		}
	}
}

// TestMatchWithLocalPortraits has the registry say who somebody is and what they look like,
// and the vendor whether it is they.
func TestMatchWithLocalPortraits(t *testing.T) {
	t.Parallel()
	var sent map[string]any
	s, j := open(t, upstream.BaiduMatchV4, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/rest/2.0/face/v4/mingjing/match" {
			_ = json.NewDecoder(r.Body).Decode(&sent)
			fmt.Fprint(w, `{"error_code":0,"result":{"score":88,"face_list":[{"face_token":"a"},{"face_token":"b"}]}}`)
			return
		}
		says(200, "")(w, r)
	}, func(c *upstream.Config) { c.Local = ekyc.Source{Identity: local{}, Portrait: local{}} })
	_, score, err := s.Face.Face(t.Context(), zhang, []byte("a face"))
	if score != 0.88 || err != nil || sent["image"] != "YSBmYWNl" || sent["register_image"] != "YSBwb3J0cmFpdA" && sent["register_image"] != "YSBwb3J0cmFpdA==" {
		t.Errorf("got %v, %v, sent %v; want both images compared", score, err, sent)
	}
	other := zhang
	other.Name = "李四"
	_, _, err = s.Face.Face(t.Context(), other, []byte("a face"))
	if ekyc.CodeOf(err) != ekyc.IdentityMismatch || len(j.calls) != 1 {
		t.Errorf("another name: %v after %d calls; want no paid call", err, len(j.calls))
	}
	if _, err := upstream.Open(upstream.Config{Name: "x", Kind: upstream.BaiduMatchV4}); err == nil {
		t.Error("without local portraits it opened")
	}
}

type local struct{}

func (local) Identity(_ context.Context, c ekyc.Claim) (ekyc.Outcome, error) {
	if c.Name != zhang.Name {
		return ekyc.NonMatched, nil
	}
	return ekyc.Match, nil
}

func (local) Portrait(context.Context, ekyc.Claim) ([]byte, error) { return []byte("a portrait"), nil }

// TestRepeats has sources repeat what was surely not charged, and nothing else.
func TestRepeats(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind, first string
		status      int
		want        int32
	}{
		{upstream.BaiduV4, `{"error_code":18}`, 200, 2},     // refused at the door
		{upstream.BaiduV4, `{"error_code":222361}`, 200, 1}, // after the authority was asked
		{upstream.BaiduV4, `not JSON`, 200, 1},
		{upstream.HTTP, `oops`, 500, 2}, // the key makes it the same call
		{upstream.HTTP, `{}`, 200, 1},
	} {
		var n atomic.Int32
		var keys []string
		s, j := open(t, tt.kind, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/oauth/") {
				says(200, "")(w, r)
				return
			}
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			if n.Add(1) == 1 {
				says(tt.status, tt.first)(w, r)
				return
			}
			says(200, map[string]string{
				upstream.BaiduV4: `{"error_code":0,"result":{"score":90}}`, upstream.HTTP: `{"identity":"match","outcome":"match","score":0.9}`,
			}[tt.kind])(w, r)
		}, nil)
		_, score, err := s.Face.Face(t.Context(), zhang, []byte("a face"))
		if n.Load() != tt.want || (score == 0.9) != (tt.want == 2) {
			t.Errorf("%s %s: %d calls, score %v, %v; want %d", tt.kind, tt.first, n.Load(), score, err, tt.want)
		}
		if len(slices.Compact(keys)) != 1 || len(j.calls) != 1 {
			t.Errorf("%s %s: keys %v, %d calls in the journal; want one of each", tt.kind, tt.first, keys, len(j.calls))
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("http://127.0.0.1:%d", testkit.NewDoor(t).Port)
	for _, kind := range []string{upstream.BaiduV4, upstream.JuheFace, upstream.HTTP} {
		s, j := open(t, kind, nil, func(c *upstream.Config) { c.Address = address })
		_, _, err := s.Face.Face(t.Context(), zhang, []byte("a face"))
		if c := j.last(t); ekyc.CodeOf(err) != ekyc.SourceFailed || c.Charged {
			t.Errorf("%s: %v, charged %v; want %s, and nothing charged where nobody was reached", kind, err, c.Charged, ekyc.SourceFailed)
		}
	}
}

// TestBreaker leaves a source alone that failed five times in a row, and asks it again later.
func TestBreaker(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	var up atomic.Bool
	s, _ := open(t, upstream.JuheFace, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if up.Load() {
			says(200, `{"error_code":0,"result":{"res":1,"score":90}}`)(w, r)
			return
		}
		says(500, "oops")(w, r)
	}, func(c *upstream.Config) { c.Pause = 50 * time.Millisecond })
	ask := func() error { _, _, err := s.Face.Face(t.Context(), zhang, []byte("a face")); return err }
	for range 8 {
		if err := ask(); ekyc.CodeOf(err) != ekyc.SourceFailed {
			t.Fatalf("got %v, want %s", err, ekyc.SourceFailed)
		}
	}
	if n.Load() != 5 {
		t.Errorf("it was asked %d times, want 5 and then left alone", n.Load())
	}
	up.Store(true)
	for deadline := time.Now().Add(10 * time.Second); ; { // the breaker's pause is the library's to time
		if err := ask(); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("it was not asked again: %v", err)
		}
	}
	// Answers that say no are answers: they open nothing.
	s, _ = open(t, upstream.BaiduV4, says(200, `{"error_code":222351}`), nil)
	for range 12 {
		if _, _, err := s.Face.Face(t.Context(), zhang, []byte("a face")); ekyc.CodeOf(err) != ekyc.IdentityMismatch {
			t.Fatalf("got %v, want %s each time", err, ekyc.IdentityMismatch)
		}
	}
}

func TestNoCallWithoutAJournal(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s, j := open(t, upstream.JuheFace, func(http.ResponseWriter, *http.Request) { n.Add(1) }, nil)
	j.err = errors.New("disk full")
	_, _, err := s.Face.Face(t.Context(), zhang, []byte("a face"))
	if ekyc.CodeOf(err) != ekyc.SourceFailed || n.Load() != 0 {
		t.Errorf("got %v after %d calls; want no call that cannot be written down", err, n.Load())
	}
}

// TestCrash is what a server leaves that dies during a call: a call that is charged.
func TestCrash(t *testing.T) {
	t.Parallel()
	var during upstream.Call
	var j *journal
	s, j := open(t, upstream.JuheFace, func(w http.ResponseWriter, r *http.Request) {
		during = j.last(t)
		says(200, `{"error_code":10012}`)(w, r)
	}, nil)
	_, _, _ = s.Face.Face(t.Context(), zhang, []byte("a face"))
	if !during.Charged || during.Cost != 350_000 || !during.Ended.IsZero() || during.Source != "them" || len(during.ID) != 32 {
		t.Errorf("during the call the journal holds %+v; want it begun, and charged", during)
	}
}

func TestSlowSourceAndLogs(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	defer close(hold)
	l := &logs{}
	s, j := open(t, upstream.JuheFace, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}, func(c *upstream.Config) {
		c.Timeout, c.Log = 100*time.Millisecond, slog.New(slog.NewTextHandler(l, nil))
	})
	for range 6 {
		if _, _, err := s.Face.Face(t.Context(), zhang, []byte("a face")); ekyc.CodeOf(err) != ekyc.SourceFailed {
			t.Errorf("got %v, want %s", err, ekyc.SourceFailed)
		}
	}
	if c := j.last(t); !c.Charged {
		t.Errorf("a call without a reply: %+v; want it counted as charged", c)
	}
	if got := l.String(); !strings.Contains(got, "circuit breaker") || strings.Contains(got, "张三丰") {
		t.Errorf("logged %q; want the breaker named and nobody else", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []upstream.Config{{Name: "x", Kind: "oracle"}, {Name: "x", Kind: upstream.HTTP, Answers: []string{"fate"}}} {
		if _, err := upstream.Open(c); err == nil {
			t.Errorf("%+v opened", c)
		}
	}
	for _, kind := range upstream.Kinds() {
		if _, err := upstream.Open(upstream.Config{Name: "x", Kind: kind, Local: ekyc.Source{Identity: local{}, Portrait: local{}}}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
