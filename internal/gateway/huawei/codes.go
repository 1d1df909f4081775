package huawei

import (
	"slices"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
)

// codes is the one table from core to vendor; a test requires it to be whole. Which are
// documented for what and which are our choice: docs/divergences/huawei.md.
var codes = map[ekyc.Code]huawei.Code{
	ekyc.OK: huawei.Success,

	ekyc.BadRequest:     huawei.InvalidArguments,
	ekyc.MissingParam:   huawei.InvalidArguments,
	ekyc.UnknownMethod:  huawei.InvalidParameter,
	ekyc.BodyTooLarge:   huawei.InvalidParameter,
	ekyc.AccessInvalid:  huawei.InvalidAuthHeader,
	ekyc.AccessExpired:  huawei.InvalidAuthHeader,
	ekyc.AccessMissing:  huawei.MissingAccessToken,
	ekyc.SignatureWrong: huawei.InvalidSignature,
	ekyc.AppUnknown:     huawei.ClientIDError,
	ekyc.SecretWrong:    huawei.InvalidAuthHeader,
	ekyc.AppDisabled:    huawei.InsufficientPermission,
	ekyc.QuotaNone:      huawei.InsufficientPermission,
	ekyc.LimitRate:      huawei.FrequencyLimited,
	ekyc.LimitDay:       huawei.FrequencyLimited,
	ekyc.LimitTotal:     huawei.InsufficientPermission,

	ekyc.AppExpired:        huawei.InsufficientPermission,
	ekyc.AppUnreviewed:     huawei.InsufficientPermission,
	ekyc.AddressUnlisted:   huawei.InsufficientPermission,
	ekyc.AddressBanned:     huawei.InsufficientPermission,
	ekyc.LimitAddressRate:  huawei.FrequencyLimited,
	ekyc.LimitAddressDay:   huawei.FrequencyLimited,
	ekyc.LimitAddressTotal: huawei.InsufficientPermission,
	ekyc.LimitTest:         huawei.InsufficientPermission,
	ekyc.Maintenance:       huawei.Unavailable,
	ekyc.Stopped:           huawei.Unavailable,

	ekyc.PlanUnknown:    huawei.InsufficientPermission,
	ekyc.PlanForeign:    huawei.InsufficientPermission,
	ekyc.TokenInvalid:   huawei.InvalidArguments,
	ekyc.NotStarted:     huawei.InvalidArguments,
	ekyc.Undecided:      huawei.InvalidArguments,
	ekyc.NotSwitchedOn:  huawei.InsufficientPermission,
	ekyc.ConsentMissing: huawei.Unauthorized,
	ekyc.ClaimMissing:   huawei.InvalidArguments,
	ekyc.RefMissing:     huawei.InvalidArguments,
	ekyc.EvidenceGone:   huawei.InvalidArguments,

	ekyc.BadName:          huawei.InvalidArguments,
	ekyc.BadIDNumber:      huawei.InvalidArguments,
	ekyc.BadDocumentType:  huawei.IDTypeNotSupport,
	ekyc.BadMobile:        huawei.InvalidArguments,
	ekyc.IdentityMismatch: huawei.NotCertified,
	ekyc.IdentityUnknown:  huawei.NotCertified,
	ekyc.PortraitNone:     huawei.NotCertified,
	ekyc.PortraitPoor:     huawei.NotCertified,
	ekyc.SourceFailed:     huawei.UnknownError,
	ekyc.SourceMissing:    huawei.InsufficientPermission,

	ekyc.SubjectForeign:    huawei.InvalidOpenID,
	ekyc.SubjectUnverified: huawei.NotCertified,
	ekyc.LimitSubject:      huawei.DailyLimit,
	ekyc.NameRare:          huawei.RareCharacters,
	ekyc.Undisclosed:       huawei.Unauthorized,
	ekyc.Replayed:          huawei.DuplicateRequest,

	// No interface of this family takes an image or a recording.
	ekyc.ImageEmpty:     huawei.InvalidArguments,
	ekyc.ImageNotBase64: huawei.InvalidArguments,
	ekyc.ImageTooLarge:  huawei.InvalidArguments,
	ekyc.ImagePixels:    huawei.InvalidArguments,
	ekyc.ImageFormat:    huawei.InvalidArguments,
	ekyc.ImageHEIC:      huawei.InvalidArguments,
	ekyc.ImageAnimated:  huawei.InvalidArguments,
	ekyc.ImageDamaged:   huawei.InvalidArguments,
	ekyc.VideoTooLarge:  huawei.InvalidArguments,
	ekyc.VideoTooLong:   huawei.InvalidArguments,
	ekyc.VideoTooShort:  huawei.InvalidArguments,
	ekyc.VideoFormat:    huawei.InvalidArguments,
	ekyc.VideoDamaged:   huawei.InvalidArguments,
	ekyc.VideoSilent:    huawei.InvalidArguments,

	// Outcomes of attempts are said by verifyResult, or on the app's side: appCodes.
	ekyc.NoFace:         huawei.InvalidArguments,
	ekyc.SeveralFaces:   huawei.InvalidArguments,
	ekyc.FaceSmall:      huawei.InvalidArguments,
	ekyc.FaceBlurred:    huawei.InvalidArguments,
	ekyc.FaceDark:       huawei.InvalidArguments,
	ekyc.FaceBright:     huawei.InvalidArguments,
	ekyc.FaceCut:        huawei.InvalidArguments,
	ekyc.FaceTurned:     huawei.InvalidArguments,
	ekyc.EyesClosed:     huawei.InvalidArguments,
	ekyc.LivenessFailed: huawei.InvalidArguments,
	ekyc.ChallengeStale: huawei.InvalidArguments,
	ekyc.ChallengeUnmet: huawei.InvalidArguments,
	ekyc.FaceChanged:    huawei.InvalidArguments,
	ekyc.RiskRefused:    huawei.InvalidArguments,
	ekyc.NonMatch:       huawei.InvalidArguments,
	ekyc.RefLiveness:    huawei.InvalidArguments,
	ekyc.CameraRefused:  huawei.InvalidArguments,
	ekyc.Cancelled:      huawei.InvalidArguments,
	ekyc.TimedOut:       huawei.InvalidArguments,
	ekyc.Interrupted:    huawei.InvalidArguments,

	// Nor does any read a document.
	ekyc.DocumentNone:      huawei.InvalidArguments,
	ekyc.DocumentOther:     huawei.InvalidArguments,
	ekyc.DocumentWrongSide: huawei.InvalidArguments,
	ekyc.DocumentBlurred:   huawei.InvalidArguments,
	ekyc.DocumentCut:       huawei.InvalidArguments,
	ekyc.DocumentGlare:     huawei.InvalidArguments,
	ekyc.DocumentDark:      huawei.InvalidArguments,
	ekyc.DocumentExpired:   huawei.InvalidArguments,
	ekyc.DocumentCopy:      huawei.InvalidArguments,
	ekyc.DocumentDoubtful:  huawei.InvalidArguments,
	ekyc.BadDocumentField:  huawei.InvalidArguments,
	ekyc.DocumentTries:     huawei.InvalidArguments,

	ekyc.EngineFailed: huawei.UnknownError,
	ekyc.Busy:         huawei.Unavailable,
	ekyc.Internal:     huawei.Unavailable,
}

// Said lists the codes that the interfaces say for the core's, sorted. What is wrong with a
// request's header is said before the core is asked, and not among them.
func Said() map[huawei.Code][]ekyc.Code {
	said := map[huawei.Code][]ekyc.Code{}
	for core, code := range codes {
		said[code] = append(said[code], core)
	}
	for _, list := range said {
		slices.Sort(list)
	}
	return said
}
