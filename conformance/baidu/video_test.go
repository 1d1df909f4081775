package baidu

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	api "shiren/api/baidu"
	"shiren/internal/ekyc"
)

// Seed 二.4: addresses of videos, for one day. A player asks for parts.
func TestVideosArePlayedFromTheirLinks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ plan, capture, kind string }{
		"real-time": {`{"KeepMedia":true}`, `walk T {"Person":"zhang"}`, "video/mp4"},
		"recorded":  {`{"KeepMedia":true,"Liveness":"video"}`, `record T video {"Person":"zhang"}`, "video/webm"},
	} {
		w := newWorld(t)
		for _, line := range []string{"plan v " + c.plan, "videos", "open v T", c.capture} {
			w.Given(line)
		}
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, w.Request("POST "+api.PathMedia+"?access_token=$ACCESS HTTP/1.1\nHost: x\n\n{\"verify_token\":\"$T\"}"))
		var reply api.Reply[api.MediaResult]
		w.Must(json.Unmarshal(rec.Body.Bytes(), &reply))
		links := append(reply.Result.ProcessVideo, reply.Result.Video...)
		if len(links) != 1 {
			t.Fatalf("%s: got %s, want one video", name, rec.Body)
		}
		get := func(method, url string, header ...string) *http.Response {
			r := httptest.NewRequest(method, strings.TrimPrefix(url, base), nil)
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			return rec.Result()
		}
		body := func(r *http.Response) []byte {
			var b bytes.Buffer
			_, err := b.ReadFrom(r.Body)
			w.Must(err)
			return b.Bytes()
		}
		whole := get("GET", links[0])
		video := body(whole)
		if whole.StatusCode != 200 || whole.Header.Get("Content-Type") != c.kind || len(video) < 20 || whole.Header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("%s: got %d, %v and %d bytes, want a video of %s that may be asked for in parts", name, whole.StatusCode, whole.Header, len(video), c.kind)
		}
		if cache := whole.Header.Get("Cache-Control"); cache != "private, no-store" {
			t.Errorf("%s: Cache-Control %q, want that nobody keeps it", name, cache)
		}
		part := get("GET", links[0], "Range", "bytes=4-11", "If-Range", whole.Header.Get("ETag"))
		if got := body(part); part.StatusCode != 206 || !bytes.Equal(got, video[4:12]) || !strings.HasPrefix(part.Header.Get("Content-Range"), "bytes 4-11/") {
			t.Errorf("%s: a part: got %d, %q and %v, want bytes 4 to 11", name, part.StatusCode, got, part.Header)
		}
		if r := get("GET", links[0], "Range", "bytes=99999999-"); r.StatusCode != 416 {
			t.Errorf("%s: a part beyond the end: got %d, want 416", name, r.StatusCode)
		}
		if r := get("HEAD", links[0]); r.StatusCode != 200 || len(body(r)) != 0 || r.ContentLength != int64(len(video)) {
			t.Errorf("%s: HEAD: got %d and length %d, want 200 and %d", name, r.StatusCode, r.ContentLength, len(video))
		}
		bare := api.PathVideo + "?verify_token=" + w.Vars["$T"]
		for what, c := range map[string]struct {
			method, url string
			status      int
		}{
			"forged":            {"GET", strings.Replace(links[0], "sign=", "sign=0", 1), 404},
			"of another moment": {"GET", strings.Replace(links[0], "expires=1", "expires=2", 1), 404},
			"cut":               {"GET", strings.Replace(links[0], "expires=", "expires=x", 1), 404},
			"bare":              {"GET", bare, 404},
			"the owner's, bare": {"GET", bare + "&access_token=" + w.Vars["$ACCESS"], 404},
			"posted":            {"POST", links[0], 405},
		} {
			if r := get(c.method, c.url); r.StatusCode != c.status {
				t.Errorf("%s, %s: got %d, want %d", name, what, r.StatusCode, c.status)
			}
		}
		w.Clock.Advance(ekyc.MediaKept - time.Minute)
		if r := get("GET", links[0]); r.StatusCode != 200 {
			t.Errorf("%s, shortly before a day is over: got %d, want 200", name, r.StatusCode)
		}
		w.Clock.Advance(time.Minute)
		if r := get("GET", links[0]); r.StatusCode != 404 {
			t.Errorf("%s, after a day: got %d, want 404", name, r.StatusCode)
		}
	}
}
