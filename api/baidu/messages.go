package baidu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The vendor's own hosts: of the interfaces, and of the page and older interfaces.
const (
	APIHost  = "aip.baidubce.com"
	PageHost = "brain.baidu.com"
)

// Paths of the interfaces.
const (
	PathToken = "/oauth/2.0/token"

	// PathScheme precedes the scheme's interfaces; PathSchemeOld is where older clients
	// look for them.
	PathScheme    = "/rpc/2.0/brain/solution/faceprint/"
	PathSchemeOld = "/solution/faceprint/"

	PathGenerate    = PathScheme + "verifyToken/generate"
	PathIDCard      = PathScheme + "idcard/submit"
	PathUploadMatch = PathScheme + "uploadMatchImage"
	PathSimple      = PathScheme + "result/simple"
	PathDetail      = PathScheme + "result/detail"
	PathStat        = PathScheme + "result/stat"
	PathMedia       = PathScheme + "result/media/query"
	PathGetAll      = PathScheme + "result/getall"

	PathImage   = PathSchemeOld + "image/query"
	PathVideo   = PathSchemeOld + "video/query"
	PathMatchV3 = "/rest/2.0/face/v3/match"
	PathMatchV4 = "/rest/2.0/face/v4/mingjing/match"
	PathOCR     = "/rest/2.0/ocr/v1/idcard"

	// PathVerifyV3 and PathVerifyV4 compare a face with the authority's portrait of a named
	// person: 人脸实名认证.
	PathVerifyV3 = "/rest/2.0/face/v3/person/verify"
	PathVerifyV4 = "/rest/2.0/face/v4/mingjing/verify"

	// PathH5 is the page that the capture subject opens.
	PathH5 = "/face/print/"
)

// Text is a string that may also arrive as a JSON number. It is sent as a string.
type Text string

// UnmarshalJSON accepts a string, a number or null.
func (t *Text) UnmarshalJSON(b []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		*t = ""
	case string:
		*t = Text(v)
	case json.Number:
		*t = Text(v)
	default:
		return fmt.Errorf("want a string or a number")
	}
	return nil
}

// Int is an integer that may also arrive as a string. It is sent as a number.
type Int int64

// UnmarshalJSON accepts an integer, a string that holds one, or null.
func (n *Int) UnmarshalJSON(b []byte) error {
	var t Text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	if t == "" {
		*n = 0
		return nil
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(t)), 10, 64)
	if err != nil {
		return fmt.Errorf("want an integer")
	}
	*n = Int(v)
	return nil
}

// IntText is an integer that is sent as a string.
type IntText int64

// MarshalJSON writes a string.
func (n IntText) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatInt(int64(n), 10)), nil
}

// UnmarshalJSON accepts what Int accepts.
func (n *IntText) UnmarshalJSON(b []byte) error { return (*Int)(n).UnmarshalJSON(b) }

// Control is how strictly quality or liveness is controlled.
type Control string

// The documented controls. An empty one means ControlNone.
const (
	ControlNone   Control = "NONE"
	ControlLow    Control = "LOW"
	ControlNormal Control = "NORMAL"
	ControlHigh   Control = "HIGH"
)

// TokenReply is the reply of PathToken. Documented clients read AccessToken, ExpiresIn
// and, to choose an authentication, Scope.
type TokenReply struct {
	RefreshToken  string `json:"refresh_token"`
	ExpiresIn     int    `json:"expires_in"` // seconds
	Scope         string `json:"scope"`
	SessionKey    string `json:"session_key"`
	AccessToken   string `json:"access_token"`
	SessionSecret string `json:"session_secret"`
}

// Scope must hold the word brain_all_scope, or the official SDKs sign requests in place
// of using the token.
const Scope = "public brain_all_scope solution_face"

// TokenError is a refusal of PathToken, sent with HTTP status 401.
type TokenError struct {
	Kind        string `json:"error"` // invalid_client, unsupported_grant_type, ...
	Description string `json:"error_description"`
}

func (e *TokenError) Error() string { return "baidu: " + e.Kind + ": " + e.Description }

