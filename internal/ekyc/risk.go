package ekyc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Risk is what speaks for an attack in one presentation: 安全风控 and 合成图. It is
// evidence, gathered by the signals that docs/risk.md describes; none of them alone
// refuses anybody.
type Risk struct {
	// Level is the vendor's scale (Baidu H5 seed, risk_level): 1 and 2 are risky, 3 and 4 not.
	Level   int
	Tags    []string // of the signals seen, the heaviest first; nil at levels 3 and 4 (seed, risk_tag)
	Signals []Signal // that were seen, the heaviest first
	Score   float64  // 0 to 1: all signals together
	// Spoofing is the score of the signals about pictures and their source alone: 合成图.
	Spoofing float64
}

// Signal is one sign of an attack. Value is how plain it is, 0 (not seen) to 1; Weight is
// what it counts for at 1.
type Signal struct {
	Name          string
	Weight, Value float64
}

// Scores from which a level is reached, and from which a presentation may be refused.
// Our choice: see docs/risk.md for what each combination of signals comes to.
const (
	riskAt1  = 0.8
	riskAt2  = 0.5
	riskAt3  = 0.2
	RefuseAt = 0.9
	// refuseGroups is how many groups of signals must each hold one of at least half its value.
	refuseGroups = 2
)

// group is where a signal's facts come from. Signals of one group may have one cause, so
// one group alone refuses nobody.
type group string

const (
	groupClaims    group = "claims"    // what the page says of camera and browser
	groupTiming    group = "timing"    // when frames came
	groupPictures  group = "pictures"  // what frames hold
	groupChallenge group = "challenge" // how the challenge was answered
	groupMemory    group = "memory"    // what was seen in the last days
)

// sign is one entry of the list of signals.
type sign struct {
	name   string
	weight float64
	group  group
	of     func(scene) float64 // pure: 0 to 1
}

// signs is the whole list. Every weight is our choice; docs/risk.md gives its reason,
// what the signal catches and what it cannot.
var signs = []sign{
	{"virtual_camera", 0.6, groupClaims, virtualCamera},
	{"automated_browser", 0.3, groupClaims, automated},
	{"order_broken", 0.8, groupTiming, orderBroken},
	{"clock_apart", 0.5, groupTiming, clockApart},
	{"timing_even", 0.5, groupTiming, timingEven},
	{"timing_burst", 0.4, groupTiming, timingBurst},
	{"frames_reused", 0.9, groupPictures, framesReused},
	{"frames_repeated", 0.7, groupPictures, framesRepeated},
	{"picture_loop", 0.7, groupPictures, pictureLoop},
	{"picture_still", 0.6, groupPictures, pictureStill},
	{"foreign_encoder", 0.5, groupPictures, foreignEncoder},
	{"encoder_changed", 0.5, groupPictures, encoderChanged},
	{"flash_on_background", 0.5, groupChallenge, flashOnBackground},
	{"answer_too_quick", 0.5, groupChallenge, answerTooQuick},
	{"liveness_disagrees", 0.4, groupChallenge, livenessDisagrees},
	{"failed_before", 0.2, groupMemory, failedBefore},
	{"face_of_others", 0.7, groupMemory, faceOfOthers},
	{"device_of_many", 0.4, groupMemory, deviceOfMany},
	{"address_of_many", 0.2, groupMemory, addressOfMany},
}

// scene is all that the signals look at.
type scene struct {
	kind     LivenessKind
	client   Client
	samples  []Sample  // in order of arrival; none for recorded kinds
	pictures []picture // in time order; none for a single uploaded picture
	response *Response // nil without a challenge
	measured bool
	live     Score
	failures int // earlier attempts of the session that failed liveness or challenge
	seen     known
}

// virtualCameras are words of camera names, in small letters. The first list makes a
// camera of any file or screen; the second makes one of a phone or alters a real camera's
// picture, which honest people do too. Names as the programs themselves register them.
var virtualCameras = [2][]string{
	{
		"obs", "virtual", "vcam", "manycam", "xsplit", "splitcam", "webcammax", "altercam", "youcam", "sparkocam", "camtwist",
		"dummy video", "v4l2loopback", "fake", "unity video", "screen capture", "softcam", "vtubestudio", "akvcam",
	},
	{"droidcam", "ivcam", "epoccam", "camo", "iriun", "snap camera", "mmhmm", "nvidia broadcast", "ndi"},
}

