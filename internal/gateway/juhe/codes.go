package juhe

import (
	"slices"

	"shiren/api/juhe"
	"shiren/internal/ekyc"
)

// codes is the one table from core to vendor; a test requires it to be whole. What no call
// of this interface can come to, such as the codes of a session, is a system fault.
var codes = map[ekyc.Code]juhe.Code{
	ekyc.OK: juhe.OK,

	ekyc.BadRequest:     juhe.ParamEmpty,
	ekyc.MissingParam:   juhe.ParamEmpty,
	ekyc.UnknownMethod:  juhe.OutOfOperation,
	ekyc.BodyTooLarge:   juhe.ParamEmpty,
	ekyc.AccessInvalid:  juhe.KeyWrong,
	ekyc.AccessExpired:  juhe.KeyExpired,
	ekyc.AccessMissing:  juhe.KeyWrong,
	ekyc.SignatureWrong: juhe.OpenIDWrong,
	ekyc.AppUnknown:     juhe.KeyWrong,
	ekyc.SecretWrong:    juhe.OpenIDWrong,
	ekyc.AppDisabled:    juhe.KeyBanned,
	ekyc.AppExpired:     juhe.KeyExpired,
	ekyc.AppUnreviewed:  juhe.AppUnreviewed,
	ekyc.QuotaNone:      juhe.KeyForbidden,

	ekyc.AddressUnlisted:   juhe.SourceUnknown,
	ekyc.AddressBanned:     juhe.AddressBanned,
	ekyc.LimitAddressRate:  juhe.AddressLimit,
	ekyc.LimitAddressDay:   juhe.AddressLimit,
	ekyc.LimitAddressTotal: juhe.AddressLimit,
	ekyc.LimitRate:         juhe.RequestLimit,
	ekyc.LimitDay:          juhe.RequestLimit,
	ekyc.LimitTotal:        juhe.RequestLimit,
	ekyc.LimitTest:         juhe.TestLimit,
	ekyc.Maintenance:       juhe.UnderRepair,
	ekyc.Stopped:           juhe.OutOfOperation,

	ekyc.BadName:         juhe.NameFormat,
	ekyc.BadIDNumber:     juhe.IDCardFormat,
	ekyc.BadDocumentType: juhe.IDCardFormat,
	ekyc.BadMobile:       juhe.MobileFormat,
	ekyc.ImageEmpty:      juhe.ParamEmpty,
	ekyc.ImageNotBase64:  juhe.ParamEmpty,
	ekyc.ImageTooLarge:   juhe.ParamEmpty,

	ekyc.SourceMissing: juhe.OutOfOperation,
	ekyc.SourceFailed:  juhe.SystemFault,
	ekyc.EngineFailed:  juhe.SystemFault,
	ekyc.Busy:          juhe.SystemFault,
	ekyc.Internal:      juhe.SystemFault,
}

// elsewhere are the core's codes that no call of this interface ends with: those of
// sessions, of presentations, of recordings, of documents, of named subjects, and those that are outcomes here.
var elsewhere = []ekyc.Code{
	ekyc.PlanUnknown, ekyc.PlanForeign, ekyc.TokenInvalid, ekyc.NotStarted, ekyc.Undecided, ekyc.NotSwitchedOn, ekyc.ConsentMissing,
	ekyc.ClaimMissing, ekyc.RefMissing, ekyc.EvidenceGone,
	ekyc.IdentityMismatch, ekyc.IdentityUnknown, ekyc.PortraitNone, ekyc.PortraitPoor, ekyc.NonMatch,
	ekyc.ImagePixels, ekyc.ImageFormat, ekyc.ImageHEIC, ekyc.ImageAnimated, ekyc.ImageDamaged,
	ekyc.VideoTooLarge, ekyc.VideoTooLong, ekyc.VideoTooShort, ekyc.VideoFormat, ekyc.VideoDamaged, ekyc.VideoSilent,
	ekyc.NoFace, ekyc.SeveralFaces, ekyc.FaceSmall, ekyc.FaceBlurred, ekyc.FaceDark, ekyc.FaceBright, ekyc.FaceCut, ekyc.FaceTurned,
	ekyc.EyesClosed, ekyc.LivenessFailed, ekyc.ChallengeStale, ekyc.ChallengeUnmet, ekyc.FaceChanged, ekyc.RiskRefused, ekyc.RefLiveness,
	ekyc.CameraRefused, ekyc.Cancelled, ekyc.TimedOut, ekyc.Interrupted,
	ekyc.DocumentNone, ekyc.DocumentOther, ekyc.DocumentWrongSide, ekyc.DocumentBlurred, ekyc.DocumentCut, ekyc.DocumentGlare,
	ekyc.DocumentDark, ekyc.DocumentExpired, ekyc.DocumentCopy, ekyc.DocumentDoubtful, ekyc.BadDocumentField, ekyc.DocumentTries,
	ekyc.SubjectForeign, ekyc.SubjectUnverified, ekyc.LimitSubject, ekyc.NameRare, ekyc.Undisclosed, ekyc.Replayed,
}