// Reply is what a scheme interface answers when it succeeds.
type Reply[T any] struct {
	Success bool   `json:"success"`
	Result  T      `json:"result"`
	LogID   string `json:"log_id"`
}

// Refusal is what a scheme interface answers when it fails. Clients in use read either
// error_code and error_msg or code and message: it holds both pairs.
type Refusal struct {
	Success   bool   `json:"success"` // false
	Result    any    `json:"result"`  // null
	Code      Code   `json:"code"`
	Message   string `json:"message"`
	ErrorCode Code   `json:"error_code"`
	ErrorMsg  string `json:"error_msg"`
	LogID     string `json:"log_id"`
	Detail    string `json:"error_detail,omitempty"` // ours
}

// RestReply is what a single interface answers when it succeeds.
type RestReply[T any] struct {
	ErrorCode Code   `json:"error_code"`
	ErrorMsg  string `json:"error_msg"`
	LogID     int64  `json:"log_id"`
	Timestamp int64  `json:"timestamp"` // Unix seconds
	Cached    int    `json:"cached"`
	Result    T      `json:"result"`
}

// RestRefusal is what a single interface answers when it fails.
type RestRefusal struct {
	ErrorCode Code   `json:"error_code"`
	ErrorMsg  string `json:"error_msg"`
	LogID     int64  `json:"log_id"`
	Detail    string `json:"error_detail,omitempty"` // ours
}

// GenerateRequest asks for a verify token. Seed 一.1; RedirectConfig is in newer copies.
type GenerateRequest struct {
	PlanID         Text            `json:"plan_id"`
	RedirectConfig *RedirectConfig `json:"redirect_config,omitempty"`
}

// RedirectConfig is where the capture subject is sent at the end.
type RedirectConfig struct {
	SuccessURL string `json:"success_url,omitempty"`
	FailedURL  string `json:"failed_url,omitempty"`
}

// GenerateResult holds the verify token: usable for two hours, its results for three days.
type GenerateResult struct {
	VerifyToken string `json:"verify_token"`
}

// Certificate types of SubmitRequest.
const (
	CertificateIDCard          = 0 // 大陆居民二代身份证
	CertificateResidencePermit = 4 // 港澳台居民居住证
)

// SubmitRequest names the capture subject on behalf of the relying party. Seed 一.2.
type SubmitRequest struct {
	VerifyToken     string `json:"verify_token"`
	IDName          string `json:"id_name"`
	IDNo            string `json:"id_no"`
	CertificateType Int    `json:"certificate_type"`
}

// UploadRequest gives the reference image. Seed 一.3.
type UploadRequest struct {
	VerifyToken     string  `json:"verify_token"`
	Image           []byte  `json:"image"` // on the wire base64, at most 10 MiB of it
	QualityControl  Control `json:"quality_control,omitempty"`
	LivenessControl Control `json:"liveness_control,omitempty"`
}

// TokenRequest is the body of all result interfaces. Seed 二.
type TokenRequest struct {
	VerifyToken string `json:"verify_token"`
}

// SimpleResult holds the address of the face that was verified. Seed 二.1.
type SimpleResult struct {
	Image string `json:"image"`
}

// DetailResult is what a passed verification came to. Seed 二.2.
type DetailResult struct {
	IDCardOCR     *DetailOCR     `json:"idcard_ocr_result,omitempty"` // only with OCR
	IDCardImages  *DetailImages  `json:"idcard_images,omitempty"`     // only with OCR
	VerifyResult  DetailVerify   `json:"verify_result"`
	IDCardConfirm *DetailConfirm `json:"idcard_confirm,omitempty"` // only where an identity was asked for
}

// DetailOCR is what was read from an identity card.
type DetailOCR struct {
	Address        string `json:"address"`
	Birthday       string `json:"birthday"`
	Name           string `json:"name"`
	IDCardNumber   string `json:"id_card_number"`
	Gender         string `json:"gender"`
	Nation         string `json:"nation"`
	ExpireTime     string `json:"expire_time"`
	IssueAuthority string `json:"issue_authority"`
	IssueTime      string `json:"issue_time"`
}