func virtualCamera(s scene) float64 {
	words := strings.FieldsFunc(strings.ToLower(s.client.Camera), func(r rune) bool { return !isWordRune(r) })
	name := " " + strings.Join(words, " ") + " "
	for i, list := range virtualCameras {
		for _, w := range list {
			// Short words must stand alone: "obs" is no part of "observation".
			if len(w) <= 4 && strings.Contains(name, " "+w+" ") || len(w) > 4 && strings.Contains(name, w) {
				return 1 - float64(i)/2
			}
		}
	}
	return 0
}

func isWordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127
}

// automata are words of browser names that no capture subject's browser says of itself.
var automata = []string{"headless", "phantomjs", "slimerjs", "puppeteer", "playwright", "selenium", "python", "go-http-client", "curl/", "okhttp", "node-fetch", "websocket-client"}

func automated(s scene) float64 {
	agent := strings.ToLower(s.client.Agent)
	if strings.TrimSpace(agent) == "" {
		return 0.5
	}
	for _, w := range automata {
		if strings.Contains(agent, w) {
			return 1
		}
	}
	return 0
}

// orderBroken: the page counts its frames upwards and its clock does not go back, so one
// contradiction is a page that was replaced.
func orderBroken(s scene) float64 {
	for i := 1; i < len(s.samples); i++ {
		a, b := s.samples[i-1], s.samples[i]
		if (a.Seq != 0 || b.Seq != 0) && b.Seq <= a.Seq || b.Sent < a.Sent {
			return 1
		}
	}
	return 0
}

// timed reports whether there are enough samples, with the page's clock, to speak of timing.
func (s scene) timed(n int) bool {
	return !s.kind.Recorded() && len(s.samples) >= n
}

// clockSlack is how far the page's clock and ours may part in a presentation without
// being suspicious: a stall of the network that lasted a third of it. Our choice.
const clockSlack = time.Second

// clockApart compares the least delay between the page's clock and ours in the first and
// the last third of the presentation. A network only adds delay, and rarely to all frames
// of a third; frames that were made at another pace shift it steadily.
func clockApart(s scene) float64 {
	if !s.timed(9) || s.samples[len(s.samples)-1].Sent == 0 {
		return 0
	}
	least := func(list []Sample) time.Duration {
		d := time.Duration(math.MaxInt64)
		for _, x := range list {
			d = min(d, x.At.Sub(s.samples[0].At)-x.Sent)
		}
		return d
	}
	n := len(s.samples)
	apart := (least(s.samples[n-n/3:]) - least(s.samples[:n/3])).Abs()
	span := s.samples[n-1].At.Sub(s.samples[0].At)
	slack := clockSlack + span/50
	return ramp(float64(apart), float64(slack), float64(2*slack))
}

// timingEven: cameras, encoders and networks jitter by milliseconds; timers of scripts do
// not. Below half a millisecond it is plain, from one millisecond up it is nothing. The
// page's own clock counts too: a camera's frames are not equally far apart sixteen times.
func timingEven(s scene) float64 {
	if !s.timed(17) {
		return 0
	}
	var here, there []float64 // gaps in ms
	for i := 1; i < len(s.samples); i++ {
		here = append(here, ms(s.samples[i].At.Sub(s.samples[i-1].At)))
		there = append(there, ms(s.samples[i].Sent-s.samples[i-1].Sent))
	}
	v := 1 - ramp(deviation(here), 0.5, 1)
	if slices.Max(there) > 0 && slices.Max(there) == slices.Min(there) {
		v = 1
	}
	return v
}

// timingBurst: the page sends two frames at most before it hears that one was looked at,
// so three in 20 ms are not its own. Once may be the machine's doing.
func timingBurst(s scene) float64 {
	if !s.timed(9) {
		return 0
	}
	n := 0.0
	for i := 2; i < len(s.samples); i++ {
		if s.samples[i].At.Sub(s.samples[i-2].At) < 20*time.Millisecond {
			n++
		}
	}
	return ramp(n, 1, 3)
}

// framesReused: the same bytes came in an earlier presentation. Cameras never make the
// same picture twice.
func framesReused(s scene) float64 { return ramp(float64(s.seen.frames), 0, 1) }

// framesRepeated: the same bytes come again after something else. A slow camera's picture
// may be sent twice in a row; that is no repetition.
func framesRepeated(s scene) float64 {
	last := map[[32]byte]int{}
	n := 0.0
	for i, p := range s.pictures {
		if j, ok := last[p.sum]; ok && j < i-1 {
			n++
		}
		last[p.sum] = i
	}
	return ramp(n, 0, 2)
}

