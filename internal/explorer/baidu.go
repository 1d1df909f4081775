package explorer

import (
	"maps"
	"net/http"
	"slices"

	api "shiren/api/baidu"
	gateway "shiren/internal/gateway/baidu"
)

var post = http.MethodPost

// Of the fields that several interfaces have.
var (
	verifyToken = Field{
		Name: "verify_token", Type: String, Required: true, Max: 64, Source: FromEarlier, Variable: "VERIFY_TOKEN",
		About:   Text{"verifyToken/generate 返回的 verify_token，2 小时内可发起认证，结果保留 3 天", "The verify_token that verifyToken/generate answered: attempts can begin for 2 hours, results are kept for 3 days"},
		Example: "WUbXfKcLAkrKBoe9sRGaFMkc",
	}
	qualityControl  = control("quality_control", "图片质量控制", "How strictly the picture's quality is controlled")
	livenessControl = control("liveness_control", "活体控制", "How strictly the picture must come from life")
	spoofingControl = control("spoofing_control", "合成图控制；与 liveness_control 取较严者", "How strictly synthetic pictures are refused; the stricter of this and liveness_control is applied")
)

var levels = []any{string(api.ControlNone), string(api.ControlLow), string(api.ControlNormal), string(api.ControlHigh)}

func control(name, zh, en string) Field {
	return Field{Name: name, Type: String, Enum: levels, About: Text{zh + "：NONE、LOW、NORMAL、HIGH，缺省 NONE", en + ": NONE, LOW, NORMAL or HIGH; NONE where it is left out"}}
}

func picture(name, zh, en string) Field {
	return Field{
		Name: name, Type: Image, Required: true, Max: 10 << 20, Source: FromPicture,
		About: Text{zh + "，base64 文本，不超过 10 MB；JPEG、PNG、WebP", en + " as base64 text of at most 10 MB: JPEG, PNG or WebP"},
	}
}

func imageType(name string) Field {
	return Field{
		Name: name, Type: String, Required: true, Enum: []any{api.Base64}, Example: api.Base64,
		About: Text{"图片类型，仅支持 BASE64；URL 与 FACE_TOKEN 会被拒绝", "BASE64: nothing is fetched from elsewhere, and no faces are kept"},
	}
}

func faceType(name string) Field {
	return Field{
		Name: name, Type: String, Enum: []any{"LIVE", "IDCARD", "WATERMARK", "CERT", "INFRARED"},
		About: Text{"人脸类型；会检查取值，不影响比对", "Where the picture is from; it is checked, and has no effect"},
	}
}

func baiduCodes(path string, own ...api.Code) []Code {
	said := gateway.Said(path)
	for _, c := range own {
		if _, there := said[c]; !there {
			said[c] = nil
		}
	}
	var list []Code
	for _, c := range slices.Sorted(maps.Keys(said)) {
		list = append(list, Code{number(c), c.Message(), said[c]})
	}
	return list
}

// scheme makes an interface of the H5 scheme.
func scheme(id, name string, title, about Text, request []Field, reply any, own ...api.Code) Interface {
	return Interface{
		ID: "baidu." + id, Vendor: Baidu, Title: title, About: about, Method: post, Path: api.PathScheme + name, Aliases: []string{api.PathSchemeOld + name},
		Auth: []Auth{AuthToken, AuthBCE}, Body: BodyJSON, Request: request, Answer: answer(reply), Refusal: answer(api.Refusal{}),
		Codes: baiduCodes(api.PathScheme+name, own...),
	}
}

// single makes a single interface.
func single(id, path string, title, about Text, request []Field, reply any, own ...api.Code) Interface {
	return Interface{
		ID: "baidu." + id, Vendor: Baidu, Title: title, About: about, Method: post, Path: path,
		Auth: []Auth{AuthToken, AuthBCE}, Body: BodyJSON, Request: request, Answer: answer(reply), Refusal: answer(api.RestRefusal{}),
		Codes: baiduCodes(path, own...),
	}
}

