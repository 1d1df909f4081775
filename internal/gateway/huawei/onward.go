package huawei

import (
	"shiren/api/huawei"
	"shiren/internal/ekyc"
)

// Receipts is what Onward needs of ekyc.Service.
type Receipts interface {
	Receipt(t ekyc.Token, ordinal int) string
	DisclosureID(t ekyc.Token) string
}

// ids are the names under which the page hands on what it came to.
const (
	paramResult = "verifyResultId"
	paramAuth   = "realNameAuthId"
	paramCode   = "code"
)

// Onward returns what the page of a session hands on to the app, as the vendor's phone
// service does: an id, or a code. a is the attempt whose outcome is shown, nil before any;
// unusable says why the page cannot be used, "" where it can.
func Onward(core Receipts) func(s *ekyc.Session, a *ekyc.Attempt, unusable string) ekyc.Onward {
	return func(s *ekyc.Session, a *ekyc.Attempt, unusable string) ekyc.Onward {
		o := ekyc.Onward{Trouble: troubles}
		switch {
		case unusable == "foreign_app":
			o.Params = said(huawei.AppForeignApp)
		case unusable == "foreign_subject":
			o.Params = said(huawei.AppForeignUser)
		case a == nil && unusable != "":
			o.Params = said(huawei.AppInvalidID)
		case a == nil:
			// Nothing yet: who leaves now gave up.
			o.Params = said(gaveUp(s))
		case answered(a):
			if s.Purpose == ekyc.PurposeDisclose {
				o.Params = map[string]string{paramAuth: core.DisclosureID(s.Token)}
			} else {
				o.Params = map[string]string{paramResult: core.Receipt(s.Token, a.Ordinal)}
			}
		case a.Code == ekyc.Cancelled:
			o.Params = said(gaveUp(s))
		default:
			code, ok := appCodes[a.Code]
			if !ok {
				code = huawei.AppInternal
			}
			o.Params = said(code)
		}
		return o
	}
}

func said(c huawei.AppCode) map[string]string { return map[string]string{paramCode: string(c)} }

func gaveUp(s *ekyc.Session) huawei.AppCode {
	if s.Agreement == nil {
		return huawei.AppNotAgreed
	}
	return huawei.AppCancelled
}

// answered reports whether the question was answered, yes or no: then there is an id.
func answered(a *ekyc.Attempt) bool {
	if a.Outcome == ekyc.Match {
		return true
	}
	switch a.Code {
	case ekyc.NonMatch, ekyc.IdentityMismatch, ekyc.IdentityUnknown, ekyc.PortraitNone, ekyc.PortraitPoor:
		return a.Outcome == ekyc.NonMatched
	}
	return false
}

// appCodes says why an attempt was not answered. What is not here is AppInternal.
var appCodes = map[ekyc.Code]huawei.AppCode{
	ekyc.CameraRefused: huawei.AppCameraRefused,
	ekyc.Interrupted:   huawei.AppNetwork,
	ekyc.TimedOut:      huawei.AppNotLive,

	ekyc.NoFace:         huawei.AppNotLive,
	ekyc.SeveralFaces:   huawei.AppNotLive,
	ekyc.FaceSmall:      huawei.AppNotLive,
	ekyc.FaceBlurred:    huawei.AppNotLive,
	ekyc.FaceDark:       huawei.AppNotLive,
	ekyc.FaceBright:     huawei.AppNotLive,
	ekyc.FaceCut:        huawei.AppNotLive,
	ekyc.FaceTurned:     huawei.AppNotLive,
	ekyc.EyesClosed:     huawei.AppNotLive,
	ekyc.LivenessFailed: huawei.AppNotLive,
	ekyc.ChallengeStale: huawei.AppNotLive,
	ekyc.ChallengeUnmet: huawei.AppNotLive,
	ekyc.FaceChanged:    huawei.AppNotLive,
	ekyc.RiskRefused:    huawei.AppNotLive,

	ekyc.SubjectUnverified: huawei.AppInvalidID,
}

// troubles are the codes of what the page finds by itself; the keys are its words.
var troubles = map[string]map[string]string{
	"unsupported": said(huawei.AppNoCapability), "in_app": said(huawei.AppNoCapability), "insecure": said(huawei.AppNoCapability),
	"camera_absent": said(huawei.AppNoCapability),
	"camera_denied": said(huawei.AppCameraRefused), "camera_busy": said(huawei.AppCameraRefused),
	"camera_failed": said(huawei.AppCameraRefused), "camera_lost": said(huawei.AppCameraRefused),
	"offline": said(huawei.AppNetwork), "system": said(huawei.AppInternal), "replaced": said(huawei.AppCancelled),
}
