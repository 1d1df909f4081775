package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// The apps. Their ids begin with 0: no command gives such a one, and none sorts after those it gives.
const (
	appBaidu  ekyc.AppID = "0901"
	appHuawei ekyc.AppID = "0902"
	appJuhe   ekyc.AppID = "0903"
	appTest   ekyc.AppID = "0904"
)

// AppIDs lists the ids of the demo's apps.
func AppIDs() []ekyc.AppID { return []ekyc.AppID{appBaidu, appHuawei, appJuhe, appTest} }

// mark stands in every name that an operator reads.
const mark = "示例 demo data"

// The names of sources and what a call of the second costs, in millionths of the operator's currency.
const (
	ownSource  = "demo-registry"
	paidSource = "demo-authority"
	paidCost   = 350_000
)

// scene is a plan, and how often it is taken.
type scene struct {
	plan     ekyc.Plan
	weight   int
	protocol string
	sandbox  bool
}

// world is what sessions happen in.
type world struct {
	c        Config
	apps     []ekyc.App
	scenes   []scene
	weights  int
	pictured bool // from here on
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func newWorld(c Config) *world {
	c.Now = c.Now.UTC().Truncate(time.Millisecond)
	w := &world{c: c}
	born := c.Now.AddDate(0, 0, -c.Days-1)
	for i, name := range []string{"银行开户 bank", "政务 government, Huawei", "电商 shop, Juhe", "联调 test mode"} {
		id := AppIDs()[i]
		key := hex.EncodeToString(digest(fmt.Sprint("demo app key ", c.Seed, id)))
		w.apps = append(w.apps, ekyc.App{
			// Switched off: whoever knows the seed knows the keys.
			ID: id, Name: mark + " · " + name, Key: "demo" + key[:20], Secret: ekyc.Secret(key[20:52]), Disabled: true,
			Created: born, Test: id == appTest,
		})
	}
	plan := func(weight int, app ekyc.AppID, id ekyc.PlanID, name string, change func(*ekyc.Plan)) {
		p := ekyc.Plan{
			ID: id, App: app, Name: mark + " · " + name, Comparison: ekyc.CompareAuthority, Identity: ekyc.IdentityEntered,
			Liveness: ekyc.LivenessSilent, LivenessLevel: ekyc.LevelNormal, QualityLevel: ekyc.LevelNormal, MatchAt: 0.8, Created: born,
			Consent: ekyc.Consent{Version: "demo-1", Text: map[string]string{"zh-CN": "示例授权书：这是演示数据。", "en": "Specimen authorisation: this is demo data."}},
		}
		change(&p)
		protocol := "baidu"
		if app == appHuawei {
			protocol = "huawei"
		}
		w.scenes = append(w.scenes, scene{plan: p, weight: weight, protocol: protocol, sandbox: app == appTest})
		w.weights += weight
	}
	plan(24, appBaidu, "demo-flash", "炫瞳 flash", func(p *ekyc.Plan) {
		p.Liveness, p.Alternative, p.Fallback = ekyc.LivenessFlash, ekyc.LivenessAction, ekyc.RecordedVideo
		p.Risk, p.Spoofing, p.KeepMedia = true, true, true
	})
	plan(16, appBaidu, "demo-action", "动作 action", func(p *ekyc.Plan) {
		p.Liveness, p.Fallback, p.Identity = ekyc.LivenessAction, ekyc.RecordedAction, ekyc.IdentityDeclared
	})
	plan(9, appBaidu, "demo-distance", "远近 distance", func(p *ekyc.Plan) {
		p.Liveness, p.Comparison, p.Identity = ekyc.LivenessDistance, ekyc.CompareNone, ekyc.IdentityNone
		p.Fallback = ekyc.RecordedDigits
	})
	plan(12, appBaidu, "demo-uploaded", "静默 + 自建库 silent, uploaded", func(p *ekyc.Plan) {
		p.Comparison, p.Identity, p.Fallback, p.EndsOnFailure = ekyc.CompareUploaded, ekyc.IdentityNone, ekyc.RecordedPicture, true
	})
	plan(14, appBaidu, "demo-document", "证件识别 document", func(p *ekyc.Plan) {
		p.Identity, p.Liveness, p.DocumentBack, p.DocumentRisk, p.Risk = ekyc.IdentityDocument, ekyc.LivenessFlash, true, true, true
	})
	plan(22, appHuawei, "demo-huawei", "实名认证 real name", func(p *ekyc.Plan) {
		p.Identity, p.Liveness = ekyc.IdentityDeclared, ekyc.LivenessAction
	})
	plan(3, appTest, "demo-sandbox", "沙箱 sandbox", func(p *ekyc.Plan) { p.Identity = ekyc.IdentityDeclared })
	return w
}

// beijing is where the demo's people are awake.
var beijing = time.FixedZone("", 8*3600)

// hours is how much of a day happens in each hour, Beijing time. Our choice.
var hours = [24]float64{6, 3, 2, 1, 1, 2, 6, 16, 38, 62, 70, 58, 42, 50, 60, 63, 60, 52, 46, 50, 54, 46, 30, 14}

// moments are when sessions are opened, in order: more by day than by night and on working days
// than on others, a little more from week to week. The last begin minutes before Now, so that all
// stories are over by then.
func (w *world) moments() iter.Seq2[int, time.Time] {
	end := w.c.Now.Add(-20 * time.Minute)
	begin := end.AddDate(0, 0, -w.c.Days)
	n := max(1, int(end.Sub(begin)/time.Hour))
	sums, sum := make([]float64, n), 0.0
	for i := range n {
		at := begin.Add(time.Duration(i) * time.Hour).In(beijing)
		x := hours[at.Hour()] * (1 + 0.4*float64(i)/float64(n))
		if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
			x *= 0.55
		}
		sum += x
		sums[i] = sum
	}
	return func(yield func(int, time.Time) bool) {
		hour := 0
		for i := range w.c.Sessions {
			x := (float64(i) + 0.5) / float64(w.c.Sessions) * sum
			for sums[hour] < x {
				hour++
			}
			before := 0.0
			if hour > 0 {
				before = sums[hour-1]
			}
			within := (x - before) / (sums[hour] - before)
			if !yield(i, begin.Add(time.Duration((float64(hour)+within)*float64(time.Hour))).Truncate(time.Millisecond)) {
				return
			}
		}
	}
}

