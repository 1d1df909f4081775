package ekyc

import (
	"context"
	"errors"
	"time"

	"shiren/internal/cnid"
)

// ErrAbsent is what a Store or Blobs says of something that it does not have.
var ErrAbsent = errors.New("absent")

// Point is a position in pixels of the upright image: origin top left, y down.
type Point struct{ X, Y float64 }

// Box is an axis-parallel rectangle in pixels of the upright image.
type Box struct{ X, Y, W, H float64 }

// Pose is the head's turn in degrees. Yaw is positive when the capture subject turns
// to the image's right, Pitch when they look up, Roll when the head tilts clockwise as
// seen in the image; all are 0 when they face the camera upright.
type Pose struct{ Yaw, Pitch, Roll float64 }

// Template is a face embedding: L2-normalised, comparable only with templates of the
// same Model. Its bytes are biometric data and must never be logged.
type Template struct {
	Model  string
	Vector []float32
}

// Quality is what can be measured of one face's capture. Measures, not verdicts: the
// core holds the limits.
type Quality struct {
	EyeDistance float64 // pixels between the eye centres
	Sharpness   float64 // 0 (blurred) to 1, of the aligned face
	Brightness  float64 // mean luma of the face, 0 to 1
	Contrast    float64 // standard deviation of the face's luma, 0 to 0.5
	Inside      float64 // share of the face box that lies inside the image, 0 to 1
	Value       float64 // 0 to 1, all of the above in one number: the weight of a frame in a probe
}

// Face is one detected face.
type Face struct {
	Box        Box
	Confidence float64 // of the detector, 0 to 1
	Landmarks  []Point // 68 points in the iBUG 300-W order
	Pose       Pose
	EyesClosed [2]float64 // probability, image-left eye first
	Quality    Quality
	Live       Score // silent PAD, 1 is bona fide; only with WantLiveness
	// Skin is the mean colour of forehead and cheeks, Back that of the picture beside and
	// above the head, in linear light: red, green, blue, each 0 to 1; only with WantColour.
	// Back is the Skin where no background can be seen.
	Skin, Back [3]float64
	Template   Template // only with WantTemplate
}

// Examination is what the engine found in one image.
type Examination struct {
	Width, Height int    // of the upright image in pixels
	Faces         []Face // largest first
}

// Want selects the measurements beyond detection, landmarks and quality.
type Want uint8

const (
	WantPose Want = 1 << iota
	WantEyes
	WantLiveness
	WantTemplate
	WantColour
	WantAll = WantPose | WantEyes | WantLiveness | WantTemplate | WantColour
)

// Comparison is the result of comparing two templates.
type Comparison struct {
	Similarity float64 // cosine, -1 to 1
	FMR        float64 // false match rate at this similarity, from the calibration table
	// Extrapolated tells that FMR lies beyond the rates that the table was measured at: it
	// orders comparisons, and is no measured claim.
	Extrapolated bool
	Score        Score
}

// Shot is a picture of a face and where its landmarks lie.
type Shot struct {
	Image     []byte
	Landmarks []Point // 68 points, as Examine found them
}

// Relief is what the pixels of two pictures of a face say of its depth.
type Relief struct {
	// Depth is by how much the perspective of the nearer picture exceeds the farther's, 1/cm:
	// of a mean head the difference of 1/distance; 0 of anything flat.
	Depth float64
	// Fit is the correlation of the two pictures once one is mapped to the other; 0 where
	// they could not be.
	Fit float64
}

// Engine turns pixels into findings. It decides nothing. Safe for concurrent use.
type Engine interface {
	// Examine reads one image (JPEG, PNG or WebP, EXIF orientation applied) and
	// measures its faces. Wanted measurements are made of the largest face only;
	// further faces have Box, Confidence and nothing else. Errors carry the Image*
	// codes, Busy, or EngineFailed. No face is not an error here.
	Examine(ctx context.Context, image []byte, want Want) (Examination, error)
	// Relief compares the perspective of two pictures of one face, the nearer one second.
	// Errors are Examine's.
	Relief(ctx context.Context, far, near Shot) (Relief, error)
	// Fuse returns the normalised mean of templates of one model, weighted.
	Fuse(templates []Template, weights []float64) (Template, error)
	// Compare compares two templates of the engine's current model.
	Compare(a, b Template) (Comparison, error)
	// Model names the current embedding model; templates of another one must be made anew.
	Model() string
}