// DetailImages are the pictures of an identity card, on the wire base64.
type DetailImages struct {
	FrontBase64 []byte `json:"front_base64"`
	BackBase64  []byte `json:"back_base64,omitempty"` // with plans that read both sides
}

// DetailVerify holds the scores.
type DetailVerify struct {
	LivenessScore float64 `json:"liveness_score"`      // 0 to 1
	Score         float64 `json:"score"`               // 0 to 100; 0 with liveness detection only
	Spoofing      float64 `json:"spoofing"`            // 0 to 1, higher is more surely synthetic; 0 where the plan does not use it
	IsDemote      *bool   `json:"is_demote,omitempty"` // with plans of real-time liveness detection
}

// DetailConfirm is the identity that was verified.
type DetailConfirm struct {
	Name         string `json:"name"`
	IDCardNumber string `json:"idcard_number"`
}

// StatResult counts the calls of the inner interfaces. Seed 二.3: error codes are
// strings; counts are numbers in four lists and strings in three.
type StatResult struct {
	VerifyFIN         []StatCount     `json:"Verify_FIN"`
	Sessioncode       []StatCount     `json:"Sessioncode"`
	OCR               []StatCount     `json:"OCR"`
	Verify            []StatCount     `json:"verify"`
	VideoLiveness     []StatCountText `json:"VideoLiveness"`
	LivenessColourful []StatCountText `json:"Livenesscolorful"`
	VerifySec         []StatCountText `json:"VerifySec"`
}

// StatCount counts the calls that ended with one code, "0" for success.
type StatCount struct {
	ErrorCode Text `json:"error_code"`
	Count     Int  `json:"count"`
}

// StatCountText is a StatCount whose count is sent as a string.
type StatCountText struct {
	ErrorCode Text    `json:"error_code"`
	Count     IntText `json:"count"`
}

// MediaResult holds addresses of a presentation's recording, kept for one day. Seed 二.4:
// ProcessVideo and Images of real-time kinds, or Video of recorded ones, never both.
type MediaResult struct {
	ProcessVideo []string `json:"processVideo,omitempty"`
	Video        []string `json:"video,omitempty"`
	Images       []string `json:"images,omitempty"`
	ExtInfo      *string  `json:"extInfo"`
}

// GetAllResult is everything about a verify token. Seed 二.5; LiveChargeCount is in
// newer copies.
type GetAllResult struct {
	VerifyCount       int            `json:"verify_count"`
	OCRChargeCount    int            `json:"ocr_charge_count"`
	MatchChargeCount  int            `json:"match_charge_count"`
	VerifyChargeCount int            `json:"verify_charge_count"`
	LiveChargeCount   int            `json:"live_charge_count"`
	VerifyResult      []VerifyRecord `json:"verify_result"`
}

// TimeLayout is how GetAllResult writes times, Beijing time.
const TimeLayout = "2006-01-02 15:04:05"

// Kinds of VerifyRecord.ChargeType.
const (
	ChargeVerify = "verify" // 人脸实名认证V4
	ChargeMatch  = "match"  // 人脸对比V4
	ChargeLive   = "live"   // liveness detection only
)

// VerifyRecord is one verification.
type VerifyRecord struct {
	Order          int            `json:"order"` // from 1
	IsVerifyPassed bool           `json:"is_verify_passed"`
	Code           Text           `json:"code"` // "0" when passed
	Message        string         `json:"message"`
	VerifyTime     string         `json:"verify_time"`
	IsCharged      bool           `json:"is_charged"`
	ChargeType     string         `json:"charge_type"` // empty when not charged
	ChargeTime     string         `json:"charge_time"` // empty when not charged
	IsOCRCharge    bool           `json:"is_ocr_charge"`
	OCRChargeTime  string         `json:"ocr_charge_time"`
	OCRCount       int            `json:"ocr_count"`
	VerifyDetail   VerifyDetail   `json:"verify_detail"`
	IDCardConfirm  *RecordConfirm `json:"idcard_confirm,omitempty"`
	IDCardOCR      *RecordOCR     `json:"idcard_ocr_result,omitempty"` // only with OCR
	IDCardImages   *RecordImages  `json:"idcard_images,omitempty"`     // only with OCR
}

