package ekyc

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The judges of movement. What a face does is measured against the same face before the
// first cue, from landmarks and the engine's pose and eye networks. An event is a stretch
// of time in which one action is seen; every cue needs its own event, begun after it was
// asked for, all with about the same lag, and no other event may be left over. Blinks are
// excused at any time: people blink.
//
// Turning must show depth: the tip of the nose stands out from the plane through eyes and
// mouth, so it moves across that plane when the head turns. Its place in the affine frame
// of those three points does not change when a photograph is turned, however it is held,
// but for perspective (.035 of the eyes' distance at 45 degrees and 30 cm).
// Measured on 10 clips of turning and talking heads: .010 a degree of yaw (correlation
// .83 to .98), -.009 a degree of pitch (.5 to .84).
const (
	// yawLeast and pitchLeast are the degrees of change that count as a turn, and as looking
	// up or down. In a third of the light the pose network finds .75 to .9 of the change.
	yawLeast   = 10.0
	pitchLeast = 7.5
	yawDepth   = 0.055
	pitchDepth = 0.045
	// mouthOpen is the inner lips' gap over the mouth's width (ENGINE: closed up to .2,
	// open .5 to .65, begins at .35), mouthChange its least change.
	mouthOpen, mouthChange = 0.2, 0.15
	// Blink: the eyes' aspect ratio falls by blinkFall, and the eye network agrees, unless
	// it took the open eyes for closed ones (glasses, narrow eyes); then the ratio must
	// fall by blinkAlone.
	blinkFall, blinkAlone, blinkClosed = 0.25, 0.35, 0.6

	// strayLeast is the size from which an event that nobody asked for counts, in
	// multiples of what is enough for one that was asked for: people are not statues.
	strayLeast = 1.6
	// begunLeast is the size at which one begins.
	begunLeast = 0.6
	// mouthTilt is how far the head may nod, in the same unit, while the mouth opens.
	mouthTilt = 2.0

	// moveLag is how much later than Cue.For an action may begin to be seen: the way of
	// the cue to the page and of the frame back.
	moveLag = 400 * time.Millisecond
)

// lagSpread is how far apart the lags of a person's answers may lie, by level. Our
// choice: reactions to a choice differ by .45 s, frames come up to .2 s apart, and slow
// beginnings are seen later.
var lagSpread = map[Level]time.Duration{
	LevelLow: 950 * time.Millisecond, LevelNormal: 800 * time.Millisecond, LevelHigh: 650 * time.Millisecond,
}

func spreadAt(l Level) time.Duration {
	if s, ok := lagSpread[l]; ok {
		return s
	}
	return lagSpread[LevelLow]
}

// shape is what is read off one face.
type shape struct {
	yaw, pitch   float64
	closed       float64 // of the eye that is less surely closed
	eyes         float64 // aspect ratio
	mouth        float64 // gap over width
	noseX, noseY float64 // in the frame of eyes and mouth
	size         float64 // eye distance, pixels
}

func shapeOf(f Face) shape {
	s := shape{yaw: f.Pose.Yaw, pitch: f.Pose.Pitch, closed: min(f.EyesClosed[0], f.EyesClosed[1]), size: f.Quality.EyeDistance}
	l := f.Landmarks
	if len(l) != 68 {
		return s
	}
	far := func(a, b int) float64 { return math.Hypot(l[a].X-l[b].X, l[a].Y-l[b].Y) }
	per := func(a, b float64) float64 {
		if b < 1e-9 {
			return 0
		}
		return a / b
	}
	s.eyes = (per(far(37, 41)+far(38, 40), 2*far(36, 39)) + per(far(43, 47)+far(44, 46), 2*far(42, 45))) / 2
	s.mouth = per((far(61, 67)+far(62, 66)+far(63, 65))/3, far(48, 54))
	centre := func(from, to int) (p Point) {
		for _, q := range l[from:to] {
			p.X += q.X / float64(to-from)
			p.Y += q.Y / float64(to-from)
		}
		return p
	}
	a, b := centre(36, 42), centre(42, 48)
	mid := Point{(a.X + b.X) / 2, (a.Y + b.Y) / 2}
	ux, uy := b.X-a.X, b.Y-a.Y
	wx, wy := (l[48].X+l[54].X)/2-mid.X, (l[48].Y+l[54].Y)/2-mid.Y
	dx, dy := l[30].X-mid.X, l[30].Y-mid.Y
	if det := ux*wy - uy*wx; math.Abs(det) > 1e-9 {
		s.noseX, s.noseY = (dx*wy-dy*wx)/det, (ux*dy-uy*dx)/det
	}
	return s
}