func baiduInterfaces() []Interface {
	token := Interface{
		ID: "baidu.token", Vendor: Baidu, Method: post, Methods: []string{http.MethodGet, http.MethodPost}, Path: api.PathToken, Auth: []Auth{AuthNone}, Body: BodyForm,
		Title: Text{"获取 access_token", "Get an access token"},
		About: Text{
			"用 API Key 与 Secret Key 换取 access_token，有效期 30 天；参数可在 URL 或请求体中。多个 access_token 互不影响。",
			"Exchanges API Key and Secret Key for an access token, valid for 30 days. Parameters are taken from the URL or the body. Tokens do not end each other.",
		},
		Request: []Field{
			{Name: "grant_type", Type: String, Required: true, Enum: []any{"client_credentials"}, Example: "client_credentials", About: Text{"固定为 client_credentials", "Always client_credentials"}},
			{Name: "client_id", Type: String, Required: true, Source: FromKey, About: Text{"应用的 API Key", "The app's API Key"}},
			{Name: "client_secret", Type: String, Required: true, Source: FromSecret, About: Text{"应用的 Secret Key", "The app's Secret Key"}},
		},
		Answer: answer(api.TokenReply{}), Refusal: answer(api.TokenError{}), Statuses: []int{http.StatusUnauthorized},
		Codes: []Code{
			{Code: "invalid_client", Text: "unknown client id"},
			{Code: "invalid_client", Text: "Client authentication failed"},
			{Code: "unsupported_grant_type", Text: "The authorization grant type is not supported"},
		},
	}
	submit := scheme("idcard", "idcard/submit",
		Text{"指定用户信息上报", "Declare the user's identity"},
		Text{"方案为“指定用户身份核验”时，由服务端上报待核验用户的姓名与证件号。旧路径上可只凭 verify_token 首次上报。", "For plans with 指定用户: the relying party says whose identity is verified. On the older path a first declaration is taken with the verify token alone."},
		[]Field{
			verifyToken,
			{Name: "id_name", Type: String, Required: true, Source: FromName, Example: "测试", About: Text{"姓名", "Name"}},
			{Name: "id_no", Type: String, Required: true, Source: FromNumber, Example: exampleNumber, About: Text{"证件号码，18 位", "Identity number, 18 characters"}},
			{Name: "certificate_type", Type: Integer, Enum: []any{api.CertificateIDCard, api.CertificateResidencePermit}, Example: api.CertificateIDCard, About: Text{"证件类型：0 大陆居民二代身份证，4 港澳台居民居住证；缺省 0", "Document: 0 resident identity card, 4 residence permit for Hong Kong, Macao and Taiwan residents; 0 where it is left out"}},
		}, api.Reply[int]{})
	ocr := single("ocr", api.PathOCR,
		Text{"身份证识别", "Read an identity card"},
		Text{"直接识别身份证的一面，返回各字段文字与位置。读不准的字段 words 为空，doubtful 为读到的内容。", "Reads one side of an identity card: each field's words and place. A field that was not surely read has empty words, and what was read as doubtful."},
		[]Field{
			picture("image", "身份证图片", "A photograph of the card"),
			{Name: "id_card_side", Type: String, Required: true, Enum: []any{api.SideFront, api.SideBack}, Example: api.SideFront, About: Text{"front 人像面，back 国徽面", "front is the side with the portrait, back the one with the emblem"}},
			flag("detect_risk", "返回身份证风险类型 risk_type", "Answer risk_type"),
			flag("detect_card", "返回裁剪后的证件图与位置", "Answer the card, cut out, and its place"),
			flag("detect_photo", "返回证件上的人像", "Answer the portrait on the card"),
		}, api.IDCardReply{}, api.URLIllegal)
	ocr.Body = BodyForm
	matchV3 := single("match_v3", api.PathMatchV3,
		Text{"人脸对比 V3", "Compare two faces (V3)"},
		Text{"比较两张图片中的人脸，请求体为两个元素的数组。80 分对应万分之一误识率。", "Compares the faces of two pictures; the body is an array of two. A score of 80 is a false match rate of 1e-4."},
		[]Field{
			{Name: "0", Type: Object, Required: true, About: Text{"第一张图片", "The first picture"}, Fields: matchPicture()},
			{Name: "1", Type: Object, Required: true, About: Text{"第二张图片", "The second picture"}, Fields: matchPicture()},
		}, api.RestReply[api.MatchResult]{}, imageCodes(api.ImageCount)...)
	matchV3.List = true

	tokenOnly := []Field{verifyToken}
	return []Interface{
		token,
		scheme("generate", "verifyToken/generate",
			Text{"获取 verify_token", "Get a verify token"},
			Text{"按方案发起一次核验，返回 verify_token；随后让用户打开 /face/print/?token=… 。", "Opens a verification for a plan. The person then opens /face/print/?token=…"},
			[]Field{
				{Name: "plan_id", Type: String, Required: true, Source: FromPlan, Variable: "PLAN_ID", Example: "1", About: Text{"方案 ID，字符串或数字", "The plan's id, a string or a number"}},
				{Name: "redirect_config", Type: Object, About: Text{"核验结束后跳转的地址", "Where the page leads at the end"}, Fields: []Field{
					{Name: "success_url", Type: String, Max: 2048, Example: "https://www.example.com/passed", About: Text{"通过后跳转的地址", "After a verification that passed"}},
					{Name: "failed_url", Type: String, Max: 2048, Example: "https://www.example.com/failed", About: Text{"未通过时跳转的地址", "After one that did not"}},
				}},
			}, api.Reply[api.GenerateResult]{}),
		submit,
		scheme("upload", "uploadMatchImage",
			Text{"对比图片上传", "Upload the reference picture"},
			Text{"方案为“自建人脸库比对”时，上传用于比对的图片。", "For plans with 自建人脸库比对: the picture that the face is compared with."},
			[]Field{verifyToken, picture("image", "对比图片", "The reference picture"), qualityControl, livenessControl}, api.Reply[any]{},
			api.ParamQualityControl, api.ParamLivenessControl),
		scheme("simple", "result/simple",
			Text{"查询认证人脸", "The verified face"},
			Text{"返回认证通过时人脸图片的地址；未通过时返回原因的错误码。", "The address of the face of a verification that passed; of one that did not, the reason's code."},
			tokenOnly, api.Reply[api.SimpleResult]{}),
		scheme("detail", "result/detail",
			Text{"查询认证结果", "The result in detail"},
			Text{"返回认证通过的分数与身份信息；未通过时返回原因的错误码。", "Scores and identity of a verification that passed; of one that did not, the reason's code."},
			tokenOnly, api.Reply[api.DetailResult]{}),
		scheme("stat", "result/stat",
			Text{"查询统计信息", "Counts of inner calls"},
			Text{"按接口与错误码统计本次 token 的内部调用。", "Counts the inner calls of this token by interface and code."},
			tokenOnly, api.Reply[api.StatResult]{}),
		scheme("media", "result/media/query",
			Text{"查询视频与图片", "Video and pictures of the presentation"},
			Text{"方案开启留存时返回视频与图片的地址，保留 1 天。", "Addresses of the video and pictures, for a day, where the plan keeps them."},
			tokenOnly, api.Reply[api.MediaResult]{}),
		scheme("getall", "result/getall",
			Text{"查询全部核验记录", "Everything about a token"},
			Text{"返回该 token 的每一次核验与计费。", "Every verification of the token and its charges."},
			tokenOnly, api.Reply[api.GetAllResult]{}),
		{
			ID: "baidu.image", Vendor: Baidu, Method: http.MethodGet, Methods: []string{http.MethodGet, http.MethodHead}, Path: api.PathImage, Auth: []Auth{AuthToken, AuthBCE, AuthNone}, Body: BodyQuery,
			Title: Text{"获取图片", "Fetch an image"},
			About: Text{
				"其他接口返回的地址自带签名，可直接打开；只带 verify_token 的地址需要鉴权，返回认证通过的人脸。",
				"Addresses that other interfaces answered are signed and open as they are. An address with the verify token alone needs authentication, and is the verified face.",
			},
			Request: append([]Field{verifyToken}, link("image", "图片", "The picture's name")...),
			Binary:  []string{"image/jpeg", "image/png", "image/webp"}, Refusal: answer(api.Refusal{}), Codes: baiduCodes(api.PathImage),
			Statuses: []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusInternalServerError},
		},
		{
			ID: "baidu.video", Vendor: Baidu, Method: http.MethodGet, Methods: []string{http.MethodGet, http.MethodHead}, Path: api.PathVideo, Auth: []Auth{AuthNone}, Body: BodyQuery,
			Title:   Text{"获取视频", "Fetch a video"},
			About:   Text{"地址由 result/media/query 返回，自带签名，支持 Range。", "The address comes from result/media/query and is signed; parts may be asked for (Range)."},
			Request: append([]Field{verifyToken}, link("video", "视频", "The video's name")...),
			Binary:  []string{"video/mp4", "video/webm"}, Refusal: answer(api.Refusal{}), Codes: baiduCodes(api.PathVideo),
			Statuses: []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusInternalServerError},
		},
		single("verify_v4", api.PathVerifyV4,
			Text{"人脸实名认证 V4", "Verify a named person's face (V4)"},
			Text{"姓名、身份证号与人脸，与权威数据源的人像比对。80 分对应万分之一误识率。", "Compares a face with the authority's portrait of a named person. A score of 80 is a false match rate of 1e-4."},
			append(person(), picture("image", "人脸图片", "The face"), imageType("image_type"), qualityControl, livenessControl, spoofingControl),
			api.RestReply[api.VerifyResult]{}, imageCodes()...),
		single("verify_v3", api.PathVerifyV3,
			Text{"人脸实名认证 V3", "Verify a named person's face (V3)"},
			Text{"V4 的前身，没有 spoofing_control。", "V4's predecessor, without spoofing_control."},
			append(person(), picture("image", "人脸图片", "The face"), imageType("image_type"), qualityControl, livenessControl),
			api.RestReply[api.VerifyResult]{}, imageCodes()...),
		single("match_v4", api.PathMatchV4,
			Text{"人脸对比 V4", "Compare two faces (V4)"},
			Text{"比较 image 与 register_image 中的人脸。80 分对应万分之一误识率。", "Compares the faces of image and register_image. A score of 80 is a false match rate of 1e-4."},
			[]Field{
				picture("image", "待比对图片", "The picture to compare"), imageType("image_type"), faceType("face_type"), qualityControl, livenessControl, spoofingControl,
				picture("register_image", "注册图片", "The picture to compare it with"), imageType("register_image_type"), faceType("register_face_type"),
				control("register_quality_control", "注册图片质量控制", "The same of register_image"),
				control("register_liveness_control", "注册图片活体控制", "The same of register_image"),
			}, api.RestReply[api.MatchResult]{}, imageCodes()...),
		matchV3,
		ocr,
	}
}

