package baidu

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
)

// beijing is the zone of all times that the vendor writes.
var beijing = time.FixedZone("+08:00", 8*60*60)

func stamp(t time.Time) string { return t.In(beijing).Format(baidu.TimeLayout) }

// percent is a score on the vendor's 0 to 100 scale, to 4 decimals as in the seed.
func percent(s ekyc.Score) float64 { return math.Round(float64(s)*1e6) / 1e4 }

// unit is a score on the vendor's 0 to 1 scale, to 7 decimals as in the seed.
func unit(s ekyc.Score) float64 { return math.Round(float64(s)*1e7) / 1e7 }

// result reads the session that a result interface is about.
func (h *handler) result(c *call) (ekyc.Session, error) {
	t, err := c.verifyToken()
	if err != nil {
		return ekyc.Session{}, err
	}
	return h.core.Result(c.r.Context(), c.app, t)
}

// passed returns the attempt that passed; without one, the last attempt's code as an
// error (seed 二.2: "认证失败返回错误码").
func (h *handler) passed(ses *ekyc.Session) (ekyc.Attempt, error) {
	list := ses.Verifications(h.now())
	for _, a := range list {
		if a.Outcome == ekyc.Match {
			return a, nil
		}
	}
	last := list[len(list)-1] // Result says NotStarted where there is none
	return ekyc.Attempt{}, refuse(codes[last.Code].scheme, "the verification did not pass: %s", last.Code)
}

// simple gives the address of the verified face. Seed 二.1.
func (h *handler) simple(c *call) (any, error) {
	ses, err := h.result(c)
	if err != nil {
		return nil, err
	}
	face, err := h.face(&ses)
	if err != nil {
		return nil, err
	}
	return baidu.SimpleResult{Image: h.link(c.r, ses.Token, face, face.Until)}, nil
}

// face is the picture of the attempt that passed.
func (h *handler) face(ses *ekyc.Session) (ekyc.Evidence, error) {
	a, err := h.passed(ses)
	if err != nil {
		return ekyc.Evidence{}, err
	}
	found := ses.Find(ekyc.EvidenceFace, a.Ordinal)
	if len(found) == 0 || !h.now().Before(found[0].Until) {
		return ekyc.Evidence{}, ekyc.Errorf(ekyc.EvidenceGone, "the image was not kept, or was erased when it was due")
	}
	return found[0], nil
}

// detail gives a passed verification's scores and identity. Seed 二.2.
func (h *handler) detail(c *call) (any, error) {
	ses, err := h.result(c)
	if err != nil {
		return nil, err
	}
	a, err := h.passed(&ses)
	if err != nil {
		return nil, err
	}
	out := baidu.DetailResult{VerifyResult: baidu.DetailVerify{LivenessScore: unit(a.Live), IsDemote: demoted(&ses, a)}}
	if ses.Plan.Spoofing && a.Risk != nil {
		out.VerifyResult.Spoofing = unit(ekyc.Score(a.Risk.Spoofing))
	}
	if a.Compared {
		out.VerifyResult.Score = percent(a.Score)
	}
	h.card(c.r.Context(), &ses, a, &out)
	if a.Claim != nil {
		out.IDCardConfirm = &baidu.DetailConfirm{Name: string(a.Claim.Name), IDCardNumber: string(a.Claim.Number)}
	}
	return out, nil
}

// demoted says whether a real-time plan's attempt was a recording; nil for a plan that
// takes recordings only (seed: "方案配置为实时检测时,将返回该字段").
func demoted(ses *ekyc.Session, a ekyc.Attempt) *bool {
	if ses.Plan.Liveness.Recorded() {
		return nil
	}
	return &a.Demoted
}

