package injection

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"shiren/internal/ekyc"
)

// Kinds are the real-time kinds, those with a challenge first.
var Kinds = []ekyc.LivenessKind{ekyc.LivenessFlash, ekyc.LivenessAction, ekyc.LivenessDistance, ekyc.LivenessSilent}

// Conditions names the circumstances of honest simulated users, all SYNTHETIC.
var Conditions = []string{"good", "slow_line", "dropped_frames", "poor_light", "low_frame_rate", "jitter", "bright_light"}

// Attackers names who attacks a kind, all SYNTHETIC. "stale" and "reused" answer
// rightly, too late and twice.
func Attackers(k ekyc.LivenessKind) []string {
	common := []string{"still_image", "looped_video", "replay", "re_timed", "reordered", "two_faces"}
	switch k {
	case ekyc.LivenessFlash:
		return append(common, "stale", "reused", "wrong_colours", "colours_late")
	case ekyc.LivenessAction:
		return append(common, "stale", "reused", "wrong_actions", "actions_late", "other_session", "flat_picture_turned")
	case ekyc.LivenessDistance:
		return append(common, "stale", "reused", "wrong_way", "moves_late", "other_session", "flat_picture_scaled")
	}
	return []string{"still_image", "looped_video", "replay", "two_faces", "stale", "reused"}
}

func between(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)+1))
}

// reaction is how long a person takes from seeing what is asked to beginning it. Our
// choice, around the 250 ms to 700 ms of a choice among few.
func reaction(r *rand.Rand) func() time.Duration {
	return func() time.Duration { return between(r, 250*time.Millisecond, 700*time.Millisecond) }
}

// circumstances are the link and light of a condition.
func circumstances(condition string, r *rand.Rand) (link, light) {
	l := link{
		every: time.Second / 15, wobble: 5 * time.Millisecond, up: between(r, 15*time.Millisecond, 40*time.Millisecond),
		down: between(r, 15*time.Millisecond, 40*time.Millisecond), show: between(r, 40*time.Millisecond, 110*time.Millisecond),
	}
	lit := light{gain: 0.25, back: 0.08}
	switch condition {
	case "slow_line": // 50 to 600 ms there and back, and what page, screen and camera take
		way := between(r, 50*time.Millisecond, 600*time.Millisecond)
		l.up, l.down = way/2, way/2
	case "dropped_frames":
		l.lost = 0.1 + 0.2*r.Float64()
	case "poor_light": // a fifth of the light: the screen is as much of the rest
		lit = light{gain: 0.8, back: 0.25, ambient: 0.35, noise: 5}
	case "low_frame_rate":
		l.every = between(r, time.Second/8, time.Second/5)
	case "jitter":
		l.wobble, l.jitter = 60*time.Millisecond, 150*time.Millisecond
	case "bright_light": // a bright office: the screen is a tenth
		lit.gain = 0.1
	}
	return l, lit
}

// table makes the games of a kind. Recordings are those of honest sessions, played
// before the attackers. Safe for concurrent use once made.
type table struct {
	m          *Material
	kind       ekyc.LivenessKind
	recordings []*recording
}

func (t *table) anyone(r *rand.Rand) *person { return t.m.persons[r.IntN(len(t.m.persons))] }

func (t *table) looking(p *person, lit light, r *rand.Rand) look {
	return look{light: lit, offset: between(r, 0, 2*p.calm.span())}
}

// person is someone who does what is asked.
func (t *table) person(p *person, lit light, r *rand.Rand) subject {
	l := t.looking(p, lit, r)
	switch t.kind {
	case ekyc.LivenessFlash:
		return &colours{m: t.m, p: p, look: l, choose: asAsked}
	case ekyc.LivenessAction:
		return &actor{m: t.m, p: p, look: l, r: r, react: reaction(r), choose: func(c ekyc.Cue) ekyc.Action { return c.Action }}
	case ekyc.LivenessDistance:
		l.percent = 100 + 6*r.IntN(3)
		return newMover(t.m, t.way(r), l, reaction(r), byEye(r))
	}
	return &loop{m: t.m, reel: p.calm, look: l}
}

func (t *table) way(r *rand.Rand) *path {
	var list []*path
	for _, p := range t.m.persons {
		list = append(list, p.paths...)
	}
	return list[r.IntN(len(list))]
}

// honest is an honest session. rec, when not nil, is where it is recorded.
func (t *table) honest(condition string, r *rand.Rand, rec **recording) game {
	l, lit := circumstances(condition, r)
	p := t.anyone(r)
	return game{link: l, plan: planFor(t.kind, p), subject: func() subject {
		s := t.person(p, lit, r)
		if rec == nil {
			return s
		}
		c := &recorder{subject: s, recording: recording{plan: planFor(t.kind, p)}}
		*rec = &c.recording
		return c
	}}
}

