package alarm_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiren/internal/alarm"
)

// Whatever values come, and whenever: messages keep the rule's silence, what begins ends, and who
// was told that it fires is told that it is over.
func TestNextKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]alarm.Measure{alarm.AttackRate, alarm.VolumeHigh, alarm.VolumeLow, alarm.DiskFree}).Draw(t, "measure")
		r := rule(m, func(r *alarm.Rule) {
			r.Silence = time.Duration(rapid.IntRange(5, 120).Draw(t, "silence")) * time.Minute
			r.TellRecovery = rapid.Bool().Draw(t, "tell recovery")
		})
		k, _ := alarm.KindOf(m)
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		s, now := alarm.State{Rule: "r", Phase: alarm.Fine}, noon
		var sent time.Time
		told := false
		for i := range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 90*60).Draw(t, "seconds")) * time.Second)
			x := alarm.Reading{At: now, Known: rapid.IntRange(0, 4).Draw(t, "known") > 0}
			if x.Known {
				x.Value = r.Threshold * rapid.Float64Range(0, 3).Draw(t, "value")
			} else {
				x.Why = rapid.SampledFrom([]alarm.Why{alarm.TooFew, alarm.NoProbe}).Draw(t, "why")
			}
			was := s
			id := fmt.Sprint("e", i)
			var c alarm.Change
			s, c = s.Next(r, x, id)
			if again, c2 := was.Next(r, x, id); again != s || c2 != c {
				t.Fatal("Next is not pure")
			}
			broken := x.Known && (k.Over && x.Value >= r.Threshold || !k.Over && x.Value <= r.Threshold)
			fires := s.Phase == alarm.Firing

			switch { // what must be
			case broken && !fires:
				t.Fatalf("value %v is at the threshold %v or beyond, and it does not fire", x.Value, r.Threshold)
			case !broken && fires && was.Phase != alarm.Firing:
				t.Fatalf("it began to fire at %v, threshold %v", x.Value, r.Threshold)
			case !x.Known && x.Why == alarm.TooFew && fires:
				t.Fatal("it fires of nothing")
			case !x.Known && x.Why == alarm.NoProbe && s != was:
				t.Fatal("a probe that says nothing changed something")
			case x.Known && fires && (k.Over && x.Value <= r.RecoverAt && !broken || !k.Over && x.Value >= r.RecoverAt && !broken):
				t.Fatalf("value %v is beyond recovery %v, and it still fires", x.Value, r.RecoverAt)
			}
			// An event for each change of the phase, and none without.
			if (was.Phase != s.Phase) != (c.Event == alarm.Began || c.Event == alarm.Recovered) {
				t.Fatalf("%s to %s is %q", was.Phase, s.Phase, c.Event)
			}
			if fires != (s.Episode != "") || c.Event == alarm.Began && s.Episode != id || fires && was.Phase == alarm.Firing && s.Episode != was.Episode {
				t.Fatalf("episode %q after %q, %s", s.Episode, was.Episode, c.Event)
			}
			switch {
			case c.Tell && c.Event == alarm.Recovered:
				if !told || !r.TellRecovery {
					t.Fatal("somebody is told that it is over who was not told that it fires, or does not want to know")
				}
			case c.Tell:
				if !sent.IsZero() && now.Sub(sent) < r.Silence {
					t.Fatalf("told %v after the last message, within the silence of %v", now.Sub(sent), r.Silence)
				}
				if c.First != !told {
					t.Fatalf("First = %v, and it was told: %v", c.First, told)
				}
				sent, told = now, true
			case c.Event == alarm.Recovered && told && r.TellRecovery:
				t.Fatal("nobody is told that it is over")
			case fires && (sent.IsZero() || now.Sub(sent) >= r.Silence) && (x.Known || was.Phase != alarm.Firing):
				t.Fatal("it fires, the silence is over, and nobody is told")
			}
			if c.Event == alarm.Recovered {
				told = false
			}
			if fires && x.Known && (k.Over && s.Worst < x.Value || !k.Over && s.Worst > x.Value) && c.Event != alarm.Lasts {
				t.Fatalf("worst is %v after %v", s.Worst, x.Value)
			}
		}
	})
}

// A value that swings around the threshold is one episode, told once, until it is beyond recovery.
func TestHysteresis(t *testing.T) {
	t.Parallel()
	r := rule(alarm.AttackRate) // fires at 0.1, is over at 0.05
	s := alarm.State{Phase: alarm.Fine}
	var told []alarm.Event
	for i, v := range []float64{0.09, 0.11, 0.09, 0.12, 0.06, 0.1, 0.05, 0.09, 0.11, 0.01} {
		var c alarm.Change
		s, c = s.Next(r, alarm.Reading{At: noon.Add(time.Duration(i) * time.Minute), Known: true, Value: v}, fmt.Sprint(i))
		if c.Event == alarm.Began || c.Event == alarm.Recovered {
			told = append(told, c.Event)
		}
		if c.Tell != (i == 1 || i == 6) {
			t.Errorf("value %d, %v: told %v; want the first beginning and its end, and the second in silence", i, v, c.Tell)
		}
	}
	if fmt.Sprint(told) != "[began recovered began recovered]" {
		t.Errorf("events %v", told)
	}
}