// VerifyDetail holds the measurements of one verification. Fields that the plan has not
// switched on are nil.
type VerifyDetail struct {
	FaceImage     string   `json:"face_image,omitempty"`
	VerifyLogID   string   `json:"verify_log_id"`
	Score         *float64 `json:"score,omitempty"`          // 0 to 100; nil where nothing was compared
	Threshold     *float64 `json:"threshold,omitempty"`      // 0 to 100
	LivenessScore float64  `json:"liveness_score"`           // reserved: 0
	SpoofingScore *float64 `json:"spoofing_score,omitempty"` // 0 to 100; higher is more surely synthetic
	RiskLevel     *string  `json:"risk_level,omitempty"`     // "1" or "2" is risky, "3" or "4" not; "" where nothing was assessed
	RiskTag       *string  `json:"risk_tag,omitempty"`       // kinds of risk, joined by commas; "" at levels 3 and 4
	IsDemote      *bool    `json:"is_demote,omitempty"`      // with plans of real-time liveness detection
}

// RecordConfirm is the identity as entered, declared or confirmed. The vendor's example
// nests the card's data in it, its table has them beside: VerifyRecord.OCR reads both.
type RecordConfirm struct {
	Name         string        `json:"name"`
	IDCardNumber string        `json:"idcard_number"`
	IDCardType   Text          `json:"idcard_type"`
	IDCardOCR    *RecordOCR    `json:"idcard_ocr_result,omitempty"`
	IDCardImages *RecordImages `json:"idcard_images,omitempty"`
}

// OCR is what was read from the card, wherever it was put; nil without OCR.
func (r VerifyRecord) OCR() *RecordOCR {
	if r.IDCardOCR == nil && r.IDCardConfirm != nil {
		return r.IDCardConfirm.IDCardOCR
	}
	return r.IDCardOCR
}

// RecordOCR is what was read from an identity card.
type RecordOCR struct {
	Address        string `json:"address"`
	Birthday       string `json:"birthday"`
	Name           string `json:"name"`
	IDCardNumber   string `json:"idcard_number"`
	IDCardType     Text   `json:"idcard_type"`
	Gender         string `json:"gender"`
	Nation         string `json:"nation"`
	IssueTime      string `json:"issue_time"`
	ExpireTime     string `json:"expire_time"`
	IssueAuthority string `json:"issue_authority"`
}

// RecordImages are addresses of pictures of an identity card.
type RecordImages struct {
	FrontImage string `json:"front_image"`
	BackImage  string `json:"back_image,omitempty"`
}

// MatchPicture is one image of PathMatchV3.
type MatchPicture struct {
	Image           []byte  `json:"image"` // on the wire base64
	ImageType       string  `json:"image_type"`
	FaceType        string  `json:"face_type,omitempty"`
	QualityControl  Control `json:"quality_control,omitempty"`
	LivenessControl Control `json:"liveness_control,omitempty"`
}

// Base64 is the one image type that is served.
const Base64 = "BASE64"

// MatchRequest is the body of PathMatchV4.
type MatchRequest struct {
	Image                   []byte  `json:"image"` // on the wire base64
	ImageType               string  `json:"image_type"`
	RegisterImage           []byte  `json:"register_image"` // on the wire base64
	RegisterImageType       string  `json:"register_image_type"`
	FaceType                string  `json:"face_type,omitempty"`
	RegisterFaceType        string  `json:"register_face_type,omitempty"`
	QualityControl          Control `json:"quality_control,omitempty"`
	LivenessControl         Control `json:"liveness_control,omitempty"`
	SpoofingControl         Control `json:"spoofing_control,omitempty"`
	RegisterQualityControl  Control `json:"register_quality_control,omitempty"`
	RegisterLivenessControl Control `json:"register_liveness_control,omitempty"`
}

// MatchResult is the result of PathMatchV3 and PathMatchV4.
type MatchResult struct {
	Score    float64     `json:"score"`     // 0 to 100; 80 is a false match rate of 1e-4
	FaceList []FaceToken `json:"face_list"` // in the order of the images
}

