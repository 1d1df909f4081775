package huawei

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// HeaderAuth is the request header that carries PayDevAuth. Header names have no case; the
// vendor's pages write "PayDevAuth", its sample code "payDevAuth".
const HeaderAuth = "PayDevAuth"

// MaxTraceID is the longest traceId in characters. Model page.
const MaxTraceID = 32

// PayDevAuth is the header's JSON object. Model page, "PayDevAuth".
type PayDevAuth struct {
	ClientID    string `json:"clientId"`
	AccessToken string `json:"accessToken"`
	TraceID     string `json:"traceId"`
	Time        int64  `json:"time"` // Unix ms
	// DeveloperEncKeyID names the developer's key that sensitive fields of the answer are
	// encrypted for, PetalpayEncKeyID the platform's key that those of the request are. The
	// model page's table has the two texts the other way round; its code and the guide read
	// as here.
	DeveloperEncKeyID  string `json:"developerEncKeyId,omitempty"`
	PetalpayEncKeyID   string `json:"petalpayEncKeyId,omitempty"`
	DeveloperSignKeyID string `json:"developerSignKeyId"`
	// PetalpaySignKeyID names the platform's key that signs the answer.
	PetalpaySignKeyID string `json:"petalpaySignKeyId"`
	BodySign          string `json:"bodySign"`
	HeaderSign        string `json:"headerSign"`

	sent  Object // as it came, for HeaderString
	timed bool   // time was there
}

// ParsePayDevAuth reads a header's value. Unknown fields are kept and signed; time may be a
// number or its text. Errors are *Error with InvalidPayDevAuth, InvalidTime or
// InvalidTracerID; ClientID and PetalpaySignKeyID are read beside them where they can be, so
// that the refusal can be signed.
func ParsePayDevAuth(text string) (PayDevAuth, error) {
	var a PayDevAuth
	o, err := ParseObject([]byte(text))
	if err != nil {
		return a, &Error{InvalidPayDevAuth, "PayDevAuth: " + err.Error()}
	}
	a.sent = o
	for _, f := range []struct {
		name string
		to   *string
		bad  Code
	}{
		{"clientId", &a.ClientID, InvalidPayDevAuth},
		{"petalpaySignKeyId", &a.PetalpaySignKeyID, InvalidPayDevAuth},
		{"traceId", &a.TraceID, InvalidTracerID},
		{"headerSign", &a.HeaderSign, InvalidPayDevAuth},
		{"bodySign", &a.BodySign, InvalidPayDevAuth},
		{"accessToken", &a.AccessToken, InvalidPayDevAuth},
		{"petalpayEncKeyId", &a.PetalpayEncKeyID, InvalidPayDevAuth},
		{"developerEncKeyId", &a.DeveloperEncKeyID, InvalidPayDevAuth},
		{"developerSignKeyId", &a.DeveloperSignKeyID, InvalidPayDevAuth},
	} {
		switch v := o[f.name].(type) {
		case nil:
		case string:
			*f.to = v
		default:
			return a, &Error{f.bad, "PayDevAuth." + f.name + ": want a string"}
		}
	}
	if utf8.RuneCountInString(a.TraceID) > MaxTraceID {
		return a, &Error{InvalidTracerID, "PayDevAuth.traceId: want at most " + strconv.Itoa(MaxTraceID) + " characters"}
	}
	var digits string
	switch v := o["time"].(type) {
	case nil:
		return a, nil
	case json.Number:
		digits = v.String()
	case string:
		digits = v
	}
	if digits == "" && o["time"] == "" {
		return a, nil
	}
	if a.Time, err = strconv.ParseInt(digits, 10, 64); err != nil {
		return a, &Error{InvalidTime, "PayDevAuth.time: want Unix milliseconds"}
	}
	a.timed = true
	return a, nil
}

