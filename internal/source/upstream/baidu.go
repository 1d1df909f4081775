package upstream

import (
	"cmp"
	"context"
	"errors"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
)

// baiduSource asks 人脸实名认证, V4 or V3.
type baiduSource struct {
	g      *guard
	client *baidu.Client
	verify func(context.Context, baidu.VerifyRequest) (baidu.VerifyResult, error)
	name   string
}

func newBaidu(c Config, g *guard) *baiduSource {
	b := &baiduSource{g: g, client: &baidu.Client{
		Base: cmp.Or(c.Address, "https://"+baidu.APIHost), Key: c.Key, Secret: c.Secret, HTTP: c.Client,
	}}
	if b.verify, b.name = b.client.VerifyV4, baidu.PathVerifyV4; c.Kind == BaiduV3 {
		b.verify, b.name = b.client.VerifyV3, baidu.PathVerifyV3
	}
	return b
}

// Face asks with all controls off: quality and liveness of the probe were judged here.
func (b *baiduSource) Face(ctx context.Context, c ekyc.Claim, probe []byte) (out ekyc.Outcome, score ekyc.Score, err error) {
	err = b.g.do(ctx, b.name, func(ctx context.Context, _ string) tried {
		if t, ok := b.access(ctx); !ok {
			return t
		}
		r, err := b.verify(ctx, baidu.VerifyRequest{
			IDCardNumber: string(c.Number), Name: string(c.Name), Image: probe,
			QualityControl: baidu.ControlNone, LivenessControl: baidu.ControlNone,
		})
		if err != nil {
			return b.failed(err)
		}
		if s := r.VerifyStatus; s != nil {
			switch *s {
			case baidu.StatusCompared:
			case baidu.StatusMismatch:
				return b.g.refused(ekyc.IdentityMismatch, true, nil)
			case baidu.StatusNoPortrait:
				return b.g.refused(ekyc.PortraitNone, true, nil)
			default:
				return b.g.nonsense("verify_status %d", *s)
			}
		}
		var bad *tried
		if score, bad = b.g.scored(r.Score, 100); bad != nil {
			return *bad
		}
		return tried{charged: true}
	})
	return compared(err), score, err
}

// compared is the outcome of a source that compares: whether a score is a match is for the
// plan's threshold to say.
func compared(err error) ekyc.Outcome {
	if err != nil {
		return ekyc.Failed
	}
	return ekyc.Match
}

// access gets an access token, which costs nothing.
func (b *baiduSource) access(ctx context.Context) (tried, bool) {
	_, err := b.client.AccessToken(ctx)
	if err == nil {
		return tried{}, true
	}
	t := b.g.broken(err)
	t.charged = false
	return t, false
}

