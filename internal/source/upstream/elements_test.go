package upstream_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
)

// TestElements has the four-element check answer in each of its documented ways, and in
// others, which are no answer.
func TestElements(t *testing.T) {
	t.Parallel()
	const yes, no, none, failed, unseen = ekyc.Match, ekyc.NonMatched, ekyc.NoRecord, ekyc.Failed, ekyc.NotRun
	for res, want := range map[int][3]ekyc.Outcome{ // seed: 核验结果
		100: {yes, yes, yes}, 101: {yes, yes, no}, 102: {yes, no, yes}, 103: {yes, no, no}, 104: {yes, failed, yes}, 105: {no, unseen, yes},
		106: {yes, failed, no}, 107: {no, unseen, no}, 108: {yes, yes, failed}, 109: {yes, yes, none}, 110: {yes, no, failed},
		111: {yes, no, none}, 112: {yes, failed, failed}, 113: {yes, failed, none}, 114: {no, unseen, failed}, 115: {failed, unseen, yes},
		116: {failed, unseen, no},
	} {
		score := 0.0
		if want[1] == yes || want[1] == no {
			score = 982.7
		}
		s, j := open(t, upstream.Juhe, says(200, fmt.Sprintf(
			`{"reason":"成功","result":{"orderid":"JH801","res":%d,"resmsg":"","score":%v,"type":"联通"},"error_code":0}`, res, score)), nil)
		a, err := s.Elements.Elements(t.Context(), zhang, "13800138000", []byte("a face"))
		got := [3]ekyc.Outcome{a.Identity, a.Portrait, a.Mobile}
		if err != nil || got != want || a.Score != ekyc.Score(score/1000) || a.Carrier != ekyc.ChinaUnicom || !j.last(t).Charged {
			t.Errorf("%d: got %+v, %v; want %v", res, a, err, want)
		}
	}
	for reply, want := range map[string]struct {
		code    ekyc.Code
		charged bool
	}{
		`{"reason":"成功","result":{"res":99,"score":0},"error_code":0}`:              {ekyc.SourceFailed, true},
		`{"reason":"成功","result":{},"error_code":0}`:                                {ekyc.SourceFailed, true},
		`{"reason":"成功","result":{"res":100,"score":0},"error_code":0}`:             {ekyc.SourceFailed, true},
		`{"reason":"成功","result":{"res":107,"score":900},"error_code":0}`:           {ekyc.SourceFailed, true},
		`{"reason":"成功","result":{"res":100,"score":2000},"error_code":0}`:          {ekyc.SourceFailed, true},
		`{"reason":"身份核验失败、手机号核验失败","result":{"orderid":"x"},"error_code":280105}`:  {ekyc.SourceFailed, false},
		`{"reason":"身份证号格式错","result":null,"error_code":280102}`:                    {ekyc.BadIDNumber, false},
		`{"reason":"姓名格式错误","result":null,"error_code":280104}`:                     {ekyc.BadName, false},
		`{"resultcode":"101","reason":"错误的请求KEY","result":null,"error_code":10001}`: {ekyc.SourceFailed, false},
		`{"resultcode":"120","reason":"接口维护","result":null,"error_code":10020}`:     {ekyc.Busy, false},
		`{"reason":"成功","result":{"res":100,"sc`:                                    {ekyc.SourceFailed, true},
	} {
		s, j := open(t, upstream.Juhe, says(200, reply), nil)
		a, err := s.Elements.Elements(t.Context(), zhang, "13800138000", []byte("a face"))
		if c := j.last(t); ekyc.CodeOf(err) != want.code || c.Charged != want.charged || a.Identity != failed || a.Mobile != failed || a.Score != 0 {
			t.Errorf("%s: got %+v, %v, charged %v; want %q, %v", reply, a, err, c.Charged, want.code, want.charged)
		}
	}
}

// TestElementsAreSent checks what goes out.
func TestElementsAreSent(t *testing.T) {
	t.Parallel()
	s, _ := open(t, upstream.Juhe, func(w http.ResponseWriter, r *http.Request) {
		for name, want := range map[string]string{
			"key": "theApiKey0001", "realname": "张三丰", "idcard": "11010519491231002X", "mobile": "13800138000",
			"image": base64.StdEncoding.EncodeToString([]byte("a face")),
		} {
			if got := r.PostFormValue(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		says(200, `{"error_code":0,"result":{"res":107,"score":0}}`)(w, r)
	}, nil)
	if a, err := s.Elements.Elements(t.Context(), zhang, "13800138000", []byte("a face")); err != nil || a.Identity != ekyc.NonMatched {
		t.Errorf("got %+v, %v; want the non-match", a, err)
	}
}
