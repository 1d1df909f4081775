package juhe

import "fmt"

// Code is an error_code. 0 is success, and charged.
type Code int

// OK is success.
const OK Code = 0

// Service codes: seed, 服务级错误码参照.
const (
	ParamEmpty   Code = 280101
	IDCardFormat Code = 280102
	MobileFormat Code = 280103
	NameFormat   Code = 280104
	Unanswered   Code = 280105 // neither identity nor mobile number could be checked
)

// System codes: seed, 系统级错误码参照.
const (
	KeyWrong       Code = 10001
	KeyForbidden   Code = 10002
	KeyExpired     Code = 10003
	OpenIDWrong    Code = 10004
	AppUnreviewed  Code = 10005
	SourceUnknown  Code = 10007
	AddressBanned  Code = 10008
	KeyBanned      Code = 10009
	AddressLimit   Code = 10011
	RequestLimit   Code = 10012
	TestLimit      Code = 10013
	SystemFault    Code = 10014
	UnderRepair    Code = 10020
	OutOfOperation Code = 10021
)

// reasons are the texts as the vendor's tables spell them.
var reasons = map[Code]string{
	OK:         "成功",
	ParamEmpty: "任一参数不能为空", IDCardFormat: "身份证号格式错", MobileFormat: "手机号格式错误", NameFormat: "姓名格式错误",
	Unanswered: "身份核验失败、手机号核验失败",

	KeyWrong: "错误的请求KEY", KeyForbidden: "该KEY无请求权限", KeyExpired: "KEY过期", OpenIDWrong: "错误的OPENID",
	AppUnreviewed: "应用未审核超时，请提交认证", SourceUnknown: "未知的请求源", AddressBanned: "被禁止的IP", KeyBanned: "被禁止的KEY",
	AddressLimit: "当前IP请求超过限制", RequestLimit: "请求超过次数限制", TestLimit: "测试KEY超过请求限制",
	SystemFault: "系统内部异常(调用充值类业务时，请务必联系客服或通过订单查询接口检测订单，避免造成损失)",
	UnderRepair: "接口维护", OutOfOperation: "接口停用",
}

// Codes lists every documented code but OK, in order.
func Codes() []Code {
	return []Code{
		KeyWrong, KeyForbidden, KeyExpired, OpenIDWrong, AppUnreviewed, SourceUnknown, AddressBanned, KeyBanned, AddressLimit,
		RequestLimit, TestLimit, SystemFault, UnderRepair, OutOfOperation,
		ParamEmpty, IDCardFormat, MobileFormat, NameFormat, Unanswered,
	}
}

// Reason is the documented text of a code, or "" for a code that is not documented.
func (c Code) Reason() string { return reasons[c] }

// System reports whether the code is a system one, which resultcode repeats.
func (c Code) System() bool { return c > 0 && c < 100000 }

// ResultCode is the code's older form, which system codes are sent with as well:
// "101" for 10001. It is "" for others.
func (c Code) ResultCode() string {
	if !c.System() {
		return ""
	}
	return fmt.Sprint(int(c) - 9900)
}

// Res is a result of the check (核验结果).
type Res int

// The results: seed, 返回参数说明. "Fails" is 不通过 (does not match), "unchecked" is
// 核验失败 (could not be checked), "unknown" is 查询无记录 (no record).
const (
	AllMatch                   Res = 100
	MobileFails                Res = 101
	PortraitFails              Res = 102
	MobileAndPortraitFail      Res = 103
	PortraitUnchecked          Res = 104
	IdentityFails              Res = 105
	MobileFailsUnseen          Res = 106 // and the portrait could not be checked
	IdentityAndMobileFail      Res = 107
	MobileUnchecked            Res = 108
	MobileUnknown              Res = 109
	PortraitFailsUnchecked     Res = 110 // and the mobile number could not be checked
	PortraitFailsUnknown       Res = 111 // and there is no record of the mobile number
	OnlyIdentityMatches        Res = 112 // neither of the others could be checked
	IdentityMatchesUnknown     Res = 113 // no record of the mobile number, portrait unchecked
	IdentityFailsUnchecked     Res = 114 // and the mobile number could not be checked
	IdentityUnchecked          Res = 115 // the mobile number matches
	IdentityUncheckedMobileBad Res = 116
)

var resultTexts = map[Res]string{
	AllMatch:                   "身份、人像核验通过，手机号核验通过",
	MobileFails:                "身份、人像核验通过，手机号核验不通过",
	PortraitFails:              "身份、手机核验通过，人像核验不通过",
	MobileAndPortraitFail:      "身份核验通过，手机、人像核验不通过",
	PortraitUnchecked:          "身份、手机号核验成功，人像核验失败",
	IdentityFails:              "身份核验不通过，手机号核验通过",
	MobileFailsUnseen:          "身份核验成功，手机号核验不通过，人像核验失败",
	IdentityAndMobileFail:      "身份核验不通过、手机号核验不通过",
	MobileUnchecked:            "身份、人像核验通过，手机号核验失败",
	MobileUnknown:              "身份、人像核验通过，手机号查询无记录",
	PortraitFailsUnchecked:     "身份核验通过，人像核验不通过，手机号核验失败",
	PortraitFailsUnknown:       "身份核验通过，人像核验不通过，手机号查询无记录",
	OnlyIdentityMatches:        "身份核验成功，手机号、人像核验失败",
	IdentityMatchesUnknown:     "身份核验成功，手机号查询无记录，人像核验失败",
	IdentityFailsUnchecked:     "身份核验不通过、手机号核验失败",
	IdentityUnchecked:          "手机号核验通过，身份核验失败",
	IdentityUncheckedMobileBad: "手机号核验不通过，身份核验失败",
}

// String is the documented text of a result, or "" for one that is not documented.
func (r Res) String() string { return resultTexts[r] }

// Compared reports whether portraits were compared: then the score is not 0. Seed:
// "人像核验通过或人像核验不通过时不为0".
func (r Res) Compared() bool {
	switch r {
	case AllMatch, MobileFails, PortraitFails, MobileAndPortraitFail, MobileUnchecked, MobileUnknown, PortraitFailsUnchecked, PortraitFailsUnknown:
		return true
	}
	return false
}

// Error is a refusal. It was not charged.
type Error struct {
	Code    Code
	Reason  string
	OrderID string // of Unanswered
	Detail  string // error_detail: what was wrong and what to do next; shiren's own, empty elsewhere
}

func (e *Error) Error() string {
	s := fmt.Sprintf("juhe: %d %s", int(e.Code), e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.OrderID != "" {
		s += " (orderid " + e.OrderID + ")"
	}
	return s
}
