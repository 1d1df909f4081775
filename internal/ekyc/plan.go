package ekyc

import (
	"errors"
	"log/slog"
	"time"

	"shiren/internal/cnid"
)

// Score is calibrated, 0 to 1, higher is more alike or more surely bona fide.
// A comparison Score of 0.8 means a false match rate of 1e-4 on the population of the
// engine's calibration table. Vendor scales belong to gateways.
type Score float64

// AppID identifies a relying party's app: decimal digits.
type AppID string

// PlanID identifies a plan: 1 to 64 letters, digits, '-' or '_'.
type PlanID string

// Secret is an app's secret key. It masks itself when printed.
type Secret string

func (Secret) String() string       { return "********" }
func (Secret) GoString() string     { return "********" }
func (Secret) LogValue() slog.Value { return slog.StringValue("********") }

// Unlimited is the quota and limit that ends nothing.
const Unlimited = -1

// App is a relying party's credentials and allowances.
type App struct {
	ID       AppID
	Name     string
	Key      string // API Key, public
	Secret   Secret
	Disabled bool
	Created  time.Time
	// Quota is how many charges of a kind the app may cause in all. A kind that is
	// absent is Unlimited; 0 is "not opened".
	Quota map[ChargeKind]int64
	// Limits on calls of every interface together; 0 means unlimited.
	PerSecond, PerDay int64

	// Total is the limit on calls ever, PerAddress what one address may call.
	Total      int64
	PerAddress Limits
	// Bearer is a key that alone admits, for protocols without a signature or an exchange
	// of tokens; "" admits nobody. Unlike Key it is a secret.
	Bearer Secret
	// Expires is the moment from which the app's keys admit no more; zero is never.
	Expires time.Time
	// ReviewBy is the moment from which an app that nobody has reviewed yet is refused;
	// zero means that it was reviewed.
	ReviewBy time.Time
	// Allow and Deny are addresses and ranges of addresses, see ParsePrefix. Where Allow is
	// not empty, only those may call; those of Deny may not.
	Allow, Deny []string
	// Test is test mode: the app gets scripted answers (see SandboxCases), is never answered from
	// real sources, and everything kept of it is marked. TestTotal limits its calls ever.
	Test      bool
	TestTotal int64
	// PerSubjectDay is how many sessions OpenAs opens for one subject a day; 0 means
	// SubjectPerDay.
	PerSubjectDay int64
}

// ComparisonSource says what a probe is compared with.
type ComparisonSource string

const (
	CompareNone      ComparisonSource = "none"      // 仅活体检测: liveness only
	CompareUploaded  ComparisonSource = "uploaded"  // 自建人脸库比对: the relying party's image
	CompareAuthority ComparisonSource = "authority" // 权威人脸库比对: a source of truth's portrait
)

// IdentityInput says where the claimed identity comes from.
type IdentityInput string

const (
	IdentityNone     IdentityInput = "none"     // no identity is asked for
	IdentityDeclared IdentityInput = "declared" // 指定用户: the relying party declares it
	IdentityEntered  IdentityInput = "entered"  // 手动输入: the capture subject types it
	IdentityDocument IdentityInput = "document" // OCR: it is read from the capture subject's document, who confirms it
)

// LivenessKind is the presentation attack detection that a plan uses.
type LivenessKind string

// The kinds of the H5 scheme. The first four are real-time: frames stream to the server
// while it asks. The others are recorded, for browsers that give no live camera.
const (
	LivenessSilent   LivenessKind = "silent"   // 静默: nothing is asked of the person
	LivenessFlash    LivenessKind = "flash"    // 炫瞳: the screen shows colours that the skin must reflect
	LivenessAction   LivenessKind = "action"   // 动作: blink, open mouth, turn, look up, look down
	LivenessDistance LivenessKind = "distance" // 远近: come closer, move back

	RecordedPicture LivenessKind = "picture"         // 在线图片
	RecordedVideo   LivenessKind = "video"           // 视频, silent
	RecordedAction  LivenessKind = "recorded_action" // 动作, recorded
	RecordedDigits  LivenessKind = "digits"          // 数字: digits of a session code, read aloud
)