// IdentitySource says whether a name and a number belong together.
type IdentitySource interface {
	// Identity answers Match, NonMatched (the number is known under another name) or
	// NoRecord. An error means that it was not answered.
	Identity(ctx context.Context, c Claim) (Outcome, error)
}

// PortraitSource gives the portrait that a claimed person is compared with.
type PortraitSource interface {
	// Portrait returns the sealed-at-rest portrait image of the person, or an Error
	// with PortraitNone. An error of another code means that it was not answered.
	Portrait(ctx context.Context, c Claim) (image []byte, err error)
}

// TemplateSource is a PortraitSource that keeps embeddings, beside the images or in place
// of them. It is asked first; the image is asked for where it has none of the model.
type TemplateSource interface {
	// Template returns the embedding of the claimed person's portrait if there is one of
	// model, and false otherwise. An error means that it was not answered.
	Template(ctx context.Context, c Claim, model string) (Template, bool, error)
}

// Store keeps sessions, apps, plans and charges. Every write is durable when the call
// returns. Safe for concurrent use. "Absent" is an error for which errors.Is(err,
// ErrAbsent) holds.
type Store interface {
	// CreateSession stores a new session under its token's digest.
	CreateSession(ctx context.Context, s Session) error
	// Session reads a session by token.
	Session(ctx context.Context, t Token) (Session, error)
	// UpdateSession runs f on the stored session and stores the result, atomically:
	// of two concurrent updates one sees the other's result. f may run more than once
	// and must be pure. When f returns an error nothing is written and the error is
	// returned. New entries of Session.Charges() are added to the ledger in the same
	// transaction; a charge whose ID is there already is left as it is.
	UpdateSession(ctx context.Context, t Token, f func(*Session) error) (Session, error)
	// Due lists up to limit sessions whose Due() is not after now, oldest first.
	Due(ctx context.Context, now time.Time, limit int) ([]Session, error)
	// Forget removes the session's record. Charges stay. An absent one is success.
	Forget(ctx context.Context, t Token) error

	PutApp(ctx context.Context, a App) error // insert or replace by ID; the Key is unique
	App(ctx context.Context, id AppID) (App, error)
	AppByKey(ctx context.Context, key string) (App, error)
	Apps(ctx context.Context) ([]App, error)   // by ID
	PutPlan(ctx context.Context, p Plan) error // insert or replace by ID, as the plan's next Version
	Plan(ctx context.Context, id PlanID) (Plan, error)
	Plans(ctx context.Context) ([]Plan, error) // by ID

	// AppByBearer reads an app by its Bearer key. The store keeps a keyed digest of it apart
	// from the sealed app, and no key in the clear.
	AppByBearer(ctx context.Context, key string) (App, error)

	// Charged counts an app's charges of a kind, without those of the sandbox.
	Charged(ctx context.Context, app AppID, kind ChargeKind) (int64, error)
	// AddDirect adds the record of a direct call, and its charges to the ledger, in one
	// transaction. A record whose ID is there already is left as it is.
	AddDirect(ctx context.Context, d Direct) error
	// Directs lists records of direct calls, newest first.
	Directs(ctx context.Context, q DirectQuery) ([]Direct, error)

	// Reserve adds n to a named counter, or as much of it as stays at or below most, and
	// returns what it added: atomically, also between processes.
	Reserve(ctx context.Context, counter string, n, most int64) (int64, error)
	// Switch reads what the operator set for a kind of charge; In where nothing was set.
	Switch(ctx context.Context, kind ChargeKind) (Switch, error)
	// PutSwitch sets it.
	PutSwitch(ctx context.Context, kind ChargeKind, s Switch) error
}

// Subjects keeps what is known of apps' users beyond sessions. Writes are durable when the
// call returns. Safe for concurrent use.
type Subjects interface {
	// UpdateSubject runs f on the subject under key, an empty one when absent, and stores the
	// result, atomically; see Store.UpdateSession.
	UpdateSubject(ctx context.Context, key string, f func(*Subject) error) (Subject, error)
	// Subject reads the subject under key; absent is ErrAbsent.
	Subject(ctx context.Context, key string) (Subject, error)
	// ForgetSubjects erases those whose Until is not after now and counts them.
	ForgetSubjects(ctx context.Context, now time.Time) (int, error)
	// SubjectsOf lists the keys of those whose Claim has a number, in no order.
	SubjectsOf(ctx context.Context, n cnid.Number) ([]string, error)
	// ForgetSubject erases one, with its data key. An absent one is success.
	ForgetSubject(ctx context.Context, key string) error
}

