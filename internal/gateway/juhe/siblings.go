package juhe

import (
	"math"
	"slices"

	"shiren/api/juhe"
	"shiren/internal/ekyc"
)

// face checks name, number and portrait. An image that cannot be compared, and a source that
// does not answer, are what the four-element check calls 核验失败: free of charge here.
func (h *handler) face(c *call) (any, error) {
	text, err := c.fields.texts("realname", "idcard")
	if err != nil {
		return nil, err
	}
	image, err := c.fields.image("image")
	if err != nil {
		return nil, err
	}
	claim, err := ekyc.ParsePerson(text[0], text[1])
	if err != nil {
		return nil, err
	}
	v, err := h.core.Verify(c.r.Context(), c.app, claim, ekyc.Picture{Image: image, Quality: ekyc.LevelNone, Liveness: ekyc.LevelNone}, c.logID, c.order())
	switch {
	case err != nil && slices.Contains(unchecked, ekyc.CodeOf(err)):
		return h.unanswered(c, err), nil
	case err != nil:
		return nil, err
	}
	r := juhe.FaceResult{OrderID: c.order(), Res: juhe.FaceCompared}
	switch v.Code {
	case ekyc.OK:
		r.Score = perCent(v.Comparison.Score)
	case ekyc.IdentityMismatch:
		r.Res = juhe.FaceIdentity
	default:
		r.Res = juhe.FaceNoRecord
	}
	r.ResMsg = r.Res.String()
	return juhe.FaceReply{Reason: juhe.OK.Reason(), Result: r, ErrorCode: juhe.OK}, nil
}

// perCent is a comparison score on the scale that clients of this interface read, to two
// decimals and never 0, which says that nothing was compared.
func perCent(s ekyc.Score) float64 { return max(0.01, math.Round(float64(s)*10000)/100) }

// mobile checks name, number and mobile number.
func (h *handler) mobile(c *call) (any, error) {
	text, err := c.fields.texts("realname", "idcard", "mobile")
	if err != nil {
		return nil, err
	}
	claim, mobile, err := ekyc.ParseElements(text[0], text[1], text[2])
	if err != nil {
		return nil, err
	}
	e, err := h.core.Elements(c.r.Context(), c.app, ekyc.ElementsRequest{Claim: claim, Mobile: mobile, MobileOnly: true, LogID: c.logID, Ref: c.order()})
	if err != nil {
		return nil, err
	}
	r := juhe.MobileResult{RealName: text[0], IDCard: text[1], Mobile: text[2], Type: carriers[e.Carrier]}
	switch e.Mobile {
	case ekyc.Match:
		r.Res = juhe.MobileMatches
	case ekyc.NonMatched:
		r.Res = juhe.MobileDiffers
	default:
		return h.unanswered(c, nil), nil
	}
	r.ResMsg = r.Res.String()
	if show, err := c.fields.text("showid"); err == nil && show == "1" {
		r.OrderID = c.order()
	}
	return juhe.MobileReply{Reason: juhe.OK.Reason(), Result: r, ErrorCode: juhe.OK}, nil
}
