package baidu

import (
	"shiren/api/baidu"
	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// verifyV4 compares a face with the authority's portrait of a named person.
func (h *handler) verifyV4(c *call) (any, error) {
	r, err := h.verify(c, probe)
	if err == nil {
		status := baidu.StatusCompared
		r.VerifyStatus = &status
	}
	return r, err
}

// verifyV3 is verifyV4's predecessor: it has no spoofing_control, and only a score in reply.
func (h *handler) verifyV3(c *call) (any, error) {
	return h.verify(c, func(b body) (ekyc.Picture, error) { return picture(b, "") })
}

func (h *handler) verify(c *call, read func(body) (ekyc.Picture, error)) (r baidu.VerifyResult, err error) {
	if c.body.list != nil {
		return r, ekyc.Errorf(ekyc.BadRequest, "want an object with id_card_number, name and image")
	}
	number, err := c.body.required("id_card_number")
	if err != nil {
		return r, err
	}
	name, err := c.body.required("name")
	if err != nil {
		return r, err
	}
	claim, err := claimOf(name, number)
	if err != nil {
		return r, err
	}
	p, err := read(c.body)
	if err != nil {
		return r, err
	}
	v, err := h.core.Verify(c.r.Context(), c.app, claim, p, c.logID, "")
	if err != nil {
		return r, err
	}
	if v.Code != ekyc.OK { // an answer, which the vendor words as an error
		return r, ekyc.Errorf(v.Code, "the authority answered: %s", v.Code)
	}
	r.Score = percent(v.Comparison.Score)
	return r, nil
}

// claimOf reads an identity whose document follows from its number.
func claimOf(name, number string) (ekyc.Claim, error) {
	kind := ekyc.IDCard
	if n, err := cnid.ParseNumber(number); err == nil && n.ResidencePermit() {
		kind = ekyc.ResidencePermit
	}
	return ekyc.ParseClaim(name, number, kind)
}
