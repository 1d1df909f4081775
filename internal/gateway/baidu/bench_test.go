package baidu

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// quick is a core whose comparison takes no time: what is measured is the gateway.
type quick struct{ Core }

func (quick) Compare(context.Context, ekyc.App, ekyc.Picture, ekyc.Picture, string) (ekyc.Compared, error) {
	return ekyc.Compared{Comparison: ekyc.Comparison{Score: 0.9}}, nil
}

func benchmark(b *testing.B, path string, body func(k *testkit.Kit) any) {
	k := testkit.New(b)
	h := New(quick{k.Service}, Config{BaseURL: "http://x", Now: k.Clock.Now, Log: k.Log})
	g, err := k.Grant(k.Ctx, k.App.Key, string(k.App.Secret))
	if err != nil {
		b.Fatal(err)
	}
	tok := baidu.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}
	text, err := json.Marshal(body(k))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, path+"?access_token="+tok.String(), bytes.NewReader(text))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if bytes.Contains(w.Body.Bytes(), []byte(`"error_detail"`)) {
				b.Fatal(w.Body)
			}
		}
	})
}

func passed(k *testkit.Kit) any {
	ses := k.OpenPlan("1")
	if _, err := k.Walk(ses.Token, testkit.Face{Person: "zhang"}); err != nil {
		k.T.Fatal(err)
	}
	return baidu.TokenRequest{VerifyToken: string(ses.Token)}
}

func BenchmarkGenerate(b *testing.B) {
	benchmark(b, baidu.PathGenerate, func(*testkit.Kit) any { return baidu.GenerateRequest{PlanID: "1"} })
}

func BenchmarkDetail(b *testing.B) { benchmark(b, baidu.PathDetail, passed) }

func BenchmarkGetAll(b *testing.B) { benchmark(b, baidu.PathGetAll, passed) }

// Two camera pictures of 640x480: about 100 KB each.
func BenchmarkMatch(b *testing.B) {
	benchmark(b, baidu.PathMatchV4, func(*testkit.Kit) any {
		image := bytes.Repeat([]byte{0xff, 0xd8, 0xff, 7, 9}, 20<<10)
		return baidu.MatchRequest{Image: image, RegisterImage: image, ImageType: baidu.Base64, RegisterImageType: baidu.Base64}
	})
}