func init() {
	for _, c := range elsewhere {
		codes[c] = juhe.SystemFault
	}
}

// unchecked are the core's codes that verifyface/verify says as error 280105: the portrait
// could not be checked, for a reason that is in the image or with the source.
var unchecked = []ekyc.Code{
	ekyc.SourceFailed, ekyc.ImagePixels, ekyc.ImageFormat, ekyc.ImageHEIC, ekyc.ImageAnimated, ekyc.ImageDamaged,
	ekyc.NoFace, ekyc.SeveralFaces, ekyc.FaceSmall, ekyc.FaceBlurred, ekyc.FaceDark, ekyc.FaceBright, ekyc.FaceCut, ekyc.FaceTurned,
	ekyc.EyesClosed,
}

const (
	yes  = ekyc.Match
	nay  = ekyc.NonMatched
	none = ekyc.NoRecord
	fail = ekyc.Failed
	not  = ekyc.NotRun
)

// unanswered in verdicts stands for error 280105.
const unanswered juhe.Res = 0

// verdicts has all 28 combinations of identity, portrait and mobile number that can come
// about: the vendor's page of 2024-11-21 has 17 of them as results and one as an error. The
// ten that it does not have are ours, each with a line in docs/divergences/juhe.md.
var verdicts = map[ekyc.Checked]juhe.Res{
	{Identity: yes, Portrait: yes, Mobile: yes}:  juhe.AllMatch,
	{Identity: yes, Portrait: yes, Mobile: nay}:  juhe.MobileFails,
	{Identity: yes, Portrait: yes, Mobile: none}: juhe.MobileUnknown,
	{Identity: yes, Portrait: yes, Mobile: fail}: juhe.MobileUnchecked,

	{Identity: yes, Portrait: nay, Mobile: yes}:  juhe.PortraitFails,
	{Identity: yes, Portrait: nay, Mobile: nay}:  juhe.MobileAndPortraitFail,
	{Identity: yes, Portrait: nay, Mobile: none}: juhe.PortraitFailsUnknown,
	{Identity: yes, Portrait: nay, Mobile: fail}: juhe.PortraitFailsUnchecked,

	{Identity: yes, Portrait: fail, Mobile: yes}:  juhe.PortraitUnchecked,
	{Identity: yes, Portrait: fail, Mobile: nay}:  juhe.MobileFailsUnseen,
	{Identity: yes, Portrait: fail, Mobile: none}: juhe.IdentityMatchesUnknown,
	{Identity: yes, Portrait: fail, Mobile: fail}: juhe.OnlyIdentityMatches,

	{Identity: yes, Portrait: none, Mobile: yes}:  juhe.PortraitUnchecked,      // ours
	{Identity: yes, Portrait: none, Mobile: nay}:  juhe.MobileFailsUnseen,      // ours
	{Identity: yes, Portrait: none, Mobile: none}: juhe.IdentityMatchesUnknown, // ours
	{Identity: yes, Portrait: none, Mobile: fail}: juhe.OnlyIdentityMatches,    // ours

	{Identity: nay, Portrait: not, Mobile: yes}:  juhe.IdentityFails,
	{Identity: nay, Portrait: not, Mobile: nay}:  juhe.IdentityAndMobileFail,
	{Identity: nay, Portrait: not, Mobile: none}: juhe.IdentityFailsUnchecked, // ours
	{Identity: nay, Portrait: not, Mobile: fail}: juhe.IdentityFailsUnchecked,

	{Identity: fail, Portrait: not, Mobile: yes}:  juhe.IdentityUnchecked,
	{Identity: fail, Portrait: not, Mobile: nay}:  juhe.IdentityUncheckedMobileBad,
	{Identity: fail, Portrait: not, Mobile: none}: unanswered, // ours
	{Identity: fail, Portrait: not, Mobile: fail}: unanswered,

	{Identity: none, Portrait: not, Mobile: yes}:  juhe.IdentityUnchecked,          // ours
	{Identity: none, Portrait: not, Mobile: nay}:  juhe.IdentityUncheckedMobileBad, // ours
	{Identity: none, Portrait: not, Mobile: none}: unanswered,                      // ours
	{Identity: none, Portrait: not, Mobile: fail}: unanswered,                      // ours
}

var carriers = map[ekyc.Carrier]string{
	ekyc.ChinaMobile: juhe.ChinaMobile, ekyc.ChinaUnicom: juhe.ChinaUnicom,
	ekyc.ChinaTelecom: juhe.ChinaTelecom, ekyc.ChinaBroadcast: juhe.ChinaBroadcast,
}

// Said lists the error codes that the interfaces say, each with the core's codes that it is
// said for, sorted.
func Said() map[juhe.Code][]ekyc.Code {
	said := map[juhe.Code][]ekyc.Code{juhe.Unanswered: slices.Sorted(slices.Values(unchecked))}
	for core, code := range codes {
		if code != juhe.OK && !slices.Contains(elsewhere, core) {
			said[code] = append(said[code], core)
		}
	}
	for _, list := range said {
		slices.Sort(list)
	}
	return said
}
