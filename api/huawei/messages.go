package huawei

import "net/url"

// The vendor's own hosts: of the interfaces and of the token endpoint.
const (
	APIHost   = "petalpay-developer.cloud.huawei.com.cn"
	TokenHost = "oauth-login.cloud.huawei.com"
)

// Paths of the interfaces. PathAuthPreverify is this server's own: on the vendor's phones
// the app asks for the authorisation without a call before it.
const (
	PathToken         = "/oauth2/v3/token"
	PathRealName      = "/api/v1/realname/"
	PathFacePreverify = PathRealName + "face-verification/preverify"
	PathFaceResult    = PathRealName + "face-verification/result"
	PathPreverify     = PathRealName + "verification/preverify"
	PathResult        = PathRealName + "verification/result"
	PathAuthResult    = PathRealName + "auth/result"
	PathAuthPreverify = PathRealName + "auth/preverify"
)

// CredentialIDCard is the one credentialType that is offered: the identity card.
const CredentialIDCard = "01"

// MaxOpenID is the longest openId in characters. Result page: "长度范围为1-512".
const MaxOpenID = 512

// Answer is what every answer has. Result page, "响应参数".
type Answer struct {
	ResultCode string `json:"resultCode"`
	ResultDesc string `json:"resultDesc"`
	SubCode    string `json:"subCode,omitempty"`
	SubDesc    string `json:"subDesc,omitempty"`
}

// Says makes the answer that says a code.
func (c Code) Says() Answer { return Answer{c.Result, c.ResultDesc, c.Sub, c.SubDesc} }

// PreverifyRequest asks for a preVerifyId. For the face interface CredentialIDNo and
// RealName are encrypted (Encrypt); for the other they are digests (Digest); for
// PathAuthPreverify they and CredentialType are absent.
type PreverifyRequest struct {
	CredentialType string `json:"credentialType,omitempty"`
	CredentialIDNo string `json:"credentialIdNo,omitempty"`
	RealName       string `json:"realName,omitempty"`
	OpenID         string `json:"openId"`
}

// PreverifyAnswer holds the id that the app opens the page with.
type PreverifyAnswer struct {
	Answer
	PreVerifyID string `json:"preVerifyId"`
}

// ResultRequest asks what a verification came to.
type ResultRequest struct {
	VerifyResultID string `json:"verifyResultId"`
	OpenID         string `json:"openId"`
}

// ResultAnswer says whether it was them. A face that is another's is Success with false.
type ResultAnswer struct {
	Answer
	VerifyResult bool `json:"verifyResult"`
}

// AuthRequest asks for the real name that a user authorised the app to read.
type AuthRequest struct {
	RealNameAuthID string `json:"realNameAuthId"`
	OpenID         string `json:"openId"`
}

// AuthAnswer holds the real name, encrypted for the developer's key that the request named.
type AuthAnswer struct {
	Answer
	CredentialType string `json:"credentialType"`
	CredentialIDNo string `json:"credentialIdNo"`
	RealName       string `json:"realName"`
}

// PathPage is the page that the app opens.
const PathPage = "/face/print/"

// PageURL is the page's address for a preVerifyId on a server. native asks the page to
// tell the app around it what happens: docs/webview.md. clientID and openID, when given,
// are held against the preVerifyId's own, so that a mix-up ends in AppForeignApp or
// AppForeignUser; they stand behind the '#', which is sent to no server as part of the
// address.
func PageURL(base, preVerifyID, clientID, openID string, native bool) string {
	u := base + PathPage + "?token=" + url.QueryEscape(preVerifyID)
	if native {
		u += "&useNative=1"
	}
	own := url.Values{}
	if clientID != "" {
		own.Set("shirenApp", clientID)
	}
	if openID != "" {
		own.Set("shirenSubject", openID)
	}
	if len(own) > 0 {
		u += "#&" + own.Encode()
	}
	return u
}
