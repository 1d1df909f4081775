package ekyc

// Findings is everything that was measured and answered about one presentation. It
// holds no verdict: decide makes that.
type Findings struct {
	// Failure says why the presentation or a source gave no answer; OK when it did.
	Failure Code
	// Measured tells that Live was measured.
	Measured bool
	Live     Score
	// Identity is the source's answer about name and number; NotRun where it was not asked.
	Identity Outcome
	// Portrait is PortraitNone or PortraitPoor when the authority's portrait is absent or unusable.
	Portrait Code
	// Compared tells that Comparison was made.
	Compared   bool
	Comparison Comparison
	Asked      []Asked // the sources, in order
	Evidence   []Evidence
	// Response is the answer to the challenge; nil when there was none to judge.
	Response *Response
	// Changed tells that the frames did not show one and the same face.
	Changed bool
	Risk    *Risk
	// Printed is the comparison with the portrait printed on the document; nil without one.
	Printed *Comparison
}

// LiveAt is the silent PAD score from which a presentation counts as bona fide.
// The vendor's answers name thresholds .05, .3 and .9 for bona fide rejection rates of
// 1e-4, 1e-3 and 1e-2; engines calibrate their score to that scale.
func LiveAt(l Level) Score {
	switch l {
	case LevelLow:
		return 0.05
	case LevelHigh:
		return 0.9
	case LevelNone:
		return 0
	}
	return 0.3
}

// liveAt is the silent PAD score that a presentation of a kind must reach. Where a
// challenge is answered, it decides, and the silent score refuses only what is surely an
// attack: one level less than the plan's. ENGINE: silent PAD is weak evidence (AUC .64 on
// real replays); what passes must stand on the challenge.
func (p Plan) liveAt(k LivenessKind) Score {
	switch k {
	case LivenessFlash, LivenessAction, LivenessDistance, RecordedAction, RecordedDigits:
		switch p.LivenessLevel {
		case LevelHigh:
			return LiveAt(LevelNormal)
		case LevelNormal:
			return LiveAt(LevelLow)
		}
		return 0
	}
	return LiveAt(p.LivenessLevel)
}

// liveCall names the inner interface that a kind of liveness detection is counted as.
func liveCall(k LivenessKind) Interface {
	switch k {
	case LivenessFlash:
		return CallFlash
	case LivenessAction, LivenessDistance, RecordedVideo, RecordedAction, RecordedDigits:
		return CallVideo
	}
	return CallSilent
}

// decide turns findings into the attempt's outcome, in the documented order (protocols:
// "quality, liveness, identity, stop at first failure; quality and liveness failures free"),
// and writes its checks, calls and charges.
func decide(s *Session, a *Attempt, f Findings) {
	a.Live, a.Compared, a.Response, a.Risk, a.Asked = f.Live, f.Compared, f.Response, f.Risk, f.Asked
	if f.Compared {
		a.Score, a.FMR = f.Comparison.Score, f.Comparison.FMR
	}
	call := func(i Interface, c Code) {
		s.Calls = append(s.Calls, Call{Interface: i, Code: c, At: a.Finished, LogID: a.LogID})
	}
	charge := func(k ChargeKind) {
		a.Charges = append(a.Charges, Charge{
			ID: chargeID(s.Token, a.Ordinal, k), App: s.App, Plan: s.Plan.ID, Kind: k, At: a.Finished, LogID: a.LogID, Attempt: a.Ordinal,
			Sandbox: s.Sandbox,
		})
	}
	end := func(o Outcome, c Code) { a.Outcome, a.Code = o, c }

	live := liveCall(a.Kind)
	if f.Measured {
		at := s.Plan.liveAt(a.Kind)
		if code := f.liveness(at); code != OK {
			a.Checks = append(a.Checks, Check{CheckLiveness, NonMatched, f.Live, at})
			call(live, code)
			end(NonMatched, code)
			return
		}
		a.Checks = append(a.Checks, Check{CheckLiveness, Match, f.Live, at})
	}
	if f.Printed != nil {
		o := Match
		if f.Printed.Score < s.Plan.MatchAt {
			o = NonMatched
		}
		a.Checks = append(a.Checks, Check{CheckDocument, o, f.Printed.Score, s.Plan.MatchAt})
	}
	if f.Failure != OK {
		call(failedInterface(s.Plan, a.Kind, f), f.Failure)
		end(Failed, f.Failure)
		return
	}
	call(live, OK)
	if s.Plan.Comparison == CompareNone {
		charge(ChargeLive)
		end(Match, OK)
		return
	}
	iface, kind := CallMatch, ChargeMatch
	if s.Plan.Comparison == CompareAuthority {
		iface, kind = CallVerify, ChargeVerify
	}
	charge(kind)
	switch f.Identity {
	case NotRun:
	case Match:
		a.Checks = append(a.Checks, Check{Kind: CheckIdentity, Outcome: Match})
	case NoRecord:
		a.Checks = append(a.Checks, Check{Kind: CheckIdentity, Outcome: NoRecord})
		call(iface, IdentityUnknown)
		end(NonMatched, IdentityUnknown)
		return
	default:
		a.Checks = append(a.Checks, Check{Kind: CheckIdentity, Outcome: NonMatched})
		call(iface, IdentityMismatch)
		end(NonMatched, IdentityMismatch)
		return
	}
	if f.Portrait != OK {
		a.Checks = append(a.Checks, Check{Kind: CheckComparison, Outcome: NoRecord})
		call(iface, f.Portrait)
		end(NonMatched, f.Portrait)
		return
	}
	at := s.Plan.MatchAt
	if f.Comparison.Score < at {
		a.Checks = append(a.Checks, Check{CheckComparison, NonMatched, f.Comparison.Score, at})
		call(iface, OK) // the interface answered; its answer was no
		end(NonMatched, NonMatch)
		return
	}
	a.Checks = append(a.Checks, Check{CheckComparison, Match, f.Comparison.Score, at})
	call(iface, OK)
	end(Match, OK)
}

// liveness names why a measured presentation is not taken for a bona fide one, or OK: the
// challenge first, then the face, then the silent score, then risk.
func (f Findings) liveness(at Score) Code {
	switch {
	case f.Response != nil && f.Response.Code != OK:
		return f.Response.Code
	case f.Changed:
		return FaceChanged
	case f.Live < at:
		return LivenessFailed
	case f.Risk.Refuses():
		return RiskRefused
	}
	return OK
}

// failedInterface names the inner interface that a failure belongs to.
func failedInterface(p Plan, k LivenessKind, f Findings) Interface {
	if f.Measured {
		switch p.Comparison {
		case CompareAuthority:
			return CallVerify
		case CompareUploaded:
			return CallMatch
		}
	}
	return liveCall(k)
}

func chargeID(t Token, ordinal int, k ChargeKind) string {
	return t.Digest()[:32] + "-" + string(rune('a'+ordinal-1)) + "-" + string(k)
}
