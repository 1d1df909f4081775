package baidu

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
)

// card adds what was read from the identity document, and its pictures, to a detail
// result, where the plan reads one. Seed 二.2: 使用OCR识别时返回此参数信息.
func (h *handler) card(ctx context.Context, ses *ekyc.Session, a ekyc.Attempt, out *baidu.DetailResult) {
	d := a.Document
	if ses.Plan.Identity != ekyc.IdentityDocument || d == nil {
		return
	}
	out.IDCardOCR = &baidu.DetailOCR{
		Address: d.Surely(ekyc.CardAddress), Birthday: d.Surely(ekyc.CardBirthday), Name: d.Surely(ekyc.CardName),
		IDCardNumber: d.Surely(ekyc.CardNumber), Gender: d.Surely(ekyc.CardGender), Nation: d.Surely(ekyc.CardNation),
		ExpireTime: d.Surely(ekyc.CardExpires), IssueAuthority: d.Surely(ekyc.CardAuthority), IssueTime: d.Surely(ekyc.CardIssued),
	}
	picture := func(r *ekyc.CardRecord) []byte {
		if r == nil {
			return nil
		}
		data, _, err := h.core.Evidence(ctx, ses.Token, r.Crop)
		if err != nil && ekyc.CodeOf(err) != ekyc.EvidenceGone {
			h.log.ErrorContext(ctx, "a picture of a document cannot be read", "err", err)
		}
		return data
	}
	out.IDCardImages = &baidu.DetailImages{FrontBase64: append([]byte{}, picture(d.Front)...), BackBase64: picture(d.Back)} // null is no string
}

// recordCard adds to a verification of getall what was read for it: since the one listed
// before it, whose ordinal before is. Seed 二.5.
func (h *handler) recordCard(r *http.Request, ses *ekyc.Session, a ekyc.Attempt, before int, v *baidu.VerifyRecord) {
	calls, charges := ses.Readings(before, a.Ordinal)
	v.OCRCount = len(calls)
	for _, c := range charges {
		v.IsOCRCharge, v.OCRChargeTime = true, stamp(c.At)
	}
	d := a.Document
	if ses.Plan.Identity != ekyc.IdentityDocument || d == nil {
		return
	}
	kind := ekyc.IDCard
	if a.Claim != nil {
		kind = a.Claim.Type
	}
	v.IDCardOCR = &baidu.RecordOCR{
		Address: d.Surely(ekyc.CardAddress), Birthday: d.Surely(ekyc.CardBirthday), Name: d.Surely(ekyc.CardName),
		IDCardNumber: d.Surely(ekyc.CardNumber), IDCardType: baidu.Text(strconv.Itoa(int(kind))), Gender: d.Surely(ekyc.CardGender),
		Nation: d.Surely(ekyc.CardNation), IssueTime: d.Surely(ekyc.CardIssued), ExpireTime: d.Surely(ekyc.CardExpires),
		IssueAuthority: d.Surely(ekyc.CardAuthority),
	}
	link := func(c *ekyc.CardRecord) string {
		if c == nil {
			return ""
		}
		e, ok := ses.Item(c.Crop)
		if !ok || !h.now().Before(e.Until) {
			return ""
		}
		return h.link(r, ses.Token, e, e.Until)
	}
	v.IDCardImages = &baidu.RecordImages{FrontImage: link(d.Front), BackImage: link(d.Back)}
}

// words are the vendor's names of a card's fields. It has none for what stands only on
// the back of a residence permit.
var words = map[ekyc.CardField]string{
	ekyc.CardName: baidu.WordName, ekyc.CardGender: baidu.WordGender, ekyc.CardNation: baidu.WordNation,
	ekyc.CardBirthday: baidu.WordBirthday, ekyc.CardAddress: baidu.WordAddress, ekyc.CardNumber: baidu.WordNumber,
	ekyc.CardAuthority: baidu.WordAuthority, ekyc.CardIssued: baidu.WordIssued, ekyc.CardExpires: baidu.WordExpires,
}

// statuses are the vendor's image_status where it differs from the core's word.
var statuses = map[ekyc.CardStatus]string{ekyc.CardCut: "unknown"}