// FaceToken names a face in an image; the same image has the same token.
type FaceToken struct {
	FaceToken string `json:"face_token"`
}

// Sides of IDCardRequest.
const (
	SideFront = "front" // 人像面
	SideBack  = "back"  // 国徽面
)

// IDCardRequest asks PathOCR to read a side of an identity card. It is sent as a form.
type IDCardRequest struct {
	Image       []byte // on the wire base64
	Side        string // SideFront or SideBack
	DetectRisk  bool   // fill IDCardReply.RiskType
	DetectCard  bool   // fill CardImage and CardLocation
	DetectPhoto bool   // fill Photo
}

// Names of IDCardReply.WordsResult.
const (
	WordName      = "姓名"
	WordGender    = "性别"
	WordNation    = "民族"
	WordBirthday  = "出生"
	WordAddress   = "住址"
	WordNumber    = "公民身份号码"
	WordAuthority = "签发机关"
	WordIssued    = "签发日期"
	WordExpires   = "失效日期"
)

// Values of IDCardReply.RiskType.
const (
	RiskCopy    = "copy"    // 复印件
	RiskUnknown = "unknown" // 其他未知情况
)

// Values of IDCardReply.IDCardNumberType.
const (
	NumberAbsent         = -1 // 身份证正面所有字段全为空
	NumberInvalid        = 0  // 身份证证号不合法: the number is not given
	NumberAgrees         = 1  // 身份证证号和性别、出生信息一致
	NumberAllDiffer      = 2  // 身份证证号和性别、出生信息都不一致
	NumberBirthdayDiffer = 3
	NumberGenderDiffer   = 4
)

// IDCardReply is the reply of PathOCR: flat, without an error_code.
type IDCardReply struct {
	LogID            int64                 `json:"log_id"`
	WordsResultNum   int                   `json:"words_result_num"`
	WordsResult      map[string]IDCardWord `json:"words_result"`
	ImageStatus      string                `json:"image_status"`
	IDCardNumberType *int                  `json:"idcard_number_type,omitempty"` // of the front
	RiskType         string                `json:"risk_type,omitempty"`          // with detect_risk
	CardImage        []byte                `json:"card_image,omitempty"`         // with detect_card: the rectified side, JPEG, on the wire base64
	CardLocation     *Location             `json:"card_location,omitempty"`      // with detect_card
	Photo            []byte                `json:"photo,omitempty"`              // with detect_photo: the portrait, JPEG, on the wire base64
}

// IDCardWord is one field of a card.
type IDCardWord struct {
	Words    string   `json:"words"`
	Location Location `json:"location"`
	// Doubtful is what was read of a field whose Words are empty because it was not surely
	// read. It is shiren's own.
	Doubtful string `json:"doubtful,omitempty"`
}

// Location is a rectangle in pixels of the upright image.
type Location struct {
	Top    int `json:"top"`
	Left   int `json:"left"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// VerifyRequest is the body of PathVerifyV3 and PathVerifyV4.
type VerifyRequest struct {
	IDCardNumber    string  `json:"id_card_number"`
	Name            string  `json:"name"`
	Image           []byte  `json:"image"` // on the wire base64
	ImageType       string  `json:"image_type"`
	QualityControl  Control `json:"quality_control,omitempty"`
	LivenessControl Control `json:"liveness_control,omitempty"`
	SpoofingControl Control `json:"spoofing_control,omitempty"` // PathVerifyV4
}

// VerifyResult is the result of PathVerifyV3 and PathVerifyV4.
type VerifyResult struct {
	Score float64 `json:"score"` // 0 to 100; 80 is a false match rate of 1e-4
	// VerifyStatus is sent by PathVerifyV4, see the Status constants; nil elsewhere.
	VerifyStatus *Int `json:"verify_status,omitempty"`
}

// Values of VerifyResult.VerifyStatus. Third parties' clients read 0 as an answer with a
// score; the others are as they are told, see docs/divergences.
const (
	StatusCompared   Int = 0
	StatusMismatch   Int = 1 // name and number do not belong together, or there is no such number
	StatusNoPortrait Int = 2 // the authority's picture does not exist or is too poor
)