// pictureStill: nearly all pictures are the same bytes.
func pictureStill(s scene) float64 {
	if len(s.pictures) < 6 {
		return 0
	}
	different := map[[32]byte]bool{}
	for _, p := range s.pictures {
		different[p.sum] = true
	}
	return 1 - ramp(float64(len(different))/float64(len(s.pictures)), 0.3, 0.6)
}

// pictureLoop: the film comes back to where it was, or runs backwards. With a fixed lag
// between, or mirrored at a fixed moment, pictures are much more alike than neighbours
// are: a person who moves never comes back so exactly, and one who keeps still is as far
// from the neighbour as from any other picture, by the camera's noise.
func pictureLoop(s scene) float64 { return 1 - ramp(comesBack(s), 0.3, 0.5) }

// comesBack is the least median difference between pictures that a fixed lag or mirror
// puts together, as a share of that between neighbours; +Inf where nothing can be said.
func comesBack(s scene) float64 {
	var film []*Miniature
	for _, p := range s.pictures {
		if p.thumb != nil {
			film = append(film, p.thumb)
		}
	}
	const pairs, gap = 6, 4 // of pairs needed, of pictures between them
	n := len(film)
	if n < pairs+gap {
		return math.Inf(1)
	}
	var near []float64
	for i := 1; i < n; i++ {
		near = append(near, difference(film[i-1], film[i]))
	}
	step := middle(near)
	if step < 0.2 { // grey levels: nothing moves, so nothing can come back
		return math.Inf(1)
	}
	best := math.Inf(1)
	for lag := gap; lag <= n-pairs; lag++ {
		var d []float64
		for i := 0; i+lag < n; i++ {
			d = append(d, difference(film[i], film[i+lag]))
		}
		best = min(best, middle(d))
	}
	for sum := pairs*2 + gap; sum <= 2*n-2-pairs*2-gap; sum++ {
		var d []float64
		for i := max(0, sum-n+1); sum-2*i >= gap; i++ {
			d = append(d, difference(film[i], film[sum-i]))
		}
		if len(d) >= pairs {
			best = min(best, middle(d))
		}
	}
	return best / step
}

// foreignEncoder: the page's frames are baseline JPEGs without comments, as the canvas of
// every browser makes them. Video tools leave their name in a comment.
func foreignEncoder(s scene) float64 {
	if s.kind.Recorded() {
		return 0
	}
	n := 0.0
	for _, p := range s.pictures {
		if p.file.read && (p.file.comment || p.file.progressive) {
			n++
		}
	}
	return ramp(n, 0, max(1, float64(len(s.pictures))/2))
}

// encoderChanged: a browser's canvas keeps its quantisation for all frames of one
// presentation, as the page asks for one quality.
func encoderChanged(s scene) float64 {
	if s.kind.Recorded() {
		return 0
	}
	tables := map[[32]byte]bool{}
	for _, p := range s.pictures {
		if p.file.read {
			tables[p.file.tables] = true
		}
	}
	return ramp(float64(len(tables)), 1, 2)
}

// flashOnBackground: a screen lights the face before it more than what is behind it.
// Colours that are laid over a whole picture light both alike. Where the face fills the
// picture the engine gives the skin for the background, and nothing is said.
func flashOnBackground(s scene) float64 {
	r := s.response
	if r == nil || r.Kind != LivenessFlash || r.Code != OK || r.Skin <= 0 {
		return 0
	}
	apart := 0
	for _, x := range s.samples {
		if x.Face.Back != x.Face.Skin {
			apart++
		}
	}
	if len(s.samples) == 0 || apart*10 < len(s.samples)*9 {
		return 0
	}
	return ramp(r.Back/r.Skin, 0.7, 0.95)
}

// quickest is the time below which a movement is no answer to what was asked. Our choice:
// people need 200 ms and more to react to what they see.
const quickest = 150 * time.Millisecond

// answerTooQuick: movements that are there before a person could react. Colours that
// come too early are refused by the challenge itself.
func answerTooQuick(s scene) float64 {
	r := s.response
	if r == nil || r.Code != OK || r.Kind != LivenessAction && r.Kind != LivenessDistance {
		return 0
	}
	met, quick := 0.0, 0.0
	for _, c := range r.Cues {
		if c.Met {
			met++
			if c.Lag < quickest {
				quick++
			}
		}
	}
	if met == 0 {
		return 0
	}
	return ramp(quick/met, 0.3, 1) // one lucky start says little
}

