package ekyc

import (
	"errors"
	"fmt"
)

// Code says why a question could not be put or answered, or why an attempt did not
// pass. Two situations that need two vendor codes are two Codes. Gateways map every
// Code of Codes() to their vendor's; a test requires their tables to be whole.
type Code string

// The one list of codes. OK is the absence of one.
const (
	OK Code = ""

	// The request.
	BadRequest     Code = "bad_request"     // the body or a parameter cannot be read
	MissingParam   Code = "missing_param"   // a required parameter is absent
	UnknownMethod  Code = "unknown_method"  // no such interface, or the wrong HTTP method
	BodyTooLarge   Code = "body_too_large"  // the body exceeds the interface's limit
	AccessInvalid  Code = "access_invalid"  // the access token is malformed, forged or of a removed app
	AccessExpired  Code = "access_expired"  // the access token's 30 days are over
	AccessMissing  Code = "access_missing"  // neither access token nor signature
	SignatureWrong Code = "signature_wrong" // the request signature does not verify or is stale
	AppUnknown     Code = "app_unknown"     // no app has this key
	SecretWrong    Code = "secret_wrong"    // the app's secret differs
	AppDisabled    Code = "app_disabled"    // the operator switched the app off
	QuotaNone      Code = "quota_none"      // the app has no quota for the interface that its plan needs
	LimitRate      Code = "limit_rate"      // requests a second
	LimitDay       Code = "limit_day"       // calls a day
	LimitTotal     Code = "limit_total"     // the quota is used up
	LimitTest      Code = "limit_test"      // the calls of an app in test mode are used up

	AppExpired        Code = "app_expired"         // the app's keys are valid no more
	AppUnreviewed     Code = "app_unreviewed"      // nobody reviewed the app in time
	AddressUnlisted   Code = "address_unlisted"    // not on the app's list of addresses
	AddressBanned     Code = "address_banned"      // on its list of banned ones
	LimitAddressRate  Code = "limit_address_rate"  // requests a second of one address
	LimitAddressDay   Code = "limit_address_day"   // calls a day of one address
	LimitAddressTotal Code = "limit_address_total" // calls ever of one address
	Maintenance       Code = "maintenance"         // the operator is working on what was asked for
	Stopped           Code = "stopped"             // the operator offers it no more

	// The session.
	PlanUnknown    Code = "plan_unknown"    // no plan has this id
	PlanForeign    Code = "plan_foreign"    // the plan belongs to another app
	TokenInvalid   Code = "token_invalid"   // unknown, of another app, expired, spent or purged
	NotStarted     Code = "not_started"     // results were asked for before any attempt ended
	Undecided      Code = "undecided"       // an attempt is running
	NotSwitchedOn  Code = "not_switched_on" // the plan does not use what was asked for
	ConsentMissing Code = "consent_missing" // the capture subject has not agreed
	ClaimMissing   Code = "claim_missing"   // the plan needs an identity that was not given
	RefMissing     Code = "ref_missing"     // the plan compares with an image that was not given
	EvidenceGone   Code = "evidence_gone"   // never kept, or erased when it was due

	// The claimed identity.
	BadName          Code = "bad_name"
	BadIDNumber      Code = "bad_id_number"
	BadDocumentType  Code = "bad_document_type"
	BadMobile        Code = "bad_mobile"
	IdentityMismatch Code = "identity_mismatch" // name and number do not belong together
	IdentityUnknown  Code = "identity_unknown"  // the source does not know the number
	PortraitNone     Code = "portrait_none"     // the source has no portrait of the person
	PortraitPoor     Code = "portrait_poor"     // the source's portrait cannot be used
	SourceFailed     Code = "source_failed"     // a source did not answer
	SourceMissing    Code = "source_missing"    // no source is configured for what the plan needs

	// A subject of the relying party's own naming.
	SubjectForeign    Code = "subject_foreign"    // the subject is not the one that it belongs to
	SubjectUnverified Code = "subject_unverified" // no identity was verified for the subject, or none is confirmed
	LimitSubject      Code = "limit_subject"      // sessions of one subject a day
	NameRare          Code = "name_rare"          // a character that sources do not know
	Undisclosed       Code = "undisclosed"        // the subject did not agree to its identity being read
	Replayed          Code = "replayed"           // the request was sent before

	// An image.
	ImageEmpty     Code = "image_empty"
	ImageNotBase64 Code = "image_not_base64"
	ImageTooLarge  Code = "image_too_large" // bytes
	ImagePixels    Code = "image_pixels"    // too many or too few pixels
	ImageFormat    Code = "image_format"    // not an image of a supported kind
	ImageHEIC      Code = "image_heic"      // HEIC or AVIF, which the engine does not read
	ImageAnimated  Code = "image_animated"  // more than one frame
	ImageDamaged   Code = "image_damaged"   // truncated or corrupt

	// A document, as a picture of it shows it.
	DocumentNone      Code = "document_none"       // no identity document in the picture
	DocumentOther     Code = "document_other"      // a card of another kind
	DocumentWrongSide Code = "document_wrong_side" // its other side
	DocumentBlurred   Code = "document_blurred"    // or too small to be read
	DocumentCut       Code = "document_cut"        // part of it lies outside the picture
	DocumentGlare     Code = "document_glare"
	DocumentDark      Code = "document_dark"
	DocumentExpired   Code = "document_expired"
	DocumentCopy      Code = "document_copy"     // 身份证风控 refused a copy
	DocumentDoubtful  Code = "document_doubtful" // a field that was not surely read was not confirmed
	BadDocumentField  Code = "bad_document_field"
	DocumentTries     Code = "document_tries" // the token had its readings

	// A recording.
	VideoTooLarge Code = "video_too_large" // bytes
	VideoTooLong  Code = "video_too_long"
	VideoTooShort Code = "video_too_short"
	VideoFormat   Code = "video_format"  // not webm or mp4, or a codec that is not read
	VideoDamaged  Code = "video_damaged" // truncated or corrupt
	VideoSilent   Code = "video_silent"  // no sound where digits were to be read aloud

	// Capture quality.
	NoFace       Code = "no_face"
	SeveralFaces Code = "several_faces"
	FaceSmall    Code = "face_small"
	FaceBlurred  Code = "face_blurred"
	FaceDark     Code = "face_dark"
	FaceBright   Code = "face_bright"
	FaceCut      Code = "face_cut"    // reaches over the image's edge
	FaceTurned   Code = "face_turned" // pose
	EyesClosed   Code = "eyes_closed"

	// Decisions.
	LivenessFailed Code = "liveness_failed" // taken for a presentation attack
	ChallengeStale Code = "challenge_stale" // answered too late, twice, or another one's
	ChallengeUnmet Code = "challenge_unmet" // what was asked for was not shown
	FaceChanged    Code = "face_changed"    // not one and the same face all through
	RiskRefused    Code = "risk_refused"    // 安全风控 or 合成图 refused the presentation
	NonMatch       Code = "non_match"       // live, but not the claimed person
	RefLiveness    Code = "ref_liveness"    // an uploaded image failed the liveness control asked for

	// The course of an attempt.
	CameraRefused Code = "camera_refused" // the capture subject or browser gave no camera
	Cancelled     Code = "cancelled"      // the capture subject gave up
	TimedOut      Code = "timed_out"      // no usable capture in time
	Interrupted   Code = "interrupted"    // the server or the connection went away
	EngineFailed  Code = "engine_failed"
	Busy          Code = "busy" // over capacity just now
	Internal      Code = "internal"
)