// baiduCodes are the vendor's refusals in the core's words. Those of quality and liveness are
// free (protocols: V4 order); of the others the vendor says nothing, so they count as charged
// where it must have asked its authority.
var baiduCodes = map[baidu.Code]struct {
	code    ekyc.Code
	charged bool
}{
	baidu.IdentityMismatch: {ekyc.IdentityMismatch, true},
	baidu.IDNumberAbsent:   {ekyc.IdentityUnknown, true},
	baidu.PortraitAbsent:   {ekyc.PortraitNone, true},
	baidu.PortraitPoor:     {ekyc.PortraitPoor, true},
	baidu.IdentityInvalid:  {ekyc.BadIDNumber, true}, // "invalid name or id number": it does not say that they do not match
	baidu.NameFormat:       {ekyc.BadName, false},
	baidu.IDNumberFormat:   {ekyc.BadIDNumber, false},

	baidu.NoFace:              {ekyc.NoFace, false},
	baidu.ManyFaces:           {ekyc.SeveralFaces, false},
	baidu.FaceFuzzy:           {ekyc.FaceBlurred, false},
	baidu.FaceLight:           {ekyc.FaceDark, false},
	baidu.FaceIncomplete:      {ekyc.FaceCut, false},
	baidu.FaceCovered:         {ekyc.FaceCut, false},
	baidu.LeftEyeOccluded:     {ekyc.FaceCut, false},
	baidu.RightEyeOccluded:    {ekyc.FaceCut, false},
	baidu.LeftCheekOccluded:   {ekyc.FaceCut, false},
	baidu.RightCheekOccluded:  {ekyc.FaceCut, false},
	baidu.ChinOccluded:        {ekyc.FaceCut, false},
	baidu.NoseOccluded:        {ekyc.FaceCut, false},
	baidu.MouthOccluded:       {ekyc.FaceCut, false},
	baidu.QualityControlError: {ekyc.FaceTurned, false},
	baidu.LivenessFail:        {ekyc.RefLiveness, false},
	baidu.ImageCheckFail:      {ekyc.ImageFormat, false},
	baidu.ParamImage:          {ekyc.ImageFormat, false},
	baidu.ImageSizeError:      {ekyc.ImageTooLarge, false},

	// Refused at the door: nothing was done.
	baidu.Unavailable:        {ekyc.Busy, false},
	baidu.RateLimit:          {ekyc.Busy, false},
	baidu.RequestLimit:       {ekyc.SourceFailed, false},
	baidu.DailyLimit:         {ekyc.SourceFailed, false},
	baidu.TotalLimit:         {ekyc.SourceFailed, false},
	baidu.NoPermission:       {ekyc.SourceFailed, false},
	baidu.IAMFailed:          {ekyc.SourceFailed, false},
	baidu.AccessTokenInvalid: {ekyc.SourceFailed, false},
	baidu.AccessTokenExpired: {ekyc.SourceFailed, false},
	baidu.InvalidParameter:   {ekyc.SourceFailed, false},
	baidu.UnsupportedMethod:  {ekyc.SourceFailed, false},
}

func (b *baiduSource) failed(err error) tried {
	var e *baidu.Error
	if !errors.As(err, &e) {
		return b.g.broken(err)
	}
	known, ok := baiduCodes[e.Code]
	if !ok {
		return b.g.refused(ekyc.SourceFailed, true, err)
	}
	t := b.g.refused(known.code, known.charged, err)
	t.again = e.Code == baidu.RateLimit || e.Code == baidu.Unavailable
	return t
}

// baiduMatch compares a probe with a portrait that a local source keeps.
type baiduMatch struct {
	*baiduSource
	local ekyc.Source
}

// Face asks the local source who the person is and what they look like, and the vendor
// whether it is they.
func (b *baiduMatch) Face(ctx context.Context, c ekyc.Claim, probe []byte) (out ekyc.Outcome, score ekyc.Score, err error) {
	switch out, err := b.local.Identity.Identity(ctx, c); {
	case err != nil:
		return ekyc.Failed, 0, err
	case out == ekyc.NoRecord:
		return ekyc.Failed, 0, ekyc.Errorf(ekyc.IdentityUnknown, "the local source does not know the number")
	case out != ekyc.Match:
		return ekyc.Failed, 0, ekyc.Errorf(ekyc.IdentityMismatch, "name and number do not belong together")
	}
	portrait, err := b.local.Portrait.Portrait(ctx, c)
	if err != nil {
		return ekyc.Failed, 0, err
	}
	err = b.g.do(ctx, baidu.PathMatchV4, func(ctx context.Context, _ string) tried {
		if t, ok := b.access(ctx); !ok {
			return t
		}
		r, err := b.client.MatchV4(ctx, baidu.MatchRequest{Image: probe, RegisterImage: portrait})
		if err != nil {
			return b.failed(err)
		}
		if len(r.FaceList) == 0 { // then its score means nothing
			return b.g.nonsense("no face_list in the reply")
		}
		var bad *tried
		if score, bad = b.g.scored(r.Score, 100); bad != nil {
			return *bad
		}
		return tried{charged: true}
	})
	return compared(err), score, err
}
