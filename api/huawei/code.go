package huawei

// Code is what an answer says: the public resultCode with its resultDesc, and the sub code
// with its text where there is one.
type Code struct {
	Result, ResultDesc string
	Sub, SubDesc       string
}

// Result codes: codes page, "公共错误码".
const (
	ResultSuccess      = "000000"
	ResultNoPermission = "100000"
	ResultMissing      = "200000"
	ResultInvalid      = "200001"
	ResultSignature    = "200002"
	ResultFrequency    = "300000"
	ResultBusiness     = "400000"
	ResultUnavailable  = "500000"
)

func missing(sub, desc string) Code  { return Code{ResultMissing, "缺少必选参数", sub, desc} }
func invalid(sub, desc string) Code  { return Code{ResultInvalid, "非法的参数", sub, desc} }
func business(sub, desc string) Code { return Code{ResultBusiness, "业务处理失败", sub, desc} }

// Success is the answer without an error. Result page, "响应示例": resultDesc "Success.".
var Success = Code{Result: ResultSuccess, ResultDesc: "Success."}

// Public codes: codes page. The spelling of sub codes and texts is the vendor's.
var (
	InsufficientPermission = Code{ResultNoPermission, "权限不足", "INSUFFICIENT_PERMISSION", "商户权限受限"}

	MissingAuthHeader    = missing("MISSING_AUTH_HEADER", "缺少鉴权参数")
	MissingTracerID      = missing("MISSING_TRACER_ID", "缺少tracerId参数")
	MissingHeaderSign    = missing("MISSING_HEADER_SIGN", "缺少headSign参数")
	MissingCallerID      = missing("MISSING_CALLER_ID", "缺少callerId参数")
	MissingBodySign      = missing("MISSING_BODY_SIGN", "缺少bodySign参数")
	MissingAuthID        = missing("MISSING_AUTH_ID", "缺少authId参数")
	MissingTime          = missing("MISSING_TIME", "缺少时间戳参数")
	MissingAccessToken   = missing("MISS_ACCESS_TOKEN", "缺少accessToken参数")
	MissingPlatformSign  = missing("MISS_PETAL_PAY_SIGN_KEY_ID", "缺失petalpaySignKeyId参数")
	MissingPlatformEnc   = missing("MISS_PETAL_PAY_ENC_KEY_ID", "缺失petalpayEncKeyId参数")
	MissingDeveloperSign = missing("MISS_DEVELOPER_SIGN_KEY_ID", "缺失developerSignKeyId参数")

	InvalidAuthHeader    = invalid("INVALID_AUTH_HEADER", "鉴权信息无效")
	InvalidTracerID      = invalid("INVALID_TRACER_ID", "tracerId参数无效")
	InvalidAuthID        = invalid("INVALID_AUTH_ID", "authId参数无效")
	InvalidTime          = invalid("INVALID_TIME", "时间戳参数无效")
	InvalidSessionKey    = invalid("INVALID_SESSION_KEY", "sessionKey参数无效")
	InvalidPublicKey     = invalid("INVALID_PUB_KEY", "商户公钥无效")
	DuplicateRequest     = invalid("INVALID_DUPLICATE_REQUEST", "无效的重复请求")
	InvalidParameter     = invalid("INVALID_PARAMETER", "参数无效")
	InvalidCallerID      = invalid("INVALID_CALLER_ID", "callerId参数无效")
	InvalidPayDevAuth    = invalid("INVALID_PAY_DEV_AUTH", "invalid payDevAuth header")
	UnknownPlatformEnc   = invalid("UNSUPPORTED_PETAL_PAY_ENC_KEY_ID", "unsupported PetalPayEncKeyId")
	UnknownPlatformSign  = invalid("UNSUPPORTED_PETAL_PAY_SIGN_KEY_ID", "unsupported PetalPaySignKeyId")
	UnknownDeveloperSign = invalid("UNSUPPORTED_DEVELOPER_SIGN_KEY_ID", "unsupported DeveloperSignKeyId")

	InvalidSignature = Code{ResultSignature, "签名错误", "INVALID_SIGNATURE", "无效签名"}
	FrequencyLimited = Code{ResultFrequency, "调用频率受限", "CALL_FREQUENCY_LIMITED", "API调用次数超限"}
	Unavailable      = Code{ResultUnavailable, "服务不可用", "UNKNOW_ERROR", "服务暂不可用，请稍后重试"}
)