// stat counts the session's inner calls by interface and code. Seed 二.3.
func (h *handler) stat(c *call) (any, error) {
	ses, err := h.result(c)
	if err != nil {
		return nil, err
	}
	count := func(interfaces ...ekyc.Interface) []baidu.StatCount {
		n := map[baidu.Code]int{}
		for _, call := range ses.Calls {
			if slices.Contains(interfaces, call.Interface) {
				n[codes[call.Code].scheme]++
			}
		}
		list := make([]baidu.StatCount, 0, len(n))
		for code, k := range n {
			list = append(list, baidu.StatCount{ErrorCode: text(code), Count: baidu.Int(k)})
		}
		slices.SortFunc(list, func(a, b baidu.StatCount) int {
			return cmp.Or(cmp.Compare(len(a.ErrorCode), len(b.ErrorCode)), cmp.Compare(a.ErrorCode, b.ErrorCode))
		})
		return list
	}
	countText := func(interfaces ...ekyc.Interface) []baidu.StatCountText {
		list := []baidu.StatCountText{}
		for _, s := range count(interfaces...) {
			list = append(list, baidu.StatCountText{ErrorCode: s.ErrorCode, Count: baidu.IntText(s.Count)})
		}
		return list
	}
	return baidu.StatResult{
		VerifyFIN:         count(),
		Sessioncode:       count(ekyc.CallSession),
		OCR:               count(ekyc.CallOCR),
		Verify:            count(ekyc.CallVerify, ekyc.CallMatch),
		VideoLiveness:     countText(ekyc.CallSilent, ekyc.CallVideo),
		LivenessColourful: countText(ekyc.CallFlash),
		VerifySec:         countText(),
	}, nil
}

func text(c baidu.Code) baidu.Text { return baidu.Text(strconv.Itoa(int(c))) }

// media gives the addresses of a presentation's video and pictures, for a day, where the
// plan keeps them. Seed 二.4. It is the passed presentation, else the last one with any.
func (h *handler) media(c *call) (any, error) {
	ses, err := h.result(c)
	if err != nil {
		return nil, err
	}
	if !ses.Plan.KeepMedia {
		return nil, ekyc.Errorf(ekyc.NotSwitchedOn, "the plan does not keep recordings; the operator can switch it on")
	}
	list := ses.Verifications(h.now())
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b ekyc.Attempt) int { // the passed one first
		switch {
		case a.Outcome == ekyc.Match && b.Outcome != ekyc.Match:
			return -1
		case b.Outcome == ekyc.Match && a.Outcome != ekyc.Match:
			return 1
		}
		return 0
	})
	for _, a := range list {
		until := a.Finished.Add(ekyc.MediaKept)
		if !h.now().Before(until) {
			continue
		}
		if out := h.presentation(c.r, &ses, a, until); out.ProcessVideo != nil || out.Video != nil || out.Images != nil {
			return out, nil
		}
	}
	return nil, ekyc.Errorf(ekyc.EvidenceGone, "no recording was kept, or its day is over")
}

// presentation is what the media call says of one attempt. Seed: real-time kinds have
// processVideo and images, recorded ones video; "video和processVideo不会同时返回".
func (h *handler) presentation(r *http.Request, ses *ekyc.Session, a ekyc.Attempt, until time.Time) (out baidu.MediaResult) {
	links := func(most int, list ...ekyc.Evidence) (urls []string) {
		for _, e := range list {
			if h.now().Before(e.Until) && len(urls) < most {
				urls = append(urls, h.link(r, ses.Token, e, until))
			}
		}
		return urls
	}
	video, face := ses.Find(ekyc.EvidenceVideo, a.Ordinal), ses.Find(ekyc.EvidenceFace, a.Ordinal)
	switch {
	case a.Kind == ekyc.RecordedPicture: // the upload is a picture, and is the face
		out.Video = links(1, face...)
	case a.Kind.Recorded():
		out.Video = links(1, video...)
	default:
		frames := ses.Find(ekyc.EvidenceFrame, a.Ordinal)
		slices.Reverse(frames) // best first
		out.ProcessVideo = links(1, video...)
		out.Images = links(ekyc.MediaImages, append(face, frames...)...)
	}
	return out
}