// Codes lists every code but OK, each once.
func Codes() []Code {
	return []Code{
		BadRequest, MissingParam, UnknownMethod, BodyTooLarge, AccessInvalid, AccessExpired, AccessMissing,
		SignatureWrong, AppUnknown, SecretWrong, AppDisabled, QuotaNone, LimitRate, LimitDay, LimitTotal,
		LimitTest, AppExpired, AppUnreviewed, AddressUnlisted, AddressBanned, LimitAddressRate, LimitAddressDay, LimitAddressTotal,
		Maintenance, Stopped,
		PlanUnknown, PlanForeign, TokenInvalid, NotStarted, Undecided, NotSwitchedOn, ConsentMissing, ClaimMissing,
		RefMissing, EvidenceGone,
		BadMobile,
		BadName, BadIDNumber, BadDocumentType, IdentityMismatch, IdentityUnknown, PortraitNone, PortraitPoor,
		SourceFailed, SourceMissing,
		SubjectForeign, SubjectUnverified, LimitSubject, NameRare, Undisclosed, Replayed,
		ImageEmpty, ImageNotBase64, ImageTooLarge, ImagePixels, ImageFormat, ImageHEIC, ImageAnimated, ImageDamaged,
		DocumentNone, DocumentOther, DocumentWrongSide, DocumentBlurred, DocumentCut, DocumentGlare, DocumentDark,
		DocumentExpired, DocumentCopy, DocumentDoubtful, BadDocumentField, DocumentTries,
		VideoTooLarge, VideoTooLong, VideoTooShort, VideoFormat, VideoDamaged, VideoSilent,
		NoFace, SeveralFaces, FaceSmall, FaceBlurred, FaceDark, FaceBright, FaceCut, FaceTurned, EyesClosed,
		LivenessFailed, ChallengeStale, ChallengeUnmet, FaceChanged, RiskRefused, NonMatch, RefLiveness,
		CameraRefused, Cancelled, TimedOut, Interrupted, EngineFailed, Busy, Internal,
	}
}

// Error carries a Code and, for the log and the developer, what was wrong and what to
// do next. Detail never holds personal data or secrets and may be sent; Err may be
// anything, is logged and never sent.
type Error struct {
	Code   Code
	Detail string
	Err    error
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a Detail.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error around a cause. A nil cause gives nil.
func Wrap(code Code, doing string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Detail: doing, Err: err}
}

// CodeOf returns the code of the outermost Error in err's chain, OK for nil and
// Internal for an error without one.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// DetailOf returns the sendable detail of the outermost Error in err's chain.
func DetailOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return ""
}
