package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shiren/internal/ekyc"
)

// slow is a connection that never sends the rest, until its deadline passes.
type slow struct {
	http.ResponseWriter
	end chan struct{}
}

func (s *slow) SetReadDeadline(time.Time) error { close(s.end); return nil }

func (s *slow) Read([]byte) (int, error) { <-s.end; return 0, errors.New("i/o timeout") }

func TestSlowBodyIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{ResponseWriter: httptest.NewRecorder(), end: make(chan struct{})}
		r := httptest.NewRequest("POST", "/", io.NopCloser(s))
		start := time.Now()
		err := Read(s, r, new(bytes.Buffer), 64<<10)
		if ekyc.CodeOf(err) != ekyc.BadRequest {
			t.Errorf("got %v, want bad_request", err)
		}
		if took := time.Since(start); took != BodyTimeout {
			t.Errorf("given up after %v, want %v", took, BodyTimeout)
		}
	})
}

func TestLengthIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/", strings.NewReader("x"))
	r.ContentLength = 12 << 20
	var buf bytes.Buffer
	_ = Read(httptest.NewRecorder(), r, &buf, 12<<20)
	if buf.Cap() > keepBuffer+bytes.MinRead {
		t.Errorf("a client that announces %d bytes gets a buffer of %d", 12<<20, buf.Cap())
	}
	r = httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", 1000)))
	r.ContentLength = -1
	if err := Read(httptest.NewRecorder(), r, new(bytes.Buffer), 999); ekyc.CodeOf(err) != ekyc.BodyTooLarge {
		t.Errorf("1000 bytes unannounced: got %v, want body_too_large", err)
	}
}

func FuzzImage(f *testing.F) {
	for _, s := range []string{"/9j/4AAQ", "_9j_4AAQ", "QQ", "data:;base64,QQ==", " Q Q = = ", "=", "data:"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, form bool) {
		got, err := Image("image", in, form)
		if want, e := base64.StdEncoding.DecodeString(string(in)); e == nil && len(want) > 0 && !bytes.Equal(got, want) {
			t.Errorf("%q: got %x, %v, want %x", in, got, err, want)
		}
		if err != nil && ekyc.CodeOf(err) == ekyc.Internal {
			t.Errorf("%q: an error without a code: %v", in, err)
		}
	})
}