// attack is a session of an attacker.
func (t *table) attack(attacker string, r *rand.Rand) (game, error) {
	l, lit := circumstances("good", r)
	p := t.anyone(r)
	g := game{link: l, plan: planFor(t.kind, p)}
	one := func(s func() subject) (game, error) { g.subject = s; return g, nil }
	rec := func() *recording { return t.recordings[r.IntN(len(t.recordings))] }
	if attacker == "replay" || attacker == "re_timed" || attacker == "reordered" {
		// An attacker replays into a plan of the kind that was recorded.
		one := rec()
		g.plan, rec = one.plan, func() *recording { return one }
	}
	switch attacker {
	case "still_image":
		s := p.calm[r.IntN(len(p.calm))]
		return one(func() subject { return &loop{m: t.m, reel: reel{s}, look: look{light: lit}} })
	case "looped_video":
		n := 30 + r.IntN(30)
		from := r.IntN(len(p.calm) - n)
		return one(func() subject { return &loop{m: t.m, reel: p.calm[from : from+n], look: look{light: lit}} })
	case "replay":
		return one(func() subject { return &replay{of: rec(), place: inStep} })
	case "re_timed":
		return one(func() subject {
			pace, shift := 0.8+0.45*r.Float64(), between(r, -500*time.Millisecond, 500*time.Millisecond)
			return &replay{of: rec(), place: func(d time.Duration) time.Duration { return time.Duration(float64(d)*pace) + shift }}
		})
	case "reordered":
		return one(func() subject { return reorder(rec(), r) })
	case "two_faces":
		other := t.m.persons[(t.index(p)+1)%len(t.m.persons)]
		half := map[ekyc.LivenessKind]int{ekyc.LivenessFlash: ekyc.FlashCues / 2, ekyc.LivenessAction: 2, ekyc.LivenessDistance: 3}[t.kind]
		return one(func() subject {
			switch t.kind {
			case ekyc.LivenessSilent:
				return &swap{first: t.person(p, lit, r), second: t.person(other, lit, r), after: time.Second}
			case ekyc.LivenessDistance: // the paths are of one man: the other just looks on
				other = t.m.persons[len(t.m.persons)-1]
				return &swap{first: t.person(p, lit, r), second: &loop{m: t.m, reel: other.calm, look: t.looking(other, lit, r)}, half: half + 1}
			}
			return &swap{first: t.person(p, lit, r), second: t.person(other, lit, r), half: half + 1}
		})
	case "stale", "reused":
		g.tamper = late
		if attacker == "reused" {
			g.tamper = again
		}
		return one(func() subject { return t.person(p, lit, r) })
	case "wrong_colours":
		return one(func() subject {
			last := -1
			return &colours{m: t.m, p: p, look: t.looking(p, lit, r), choose: func(ekyc.Cue) ekyc.RGB {
				i := r.IntN(len(ekyc.Palette))
				for i == last { // the server never shows one twice in a row, and the attacker knows
					i = r.IntN(len(ekyc.Palette))
				}
				last = i
				return ekyc.Palette[i]
			}}
		})
	case "colours_late":
		by := between(r, time.Second, 3*time.Second)
		return one(func() subject {
			return &colours{m: t.m, p: p, look: t.looking(p, lit, r), choose: asAsked, late: by}
		})
	case "wrong_actions":
		return one(func() subject {
			return &actor{m: t.m, p: p, look: t.looking(p, lit, r), r: r, react: reaction(r), choose: func(c ekyc.Cue) ekyc.Action {
				for {
					if a := p.can()[r.IntN(len(p.can()))]; a != c.Action {
						return a
					}
				}
			}}
		})
	case "actions_late":
		by := between(r, 1800*time.Millisecond, 3*time.Second)
		return one(func() subject {
			s := t.person(p, lit, r).(*actor)
			s.react = func() time.Duration { return by }
			return s
		})
	case "moves_late":
		by := between(r, 1800*time.Millisecond, 3*time.Second)
		return one(func() subject {
			s := t.person(p, lit, r).(*mover)
			s.react = func() time.Duration { return by }
			return s
		})
	case "wrong_way":
		return one(func() subject {
			s := t.person(p, lit, r).(*mover)
			s.size = func(c ekyc.Cue) float64 { return 1.15 / c.Scale } // as far the other way
			return s
		})
	case "other_session": // what another challenge asked for, begun with the first cue
		return one(func() subject {
			c := ekyc.Draw(t.kind, ekyc.Plan{Liveness: t.kind, Actions: p.can()}, source{r}, Start)
			return &elsewhere{subject: t.person(p, lit, r), cues: c.Cues}
		})
	case "flat_picture_turned":
		return one(func() subject {
			s := t.person(p, lit, r).(*actor)
			s.flat = true
			return s
		})
	case "flat_picture_scaled":
		return one(func() subject {
			s := t.person(p, lit, r).(*mover)
			s.flat = true
			return s
		})
	}
	return g, fmt.Errorf("there is no attacker %q", attacker)
}

func (t *table) index(p *person) int {
	for i, q := range t.m.persons {
		if p == q {
			return i
		}
	}
	return 0
}

// late hands in a right answer after the challenge's time.
func late(_ context.Context, b begun, p ekyc.Presented) (ekyc.Token, ekyc.Presented, error) {
	b.world.clock.set(b.challenge.Until.Add(time.Second))
	return b.session.Token, p, nil
}

// again hands in a right answer in a second session after it was used in its own.
func again(ctx context.Context, b begun, p ekyc.Presented) (ekyc.Token, ekyc.Presented, error) {
	if _, err := b.world.server.Service.Submit(ctx, b.session.Token, p); err != nil {
		return "", p, err
	}
	s, err := b.world.open(ctx, b.session.Plan.ID)
	if err != nil {
		return "", p, err
	}
	_, err = b.world.server.Service.Challenge(ctx, s.Token, p.Kind)
	return s.Token, p, err
}

// source reads bytes from a seeded generator.
type source struct{ r *rand.Rand }

func (s source) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return len(b), nil
}