// Requests remembers requests that must not be taken twice. Safe for concurrent use.
type Requests interface {
	// Once stores digest until a moment; fresh is false if it was there already. Of two
	// concurrent calls, also by two processes, one is fresh.
	Once(ctx context.Context, digest string, until time.Time) (fresh bool, err error)
	// ForgetRequests erases those whose moment is not after now and counts them.
	ForgetRequests(ctx context.Context, now time.Time) (int, error)
}

// Keys keeps apps' keys. Safe for concurrent use.
type Keys interface {
	// AppKeys lists an app's keys by creation, then by ID.
	AppKeys(ctx context.Context, app AppID) ([]AppKey, error)
}

// Blobs keeps sealed bytes by reference. Safe for concurrent use.
type Blobs interface {
	// Put stores data under ref durably, replacing what was there.
	Put(ctx context.Context, ref string, data []byte) error
	// Get reads ref; absent is ErrAbsent.
	Get(ctx context.Context, ref string) ([]byte, error)
	// Delete removes ref. An absent ref is success, so a purge may be repeated.
	Delete(ctx context.Context, ref string) error
}

// Sealer encrypts with data keys that are themselves encrypted by a master key.
// Safe for concurrent use.
type Sealer interface {
	// NewKey makes a data key and returns it wrapped.
	NewKey() (wrapped []byte, err error)
	// Seal encrypts plain under the wrapped key (AES-256-GCM), bound to context.
	Seal(wrapped, plain, context []byte) ([]byte, error)
	// Open reverses Seal; any change to key, bytes or context is an error.
	Open(wrapped, sealed, context []byte) ([]byte, error)
	// Digest is a keyed 32-byte digest for look-ups and signatures, separate for each purpose.
	Digest(purpose string, data []byte) []byte
}

// Clip is a decoded recording.
type Clip struct {
	Frames   []ClipFrame // in order
	Duration time.Duration
	Audio    bool // it has an audio track that is not silent
}

// ClipFrame is one picture of a clip, JPEG, and its place in time.
type ClipFrame struct {
	Image []byte
	At    time.Duration
}

// Videos reads and writes video in a sandbox. Safe for concurrent use.
type Videos interface {
	// Decode reads a webm or mp4 recording: frames at about fps a second, at most 640
	// pixels on the long side, upright. Errors carry the Video* codes, Busy or EngineFailed.
	Decode(ctx context.Context, recording []byte, fps float64) (Clip, error)
	// Encode makes an mp4 of frames, for people to look at.
	Encode(ctx context.Context, frames []ClipFrame) ([]byte, error)
}

// Carrier is a mobile network operator of the mainland.
type Carrier string

const (
	ChinaMobile    Carrier = "mobile"    // 移动
	ChinaUnicom    Carrier = "unicom"    // 联通
	ChinaTelecom   Carrier = "telecom"   // 电信
	ChinaBroadcast Carrier = "broadcast" // 广电
)

// MobileSource says whether a mobile number is registered to a claimed person: to name and
// number both.
type MobileSource interface {
	// Mobile answers Match, NonMatched (the number is known under somebody else), or
	// NoRecord, and the number's carrier, "" where it is not known. An error means that it
	// was not answered.
	Mobile(ctx context.Context, c Claim, number cnid.Mobile) (Outcome, Carrier, error)
}

// FaceSource compares a probe with a portrait that it holds and does not give away: a
// vendor upstream. Its scale is its own affair; it returns a calibrated Score.
type FaceSource interface {
	// Face answers Match, NonMatched or NoRecord (of the person, or of their portrait: then
	// the error is nil and the score 0), and the comparison score. It answers identity too:
	// NonMatched identity is an Error with IdentityMismatch, an unknown number one with
	// IdentityUnknown. Any other error means that it was not answered.
	Face(ctx context.Context, c Claim, probe []byte) (Outcome, Score, error)
}

// ElementsSource answers identity, portrait and mobile number in one call, for one charge.
type ElementsSource interface {
	// Elements compares the probe with a portrait that the source holds. An error means that
	// nothing was answered; a single question that was not is Failed in the answer.
	Elements(ctx context.Context, c Claim, number cnid.Mobile, probe []byte) (ElementsAnswer, error)
}

// ElementsAnswer is what an ElementsSource says: Match, NonMatched, NoRecord or Failed, and
// NotRun for a portrait that was not looked at because the identity does not match.
type ElementsAnswer struct {
	Identity, Portrait, Mobile Outcome
	Score                      Score   // calibrated; 0 where portraits were not compared
	Carrier                    Carrier // of the number, "" where it is not known
}