// idcard reads a side of an identity card directly.
func (h *handler) idcard(c *call) (any, error) {
	text := func(name string) string {
		s, _ := c.body.text(name)
		return strings.ToLower(strings.TrimSpace(s))
	}
	var side ekyc.CardSide
	switch text("id_card_side") {
	case baidu.SideFront:
		side = ekyc.CardFront
	case baidu.SideBack:
		side = ekyc.CardBack
	default:
		return nil, refuse(baidu.InvalidParam, "id_card_side: want front or back")
	}
	image, err := c.body.image("image")
	if ekyc.CodeOf(err) == ekyc.ImageEmpty && text("url") != "" {
		return nil, refuse(baidu.URLIllegal, "url is not served: nothing is fetched from elsewhere; send image")
	}
	if err != nil {
		return nil, err
	}
	r, err := h.core.Recognise(c.r.Context(), c.app, image, side, c.logID)
	if err != nil {
		return nil, err
	}
	out := &baidu.IDCardReply{WordsResult: map[string]baidu.IDCardWord{}, ImageStatus: string(r.Status)}
	if s, ok := statuses[r.Status]; ok {
		out.ImageStatus = s
	}
	for f, w := range r.Words {
		name, ok := words[f]
		if !ok {
			continue
		}
		x := baidu.IDCardWord{Words: w.Value, Location: location(w.Quad)}
		if w.Doubtful || f == ekyc.CardNumber && slices.Contains(r.Flags, ekyc.CardNumberWrong) {
			x.Words, x.Doubtful = "", w.Value
		}
		out.WordsResult[name] = x
	}
	out.WordsResultNum = len(out.WordsResult)
	if side == ekyc.CardFront || r.Side == ekyc.CardFront {
		n := numberType(r)
		out.IDCardNumberType = &n
	}
	if text("detect_risk") == "true" && len(r.Words) > 0 {
		out.RiskType = baidu.RiskUnknown
		if slices.Contains(r.Flags, ekyc.CardCopy) {
			out.RiskType = baidu.RiskCopy
		}
	}
	if text("detect_card") == "true" && len(r.Crop) > 0 {
		l := location(r.Quad)
		out.CardImage, out.CardLocation = r.Crop, &l
	}
	if text("detect_photo") == "true" {
		out.Photo = r.Portrait
	}
	return out, nil
}

// numberType says how a front's number agrees with what else is printed.
func numberType(r ekyc.CardReading) int {
	has := func(f ekyc.CardFlag) bool { return slices.Contains(r.Flags, f) }
	n, birthday, gender := r.Words[ekyc.CardNumber], has(ekyc.CardBirthdayDiffer), has(ekyc.CardGenderDiffer)
	switch {
	case r.Side != ekyc.CardFront || len(r.Words) == 0:
		return baidu.NumberAbsent
	case n.Value == "" || n.Doubtful || has(ekyc.CardNumberWrong):
		return baidu.NumberInvalid
	case birthday && gender:
		return baidu.NumberAllDiffer
	case birthday:
		return baidu.NumberBirthdayDiffer
	case gender:
		return baidu.NumberGenderDiffer
	}
	return baidu.NumberAgrees
}

// location is the upright rectangle around four corners.
func location(q [4]ekyc.Point) baidu.Location {
	left, top, right, bottom := q[0].X, q[0].Y, q[0].X, q[0].Y
	for _, p := range q[1:] {
		left, top, right, bottom = min(left, p.X), min(top, p.Y), max(right, p.X), max(bottom, p.Y)
	}
	x, y := int(math.Floor(left)), int(math.Floor(top))
	return baidu.Location{Top: y, Left: x, Width: int(math.Ceil(right)) - x, Height: int(math.Ceil(bottom)) - y}
}

// ocrCodes are the codes that the OCR interface says by another number than the face
// interfaces do.
var ocrCodes = map[ekyc.Code]baidu.Code{
	ekyc.MissingParam: baidu.InvalidParam, ekyc.ImageEmpty: baidu.EmptyImage,
	ekyc.ImageNotBase64: baidu.ImageFormatError, ekyc.ImageFormat: baidu.ImageFormatError, ekyc.ImageHEIC: baidu.ImageFormatError,
	ekyc.ImageAnimated: baidu.ImageFormatError, ekyc.ImageDamaged: baidu.ImageFormatError,
	ekyc.EngineFailed: baidu.RecognizeError, ekyc.Internal: baidu.LogicError,
}

func ocrCode(c ekyc.Code) baidu.Code {
	if v, ok := ocrCodes[c]; ok {
		return v
	}
	return codes[c].rest
}
