// Package webhook is how shiren's alarms reach a receiver over HTTP: the headers of a message, its
// signature, and what its body says. Receivers in Go import it; docs/console/alarms.md says the
// same for other languages.
//
// A message is a POST with a JSON body, a Message, and three headers:
//
//	Shiren-Delivery    the message's id, the same in every try and as "id" in the body
//	Shiren-Timestamp   Unix seconds, when this try was signed
//	Shiren-Signature   "v1=" and HMAC-SHA256 of the timestamp, a dot and the body, in hex; while a
//	                   secret is being replaced two of them, separated by a comma
//
// Any answer of 200 to 299 means that it was received. Anything else is tried again, for three
// days: a receiver may see a message twice, and tells by its id.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Names of the headers.
const (
	HeaderDelivery  = "Shiren-Delivery"
	HeaderTimestamp = "Shiren-Timestamp"
	HeaderSignature = "Shiren-Signature"
)

// Window is how far a message's timestamp may lie from the receiver's clock, to either side: a
// recorded message is worth nothing after it. Our choice.
const Window = 5 * time.Minute

// version begins each signature, so that another scheme can be introduced beside this one.
const version = "v1="

// Errors of Verify.
var (
	ErrTimestamp = errors.New("webhook: the timestamp is missing, unreadable or too far from this clock")
	ErrSignature = errors.New("webhook: no signature was made with a known secret")
)

// Sign returns one signature of a body at a moment.
func Sign(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return version + hex.EncodeToString(mac.Sum(nil))
}

// SetHeaders signs a body with each of the secrets.
func SetHeaders(h http.Header, id string, secrets []string, at time.Time, body []byte) {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = Sign(s, at, body)
	}
	h.Set(HeaderDelivery, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(signatures, ","))
}

// Verify reports whether body came from who knows one of the secrets, within Window of now. It
// must be given the body's bytes as they came. Its errors are ErrTimestamp and ErrSignature.
func Verify(h http.Header, body []byte, now time.Time, secrets ...string) error {
	seconds, err := strconv.ParseInt(h.Get(HeaderTimestamp), 10, 64)
	if err != nil {
		return ErrTimestamp
	}
	at := time.Unix(seconds, 0)
	if d := now.Sub(at); d > Window || d < -Window {
		return ErrTimestamp
	}
	for got := range strings.SplitSeq(h.Get(HeaderSignature), ",") {
		for _, s := range secrets {
			if s != "" && hmac.Equal([]byte(strings.TrimSpace(got)), []byte(Sign(s, at, body))) {
				return nil
			}
		}
	}
	return ErrSignature
}

// Events of a Message.
const (
	EventFiring    = "firing"    // the alarm began
	EventRepeated  = "repeated"  // it lasts; sent when the rule's silence is over
	EventRecovered = "recovered" // it is over
	EventTest      = "test"      // somebody pressed the test button: nothing happened
)

// Message is the body. It holds figures, ids and names that the operator gave, and nothing of any
// person. Fields may be added.
type Message struct {
	ID        string    `json:"id"`
	Event     string    `json:"event"`
	At        time.Time `json:"at"` // UTC
	Rule      Rule      `json:"rule"`
	Firing    string    `json:"firing,omitempty"` // id, the same from firing to recovered
	Since     time.Time `json:"since,omitzero"`   // when it began
	Value     *float64  `json:"value"`            // in Rule.Unit; null where it could not be measured
	Events    int64     `json:"events"`           // that the value was computed of
	Detail    string    `json:"detail,omitempty"` // the name of the source, the node
	Text      string    `json:"text"`             // for people, Chinese and English
	Recovered string    `json:"recovered_because,omitempty"`
}

// Rule is what a Message says of its rule.
type Rule struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Measure   string  `json:"measure"`
	Unit      string  `json:"unit"`
	Threshold float64 `json:"threshold"`
	Over      bool    `json:"over"` // it fires at the threshold and above; else at it and below
	Window    int64   `json:"window_seconds"`
	App       string  `json:"app,omitempty"`
	AppName   string  `json:"app_name,omitempty"`
	Plan      string  `json:"plan,omitempty"`
	PlanName  string  `json:"plan_name,omitempty"`
	Protocol  string  `json:"protocol,omitempty"`
	Code      string  `json:"code,omitempty"`
	Source    string  `json:"source,omitempty"`
	Charge    string  `json:"charge,omitempty"`
}