// rest is the face as it is when nothing is asked: the median of each measure.
func rest(base []Sample) shape {
	of := func(get func(shape) float64) float64 {
		return median(base, func(s Sample) float64 { return get(shapeOf(s.Face)) })
	}
	return shape{
		yaw: of(func(s shape) float64 { return s.yaw }), pitch: of(func(s shape) float64 { return s.pitch }),
		closed: of(func(s shape) float64 { return s.closed }), eyes: of(func(s shape) float64 { return s.eyes }),
		mouth: of(func(s shape) float64 { return s.mouth }), noseX: of(func(s shape) float64 { return s.noseX }),
		noseY: of(func(s shape) float64 { return s.noseY }), size: of(func(s shape) float64 { return s.size }),
	}
}

// does measures how far a face does an action, in multiples of the least that counts.
func (s shape) does(a Action, base shape) float64 {
	switch a {
	case TurnLeft: // their own left is the image's right
		return (s.yaw - base.yaw) / yawLeast
	case TurnRight:
		return (base.yaw - s.yaw) / yawLeast
	case LookUp:
		return (s.pitch - base.pitch) / pitchLeast
	case LookDown:
		return (base.pitch - s.pitch) / pitchLeast
	case OpenMouth:
		return min(s.mouth/mouthOpen, (s.mouth-base.mouth)/mouthChange)
	case Blink:
		if base.eyes <= 0 {
			return 0
		}
		fall := 1 - s.eyes/base.eyes
		if base.closed > 0.5 {
			return fall / blinkAlone
		}
		return min(fall/blinkFall, s.closed/blinkClosed)
	}
	return 0
}

// depth is the sign of depth in an action, in multiples of what is asked; 1 for those
// that need none.
func (s shape) depth(a Action, base shape) float64 {
	switch a {
	case TurnLeft:
		return (s.noseX - base.noseX) / yawDepth
	case TurnRight:
		return (base.noseX - s.noseX) / yawDepth
	case LookUp:
		return (base.noseY - s.noseY) / pitchDepth
	case LookDown:
		return (s.noseY - base.noseY) / pitchDepth
	}
	return 1
}

// event is an action seen: from when to when, from the challenge's start.
type event struct {
	action    Action
	from, to  time.Duration
	size      float64 // at its height
	depth     float64 // the most
	used, own bool    // of a cue; in the window of a cue for the same action
}

// eventGap joins stretches of one action that are this close: a measure that flickers.
const eventGap = 300 * time.Millisecond