// getAll tells everything about a token's verifications and charges. Seed 二.5.
func (h *handler) getAll(c *call) (any, error) {
	ses, err := h.result(c)
	if err != nil {
		return nil, err
	}
	out := baidu.GetAllResult{VerifyResult: []baidu.VerifyRecord{}}
	for _, ch := range ses.Charges() {
		switch ch.Kind {
		case ekyc.ChargeVerify:
			out.VerifyChargeCount++
		case ekyc.ChargeMatch:
			out.MatchChargeCount++
		case ekyc.ChargeLive:
			out.LiveChargeCount++
		case ekyc.ChargeOCR:
			out.OCRChargeCount++
		}
	}
	before := 0
	for i, a := range ses.Verifications(h.now()) {
		v := h.record(c.r, &ses, a, i+1)
		h.recordCard(c.r, &ses, a, before, &v)
		out.VerifyResult, before = append(out.VerifyResult, v), a.Ordinal
	}
	out.VerifyCount = len(out.VerifyResult)
	return out, nil
}

func (h *handler) record(r *http.Request, ses *ekyc.Session, a ekyc.Attempt, order int) baidu.VerifyRecord {
	v := baidu.VerifyRecord{
		Order:          order,
		IsVerifyPassed: a.Outcome == ekyc.Match,
		Code:           text(codes[a.Code].scheme),
		Message:        codes[a.Code].message,
		VerifyTime:     stamp(a.Finished),
		VerifyDetail:   baidu.VerifyDetail{IsDemote: demoted(ses, a)},
	}
	for _, ch := range a.Charges {
		v.IsCharged, v.ChargeTime = true, stamp(ch.At)
		v.ChargeType = map[ekyc.ChargeKind]string{
			ekyc.ChargeVerify: baidu.ChargeVerify, ekyc.ChargeMatch: baidu.ChargeMatch, ekyc.ChargeLive: baidu.ChargeLive,
		}[ch.Kind]
	}
	d := &v.VerifyDetail
	if f := ses.Find(ekyc.EvidenceFace, a.Ordinal); len(f) > 0 && h.now().Before(f[0].Until) {
		d.FaceImage = h.link(r, ses.Token, f[0], f[0].Until)
	}
	for _, call := range ses.Calls {
		if call.LogID == a.LogID && (call.Interface == ekyc.CallVerify || call.Interface == ekyc.CallMatch) {
			d.VerifyLogID = a.LogID
		}
	}
	if a.Compared {
		s := percent(a.Score)
		d.Score = &s
	}
	if ses.Plan.Comparison != ekyc.CompareNone {
		t := percent(ses.Plan.MatchAt)
		d.Threshold = &t
	}
	if ses.Plan.Risk {
		level, tag := "", ""
		if a.Risk != nil {
			level, tag = strconv.Itoa(a.Risk.Level), strings.Join(a.Risk.Tags, ",")
		}
		d.RiskLevel, d.RiskTag = &level, &tag
	}
	if ses.Plan.Spoofing && a.Risk != nil {
		s := percent(ekyc.Score(a.Risk.Spoofing))
		d.SpoofingScore = &s
	}
	if a.Claim != nil {
		v.IDCardConfirm = &baidu.RecordConfirm{
			Name: string(a.Claim.Name), IDCardNumber: string(a.Claim.Number), IDCardType: baidu.Text(strconv.Itoa(int(a.Claim.Type))),
		}
	}
	return v
}

// link makes the address of an image or a video. The seed's address holds the verify token alone;
// as every capture subject has that, it opens nothing without the signature.
func (h *handler) link(r *http.Request, t ekyc.Token, e ekyc.Evidence, until time.Time) string {
	base := h.base
	if base == "" {
		base = "http://"
		if r.TLS != nil {
			base = "https://"
		}
		base += host(r)
	}
	path, name := baidu.PathImage, "image"
	if e.Kind == ekyc.EvidenceVideo {
		path, name = baidu.PathVideo, "video"
	}
	q := url.Values{
		"verify_token": {string(t)}, name: {e.Ref},
		"expires": {strconv.FormatInt(until.Unix(), 10)}, "sign": {h.core.SignLink(linkTo(t, e.Ref), until)},
	}
	return base + path + "?" + q.Encode()
}