// outage is when the paid source did not answer, and raid when somebody tried to get in: each once
// in the demo's time, some days before its end.
func (w *world) outage(at time.Time) bool {
	days := w.c.Now.Sub(at).Hours() / 24
	return days > 12.2 && days < 12.35 || days > 1.2 && days < 1.25
}

func (w *world) raid(at time.Time) bool {
	days := w.c.Now.Sub(at).Hours() / 24
	return days > 5.3 && days < 5.5 || days > 0.4 && days < 0.45
}

// chance reports true with probability p.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// between is a duration of so many to so many seconds.
func between(r *rand.Rand, from, to float64) time.Duration {
	return time.Duration((from + (to-from)*r.Float64()) * 1000 * float64(time.Millisecond)).Truncate(time.Millisecond)
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// token is as long as the core's, and says what it is in what is shown of it.
func token(r *rand.Rand) ekyc.Token {
	var b strings.Builder
	b.WriteString("DEMO")
	for range 20 {
		b.WriteByte(letters[r.IntN(len(letters))])
	}
	return ekyc.Token(b.String())
}

// logID begins with 9; those of the core do not.
func logID(r *rand.Rand) string { return fmt.Sprintf("9%018d", r.Int64N(1e18)) }

// source makes r a reader.
type source struct{ r *rand.Rand }

func (s source) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return len(b), nil
}
