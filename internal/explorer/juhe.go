package explorer

import (
	"net/http"

	api "shiren/api/juhe"
	gateway "shiren/internal/gateway/juhe"
)

func juheCodes() (list []Code) {
	said := gateway.Said()
	for _, c := range api.Codes() {
		list = append(list, Code{number(c), c.Reason(), said[c]})
	}
	return list
}

var (
	realName = Field{Name: "realname", Type: String, Required: true, Source: FromName, Example: "测试", About: Text{"姓名", "Name"}}
	idCard   = Field{Name: "idcard", Type: String, Required: true, Source: FromNumber, Example: exampleNumber, About: Text{"身份证号码", "Identity number"}}
	mobile   = Field{Name: "mobile", Type: String, Required: true, Source: FromMobile, Example: "13800138000", About: Text{"手机号码，11 位", "Mobile number, 11 digits"}}
	portrait = Field{
		Name: "image", Type: Image, Required: true, Max: 10 << 20, Source: FromPicture,
		About: Text{"人像照片的 base64 文本，建议 16 至 20 KB，不超过 10 MB", "A portrait as base64 text, best at 16 to 20 KB, at most 10 MB"},
	}
)

func juheInterface(id, path string, title, about Text, request []Field, reply any, results []Code) Interface {
	return Interface{
		ID: "juhe." + id, Vendor: Juhe, Title: title, About: about, Method: post, Methods: []string{http.MethodGet, http.MethodPost}, Path: path,
		Auth: []Auth{AuthKey}, Body: BodyForm, Request: request, Answer: answer(reply), Refusal: answer(api.Refusal{}), Codes: juheCodes(), Results: results,
	}
}

func juheInterfaces() []Interface {
	var all []Code
	for r := api.AllMatch; r <= api.IdentityUncheckedMobileBad; r++ {
		all = append(all, Code{Code: number(r), Text: r.String()})
	}
	var faces, mobiles []Code
	for r := api.FaceCompared; r <= api.FaceNoRecord; r++ {
		faces = append(faces, Code{Code: number(r), Text: r.String()})
	}
	for _, r := range []api.MobileRes{api.MobileMatches, api.MobileDiffers} {
		mobiles = append(mobiles, Code{Code: number(r), Text: r.String()})
	}
	return []Interface{
		juheInterface("query", api.PathQuery, Text{"人脸四要素核验", "Check name, number, mobile number and face"},
			Text{"姓名、身份证号、手机号与人像是否属于同一人。error_code 为 0 时计费，其余免费。", "Whether name, identity number, mobile number and portrait belong together. Charged with error_code 0, free with any other."},
			[]Field{realName, idCard, mobile, portrait}, api.Reply{}, all),
		juheInterface("face", api.PathFace, Text{"人脸身份核验", "Check name, number and face"},
			Text{"姓名、身份证号与人像，score 为 0 至 100。", "Name, identity number and portrait; score is 0 to 100."},
			[]Field{realName, idCard, portrait}, api.FaceReply{}, faces),
		juheInterface("mobile", api.PathMobile, Text{"手机号三要素核验", "Check name, number and mobile number"},
			Text{"姓名、身份证号与手机号是否一致。", "Whether name, identity number and mobile number belong together."},
			[]Field{realName, idCard, mobile, {Name: "showid", Type: String, Enum: []any{"0", "1"}, Example: "1", About: Text{"为 1 时返回 orderid", "1: answer the orderid"}}},
			api.MobileReply{}, mobiles),
	}
}