// events finds the actions in the samples, from the challenge's start on, in order.
func (c Challenge) events(samples []Sample, base shape) []event {
	var list []event
	for _, a := range Actions() {
		var e *event
		var was float64
		var wasAt time.Duration
		first := true
		var own []event
		for _, s := range samples {
			if s.Faces == 0 {
				continue
			}
			at := s.At.Sub(c.Started)
			sh := shapeOf(s.Face)
			x := sh.does(a, base)
			if !(x >= begunLeast) {
				e = nil
			} else {
				if e == nil {
					from := at
					if !first && was < begunLeast && x > was { // between two frames
						from = wasAt + time.Duration(float64(at-wasAt)*(begunLeast-was)/(x-was))
					}
					if n := len(own); n > 0 && from-own[n-1].to < eventGap {
						e = &own[n-1]
					} else {
						own = append(own, event{action: a, from: from, depth: math.Inf(-1)})
						e = &own[len(own)-1]
					}
				}
				e.to = at
				e.size = max(e.size, x)
				e.depth = max(e.depth, sh.depth(a, base))
			}
			was, wasAt, first = x, at, false
		}
		for _, e := range own {
			if e.size >= 1 && e.from >= 0 {
				list = append(list, e)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b event) int { return cmp.Compare(a.from, b.from) })
	return list
}

// crosstalk reports that e may come of doing f, which was asked for: the head nods a
// little when the mouth opens or the head turns. Of two movements only the larger can be
// the one that was asked for.
func (e event) crosstalk(f event) bool {
	if e.from > f.to || f.from > e.to {
		return false
	}
	tilts := func(a Action) bool { return a == LookUp || a == LookDown }
	turns := func(a Action) bool { return a == TurnLeft || a == TurnRight }
	switch {
	case f.action == OpenMouth:
		return tilts(e.action) && e.size < mouthTilt
	case turns(f.action):
		return tilts(e.action) && e.size < f.size
	case tilts(f.action):
		return turns(e.action) && e.size < f.size
	}
	return false
}

// actions judges an action challenge.
func (c Challenge) actions(level Level, samples []Sample, r Response) Response {
	before := c.baseline(samples)
	if len(before) < 3 {
		return r.unmet("%d frames before the first cue; at least 3 are needed", len(before))
	}
	seen := c.events(samples, rest(before))
	// A recording's own delay between its start and its first prompt adds to the lag.
	latest := moveLag
	if c.Kind.Recorded() {
		latest += 600 * time.Millisecond
	}
	after := time.Duration(0)
	var lags, onsets []time.Duration
	r.Depth = math.Inf(1)
	blinks, why := 0, ""
	miss := func(format string, args ...any) {
		if why == "" {
			why = r.unmet(format, args...).Why
		}
	}
	for i := range seen {
		if seen[i].action == Blink {
			blinks++
		}
	}
	for _, cue := range c.Cues {
		got := CueResponse{N: cue.N}
		var e *event
		for i := range seen {
			x := &seen[i]
			lag := x.from - cue.After
			if x.action != cue.Action || x.used || x.from < after || lag < soonest || lag > cue.For+latest {
				continue
			}
			if x.own = true; e == nil {
				e = x
			}
		}
		switch {
		case e == nil:
			miss("cue %d (%s): not seen from %v to %v after it was asked for", cue.N, cue.Action, soonest, cue.For+latest)
		case e.depth < 1:
			got.Lag, got.Size = e.from-cue.After, e.size
			r.Depth = min(r.Depth, e.depth)
			miss("cue %d (%s): %.2f of the depth that a head shows", cue.N, cue.Action, e.depth)
		default:
			got.Met, got.Lag, got.Size = true, e.from-cue.After, e.size
			e.used, after = true, e.from+1
			lags, onsets = append(lags, got.Lag), append(onsets, e.from)
			if cue.Action != Blink && cue.Action != OpenMouth {
				r.Depth = min(r.Depth, e.depth)
			}
		}
		r.Cues = append(r.Cues, got)
	}
	if math.IsInf(r.Depth, 0) {
		r.Depth = 0
	}
	r.Lag = middle(slices.Clone(lags))
	if why == "" {
		for _, e := range seen {
			if e.action == Blink || e.used || e.own || e.size < strayLeast {
				continue
			}
			if !slices.ContainsFunc(seen, func(f event) bool { return f.used && e.crosstalk(f) }) {
				miss("%s was done %v after the start, when it was not asked for", e.action, e.from.Round(time.Millisecond))
			}
		}
	}
	if why == "" {
		if got, most := slices.Max(lags)-slices.Min(lags), spreadAt(level); got > most {
			miss("the answers' lags lie %v apart; at most %v is accepted", got.Round(time.Millisecond), most)
		}
	}
	if why != "" {
		r.Code, r.Why = ChallengeUnmet, why
		return r
	}
	choice := float64(max(len(c.Actions), 2))
	order := choice * math.Pow(choice-1, float64(len(c.Cues)-1))
	// Any of several blinks could have been the answer: that many times the chance.
	tries := 1.0
	for _, cue := range c.Cues {
		if cue.Action == Blink {
			tries *= float64(max(1, blinks))
		}
	}
	r.Chance = min(1, tries*timing(c.Kind, onsets, soonest, c.Cues[0].For+latest, spreadAt(level))/order)
	return r
}

// timing is the share of all schedules of a kind for which answers at these times from
// the start have lags from least to most that lie at most spread apart.
func timing(kind LivenessKind, answers []time.Duration, least, most, spread time.Duration) float64 {
	s := schedules[kind]
	n := len(answers)
	at := func(i, k int) time.Duration {
		return s.first + time.Duration(i)*s.gap + time.Duration(k)*pauseStep
	}
	// within counts the schedules all of whose lags lie from lo to hi.
	within := func(lo, hi time.Duration) float64 {
		ways := []float64{1}
		for i, t := range answers {
			next := make([]float64, len(ways)+s.steps-1)
			for k, w := range ways {
				if w == 0 {
					continue
				}
				for u := range s.steps {
					if lag := t - at(i, k+u); lag >= lo && lag <= hi {
						next[k+u] += w
					}
				}
			}
			ways = next
		}
		sum := 0.0
		for _, w := range ways {
			sum += w
		}
		return sum
	}
	// The smallest lag is one of these; each schedule has one smallest.
	smallest := map[time.Duration]bool{}
	for i, t := range answers {
		for k := range (i+1)*(s.steps-1) + 1 {
			if lag := t - at(i, k); lag >= least && lag <= most {
				smallest[lag] = true
			}
		}
	}
	sum := 0.0
	for lag := range smallest {
		hi := min(lag+spread, most)
		sum += within(lag, hi) - within(lag+1, hi)
	}
	return sum / math.Pow(float64(s.steps), float64(n))
}

// The distance judge. Sizes are eye distances as multiples of the one before the first
// cue; a size is reached within distanceReach of it, and held, by most frames, within
// distanceHold until the next move. That it is a head and no picture, the landmarks cannot
// tell: see Service.relief.
const (
	distanceTolerance = 1.13 // half a step of distanceScales: what the page is told to correct
	distanceReach     = 1.15 // and what is accepted
	distanceHold      = 1.17
	distanceMove      = 700 * time.Millisecond // how long a move takes
	// A long way takes longer: so much for each doubling of the size. Lags are counted as if
	// every move were the shortest one. Our choice, between a pace of .8 s
	// and moves that all take as long.
	distancePace = 500 * time.Millisecond
	// distanceLag is how much later than Cue.For the middle of a move may be passed, counted as
	// if the move were the shortest one: 1.9 s after the cue, as actions must have begun. Our
	// choice. A reaction of .7 s over a line of .6 s is counted as up to 1.75 s; an answer begun
	// 1.8 s after it was shown, over the quickest line, as 2 s, and whatever stopped short before
	// as 1.9 s.
	distanceLag = 200 * time.Millisecond
)

// baseSize is the size of the face before the first cue: its eye distance in pixels.
func baseSize(base []Sample) float64 {
	return median(base, func(s Sample) float64 { return s.Face.Quality.EyeDistance })
}

// distance judges a distance challenge.
func (c Challenge) distance(level Level, samples []Sample, r Response) Response {
	before := c.baseline(samples)
	base := rest(before)
	if len(before) < 3 || base.size <= 0 {
		return r.unmet("%d frames before the first cue; at least 3 are needed", len(before))
	}
	type point struct {
		at   time.Duration
		size float64
	}
	var path []point
	for _, s := range samples {
		sh := shapeOf(s.Face)
		if s.Faces == 0 || !(sh.size > 0) {
			continue
		}
		path = append(path, point{s.At.Sub(c.Started), sh.size / base.size})
	}
	near := func(size, to, factor float64) bool { return math.Abs(math.Log(size/to)) <= math.Log(factor) }
	from, crossed := 1.0, time.Duration(-1)
	var lags, crossings []time.Duration
	for i, cue := range c.Cues {
		got := CueResponse{N: cue.N, Size: from}
		half := math.Sqrt(from * cue.Scale)
		over := func(size float64) bool { return (size > half) == (cue.Scale > from) }
		at := time.Duration(-1)
		early := false
		// What is left of the move before is no answer.
		first := max(cue.After+soonest, crossed+distanceMove)
		for k, p := range path {
			if p.at < first || !over(p.size) {
				continue
			}
			early = k > 0 && over(path[k-1].size) && path[k-1].at >= crossed+distanceMove
			at = p.at
			if k > 0 && !over(path[k-1].size) {
				a, b := math.Log(path[k-1].size/half), math.Log(p.size/half)
				at = path[k-1].at + time.Duration(float64(p.at-path[k-1].at)*a/(a-b))
			}
			break
		}
		longer := farther(from, cue.Scale)
		latest := cue.For + distanceLag + longer
		if got.Lag = at - cue.After; at < 0 || early || got.Lag > latest {
			r.Cues = append(r.Cues, got)
			return r.unmet("cue %d: the face's size did not pass %.2f from %v to %v after it was asked for", cue.N, half, soonest, latest.Round(time.Millisecond))
		}
		// Until the next move, which may not begin before it is asked for.
		until := c.end() + moveLag
		if i+1 < len(c.Cues) {
			until = c.Cues[i+1].After + soonest
		}
		reached, held, all := 0, 0, 0
		closest := math.Inf(1)
		for _, p := range path {
			if p.at < at || p.at >= until+distanceMove/2 {
				continue
			}
			if off := math.Abs(math.Log(p.size / cue.Scale)); off < closest {
				closest, got.Size = off, p.size
			}
			if near(p.size, cue.Scale, distanceReach) {
				reached++
			}
			if p.at >= at+distanceMove && p.at < until {
				all++
				if near(p.size, cue.Scale, distanceHold) {
					held++
				}
			}
		}
		got.Met = reached > 0 && held*10 >= all*7
		r.Cues = append(r.Cues, got)
		if !got.Met {
			return r.unmet("cue %d: size %.2f was asked for; %d frames reached it, %d of %d held it", cue.N, cue.Scale, reached, held, all)
		}
		lags, crossings = append(lags, got.Lag-longer), append(crossings, at-longer)
		from, crossed = cue.Scale, at
	}
	r.Lag = middle(slices.Clone(lags))
	most := spreadAt(level)
	if got := slices.Max(lags) - slices.Min(lags); got > most {
		return r.unmet("the answers' lags lie %v apart; at most %v is accepted", got.Round(time.Millisecond), most)
	}
	order := float64(len(distancePaths))
	least := soonest - farther(distanceScales[0], distanceScales[len(distanceScales)-1])
	r.Chance = timing(c.Kind, crossings, least, c.Cues[0].For+distanceLag, most) / order
	return r
}

// farther is by how much later the middle of a move between two sizes is passed than that
// of the shortest one.
func farther(from, to float64) time.Duration {
	way := math.Abs(math.Log2(to/from)) - math.Log2(distanceScales[2]/distanceScales[1])
	return time.Duration(max(0, way) / 2 * float64(distancePace))
}

// The digits judge: the mouth must move while a digit is to be said and rest between
// them. It knows no speech. The statistic is the mouth's mean movement in the digits'
// time over its mean movement; Chance is the share of other schedules that fit as well,
// from digitTrials drawn ones, at any lag.
const (
	digitTrials = 2000
	digitLagMin = -200 * time.Millisecond
	digitLagMax = 1500 * time.Millisecond
	digitStep   = 100 * time.Millisecond
)

// digitChance is the largest Chance that meets a digits challenge, by level. Our choice:
// a mouth's movement tells little.
var digitChance = map[Level]float64{LevelLow: 0.1, LevelNormal: 0.05, LevelHigh: 0.02}

// digits judges a digits challenge.
func (c Challenge) digits(level Level, samples []Sample, r Response) Response {
	type move struct {
		at   time.Duration
		size float64
	}
	var moves []move
	mean := 0.0
	var was *Sample
	for i := range samples {
		s := &samples[i]
		if s.Faces == 0 {
			continue
		}
		if was != nil {
			if dt := s.At.Sub(was.At); dt > 0 && dt < time.Second {
				v := math.Abs(shapeOf(s.Face).mouth-shapeOf(was.Face).mouth) / dt.Seconds()
				moves = append(moves, move{s.At.Sub(c.Started) - dt/2, min(v, 5)})
			}
		}
		was = s
	}
	for _, m := range moves {
		mean += m.size / float64(len(moves))
	}
	if len(moves) < 10 || !(mean > 0.05) { // a twentieth of its width a second: still
		return r.unmet("the mouth moved by %.3f of its width a second in %d frames", mean, len(moves))
	}
	span := schedules[c.Kind].answer
	during := func(at time.Duration) (v float64) {
		n := 0.0
		for _, m := range moves {
			if m.at >= at && m.at < at+span {
				v += m.size
				n++
			}
		}
		return v / max(n, 1)
	}
	// What a digit at each time would count, once for all schedules; no cue is before the start.
	const step = 50 * time.Millisecond
	var table []float64
	value := func(at time.Duration) float64 {
		i := int((at.Round(step) - digitLagMin) / step)
		for len(table) <= i {
			table = append(table, during(time.Duration(len(table))*step+digitLagMin))
		}
		return table[i]
	}
	fit := func(cues []Cue) (best float64, lag time.Duration) {
		for l := digitLagMin; l <= digitLagMax; l += digitStep {
			sum := 0.0
			for _, cue := range cues {
				sum += value(cue.After + l)
			}
			if sum > best {
				best, lag = sum, l
			}
		}
		return best, lag
	}
	got, lag := fit(c.Cues)
	r.Lag = lag
	moved := 0
	for _, cue := range c.Cues {
		v := value(cue.After+lag) / mean
		x := CueResponse{N: cue.N, Lag: lag, Size: v, Met: v > 0.7}
		if x.Met {
			moved++
		}
		r.Cues = append(r.Cues, x)
	}
	src := rand.NewChaCha8([32]byte{}) // fixed: the same frames are judged alike
	as := 1
	for range digitTrials {
		if v, _ := fit(Draw(c.Kind, Plan{}, src, c.Drawn).Cues); v >= got {
			as++
		}
	}
	r.Chance = float64(as) / (digitTrials + 1)
	limit, ok := digitChance[level]
	if !ok {
		limit = digitChance[LevelLow]
	}
	switch {
	case moved < len(c.Cues)-1:
		return r.unmet("the mouth moved for %d of %d digits", moved, len(c.Cues))
	case r.Chance > limit:
		return r.unmet("%.2g of other schedules fit the mouth's movement as well; at most %.2g is accepted", r.Chance, limit)
	}
	return r
}

// answered reports that every cue has been answered, whatever comes after.
func (c Challenge) answered(level Level, samples []Sample) bool {
	return c.Judge(level, samples).Code == OK
}
