package baidu

import "fmt"

// Code is an error_code. 0 is success.
type Code int

// Common codes: the vendor's common error table and the head of the scheme's.
const (
	OK                 Code = 0
	UnknownError       Code = 1
	Unavailable        Code = 2
	UnsupportedMethod  Code = 3
	RequestLimit       Code = 4
	NoPermission       Code = 6
	NoServiceToken     Code = 13
	IAMFailed          Code = 14
	AppAbsent          Code = 15
	DailyLimit         Code = 17
	RateLimit          Code = 18
	TotalLimit         Code = 19
	InvalidParameter   Code = 100
	AccessTokenInvalid Code = 110
	AccessTokenExpired Code = 111
)

// Codes of the scheme: its error page and FAQ.
const (
	PlanForeign       Code = 283400 // access token and plan do not belong together
	PlanAbsent        Code = 283435
	NotStarted        Code = 283450 // results asked for before a liveness detection
	ServiceFault      Code = 283512
	BadRequest        Code = 283513
	MatchSourceAbsent Code = 283520
)

// VerifyTokenInvalid is what "Token无效或者已过期" (FAQ 1) is sent with. The vendor
// documents the text and not the number: the number is our choice.
const VerifyTokenInvalid Code = 283451

// Parameters: table of the V3/V4 face interfaces.
const (
	ParamNull             Code = 222001
	ParamStart            Code = 222002
	ParamLength           Code = 222003
	ParamOpAppIDList      Code = 222004
	ParamGroupIDList      Code = 222005
	ParamGroupID          Code = 222006
	ParamUID              Code = 222007
	ParamFaceID           Code = 222008
	ParamQualityConf      Code = 222009
	ParamUserInfo         Code = 222010
	ParamUIDList          Code = 222011
	ParamOpAppID          Code = 222012
	ParamImage            Code = 222013
	ParamAppID            Code = 222014
	ParamImageType        Code = 222015
	ParamMaxFaceNum       Code = 222016
	ParamFaceField        Code = 222017
	ParamUserID           Code = 222018
	ParamQualityControl   Code = 222019
	ParamLivenessControl  Code = 222020
	ParamMaxUserNum       Code = 222021
	ParamIDCardNumber     Code = 222022
	ParamName             Code = 222023
	ParamFaceType         Code = 222024
	ParamFaceToken        Code = 222025
	ParamMaxStarNum       Code = 222026
	NetworkUnavailable    Code = 222201
	NoFace                Code = 222202
	ImageCheckFail        Code = 222203
	ImageDownloadFail     Code = 222204
	NetworkUnavailableToo Code = 222205
	RtseFail              Code = 222206
	MatchUserAbsent       Code = 222207
	ImageCount            Code = 222208
	FaceTokenAbsent       Code = 222209
	AddFaceFail           Code = 222300
	GetFaceFail           Code = 222301
	SystemError           Code = 222302
	GetFaceFailToo        Code = 222303
)

// Identity: table of the V3/V4 face interfaces.
const (
	PortraitPoor      Code = 222350 // none, or of low quality
	IdentityMismatch  Code = 222351 // name and number do not belong together, or no such number
	NameFormat        Code = 222352
	IDNumberFormat    Code = 222353
	IDNumberAbsent    Code = 222354
	PortraitAbsent    Code = 222355
	IdentityInvalid   Code = 222360
	SystemBusy        Code = 222361
	SystemBusyFirst   Code = 222901 // 222901 to 222916 all say that the system is busy
	SystemBusyLast    Code = 222916
	GroupAbsent       Code = 223100
	GroupExists       Code = 223101
	UserExists        Code = 223102
	UserAbsent        Code = 223103
	GroupListTooLarge Code = 223104
	FaceExists        Code = 223105
	FaceAbsent        Code = 223106
	UIDListTooLarge   Code = 223110
	DstGroupAbsent    Code = 223111
	QualityConfFormat Code = 223112
)

// Quality and liveness: table of the V3/V4 face interfaces.
const (
	FaceCovered         Code = 223113
	FaceFuzzy           Code = 223114
	FaceLight           Code = 223115
	FaceIncomplete      Code = 223116
	AppListTooLarge     Code = 223117
	QualityControlError Code = 223118
	LivenessItemError   Code = 223119
	LivenessFail        Code = 223120
	LeftEyeOccluded     Code = 223121
	RightEyeOccluded    Code = 223122
	LeftCheekOccluded   Code = 223123
	RightCheekOccluded  Code = 223124
	ChinOccluded        Code = 223125
	NoseOccluded        Code = 223126
	MouthOccluded       Code = 223127
)

// Images and identity cards: table of the OCR interfaces.
const (
	InvalidParam      Code = 216100
	EmptyImage        Code = 216200
	ImageFormatError  Code = 216201
	ImageSizeError    Code = 216202
	DBError           Code = 216300
	BackendError      Code = 216400
	InternalError     Code = 216401
	UnknownOCRError   Code = 216500
	IDNumberFormatOCR Code = 216600
	IDNameMismatchOCR Code = 216601
	RecognizeError    Code = 216630
	BankCardError     Code = 216631
	OCRUnknownError   Code = 216632
	IDCardError       Code = 216633
	DetectError       Code = 216634
	MaskError         Code = 216635
	LogicError        Code = 282000
	URLIllegal        Code = 282111 // number and text from memory of the interface's table
)

// Recordings: table of the video liveness interfaces (faceliveness/sessioncode, verify).
const (
	SessionLapse    Code = 216502 // a session code or challenge that is over
	ManyFaces       Code = 216507
	VideoAbsent     Code = 216508 // no video can be read
	VoiceUnreadable Code = 216509
)