// Recorded reports whether the kind is an upload rather than a stream.
func (k LivenessKind) Recorded() bool {
	switch k {
	case RecordedPicture, RecordedVideo, RecordedAction, RecordedDigits:
		return true
	}
	return false
}

// Action is something that a capture subject is asked to do with their head or face.
type Action string

const (
	Blink     Action = "blink"
	OpenMouth Action = "mouth"
	TurnLeft  Action = "left"  // their own left
	TurnRight Action = "right" // their own right
	LookUp    Action = "up"
	LookDown  Action = "down"
)

// Level is a strictness.
type Level string

const (
	LevelNone   Level = "none"   // not checked
	LevelLow    Level = "low"    // 宽松
	LevelNormal Level = "normal" // 正常
	LevelHigh   Level = "high"   // 严格
)

// Plan is the recipe that a relying party chose. It is frozen into each session.
type Plan struct {
	ID            PlanID
	App           AppID
	Name          string
	Title         string // of the page; empty means the page's own
	HideTitle     bool
	Comparison    ComparisonSource
	Identity      IdentityInput
	Liveness      LivenessKind
	LivenessLevel Level // low, normal or high
	QualityLevel  Level // low, normal or high
	MatchAt       Score // comparison scores from here up are a match; 0.8 is FMR 1e-4
	EndsOnFailure bool  // 认证未通过时URL失效
	KeepMedia     bool  // keep the presentation's images and video for the media call
	// Fallback is the recorded kind that a browser without a live camera may use instead
	// of a real-time Liveness (降级); "" allows none.
	Fallback LivenessKind
	// Alternative is the real-time kind that a capture subject may choose who must not or
	// cannot see flashes or make movements; "" allows none.
	Alternative LivenessKind
	Actions     []Action // that action kinds draw from; empty means all six
	Spoofing    bool     // 合成图: look for signs of injected or synthetic pictures
	Risk        bool     // 安全风控: assess risk and report risk_level and risk_tag
	// Of IdentityDocument: DocumentBack reads 国徽面 beside 人像面; DocumentRisk (身份证风控)
	// refuses what the reader takes for a copy.
	DocumentBack, DocumentRisk bool
	// Sources names who is asked about a claim, in order; empty is the server's own order.
	Sources []string
	// NextOn are the outcomes of a source after which the next one is asked: NoRecord (it
	// does not know the person or has no portrait), Failed (it did not answer). Empty is both.
	NextOn  []Outcome
	Consent Consent
	Created time.Time
	// Version counts the plan's changes, from 1. The store sets it.
	Version int
	// Retired plans open no sessions: whoever asks for one is told PlanUnknown. Sessions that
	// are open go on.
	Retired bool
}

// PlanVersion is a plan as it stood from a moment on.
type PlanVersion struct {
	Plan Plan
	At   time.Time
	By   string // account id of who changed it; "" of the configuration file and the command line
	Name string // of the account, as it was
	Note string // in short, for whoever reads the list; "" where nothing was said
}

// ErrConflict is what a store says of a change to something that was changed meanwhile, or of
// a new thing that is there already.
var ErrConflict = errors.New("changed meanwhile")

// Triable reports whether whoever opens the capture page can complete the plan alone: a
// relying party's image (自建人脸库比对) or identity (指定用户) is not asked for. The vendor's
// console offers no trial of those plans either.
func (p Plan) Triable() bool {
	return p.Comparison != CompareUploaded && p.Identity != IdentityDeclared
}

// Consent is the authorisation text that the capture subject must agree to.
type Consent struct {
	Version string
	Text    map[string]string // by language: "zh-CN", "en"
}

// DocumentType is the kind of identity document.
type DocumentType int

const (
	IDCard          DocumentType = 0 // 大陆居民二代身份证
	ResidencePermit DocumentType = 4 // 港澳台居民居住证
)

// Claim is who the capture subject is said to be.
type Claim struct {
	Name   cnid.Name
	Number cnid.Number
	Type   DocumentType
}