// Missing returns the first required field that is not there or empty, in the order of
// the codes page, or nil. encrypted tells that the request has encrypted fields.
func (a PayDevAuth) Missing(encrypted bool) error {
	for _, f := range []struct {
		absent bool
		code   Code
	}{
		{a.TraceID == "", MissingTracerID},
		{a.HeaderSign == "", MissingHeaderSign},
		{a.BodySign == "", MissingBodySign},
		{!a.timed && a.Time == 0, MissingTime},
		{a.AccessToken == "", MissingAccessToken},
		{a.PetalpaySignKeyID == "", MissingPlatformSign},
		{encrypted && a.PetalpayEncKeyID == "", MissingPlatformEnc},
		{a.DeveloperSignKeyID == "", MissingDeveloperSign},
		{a.ClientID == "", ClientIDError},
	} {
		if f.absent {
			return &Error{Code: f.code}
		}
	}
	return nil
}

// object is the header as it is signed.
func (a PayDevAuth) object() Object {
	if a.sent != nil {
		return a.sent
	}
	o := Object{
		"clientId": a.ClientID, "accessToken": a.AccessToken, "traceId": a.TraceID, "time": json.Number(strconv.FormatInt(a.Time, 10)),
		"developerSignKeyId": a.DeveloperSignKeyID, "petalpaySignKeyId": a.PetalpaySignKeyID, "bodySign": a.BodySign,
	}
	if a.DeveloperEncKeyID != "" {
		o["developerEncKeyId"] = a.DeveloperEncKeyID
	}
	if a.PetalpayEncKeyID != "" {
		o["petalpayEncKeyId"] = a.PetalpayEncKeyID
	}
	return o
}

// HeaderString is the text that headerSign signs. Of a parsed header it is made of the
// fields as they came.
func (a PayDevAuth) HeaderString() string { return SignString(a.object(), "headerSign") }

// SignBody sets BodySign and HeaderSign for a body that is a JSON object.
func (a *PayDevAuth) SignBody(rand io.Reader, key *PrivateKey, body []byte) error {
	s, err := SignStringOf(body)
	if err != nil {
		return err
	}
	return a.SignText(rand, key, s)
}

// SignText sets BodySign over a text and HeaderSign over the rest.
func (a *PayDevAuth) SignText(rand io.Reader, key *PrivateKey, text string) (err error) {
	a.sent = nil
	if a.BodySign, err = Sign(rand, key, text); err != nil {
		return err
	}
	a.HeaderSign, err = Sign(rand, key, a.HeaderString())
	return err
}

// VerifyText checks both signatures: the header's first, which covers the other. The error
// is an *Error with InvalidSignature and says which.
func (a PayDevAuth) VerifyText(key *PublicKey, text string) error {
	if !Verify(key, a.HeaderString(), a.HeaderSign) {
		return &Error{InvalidSignature, "headerSign is not the signature of the header; compare the text that you signed with `shiren huawei verify`"}
	}
	if !Verify(key, text, a.BodySign) {
		return &Error{InvalidSignature, "bodySign is not the signature of the body; compare the text that you signed with `shiren huawei verify`"}
	}
	return nil
}

// SignAnswer signs an answer, a JSON object without sign, and returns it with sign added
// as its last field.
func SignAnswer(rand io.Reader, key *PrivateKey, answer []byte) ([]byte, error) {
	s, err := SignStringOf(answer)
	if err != nil {
		return nil, err
	}
	sig, err := Sign(rand, key, s)
	if err != nil {
		return nil, err
	}
	return WithSign(answer, sig)
}

// WithSign adds sign to an answer as its last field. The answer is a JSON object with at
// least one field.
func WithSign(answer []byte, sig string) ([]byte, error) {
	if len(answer) < 3 || answer[len(answer)-1] != '}' {
		return nil, errors.New("sign an answer: not a JSON object with fields")
	}
	out := make([]byte, 0, len(answer)+len(sig)+12)
	out = append(out, answer[:len(answer)-1]...)
	out = append(out, `,"sign":"`...) // base64 needs no escapes
	out = append(out, sig...)
	return append(out, `"}`...), nil
}

// VerifyAnswer checks the sign of an answer.
func VerifyAnswer(key *PublicKey, answer []byte) error {
	o, err := ParseObject(answer)
	if err != nil {
		return err
	}
	sig, _ := o["sign"].(string)
	if sig == "" {
		return errors.New("huawei: the answer is not signed")
	}
	if !Verify(key, SignString(o), sig) {
		return errors.New("huawei: the answer's sign is not the platform's signature of it; is the platform key the one that petalpaySignKeyId names?")
	}
	return nil
}