// messages are the error_msg texts as the vendor's tables spell them, mistakes included.
var messages = map[Code]string{
	OK:           "SUCCESS",
	UnknownError: "Unknown error", Unavailable: "Service temporarily unavailable",
	UnsupportedMethod: "Unsupported openapi method", RequestLimit: "Open api request limit reached",
	NoPermission: "No permission to access data", NoServiceToken: "Get service token failed",
	IAMFailed: "IAM Certification failed", AppAbsent: "app not exsits or create failed",
	DailyLimit: "Open api daily request limit reached", RateLimit: "Open api qps request limit reached",
	TotalLimit: "Open api total request limit reached", InvalidParameter: "Invalid parameter",
	AccessTokenInvalid: "Access token invalid or no longer valid", AccessTokenExpired: "Access token expired",

	PlanForeign: "没有权限。No permission to access this plan.", PlanAbsent: "方案不存在。Plan not exist.",
	NotStarted: "认证尚未开始", ServiceFault: "服务异常,请稍后再试", BadRequest: "请求参数错误",
	MatchSourceAbsent: "请传入核验方式", VerifyTokenInvalid: "Token无效或者已过期",

	ParamNull: "param[] is null", ParamStart: "param[start] format error", ParamLength: "param[length] format error",
	ParamOpAppIDList: "param[op_app_id_list] format error", ParamGroupIDList: "param[group_id_list] format error",
	ParamGroupID: "group_id format error", ParamUID: "uid format error", ParamFaceID: "face_id format error",
	ParamQualityConf: "quality_conf format error", ParamUserInfo: "user_info format error",
	ParamUIDList: "param[uid_list] format error", ParamOpAppID: "param[op_app_id]format error",
	ParamImage: "param[image] formaterror", ParamAppID: "param[app_id] formaterror",
	ParamImageType: "param[image_type]format error", ParamMaxFaceNum: "param[max_face_num]format error",
	ParamFaceField: "param[face_field]format error", ParamUserID: "param[user_id]format error",
	ParamQualityControl: "param[quality_control]format error", ParamLivenessControl: "param[liveness_control]format error",
	ParamMaxUserNum: "param[max_user_num]format error", ParamIDCardNumber: "param[id_card_number]format error",
	ParamName: "param[name] format error", ParamFaceType: "param[face_type]format error",
	ParamFaceToken: "param[face_token]format error", ParamMaxStarNum: "param[max_star_num] format error",
	NetworkUnavailable: "network not available", NoFace: "pic not has face", ImageCheckFail: "image check fail",
	ImageDownloadFail: "image_url_download_fail", NetworkUnavailableToo: "network not availablel",
	RtseFail: "rtse service return fail", MatchUserAbsent: "match user is not found",
	ImageCount: "the number of image is incorrect", FaceTokenAbsent: "face token not exist",
	AddFaceFail: "add face fail", GetFaceFail: "get face fail", SystemError: "system error", GetFaceFailToo: "get face fail",

	PortraitPoor:     "police picture is none or low quality",
	IdentityMismatch: "id number and name not match or id number not exist",
	NameFormat:       "name format error", IDNumberFormat: "id number format error", IDNumberAbsent: "id number not exist",
	PortraitAbsent: "police picture not exist", IdentityInvalid: "invalid name or id number", SystemBusy: "system busy",
	GroupAbsent: "group is not exist", GroupExists: "group is already exist", UserExists: "user is already exist",
	UserAbsent: "user is not exist", GroupListTooLarge: "group_list is too large", FaceExists: "face is already exist",
	FaceAbsent: "face is not exist", UIDListTooLarge: "uid_list is too large", DstGroupAbsent: "dst group is not exist",
	QualityConfFormat: "quality_conf format error",

	FaceCovered: "face is covered", FaceFuzzy: "face is fuzzy", FaceLight: "face light is not good",
	FaceIncomplete: "incomplete face", AppListTooLarge: "app_list is too large", QualityControlError: "quality control error",
	LivenessItemError: "liveness control item error", LivenessFail: "liveness check fail",
	LeftEyeOccluded: "left eye is occlusion", RightEyeOccluded: "right eye is occlusion",
	LeftCheekOccluded: "left cheek is occlusion", RightCheekOccluded: "right cheek is occlusion",
	ChinOccluded: "chin contour is occlusion", NoseOccluded: "nose is occlusion", MouthOccluded: "mouth is occlusion",

	SessionLapse: "session lapse", ManyFaces: "found many faces", VideoAbsent: "not found video info",
	VoiceUnreadable: "voice can not identify",

	InvalidParam: "invalid param", EmptyImage: "empty image", ImageFormatError: "image format error",
	ImageSizeError: "image size error", DBError: "db error", BackendError: "backend error",
	InternalError: "internal error", UnknownOCRError: "unknown error", IDNumberFormatOCR: "id number format error",
	IDNameMismatchOCR: "id number and name not match", RecognizeError: "recognize error",
	BankCardError: "recognize bank card error", OCRUnknownError: "ocr unknown error", IDCardError: "recognize idcard error",
	DetectError: "detect error", MaskError: "get mask error", LogicError: "logic internal error", URLIllegal: "url format illegal",
}

// Message is the documented text of a code, or "" for a code that is not documented.
func (c Code) Message() string {
	if c >= SystemBusyFirst && c <= SystemBusyLast {
		return messages[SystemBusy]
	}
	return messages[c]
}

// Error is a refusal of any interface but the token's, see TokenError.
type Error struct {
	Code    Code
	Message string // error_msg
	Detail  string // error_detail: what was wrong and what to do next; shiren's own, empty elsewhere
	LogID   string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("baidu: %d %s", int(e.Code), e.Message)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.LogID != "" {
		s += " (log_id " + e.LogID + ")"
	}
	return s
}