// Business codes: the tables of the interfaces' own pages (result page, "错误码").
var (
	UnknownError     = business("UNKNOW_ERROR", "服务暂不可用，请稍后重试")
	InvalidArguments = business("INVALID_ARGUMENTS", "参数不合法")
	ClientIDError    = business("CLIENT_ID_PARAM_ERROR", "CLIENT_ID错误")
	InvalidOpenID    = business("INVALID_OPENID", "OPEN_ID错误")
	NotCertified     = business("REAL_NAME_NOT_CERTIFIED", "实名信息未认证，请检查preVerifyId参数是否有误")
	DailyLimit       = business("DAILY_LIMIT_EXCEEDED", "调用服务超过当日最大限制，请明天重试或联系开发者")
	IDTypeNotSupport = business("ID_TYPE_NOT_SUPPORT", "证件类型不支持")
	RareCharacters   = business("RARE_CHARACTERS_NOT_SUPPORTED", "不支持生僻字")
	Unauthorized     = business("REAL_NAME_UNAUTHORIZED", "实名信息未授权，请检查realNameAuthId参数是否有误")
)

// Codes lists every code, Success first, each once.
func Codes() []Code {
	return []Code{
		Success, InsufficientPermission,
		MissingAuthHeader, MissingTracerID, MissingHeaderSign, MissingCallerID, MissingBodySign, MissingAuthID, MissingTime,
		MissingAccessToken, MissingPlatformSign, MissingPlatformEnc, MissingDeveloperSign,
		InvalidAuthHeader, InvalidTracerID, InvalidAuthID, InvalidTime, InvalidSessionKey, InvalidPublicKey, DuplicateRequest,
		InvalidParameter, InvalidCallerID, InvalidPayDevAuth, UnknownPlatformEnc, UnknownPlatformSign, UnknownDeveloperSign,
		InvalidSignature, FrequencyLimited, Unavailable,
		UnknownError, InvalidArguments, ClientIDError, InvalidOpenID, NotCertified, DailyLimit, IDTypeNotSupport, RareCharacters, Unauthorized,
	}
}

// Error is an answer that is not Success. Detail, on the server's side, says to the
// developer what was wrong; it never travels.
type Error struct {
	Code
	Detail string
}

func (e *Error) Error() string {
	s := "huawei: " + e.Result
	if e.Sub != "" {
		s += " " + e.Sub
	}
	if e.Detail != "" {
		return s + ": " + e.Detail
	}
	return s
}

// AppCode is what the app is told when its call of realNameService does not end in an id:
// page "realNameService", 错误码.
type AppCode string

const (
	AppNoCapability  AppCode = "1020100000" // the device or browser cannot do it
	AppNotAgreed     AppCode = "1020100001" // the agreement was not accepted
	AppCancelled     AppCode = "1020100002" // the user gave up
	AppInvalidID     AppCode = "1020100003" // the preVerifyId is unknown, spent or too old
	AppNetwork       AppCode = "1020100004"
	AppInternal      AppCode = "1020100005"
	AppCameraRefused AppCode = "1020100006" // face only
	AppNotLive       AppCode = "1020100007" // liveness detection failed; face only
	AppForeignApp    AppCode = "1020100008" // the preVerifyId belongs to another app
	AppForeignUser   AppCode = "1020100009" // the preVerifyId belongs to another user
)
