// Package alarm watches what is counted and what the machine has left, and says so when it leaves
// the bounds that an operator set.
//
// A Rule is looked at every few seconds by a Runner:
//
//  1. Measure computes its value from counts, or from a probe of this machine. It is pure.
//  2. State.Next, pure too, makes of the value and the state a new state, and says whether
//     something began, lasts or is over. That it is over needs a value on the other side of the
//     rule's recovery value, so that one that swings around its threshold is told of once.
//  3. What changed is written in one transaction with the messages to send: the state, a line of
//     the history, and a delivery for each receiver. It is written only if the state is still the
//     one that was looked at, so that of several nodes one tells.
//
// Sending is the business of notify. The room keeps nothing itself: a Store does, so that a restart
// neither forgets nor repeats. Nothing here holds personal data.
package alarm

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"shiren/internal/ekyc"
	"shiren/internal/notify"
)

// Measure is what a rule looks at.
type Measure string

const (
	AttackRate  Measure = "attack_rate"  // attempts refused as presentation attacks, of those that ended
	FailureRate Measure = "failure_rate" // attempts and direct calls without a match, of those that ended
	CodeRate    Measure = "code_rate"    // attempts and direct calls with one code, of those that ended
	VolumeHigh  Measure = "volume_high"  // attempts and direct calls that ended
	VolumeLow   Measure = "volume_low"   // the same
	Charges     Measure = "charges"      // charges, of all kinds or one
	Latency     Measure = "latency"      // the 95th percentile of attempts and direct calls, without capture
	SourceFails Measure = "source_fails" // a source asked without an answer, of the times that it was asked
	DiskFree    Measure = "disk_free"    // what is free of the data folder's file system
	CertDays    Measure = "cert_days"    // until the served certificate ends
)

// Unit is what values and thresholds of a measure are in.
type Unit string

const (
	Share        Unit = "share" // 0 to 1
	Events       Unit = "events"
	Milliseconds Unit = "ms"
	Days         Unit = "days"
)

// Kind is how a measure works.
type Kind struct {
	Measure Measure
	Unit    Unit
	Over    bool // it fires at the threshold and above; else at it and below
	Counted bool // from counts: it has a window and can be limited to an app, a plan or a protocol
	Least   bool // a value computed of fewer events than Rule.Minimum says nothing
}

// Kinds lists all measures.
func Kinds() []Kind {
	return []Kind{
		{AttackRate, Share, true, true, true},
		{FailureRate, Share, true, true, true},
		{CodeRate, Share, true, true, true},
		{VolumeHigh, Events, true, true, false},
		{VolumeLow, Events, false, true, false},
		{Charges, Events, true, true, false},
		{Latency, Milliseconds, true, true, true},
		{SourceFails, Share, true, true, true},
		{DiskFree, Share, false, false, false},
		{CertDays, Days, false, false, false},
	}
}

// KindOf is the kind of a measure; ok is false for one that does not exist.
func KindOf(m Measure) (k Kind, ok bool) {
	i := slices.IndexFunc(Kinds(), func(k Kind) bool { return k.Measure == m })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds()[i], true
}

// Rule is what an operator wants to be told of.
type Rule struct {
	ID       string
	Revision int64 // counts changes; 0 before it is stored
	Name     string
	Enabled  bool
	Measure  Measure
	// Scope, of measures that are counted; empty means all.
	App      ekyc.AppID
	Plan     ekyc.PlanID
	Protocol string
	// What of the measure.
	Code   ekyc.Code       // of CodeRate, required
	Source string          // of SourceFails; "" is whichever fails most
	Charge ekyc.ChargeKind // of Charges; "" is all
	// Window is how far back counts are looked at: a multiple of ekyc.ShortSpan.
	Window    time.Duration
	Threshold float64
	// RecoverAt is the value from which it is over, on the good side of Threshold or equal.
	RecoverAt float64
	// Minimum is how many events a share or percentile needs.
	Minimum int64
	// Silence is how long after a message no other one says that it fires, again or still.
	Silence      time.Duration
	TellRecovery bool // also send a message when it is over
	Mails        []string
	Webhooks     []string  // ids of endpoints
	Changed      time.Time // when it was stored last
}

// Bounds of rules. Our choice, but for MaxWindow: short spans are kept that long.
const (
	MaxRules    = 100
	MaxName     = 64 // runes
	MaxMails    = 20
	MaxWebhooks = 10
	MaxWindow   = 24 * time.Hour
	MinSilence  = 5 * time.Minute
	MaxSilence  = 7 * 24 * time.Hour
)

// Protocols are the names that counts of the three protocols carry (ekyc.Via).
var Protocols = []string{"baidu", "huawei", "juhe"}

