package baidu

import (
	"testing"

	api "shiren/api/baidu"
	"shiren/internal/testkit"
)

// Both versions of 人脸实名认证 by the Go client: a score for whoever is compared, an error
// for what the authority does not know.
func TestVerifyWithTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Do("authority 11010519491231002X 张三丰 zhang")
	srv := w.serve()
	c := &api.Client{Base: srv.URL, Key: w.App.Key, Secret: string(w.App.Secret)}
	r := api.VerifyRequest{
		IDCardNumber: "11010519491231002X", Name: "张三丰", Image: testkit.Photo(testkit.Face{Person: "zhang"}),
		QualityControl: api.ControlLow, LivenessControl: api.ControlNormal, SpoofingControl: api.ControlLow,
	}
	v4, err := c.VerifyV4(t.Context(), r)
	if err != nil || v4.Score != 100 || v4.VerifyStatus == nil || *v4.VerifyStatus != api.StatusCompared {
		t.Errorf("V4: got %+v, %v; want 100 and status 0", v4, err)
	}
	v3, err := c.VerifyV3(t.Context(), r)
	if err != nil || v3.Score != 100 || v3.VerifyStatus != nil {
		t.Errorf("V3: got %+v, %v; want 100 alone", v3, err)
	}
	r.Name = "李四"
	_, err = c.VerifyV3(t.Context(), r)
	wantCode(t, "another name", err, api.IdentityMismatch)
	if n, err := w.Store.Charged(t.Context(), w.App.ID, "verify"); n != 3 || err != nil {
		t.Errorf("charged %d, %v; want the three answers", n, err)
	}
}
