package baidu

import (
	"slices"
	"strings"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
)

// entry is how the vendor says a core code: as a scheme interface's error_code, as a
// single interface's, and as getall's message (seed: "核验失败时返回具体错误原因,如“身份证姓名不匹配”").
type entry struct {
	scheme, rest baidu.Code
	message      string
}

// codes is the one table from core to vendor; a test requires it to be whole. Which
// numbers are documented for what and which are our choice: docs/divergences/baidu.md.
var codes = map[ekyc.Code]entry{
	ekyc.OK: {baidu.OK, baidu.OK, "核验成功"},

	ekyc.BadRequest:     {baidu.BadRequest, baidu.InvalidParam, "请求参数错误"},
	ekyc.MissingParam:   {baidu.InvalidParam, baidu.ParamNull, "缺少参数"},
	ekyc.UnknownMethod:  {baidu.UnsupportedMethod, baidu.UnsupportedMethod, "接口不存在"},
	ekyc.BodyTooLarge:   {baidu.ImageSizeError, baidu.ImageSizeError, "请求体过大"},
	ekyc.AccessInvalid:  {baidu.AccessTokenInvalid, baidu.AccessTokenInvalid, "access_token无效"},
	ekyc.AccessExpired:  {baidu.AccessTokenExpired, baidu.AccessTokenExpired, "access_token已过期"},
	ekyc.AccessMissing:  {baidu.InvalidParameter, baidu.InvalidParameter, "缺少access_token"},
	ekyc.SignatureWrong: {baidu.IAMFailed, baidu.IAMFailed, "鉴权失败"},
	ekyc.AppUnknown:     {baidu.IAMFailed, baidu.IAMFailed, "鉴权失败"},
	ekyc.SecretWrong:    {baidu.IAMFailed, baidu.IAMFailed, "鉴权失败"},
	ekyc.AppDisabled:    {baidu.NoPermission, baidu.NoPermission, "应用已停用"},
	ekyc.QuotaNone:      {baidu.RateLimit, baidu.RateLimit, "接口未开通"},
	ekyc.LimitRate:      {baidu.RateLimit, baidu.RateLimit, "请求过于频繁"},
	ekyc.LimitDay:       {baidu.DailyLimit, baidu.DailyLimit, "当日调用量已用完"},
	ekyc.LimitTotal:     {baidu.TotalLimit, baidu.TotalLimit, "调用总量已用完"},
	ekyc.LimitTest:      {baidu.TotalLimit, baidu.TotalLimit, "测试调用量已用完"},

	ekyc.AppExpired:        {baidu.NoPermission, baidu.NoPermission, "应用已过期"},
	ekyc.AppUnreviewed:     {baidu.NoPermission, baidu.NoPermission, "应用未通过审核"},
	ekyc.AddressUnlisted:   {baidu.NoPermission, baidu.NoPermission, "请求地址不在白名单"},
	ekyc.AddressBanned:     {baidu.NoPermission, baidu.NoPermission, "请求地址已被禁止"},
	ekyc.LimitAddressRate:  {baidu.RateLimit, baidu.RateLimit, "该地址请求过于频繁"},
	ekyc.LimitAddressDay:   {baidu.DailyLimit, baidu.DailyLimit, "该地址当日调用量已用完"},
	ekyc.LimitAddressTotal: {baidu.TotalLimit, baidu.TotalLimit, "该地址调用总量已用完"},
	ekyc.Maintenance:       {baidu.Unavailable, baidu.Unavailable, "服务维护中"},
	ekyc.Stopped:           {baidu.UnsupportedMethod, baidu.UnsupportedMethod, "服务已停用"},

	ekyc.PlanUnknown:    {baidu.PlanAbsent, baidu.PlanAbsent, "方案不存在"},
	ekyc.PlanForeign:    {baidu.PlanForeign, baidu.PlanForeign, "方案不属于该应用"},
	ekyc.TokenInvalid:   {baidu.VerifyTokenInvalid, baidu.VerifyTokenInvalid, "Token无效或者已过期"},
	ekyc.NotStarted:     {baidu.NotStarted, baidu.NotStarted, "认证尚未开始"},
	ekyc.Undecided:      {baidu.NotStarted, baidu.NotStarted, "认证尚未完成"},
	ekyc.NotSwitchedOn:  {baidu.NoPermission, baidu.NoPermission, "方案未开启此功能"},
	ekyc.ConsentMissing: {baidu.NotStarted, baidu.NotStarted, "用户尚未授权"},
	ekyc.ClaimMissing:   {baidu.InvalidParam, baidu.InvalidParam, "缺少身份信息"},
	ekyc.RefMissing:     {baidu.InvalidParam, baidu.InvalidParam, "缺少对比图片"},
	ekyc.EvidenceGone:   {baidu.VerifyTokenInvalid, baidu.VerifyTokenInvalid, "图片未保存或已过期"},

	ekyc.BadName:          {baidu.NameFormat, baidu.NameFormat, "姓名格式错误"},
	ekyc.BadIDNumber:      {baidu.IDNumberFormat, baidu.IDNumberFormat, "身份证号格式错误"},
	ekyc.BadMobile:        {baidu.InvalidParam, baidu.InvalidParam, "手机号格式错误"},
	ekyc.BadDocumentType:  {baidu.InvalidParam, baidu.InvalidParam, "证件类型不支持"},
	ekyc.IdentityMismatch: {baidu.IdentityMismatch, baidu.IdentityMismatch, "身份证姓名不匹配"},
	ekyc.IdentityUnknown:  {baidu.IDNumberAbsent, baidu.IDNumberAbsent, "身份证号不存在"},
	ekyc.PortraitNone:     {baidu.PortraitAbsent, baidu.PortraitAbsent, "权威数据源无人像照片"},
	ekyc.PortraitPoor:     {baidu.PortraitPoor, baidu.PortraitPoor, "权威数据源人像照片质量过低"},
	ekyc.SourceFailed:     {baidu.SystemBusy, baidu.SystemBusy, "权威数据源无响应"},
	ekyc.SourceMissing:    {baidu.ServiceFault, baidu.SystemError, "未配置权威数据源"},

	// Of sessions that another protocol opened; this one has no words for them.
	ekyc.SubjectForeign:    {baidu.VerifyTokenInvalid, baidu.VerifyTokenInvalid, "用户不一致"},
	ekyc.SubjectUnverified: {baidu.MatchUserAbsent, baidu.MatchUserAbsent, "实名信息未认证"},
	ekyc.LimitSubject:      {baidu.DailyLimit, baidu.DailyLimit, "用户当日核验次数已用完"},
	ekyc.NameRare:          {baidu.InvalidParam, baidu.InvalidParam, "不支持生僻字"},
	ekyc.Undisclosed:       {baidu.NoPermission, baidu.NoPermission, "用户未授权"},
	ekyc.Replayed:          {baidu.BadRequest, baidu.InvalidParam, "重复请求"},

	ekyc.ImageEmpty:     {baidu.ParamNull, baidu.ParamNull, "图片为空"},
	ekyc.ImageNotBase64: {baidu.ParamImage, baidu.ParamImage, "图片不是base64"},
	ekyc.ImageTooLarge:  {baidu.ImageSizeError, baidu.ImageSizeError, "图片过大"},
	ekyc.ImagePixels:    {baidu.ImageSizeError, baidu.ImageSizeError, "图片分辨率超出范围"},
	ekyc.ImageFormat:    {baidu.ImageCheckFail, baidu.ImageCheckFail, "图片格式不支持"},
	ekyc.ImageHEIC:      {baidu.ImageCheckFail, baidu.ImageCheckFail, "不支持HEIC图片"},
	ekyc.ImageAnimated:  {baidu.ImageCheckFail, baidu.ImageCheckFail, "不支持动图"},
	ekyc.ImageDamaged:   {baidu.ImageCheckFail, baidu.ImageCheckFail, "图片已损坏"},

	ekyc.DocumentNone:      {baidu.IDCardError, baidu.IDCardError, "未检测到身份证"},
	ekyc.DocumentOther:     {baidu.IDCardError, baidu.IDCardError, "不是身份证"},
	ekyc.DocumentWrongSide: {baidu.IDCardError, baidu.IDCardError, "身份证正反面颠倒"},
	ekyc.DocumentBlurred:   {baidu.RecognizeError, baidu.RecognizeError, "身份证模糊"},
	ekyc.DocumentCut:       {baidu.RecognizeError, baidu.RecognizeError, "身份证不完整"},
	ekyc.DocumentGlare:     {baidu.RecognizeError, baidu.RecognizeError, "身份证反光"},
	ekyc.DocumentDark:      {baidu.RecognizeError, baidu.RecognizeError, "身份证过暗"},
	ekyc.DocumentExpired:   {baidu.IDCardError, baidu.IDCardError, "身份证已过期"},
	ekyc.DocumentCopy:      {baidu.IDCardError, baidu.IDCardError, "身份证为复印件"},
	ekyc.DocumentDoubtful:  {baidu.InvalidParam, baidu.InvalidParam, "身份证信息未确认"},
	ekyc.BadDocumentField:  {baidu.InvalidParam, baidu.InvalidParam, "身份证信息格式错误"},
	ekyc.DocumentTries:     {baidu.RequestLimit, baidu.RequestLimit, "身份证识别次数已用完"},

	ekyc.VideoTooLarge: {baidu.ImageSizeError, baidu.ImageSizeError, "视频过大"},
	ekyc.VideoTooLong:  {baidu.VideoAbsent, baidu.VideoAbsent, "视频过长"},
	ekyc.VideoTooShort: {baidu.VideoAbsent, baidu.VideoAbsent, "视频过短"},
	ekyc.VideoFormat:   {baidu.VideoAbsent, baidu.VideoAbsent, "视频格式不支持"},
	ekyc.VideoDamaged:  {baidu.VideoAbsent, baidu.VideoAbsent, "视频已损坏"},
	ekyc.VideoSilent:   {baidu.VoiceUnreadable, baidu.VoiceUnreadable, "视频中没有声音"},

	ekyc.NoFace:       {baidu.NoFace, baidu.NoFace, "未检测到人脸"},
	ekyc.SeveralFaces: {baidu.QualityControlError, baidu.QualityControlError, "检测到多张人脸"},
	ekyc.FaceSmall:    {baidu.QualityControlError, baidu.QualityControlError, "人脸过小"},
	ekyc.FaceBlurred:  {baidu.FaceFuzzy, baidu.FaceFuzzy, "人脸模糊"},
	ekyc.FaceDark:     {baidu.FaceLight, baidu.FaceLight, "人脸光线过暗"},
	ekyc.FaceBright:   {baidu.FaceLight, baidu.FaceLight, "人脸光线过亮"},
	ekyc.FaceCut:      {baidu.FaceIncomplete, baidu.FaceIncomplete, "人脸不完整"},
	ekyc.FaceTurned:   {baidu.QualityControlError, baidu.QualityControlError, "人脸角度过大"},
	ekyc.EyesClosed:   {baidu.QualityControlError, baidu.QualityControlError, "双眼闭合"},

	ekyc.LivenessFailed: {baidu.LivenessFail, baidu.LivenessFail, "活体检测未通过"},
	ekyc.ChallengeStale: {baidu.SessionLapse, baidu.SessionLapse, "活体校验已失效"},
	ekyc.ChallengeUnmet: {baidu.LivenessFail, baidu.LivenessFail, "未按提示完成活体检测"},
	ekyc.FaceChanged:    {baidu.LivenessFail, baidu.LivenessFail, "检测过程中人脸发生变化"},
	ekyc.RiskRefused:    {baidu.LivenessFail, baidu.LivenessFail, "安全风控未通过"},
	ekyc.NonMatch:       {baidu.MatchUserAbsent, baidu.MatchUserAbsent, "人脸比对不通过"},
	ekyc.RefLiveness:    {baidu.LivenessFail, baidu.LivenessFail, "图片活体检测未通过"},

	ekyc.CameraRefused: {baidu.NotStarted, baidu.NotStarted, "用户拒绝摄像头授权"},
	ekyc.Cancelled:     {baidu.NotStarted, baidu.NotStarted, "用户取消核验"},
	ekyc.TimedOut:      {baidu.NotStarted, baidu.NotStarted, "核验超时"},
	ekyc.Interrupted:   {baidu.NetworkUnavailable, baidu.NetworkUnavailable, "核验中断"},
	ekyc.EngineFailed:  {baidu.ServiceFault, baidu.SystemError, "服务异常"},
	ekyc.Busy:          {baidu.Unavailable, baidu.Unavailable, "服务繁忙"},
	ekyc.Internal:      {baidu.ServiceFault, baidu.SystemError, "服务异常"},
}

// Said lists the error codes that the interface of a path says, each with the core's codes
// that it is said for, sorted. What a single parameter is refused with is not among them.
func Said(path string) map[baidu.Code][]ekyc.Code {
	said := map[baidu.Code][]ekyc.Code{}
	for core, e := range codes {
		code := e.scheme
		switch {
		case path == baidu.PathOCR:
			code = ocrCode(core)
		case strings.HasPrefix(path, "/rest/"):
			code = e.rest
		}
		if code != baidu.OK {
			said[code] = append(said[code], core)
		}
	}
	for _, list := range said {
		slices.Sort(list)
	}
	return said
}
