package explorer

import (
	"net/http"
	"strings"

	api "shiren/api/huawei"
	gateway "shiren/internal/gateway/huawei"
)

func huaweiCodes() (list []Code) {
	said := gateway.Said()
	for _, c := range api.Codes() {
		list = append(list, Code{strings.TrimSpace(c.Result + " " + c.Sub), strings.TrimSuffix(c.ResultDesc+"，"+c.SubDesc, "，"), said[c]})
	}
	return list
}

var (
	openID = Field{
		Name: "openId", Type: String, Required: true, Max: api.MaxOpenID, Source: FromSubject, Example: "user-0001",
		About: Text{"用户在应用内的 ID；核验的身份按它保留 30 天", "The user's id within the app; the identity that was verified is kept under it for 30 days"},
	}
	credentialType = Field{
		Name: "credentialType", Type: String, Required: true, Enum: []any{api.CredentialIDCard}, Example: api.CredentialIDCard,
		About: Text{"证件类型，仅 01 身份证", "Document: 01, the identity card"},
	}
	verifyResultID = Field{
		Name: "verifyResultId", Type: String, Required: true, Max: 128, Source: FromEarlier, Variable: "VERIFY_RESULT_ID", Example: "12407091401520894056950001",
		About: Text{"核验页面交给应用的结果 ID", "The id that the page handed to the app"},
	}
)

func credentials(c Cipher, zh, en string) []Field {
	return []Field{
		credentialType,
		{Name: "credentialIdNo", Type: String, Required: true, Max: 128, Source: FromNumber, Example: exampleNumber, Cipher: c, About: Text{"证件号码，" + zh, "Identity number, " + en}},
		{Name: "realName", Type: String, Required: true, Max: 128, Source: FromName, Example: "测试", Cipher: c, About: Text{"姓名，" + zh, "Name, " + en}},
		openID,
	}
}

func huaweiInterface(id, path string, title, about Text, request []Field, reply any) Interface {
	list := answer(reply)
	sign := explained("huawei.sign")
	list = append(list, Field{Name: "sign", Type: String, Required: true, About: sign})
	if path == api.PathAuthResult {
		for i, f := range list {
			if f.Name == "credentialIdNo" || f.Name == "realName" {
				list[i].Cipher = ForThem
			}
		}
	}
	return Interface{
		ID: "huawei." + id, Vendor: Huawei, Title: title, About: about, Method: post, Path: path, Auth: []Auth{AuthPayDev}, Body: BodyJSON,
		Request: request, Answer: list, Refusal: append(answer(api.Answer{}), Field{Name: "sign", Type: String, Required: true, About: sign}), Codes: huaweiCodes(),
	}
}

func huaweiInterfaces() []Interface {
	sub := func(n int) string { return number(api.TokenErrorKind) + " " + number(n) }
	return []Interface{
		{
			ID: "huawei.token", Vendor: Huawei, Method: post, Path: api.PathToken, Auth: []Auth{AuthNone}, Body: BodyForm,
			Title: Text{"获取 access_token", "Get an access token"},
			About: Text{"用 client_id 与 client_secret 换取 access_token，有效期 3600 秒；参数可在 URL 或表单中。", "Exchanges client_id and client_secret for an access token, valid for 3600 s. Parameters are taken from the URL or the form."},
			Request: []Field{
				{Name: "grant_type", Type: String, Required: true, Enum: []any{"client_credentials"}, Example: "client_credentials", About: Text{"固定为 client_credentials", "Always client_credentials"}},
				{Name: "client_id", Type: String, Required: true, Max: 64, Source: FromApp, About: Text{"应用 ID，1 至 64 位数字", "The app's id, 1 to 64 digits"}},
				{Name: "client_secret", Type: String, Required: true, Max: 128, Source: FromSecret, About: Text{"应用的密钥", "The app's secret key"}},
			},
			Answer: answer(api.TokenReply{}), Refusal: answer(api.TokenError{}),
			Statuses: []int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusInternalServerError, http.StatusServiceUnavailable},
			Codes: []Code{
				{Code: sub(api.TokenBadGrant), Text: "grant_type"},
				{Code: sub(api.TokenClientIDFormat), Text: "client_id: ^[0-9]{1,64}$"},
				{Code: sub(api.TokenClientUnknown), Text: "client_id"},
				{Code: sub(api.TokenSecretEmpty), Text: "client_secret"},
				{Code: sub(api.TokenSecretFormat), Text: "client_secret"},
				{Code: sub(api.TokenSecretWrong), Text: "client_id, client_secret"},
			},
		},
		huaweiInterface("face_preverify", api.PathFacePreverify, Text{"人脸核身预核验", "Announce a face verification"},
			Text{"上报待核验的用户，返回 preVerifyId；应用凭它打开核验页面。", "Announces the person; the app opens the page with the preVerifyId."},
			credentials(SM2, "SM2 加密（C1C3C2，十六进制）", "encrypted with SM2 (C1C3C2, hexadecimal)"), api.PreverifyAnswer{}),
		huaweiInterface("face_result", api.PathFaceResult, Text{"人脸核身结果", "The face verification's result"},
			Text{"verifyResult 为 false 表示不是本人，这也是成功的应答。", "A face that is another's is an answer: verifyResult is false."},
			[]Field{verifyResultID, openID}, api.ResultAnswer{}),
		huaweiInterface("preverify", api.PathPreverify, Text{"实名核验预核验", "Announce a comparison of the real name"},
			Text{"提交姓名与证件号的摘要，与该用户此前核验的实名信息比对，不采集人脸。", "Digests of name and number are compared with the identity that was verified for the user before; no face is captured."},
			credentials(SHA512, "SHA-512 十六进制摘要", "as SHA-512 in hexadecimal"), api.PreverifyAnswer{}),
		huaweiInterface("result", api.PathResult, Text{"实名核验结果", "The comparison's result"},
			Text{"verifyResult 表示实名信息是否一致。", "verifyResult says whether the real name agrees."},
			[]Field{verifyResultID, openID}, api.ResultAnswer{}),
		huaweiInterface("auth_preverify", api.PathAuthPreverify, Text{"实名授权预申请（本服务自有）", "Announce a request for the real name (shiren's own)"},
			Text{"华为手机上由应用直接发起授权；这里先取得 preVerifyId 再打开页面。", "On the vendor's phones the app asks by itself; here the page is opened with a preVerifyId."},
			[]Field{openID}, api.PreverifyAnswer{}),
		huaweiInterface("auth_result", api.PathAuthResult, Text{"实名授权结果", "The real name that the user disclosed"},
			Text{"返回用户授权的姓名与证件号，以 developerEncKeyId 所指的公钥加密。", "Name and number that the user agreed to disclose, encrypted for the key that developerEncKeyId names."},
			[]Field{
				{Name: "realNameAuthId", Type: String, Required: true, Max: 10, Source: FromEarlier, Variable: "REAL_NAME_AUTH_ID", Example: "1234567890", About: Text{"页面交给应用的授权 ID", "The id that the page handed to the app"}},
				openID,
			}, api.AuthAnswer{}),
	}
}
