package alarm_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/alarm"
	"shiren/internal/ekyc"
)

// noon is the beginning of a span of five minutes.
var noon = time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)

// rule is one that Validate finds nothing wrong with.
func rule(m alarm.Measure, change ...func(*alarm.Rule)) alarm.Rule {
	k, _ := alarm.KindOf(m)
	r := alarm.Rule{
		ID: "r", Name: "规则", Enabled: true, Measure: m, Threshold: 0.1, RecoverAt: 0.05, Silence: time.Hour, TellRecovery: true, Mails: []string{"ops@example.com"},
		Changed: noon.Add(-30 * 24 * time.Hour),
	}
	if k.Counted {
		r.Window = 10 * time.Minute
	}
	if k.Least {
		r.Minimum = 20
	}
	if k.Unit != alarm.Share {
		r.Threshold, r.RecoverAt = 100, 80
	}
	if !k.Over {
		r.RecoverAt = 2 * r.Threshold
	}
	if m == alarm.CodeRate {
		r.Code = ekyc.LivenessFailed
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, k := range alarm.Kinds() {
		if err := rule(k.Measure).Validate(); err != nil {
			t.Errorf("a good rule on %s: %v", k.Measure, err)
		}
		if zh, en := alarm.Label(k.Measure); zh == "" || en == "" {
			t.Errorf("%s has no name", k.Measure)
		}
	}
	for _, c := range []struct {
		field string
		r     alarm.Rule
	}{
		{"name", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Name = "" })},
		{"name", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Name = "a\r\nBcc: x@example.com" })},
		{"name", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Name = "a\u202eb" })},
		{"name", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Name = strings.Repeat("长", 65) })},
		{"measure", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Measure = "mood" })},
		{"app, plan, protocol", rule(alarm.DiskFree, func(r *alarm.Rule) { r.App = "1" })},
		{"protocol", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Protocol = "gopher" })},
		{"code", rule(alarm.CodeRate, func(r *alarm.Rule) { r.Code = "" })},
		{"code", rule(alarm.CodeRate, func(r *alarm.Rule) { r.Code = "no_such" })},
		{"code", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Code = ekyc.NoFace })},
		{"source", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Source = "registry" })},
		{"source", rule(alarm.SourceFails, func(r *alarm.Rule) { r.Source = "No Source" })},
		{"charge", rule(alarm.VolumeHigh, func(r *alarm.Rule) { r.Charge = ekyc.ChargeVerify })},
		{"charge", rule(alarm.Charges, func(r *alarm.Rule) { r.Charge = "tea" })},
		{"window", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Window = 7 * time.Minute })},
		{"window", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Window = 0 })},
		{"window", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Window = 25 * time.Hour })},
		{"window", rule(alarm.CertDays, func(r *alarm.Rule) { r.Window = time.Hour })},
		{"threshold", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Threshold = 12 })},
		{"threshold", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Threshold, r.RecoverAt = 0, 0 })},
		{"threshold", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Threshold = math.NaN() })},
		{"threshold", rule(alarm.DiskFree, func(r *alarm.Rule) { r.Threshold, r.RecoverAt = 1, 1 })},
		{"recover_at", rule(alarm.AttackRate, func(r *alarm.Rule) { r.RecoverAt = 0.2 })},
		{"recover_at", rule(alarm.DiskFree, func(r *alarm.Rule) { r.RecoverAt = 0.01 })},
		{"recover_at", rule(alarm.DiskFree, func(r *alarm.Rule) { r.RecoverAt = 1.5 })},
		{"recover_at", rule(alarm.AttackRate, func(r *alarm.Rule) { r.RecoverAt = math.NaN() })},
		{"minimum", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Minimum = 0 })},
		{"minimum", rule(alarm.VolumeLow, func(r *alarm.Rule) { r.Minimum = 5 })},
		{"silence", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Silence = time.Minute })},
		{"mails", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Mails = []string{"Ops <ops@example.com>"} })},
		{"mails", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Mails = []string{"a@example.com", "a@example.com"} })},
		{"webhooks", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Webhooks = []string{"a/b"} })},
		{"webhooks", rule(alarm.AttackRate, func(r *alarm.Rule) { r.Webhooks = []string{"a", "a"} })},
	} {
		err := c.r.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.field+":") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Validate = %v, want one mistake of %s", err, c.field)
		}
	}
	bad := rule(alarm.AttackRate, func(r *alarm.Rule) { r.Name, r.Threshold, r.Silence = "", 12, 0 })
	if n := strings.Count(bad.Validate().Error(), "\n") + 1; n != 3 {
		t.Errorf("%d mistakes are told at once, want 3", n)
	}
}

