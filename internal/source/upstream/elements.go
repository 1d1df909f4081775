package upstream

import (
	"context"
	"errors"

	"shiren/api/juhe"
	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// juheOutcomes are the vendor's results: identity, portrait, mobile number. A portrait is
// NotRun where the identity does not match or was not checked.
var juheOutcomes = map[juhe.Res][3]ekyc.Outcome{
	juhe.AllMatch:                   {ekyc.Match, ekyc.Match, ekyc.Match},
	juhe.MobileFails:                {ekyc.Match, ekyc.Match, ekyc.NonMatched},
	juhe.PortraitFails:              {ekyc.Match, ekyc.NonMatched, ekyc.Match},
	juhe.MobileAndPortraitFail:      {ekyc.Match, ekyc.NonMatched, ekyc.NonMatched},
	juhe.PortraitUnchecked:          {ekyc.Match, ekyc.Failed, ekyc.Match},
	juhe.IdentityFails:              {ekyc.NonMatched, ekyc.NotRun, ekyc.Match},
	juhe.MobileFailsUnseen:          {ekyc.Match, ekyc.Failed, ekyc.NonMatched},
	juhe.IdentityAndMobileFail:      {ekyc.NonMatched, ekyc.NotRun, ekyc.NonMatched},
	juhe.MobileUnchecked:            {ekyc.Match, ekyc.Match, ekyc.Failed},
	juhe.MobileUnknown:              {ekyc.Match, ekyc.Match, ekyc.NoRecord},
	juhe.PortraitFailsUnchecked:     {ekyc.Match, ekyc.NonMatched, ekyc.Failed},
	juhe.PortraitFailsUnknown:       {ekyc.Match, ekyc.NonMatched, ekyc.NoRecord},
	juhe.OnlyIdentityMatches:        {ekyc.Match, ekyc.Failed, ekyc.Failed},
	juhe.IdentityMatchesUnknown:     {ekyc.Match, ekyc.Failed, ekyc.NoRecord},
	juhe.IdentityFailsUnchecked:     {ekyc.NonMatched, ekyc.NotRun, ekyc.Failed},
	juhe.IdentityUnchecked:          {ekyc.Failed, ekyc.NotRun, ekyc.Match},
	juhe.IdentityUncheckedMobileBad: {ekyc.Failed, ekyc.NotRun, ekyc.NonMatched},
}

// Elements asks verifyface_mobile/query. The vendor's score of 0 to 1000 becomes 0 to 1; its
// own threshold is not published, so its verdict on the portrait is believed as it stands.
func (j *juheSource) Elements(ctx context.Context, c ekyc.Claim, n cnid.Mobile, probe []byte) (a ekyc.ElementsAnswer, err error) {
	client := &juhe.Client{Base: j.base, Key: j.c.Key, HTTP: j.c.Client}
	err = j.g.do(ctx, juhe.PathQuery, func(ctx context.Context, _ string) tried {
		r, err := client.Query(ctx, juhe.Request{RealName: string(c.Name), IDCard: string(c.Number), Mobile: string(n), Image: probe})
		var refusal *juhe.Error
		switch {
		case errors.As(err, &refusal): // documented as free of charge
			return j.g.refused(elementsCode(refusal.Code), false, err)
		case err != nil:
			return j.g.broken(err)
		}
		out, ok := juheOutcomes[r.Res]
		if !ok {
			return j.g.nonsense("res %d", int(r.Res))
		}
		if r.Res.Compared() != (r.Score > 0) {
			return j.g.nonsense("res %d with a score of %v", int(r.Res), r.Score)
		}
		var bad *tried
		if a.Score, bad = j.g.scored(r.Score, 1000); bad != nil {
			return *bad
		}
		a.Identity, a.Portrait, a.Mobile, a.Carrier = out[0], out[1], out[2], juheCarriers[r.Type]
		return tried{charged: true}
	})
	if err != nil {
		a = ekyc.ElementsAnswer{Identity: ekyc.Failed, Mobile: ekyc.Failed}
	}
	return a, err
}

// elementsCode is a refusal of the four-element check in the core's words.
func elementsCode(c juhe.Code) ekyc.Code {
	switch c {
	case juhe.IDCardFormat:
		return ekyc.BadIDNumber
	case juhe.NameFormat:
		return ekyc.BadName
	}
	return juheCode(c)
}