// livenessDisagrees: the challenge was met by what silent detection takes for an attack.
func livenessDisagrees(s scene) float64 {
	r := s.response
	if r == nil || r.Code != OK || len(r.Cues) == 0 && r.Kind != LivenessFlash || !s.measured {
		return 0
	}
	return 1 - ramp(float64(s.live), float64(LiveAt(LevelNormal)), float64(LiveAt(LevelHigh)))
}

// failedBefore: the session failed liveness or its challenge before; from the second on.
func failedBefore(s scene) float64 { return ramp(float64(s.failures), 1, 4) }

// faceOfOthers: the face was seen under other identities within days. One may be a
// mistyped number.
func faceOfOthers(s scene) float64 { return ramp(float64(s.seen.face), 0, 2) }

// deviceOfMany: the device tried many identities. Families share a device.
func deviceOfMany(s scene) float64 { return ramp(float64(s.seen.device), 3, 8) }

// addressOfMany: the network address tried many identities. Offices and mobile networks
// share an address.
func addressOfMany(s scene) float64 { return ramp(float64(s.seen.address), 20, 100) }

// ramp is 0 up to lo, 1 from hi, and straight between.
func ramp(x, lo, hi float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(1, max(0, (x-lo)/(hi-lo)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func deviation(x []float64) float64 {
	mean, v := 0.0, 0.0
	for _, a := range x {
		mean += a / float64(len(x))
	}
	for _, a := range x {
		v += (a - mean) * (a - mean) / float64(len(x))
	}
	return math.Sqrt(v)
}

// weigh puts signals together: the score is what is left of doubt when each signal takes
// its share, 1 - Π(1 - weight·value). Signals of 安全风控 count only for plans with Risk;
// those of claims, timing, pictures and challenge also for plans with Spoofing.
func weigh(p Plan, s scene) *Risk {
	doubt, spoof := 1.0, 1.0
	r := &Risk{}
	for _, g := range signs {
		if g.group == groupMemory && !p.Risk {
			continue
		}
		v := g.of(s)
		if v <= 0 {
			continue
		}
		r.Signals = append(r.Signals, Signal{Name: g.name, Weight: g.weight, Value: v})
		doubt *= 1 - g.weight*v
		if g.group != groupMemory {
			spoof *= 1 - g.weight*v
		}
	}
	slices.SortStableFunc(r.Signals, func(a, b Signal) int { return cmp.Compare(b.Weight*b.Value, a.Weight*a.Value) })
	r.Score, r.Spoofing = 1-doubt, 1-spoof
	switch {
	case r.Score >= riskAt1:
		r.Level = 1
	case r.Score >= riskAt2:
		r.Level = 2
	case r.Score >= riskAt3:
		r.Level = 3
	default:
		r.Level = 4
	}
	if r.Level <= 2 {
		for _, g := range r.Signals {
			r.Tags = append(r.Tags, g.Name)
		}
	}
	return r
}

// Refuses reports whether the signals are enough to refuse a presentation: a score of
// RefuseAt, and plain signals from at least two independent groups. A nil Risk refuses nothing.
func (r *Risk) Refuses() bool {
	if r == nil || r.Score < RefuseAt {
		return false
	}
	groups := map[group]bool{}
	for _, x := range r.Signals {
		if x.Value < 0.5 {
			continue
		}
		for _, g := range signs {
			if g.name == x.Name {
				groups[g.group] = true
			}
		}
	}
	return len(groups) >= refuseGroups
}

// assess gathers the signals of a presentation and remembers it; probe is its template.
// It returns nil when the plan has neither Risk nor Spoofing.
func (s *Service) assess(ctx context.Context, ses *Session, ordinal int, p Presented, probe Template, f *Findings) *Risk {
	if !ses.Plan.Risk && !ses.Plan.Spoofing {
		return nil
	}
	sc := scene{kind: p.Kind, client: p.Client, response: f.Response, measured: f.Measured, live: f.Live}
	frames := faced(p)
	if !p.Kind.Recorded() {
		sc.samples = p.Samples
	}
	if p.Kind != RecordedPicture {
		sc.pictures = s.pictures(ctx, frames)
	}
	for _, a := range ses.Attempts[:min(max(0, ordinal-1), len(ses.Attempts))] {
		switch a.Code {
		case LivenessFailed, ChallengeStale, ChallengeUnmet, FaceChanged, RiskRefused:
			sc.failures++
		}
	}
	now := s.sighting(ses, p, frames, probe)
	memory := &s.sightings
	if ses.Sandbox { // a developer's many tries are no sign against real people, nor the other way round
		memory = &s.rehearsed
	}
	sc.seen = memory.meet(now, s.Engine)
	return weigh(ses.Plan, sc)
}

// faced are a presentation's frames in time order, without those that show no face: the
// black pictures of a camera that starts or is covered are the same bytes everywhere.
func faced(p Presented) []Frame {
	if len(p.All) == 0 {
		return p.Frames
	}
	if len(p.Samples) == 0 {
		return p.All
	}
	faces := map[time.Time]bool{}
	for _, s := range p.Samples {
		faces[s.At] = s.Faces > 0
	}
	var list []Frame
	for _, f := range p.All {
		if faces[f.At] {
			list = append(list, f)
		}
	}
	return list
}

// MiniatureSide is the width and height of a Miniature: 20 x 15 pixels of a camera's frame
// in each of its fields, so that noise averages out and a head's movement does not.
const MiniatureSide = 32

// Miniature is a picture's mean luma in MiniatureSide x MiniatureSide equal fields, row by row.
type Miniature [MiniatureSide * MiniatureSide]uint8

// Miniaturist is what an Engine may be besides. Without it a film that comes back to where
// it was is not noticed.
type Miniaturist interface {
	// Miniature reads one image as Examine does, and finds no faces. Errors are Examine's.
	Miniature(ctx context.Context, image []byte) (Miniature, error)
}

// riskFrames is how many frames of a presentation are decoded for their miniatures: what
// a third of a second of one CPU affords. Our choice.
const riskFrames = 40

// picture is what the signals know of a frame.
type picture struct {
	sum   [32]byte // SHA-256 of its bytes
	file  jpegFile
	thumb *Miniature // nil where none was made
}

// pictures reads frames in time order. A frame that cannot be read still has its sum.
func (s *Service) pictures(ctx context.Context, frames []Frame) []picture {
	list := make([]picture, len(frames))
	for i, f := range frames {
		list[i] = picture{sum: sha256.Sum256(f.Image), file: readJPEG(f.Image)}
	}
	m, ok := s.Engine.(Miniaturist)
	if !ok {
		return list
	}
	n := min(riskFrames, len(frames))
	for k := range n {
		i := k * len(frames) / n
		if i > 0 && list[i].sum == list[i-1].sum {
			list[i].thumb = list[i-1].thumb
			continue
		}
		if t, err := m.Miniature(ctx, frames[i].Image); err == nil {
			list[i].thumb = &t
		}
	}
	return list
}

// difference is the mean difference of two miniatures in grey levels.
func difference(a, b *Miniature) float64 {
	n := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		n += max(d, -d)
	}
	return float64(n) / float64(len(a))
}

// jpegFile is what a JPEG's segments say of its encoder.
type jpegFile struct {
	read        bool // it is a JPEG whose segments could be read up to its picture
	comment     bool
	progressive bool
	tables      [32]byte // digest of its quantisation tables
}

// readJPEG walks the segments before the picture (ISO/IEC 10918-1, B.1.1).
func readJPEG(b []byte) (f jpegFile) {
	if len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return f
	}
	h := sha256.New()
	for i := 2; i+4 <= len(b) && b[i] == 0xff; {
		marker := b[i+1]
		if marker == 0xff { // a fill byte
			i++
			continue
		}
		n := int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 2 || i+2+n > len(b) {
			return f
		}
		switch marker {
		case 0xfe:
			f.comment = true
		case 0xc2:
			f.progressive = true
		case 0xdb:
			h.Write(b[i+4 : i+2+n])
		case 0xda: // the picture begins
			f.read = true
			h.Sum(f.tables[:0])
			return f
		}
		i += 2 + n
	}
	return f
}

// What the memory of presentations holds. It lives in this process, is lost with it, and
// is not shared between processes. Our choice: the vendor names days; at most
// maxSightings bounds it to about 50 MB with templates of 512 numbers.
const (
	sightingKept = 3 * 24 * time.Hour
	maxSightings = 10000
	// falseFaces is how often an honest face may meet a stranger's in memory, by chance,
	// in one assessment: the false match rate asked for is this over the faces compared.
	falseFaces = 1e-3
)

// sighting is one remembered presentation. Texts are kept as keyed digests only, 0 for
// none; the face's template never leaves the memory of this process.
type sighting struct {
	at                        time.Time
	app                       AppID
	identity, device, address uint64
	session                   uint64
	face                      Template
	frames                    []uint64
}

// known is what memory says of a presentation. The last three are within its app.
type known struct {
	frames  int // of its frames that came before
	face    int // other identities under its face
	device  int // identities that its device tried, this one included
	address int // likewise its address
}

// sightings is the short memory. The zero value is ready. Safe for concurrent use.
type sightings struct {
	mu     sync.Mutex
	list   []sighting // oldest first
	frames map[uint64]int
}

// sighting makes the memory of a presentation.
func (s *Service) sighting(ses *Session, p Presented, frames []Frame, probe Template) sighting {
	x := sighting{at: s.Now(), app: ses.App}
	digest := func(purpose, text string) uint64 {
		if text == "" {
			return 0
		}
		return binary.BigEndian.Uint64(s.Sealer.Digest(purpose, []byte(text)))
	}
	for _, f := range frames {
		sum := sha256.Sum256(f.Image)
		x.frames = append(x.frames, digest("risk frame", string(sum[:])))
	}
	slices.Sort(x.frames)
	x.frames = slices.Compact(x.frames)
	x.session = digest("risk session", string(ses.Token))
	if !ses.Plan.Risk {
		return x
	}
	x.device, x.address = digest("risk device", p.Client.Device), digest("risk address", p.Client.Address)
	if ses.Claim != nil {
		x.identity, x.face = digest("risk identity", string(ses.Claim.Number)), probe
	}
	return x
}

// meet says what is remembered of a presentation and remembers it, in one step: of two at
// the same time one is the other's past.
func (m *sightings) meet(x sighting, e Engine) known {
	m.mu.Lock()
	m.forget(x.at)
	r := known{frames: m.reused(x)}
	past := slices.Clone(m.list)
	m.remember(x)
	m.mu.Unlock()
	x.among(past, e, &r)
	return r
}

// reused counts the frames of a presentation that came before. The lock is held.
func (m *sightings) reused(x sighting) (n int) {
	for _, f := range x.frames {
		if m.frames[f] > 0 {
			n++
		}
	}
	return n
}

// among finds a presentation's face, device and address in the past.
func (x sighting) among(past []sighting, e Engine, r *known) {
	if x.identity == 0 {
		return
	}
	device, address, face := map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}
	var faces []sighting
	for _, y := range past {
		if y.app != x.app || y.identity == 0 {
			continue
		}
		if y.device == x.device {
			device[y.identity] = true
		}
		if y.address == x.address {
			address[y.identity] = true
		}
		if y.identity != x.identity && y.face.Model == x.face.Model && len(y.face.Vector) == len(x.face.Vector) && len(x.face.Vector) > 0 {
			faces = append(faces, y)
		}
	}
	for _, y := range faces {
		if c, err := e.Compare(x.face, y.face); err == nil && c.FMR <= falseFaces/float64(len(faces)) {
			face[y.identity] = true
		}
	}
	r.face = len(face)
	if device[x.identity] = true; x.device != 0 {
		r.device = len(device)
	}
	if address[x.identity] = true; x.address != 0 {
		r.address = len(address)
	}
}