// host is where the client reached this server.
func host(r *http.Request) string {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	if name == baidu.APIHost || name == baidu.PageHost {
		if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			return a.String()
		}
	}
	return r.Host
}

func linkTo(t ekyc.Token, ref string) string { return "baidu image " + t.Digest() + " " + ref }

// image serves an image: to whoever has its signed address, and to the relying party
// that owns the session.
func (h *handler) image(w http.ResponseWriter, r *http.Request) {
	h.evidence(w, r, baidu.PathImage, "image", h.ownFace)
}

// video serves a video to whoever has its signed address. Parts of it may be asked for
// (RFC 9110, 14), as players do.
func (h *handler) video(w http.ResponseWriter, r *http.Request) {
	h.evidence(w, r, baidu.PathVideo, "video", func(context.Context, *call, ekyc.Token) ([]byte, ekyc.Evidence, error) {
		return nil, ekyc.Evidence{}, ekyc.Errorf(ekyc.EvidenceGone, "the address of a video is signed; ask result/media/query for it")
	})
}

// evidence serves what the address's parameter name refers to; unsigned finds it where
// the address has no signature.
func (h *handler) evidence(w http.ResponseWriter, r *http.Request, route, name string, unsigned func(context.Context, *call, ekyc.Token) ([]byte, ekyc.Evidence, error)) {
	c := &call{r: r, route: route, logID: h.core.LogID()}
	data, e, err := h.open(c, name, unsigned)
	if err != nil {
		code, detail := h.vendor(c, err)
		status := http.StatusNotFound
		switch code {
		case baidu.AccessTokenInvalid, baidu.AccessTokenExpired, baidu.InvalidParameter, baidu.IAMFailed, baidu.NoPermission:
			status = http.StatusForbidden
		case baidu.UnsupportedMethod:
			status = http.StatusMethodNotAllowed
		case baidu.ServiceFault:
			status = http.StatusInternalServerError
		case baidu.RateLimit, baidu.DailyLimit, baidu.TotalLimit:
			status = http.StatusTooManyRequests
		}
		h.write(w, status, envelope(c, code, detail))
		return
	}
	header := w.Header()
	header.Set("Content-Type", e.Type)
	header.Set("Cache-Control", "private, no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("ETag", `"`+e.SHA256+`"`) // so that the parts that a player asks for are parts of one thing
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (h *handler) open(c *call, name string, unsigned func(context.Context, *call, ekyc.Token) ([]byte, ekyc.Evidence, error)) ([]byte, ekyc.Evidence, error) {
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return nil, ekyc.Evidence{}, ekyc.Errorf(ekyc.UnknownMethod, "use GET")
	}
	q, ctx := c.r.URL.Query(), c.r.Context()
	t, ref := ekyc.Token(q.Get("verify_token")), q.Get(name)
	if sign := q.Get("sign"); sign != "" {
		until, err := strconv.ParseInt(q.Get("expires"), 10, 64)
		if err != nil {
			return nil, ekyc.Evidence{}, ekyc.Errorf(ekyc.EvidenceGone, "the link was cut; ask for a new one")
		}
		if err := h.core.CheckLink(linkTo(t, ref), time.Unix(until, 0), sign); err != nil {
			return nil, ekyc.Evidence{}, err
		}
		return h.core.Evidence(ctx, t, ref)
	}
	return unsigned(ctx, c, t)
}

// ownFace opens the seed's bare address for an authenticated relying party.
func (h *handler) ownFace(ctx context.Context, c *call, t ekyc.Token) ([]byte, ekyc.Evidence, error) {
	app, err := h.authenticate(c.r)
	if err == nil {
		c.app = app
		err = h.core.Admit(ctx, app)
	}
	if err != nil {
		return nil, ekyc.Evidence{}, err
	}
	ses, err := h.core.Result(ctx, app, t)
	if err != nil {
		return nil, ekyc.Evidence{}, err
	}
	face, err := h.face(&ses)
	if err != nil {
		return nil, ekyc.Evidence{}, err
	}
	return h.core.Evidence(ctx, t, face.Ref)
}
