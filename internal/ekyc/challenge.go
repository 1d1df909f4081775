package ekyc

import (
	"time"
)

// RGB is a colour that a screen shows, 0 to 255 each.
type RGB [3]uint8

// Cue is one thing that the page shows or asks for, and when.
type Cue struct {
	N      int           // from 1
	After  time.Duration // from the challenge's start, by the server's clock
	For    time.Duration // how long it is shown, or how long the answer may take
	Colour RGB           // of flash
	Action Action        // of action kinds
	Near   bool          // of distance: come closer; false: move back
	Digit  string        // of digits
}

// Challenge is what the server asks for: drawn at random, bound to one session, used
// once, and valid for ChallengeWindow. The page is told each Cue only when it is due.
type Challenge struct {
	ID    string // 32 hex characters
	Kind  LivenessKind
	Cues  []Cue
	Drawn time.Time
	Until time.Time
	Bits  float64 // log2 of how many challenges are equally likely
}

// Sample is what was measured in one frame, with the server's time of its arrival.
type Sample struct {
	At time.Time
	// Seq and Sent are the page's own count and clock (milliseconds since its start):
	// claims, used only to find contradictions.
	Seq   int
	Sent  time.Duration
	Faces int
	Face  Face // the largest; without Template
}

// CueResponse is what was found in the window of one cue.
type CueResponse struct {
	N    int
	Met  bool
	Lag  time.Duration // from the cue to its answer
	Size float64       // of the answer, in the unit of its kind: see Response
}

// Response is how a presentation answered a challenge. It is a finding with a verdict of
// the challenge's own rules; decide makes the attempt's.
type Response struct {
	Kind LivenessKind
	Code Code // OK when the challenge was met
	// Chance is the probability that a presentation which knows nothing of this challenge
	// would have answered it as well: a false accept rate.
	Chance float64
	Lag    time.Duration // of flash: estimated, common to all cues
	Skin   float64       // of flash: gain of the skin's response
	Back   float64       // of flash: gain of the background's response
	Cues   []CueResponse
	Why    string // for the operator: the rule that failed, with its numbers; no personal data
}