// counted makes counts: n events of a measure and label, some minutes from noon.
func counted(at int, m ekyc.Measure, label string, n int64) ekyc.Count {
	return ekyc.Count{At: noon.Add(time.Duration(at) * time.Minute), Measure: m, Label: label, N: n}
}

// Windows end with the running span, which began at noon; now is 12:02.
func TestRead(t *testing.T) {
	t.Parallel()
	now := noon.Add(2 * time.Minute)
	attempt := func(at int, label string, n int64) ekyc.Count { return counted(at, ekyc.CountAttempt, label, n) }
	for _, c := range []struct {
		name   string
		r      alarm.Rule
		counts []ekyc.Count
		value  float64
		part   int64
		events int64
		why    alarm.Why
		detail string
	}{
		{
			name: "attacks of attempts, in the window and the running span", r: rule(alarm.AttackRate),
			counts: []ekyc.Count{attempt(-10, "match/", 30), attempt(-5, "non_match/liveness_failed", 10), counted(-5, ekyc.CountAttack, "liveness_failed", 6), counted(0, ekyc.CountAttack, "risk_refused", 4), counted(0, ekyc.CountDirect, "verify/", 100)},
			value:  0.25, part: 10, events: 40,
		},
		{name: "too few to say", r: rule(alarm.AttackRate), counts: []ekyc.Count{attempt(0, "match/", 19)}, events: 19, why: alarm.TooFew},
		{name: "nothing at all", r: rule(alarm.FailureRate), why: alarm.TooFew},
		{
			name: "without a match, direct calls too", r: rule(alarm.FailureRate),
			counts: []ekyc.Count{attempt(-5, "match/", 5), attempt(-5, "non_match/non_match", 3), attempt(-5, "failed/engine_failed", 2), counted(-5, ekyc.CountDirect, "elements/", 5), counted(0, ekyc.CountDirect, "elements/source_failed", 5), counted(0, ekyc.CountAttack, "liveness_failed", 50)},
			value:  0.5, part: 10, events: 20,
		},
		{
			name: "one code", r: rule(alarm.CodeRate),
			counts: []ekyc.Count{attempt(-5, "match/", 15), attempt(-5, "non_match/liveness_failed", 3), counted(0, ekyc.CountDirect, "verify/liveness_failed", 2), counted(0, ekyc.CountAttack, "liveness_failed", 3)},
			value:  0.25, part: 5, events: 20,
		},
		{
			// Ten minutes of them, never fifteen.
			name: "too much, in the whole spans", r: rule(alarm.VolumeHigh), counts: []ekyc.Count{attempt(-10, "match/", 60), attempt(-5, "match/", 50), attempt(0, "match/", 10)}, value: 110, part: 110, events: 110,
		},
		{
			name: "too much, with the running span", r: rule(alarm.VolumeHigh), counts: []ekyc.Count{attempt(-10, "match/", 10), attempt(-5, "match/", 50), counted(0, ekyc.CountDirect, "verify/", 90)}, value: 140, part: 140, events: 140,
		},
		{name: "too little, in the whole spans", r: rule(alarm.VolumeLow), counts: []ekyc.Count{attempt(-5, "match/", 7), attempt(0, "match/", 100)}, value: 7, part: 7, events: 7},
		{name: "too little, of nothing", r: rule(alarm.VolumeLow)},
		{name: "too little, but watched for too short a time", r: rule(alarm.VolumeLow, func(r *alarm.Rule) { r.Changed = noon.Add(-9 * time.Minute) }), why: alarm.TooSoon},
		{
			name: "charges of one kind", r: rule(alarm.Charges, func(r *alarm.Rule) { r.Charge = ekyc.ChargeVerify }),
			counts: []ekyc.Count{counted(-5, ekyc.CountCharge, string(ekyc.ChargeVerify), 70), counted(-5, ekyc.CountCharge, string(ekyc.ChargeElements), 50)}, value: 70, part: 70, events: 70,
		},
		{
			name: "charges of all kinds", r: rule(alarm.Charges),
			counts: []ekyc.Count{counted(-5, ekyc.CountCharge, string(ekyc.ChargeVerify), 70), counted(-5, ekyc.CountCharge, string(ekyc.ChargeElements), 50)}, value: 120, part: 120, events: 120,
		},
		{
			// 95 of 100 lie at most at 500 ms; the 95th is the last of the 45 between 200 and 500.
			name: "the percentile at a bound", r: rule(alarm.Latency),
			counts: []ekyc.Count{counted(-5, ekyc.CountLatency, "200", 50), counted(0, ekyc.CountLatency, "500", 45), counted(0, ekyc.CountLatency, "more", 5)}, value: 500, part: 100, events: 100,
		},
		{
			name: "the percentile within a bound", r: rule(alarm.Latency),
			counts: []ekyc.Count{counted(-5, ekyc.CountLatency, "50", 90), counted(0, ekyc.CountLatency, "100", 10)}, value: 75, part: 100, events: 100,
		},
		{name: "the percentile beyond the last bound", r: rule(alarm.Latency), counts: []ekyc.Count{counted(-5, ekyc.CountLatency, "50", 90), counted(0, ekyc.CountLatency, "more", 10)}, value: 30000, part: 100, events: 100},
		{
			name: "the source that fails most", r: rule(alarm.SourceFails),
			counts: []ekyc.Count{
				counted(-5, ekyc.CountSource, "registry/match/", 95), counted(-5, ekyc.CountSource, "registry/failed/source_failed", 5),
				counted(-5, ekyc.CountSource, "juhe/failed/busy", 15), counted(-5, ekyc.CountSource, "juhe/no_record/identity_unknown", 15),
				counted(-5, ekyc.CountSource, "rare/failed/source_failed", 3),
			},
			value: 0.5, part: 15, events: 30, detail: "juhe",
		},
		{
			name: "one source", r: rule(alarm.SourceFails, func(r *alarm.Rule) { r.Source = "registry" }),
			counts: []ekyc.Count{counted(-5, ekyc.CountSource, "registry/match/", 95), counted(-5, ekyc.CountSource, "registry/failed/source_failed", 5), counted(-5, ekyc.CountSource, "juhe/failed/busy", 50)},
			value:  0.05, part: 5, events: 100, detail: "registry",
		},
		{name: "a source that nobody asks", r: rule(alarm.SourceFails, func(r *alarm.Rule) { r.Source = "registry" }), why: alarm.TooFew, detail: "registry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.r.Read(now, c.counts)
			want := alarm.Reading{At: now, Known: c.why == "", Value: c.value, Part: c.part, Events: c.events, Why: c.why, Detail: c.detail}
			if got != want {
				t.Errorf("Read = %+v\nwant   %+v", got, want)
			}
			slices.Reverse(c.counts)
			if again := c.r.Read(now, c.counts); again != got {
				t.Errorf("in another order Read = %+v", again)
			}
		})
	}
}

func TestKindsAreKnown(t *testing.T) {
	t.Parallel()
	if _, ok := alarm.KindOf("mood"); ok {
		t.Error("there is a kind for a measure that does not exist")
	}
	seen := map[alarm.Measure]bool{}
	for _, k := range alarm.Kinds() {
		if seen[k.Measure] {
			t.Errorf("%s is listed twice", k.Measure)
		}
		seen[k.Measure] = true
	}
	if fmt.Sprint(alarm.Protocols) != "[baidu huawei juhe]" {
		t.Errorf("protocols %v: these are the names that gateways give to ekyc.Via", alarm.Protocols)
	}
}