// expire forgets what is too old, so that memory holds nothing longer than its time even
// where nobody comes.
func (m *sightings) expire(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
}

// drop forgets a session's presentations before their time.
func (m *sightings) drop(session uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.DeleteFunc(m.list, func(x sighting) bool {
		if x.session == session {
			m.release(x)
		}
		return x.session == session
	})
}

// release takes a presentation's frames out of what was seen. The lock is held.
func (m *sightings) release(x sighting) {
	for _, f := range x.frames {
		if m.frames[f]--; m.frames[f] <= 0 {
			delete(m.frames, f)
		}
	}
}

// remember adds a presentation. The lock is held.
func (m *sightings) remember(x sighting) {
	if m.frames == nil {
		m.frames = map[uint64]int{}
	}
	m.list = append(m.list, x)
	for _, f := range x.frames {
		m.frames[f]++
	}
	m.forget(x.at)
}

// forget drops what is too old or too much. The lock is held.
func (m *sightings) forget(now time.Time) {
	n := max(0, len(m.list)-maxSightings)
	for n < len(m.list) && !now.Before(m.list[n].at.Add(sightingKept)) {
		n++
	}
	for _, x := range m.list[:n] {
		m.release(x)
	}
	m.list = slices.Delete(m.list, 0, n)
}