// Validate reports everything that is wrong with a rule, joined, each with its field's name as the
// console spells it. It changes nothing.
func (r Rule) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if n := utf8.RuneCountInString(r.Name); n == 0 || n > MaxName || strings.TrimSpace(r.Name) != r.Name || notify.Clean(r.Name, MaxName) != r.Name {
		bad("name: want 1 to %d characters on one line, without spaces around them", MaxName)
	}
	k, ok := KindOf(r.Measure)
	if !ok {
		return errors.Join(append(errs, fmt.Errorf("measure: there is none called %q", notify.Clean(string(r.Measure), 32)))...)
	}
	if !k.Counted && (r.App != "" || r.Plan != "" || r.Protocol != "") {
		bad("app, plan, protocol: %s is of this machine and has no scope", r.Measure)
	}
	if r.Protocol != "" && !slices.Contains(Protocols, r.Protocol) {
		bad("protocol: want one of %s, or nothing for all", strings.Join(Protocols, ", "))
	}
	switch {
	case r.Measure == CodeRate && !slices.Contains(ekyc.Codes(), r.Code):
		bad("code: want one of the core's codes, as in liveness_failed")
	case r.Measure != CodeRate && r.Code != "":
		bad("code: only code_rate has one")
	}
	switch {
	case r.Measure != SourceFails && r.Source != "":
		bad("source: only source_fails has one")
	case r.Source != "" && !ekyc.SourceName(r.Source):
		bad("source: want the name of a source, or nothing for whichever fails most")
	}
	switch {
	case r.Measure != Charges && r.Charge != "":
		bad("charge: only charges has one")
	case r.Charge != "" && !slices.Contains(ekyc.ChargeKinds(), r.Charge):
		bad("charge: want a kind of charge, or nothing for all")
	}
	switch {
	case k.Counted && (r.Window < ekyc.ShortSpan || r.Window > MaxWindow || r.Window%ekyc.ShortSpan != 0):
		bad("window: want a multiple of 5 minutes, from 5 minutes to 24 hours")
	case !k.Counted && r.Window != 0:
		bad("window: %s is measured at once and has none", r.Measure)
	}
	most, least := 1e12, 0.0
	if k.Unit == Share {
		most = 1
	}
	if !(r.Threshold >= least && r.Threshold <= most) { // NaN is neither
		bad("threshold: want %v to %v", least, most)
	} else if k.Over && r.Threshold == 0 {
		bad("threshold: at 0 it would always fire; want more")
	} else if !k.Over && k.Unit == Share && r.Threshold == 1 {
		bad("threshold: at all of it it would always fire; want less")
	}
	switch {
	case math.IsNaN(r.RecoverAt) || math.IsInf(r.RecoverAt, 0) || r.RecoverAt < 0:
		bad("recover_at: want a number, 0 or more")
	case k.Over && r.RecoverAt > r.Threshold:
		bad("recover_at: want at most the threshold, %v: it is over when the value lies below", r.Threshold)
	case !k.Over && r.RecoverAt < r.Threshold:
		bad("recover_at: want at least the threshold, %v: it is over when the value lies above", r.Threshold)
	case k.Unit == Share && r.RecoverAt > 1:
		bad("recover_at: want at most 1")
	}
	switch {
	case k.Least && (r.Minimum < 1 || r.Minimum > 1e9):
		bad("minimum: want 1 or more: how many events a share or percentile needs to mean something")
	case !k.Least && r.Minimum != 0:
		bad("minimum: %s needs none", r.Measure)
	}
	if r.Silence < MinSilence || r.Silence > MaxSilence {
		bad("silence: want 5 minutes to 7 days")
	}
	if len(r.Mails) > MaxMails {
		bad("mails: want at most %d", MaxMails)
	}
	for i, m := range r.Mails {
		if err := notify.CheckAddress(m); err != nil {
			bad("mails: %v", err)
		} else if slices.Contains(r.Mails[:i], m) {
			bad("mails: %s is there twice", m)
		}
	}
	if len(r.Webhooks) > MaxWebhooks {
		bad("webhooks: want at most %d", MaxWebhooks)
	}
	for i, w := range r.Webhooks {
		if url.PathEscape(w) != w || w == "" || len(w) > 64 {
			bad("webhooks: %q is no webhook's id", notify.Clean(w, 64))
		} else if slices.Contains(r.Webhooks[:i], w) {
			bad("webhooks: %s is there twice", w)
		}
	}
	return errors.Join(errs...)
}

// Broken reports whether a value is at the threshold or beyond it.
func (r Rule) Broken(v float64) bool {
	if k, _ := KindOf(r.Measure); k.Over {
		return v >= r.Threshold
	}
	return v <= r.Threshold
}

// over reports whether a value is good again: beyond RecoverAt, and not at the threshold.
func (r Rule) over(v float64) bool {
	if k, _ := KindOf(r.Measure); k.Over {
		return v <= r.RecoverAt && v < r.Threshold
	}
	return v >= r.RecoverAt && v > r.Threshold
}

// worse reports whether a is worse than b.
func (r Rule) worse(a, b float64) bool {
	if k, _ := KindOf(r.Measure); k.Over {
		return a > b
	}
	return a < b
}