// imageCodes are what an image's parameters alone are refused with.
func imageCodes(more ...api.Code) []api.Code {
	return append(more, api.ParamImageType, api.ParamFaceType, api.ParamQualityControl, api.ParamLivenessControl, api.ImageDownloadFail, api.FaceTokenAbsent)
}

func person() []Field {
	return []Field{
		{Name: "id_card_number", Type: String, Required: true, Source: FromNumber, Example: exampleNumber, About: Text{"身份证号码", "Identity number"}},
		{Name: "name", Type: String, Required: true, Source: FromName, Example: "测试", About: Text{"姓名，UTF-8", "Name, in UTF-8"}},
	}
}

func matchPicture() []Field {
	return []Field{picture("image", "图片", "The picture"), imageType("image_type"), faceType("face_type"), qualityControl, livenessControl}
}

func flag(name, zh, en string) Field {
	return Field{Name: name, Type: String, Enum: []any{"true", "false"}, About: Text{zh + "，缺省 false", en + "; false where it is left out"}}
}

// link are the fields of a signed address.
func link(name, zh, en string) []Field {
	return []Field{
		{Name: name, Type: String, About: Text{zh + "的编号，地址自带", en + ", as in the address"}},
		{Name: "expires", Type: String, About: Text{"地址失效时间，Unix 秒，地址自带", "When the address ends, Unix seconds, as in the address"}},
		{Name: "sign", Type: String, About: Text{"地址的签名，地址自带", "The address's signature, as in the address"}},
	}
}
