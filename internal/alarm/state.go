package alarm

import (
	"time"
)

// Phase is whether a rule fires.
type Phase string

const (
	Fine   Phase = "fine"
	Firing Phase = "firing"
)

// State is what is remembered of a rule between two looks: of a counted measure once, of a probe
// once for each node. The zero State, with Rule and Node, is that of a rule never looked at.
type State struct {
	Rule    string
	Node    string // "" of counted measures
	Version int64  // counts changes; 0 before it is stored
	Phase   Phase
	Since   time.Time // of the phase
	Episode string    // id of the Episode that lasts; "" unless Firing
	Told    bool      // a message said that it fires, since Since
	Sent    time.Time // of the last message that said so; zero: none since the rule was changed
	Worst   float64   // while Firing
}

// Event is what became of a rule at a look.
type Event string

const (
	Nothing   Event = ""
	Began     Event = "began"
	Lasts     Event = "lasts" // and its silence is over
	Worsened  Event = "worsened"
	Recovered Event = "recovered"
)

// Because says why an episode ended.
type Because string

const (
	ByValue   Because = "value"   // the value is good again
	ByTooFew  Because = "too_few" // nothing, or not enough, happened within the last window
	ByChange  Because = "changed" // the rule was changed or switched off
	ByRemoval Because = "removed" // the rule was removed
)

// Change is what Next found.
type Change struct {
	Event Event
	// Tell says that receivers are told: of Began and Lasts that it fires, of Recovered that it is over.
	Tell    bool
	First   bool // nobody was told of this episode before
	Because Because
}

// Next is the state after a reading. episode is the id that a new Episode would have. It is pure:
// what it returns is the same for the same arguments.
//
// A rule that begins to fire within the silence of its last message is silenced: it is in the
// history, and nobody is told until the silence is over and it still fires. Who was not told that
// it fires is not told that it is over.
func (s State) Next(r Rule, x Reading, episode string) (State, Change) {
	quiet := !s.Sent.IsZero() && x.At.Before(s.Sent.Add(r.Silence))
	if s.Phase != Firing {
		if !x.Known || !r.Broken(x.Value) {
			return s, Change{}
		}
		s.Phase, s.Since, s.Episode, s.Worst, s.Told = Firing, x.At, episode, x.Value, !quiet
		if !quiet {
			s.Sent = x.At
		}
		return s, Change{Event: Began, Tell: !quiet, First: !quiet}
	}
	because := Because("")
	switch {
	case x.Known && r.over(x.Value):
		because = ByValue
	case !x.Known && x.Why == TooFew:
		because = ByTooFew
	}
	if because != "" {
		c := Change{Event: Recovered, Tell: s.Told && r.TellRecovery, Because: because}
		s.Phase, s.Since, s.Episode, s.Worst, s.Told = Fine, x.At, "", 0, false
		return s, c
	}
	if !x.Known {
		return s, Change{}
	}
	c := Change{}
	if r.worse(x.Value, s.Worst) {
		s.Worst, c.Event = x.Value, Worsened
	}
	if !quiet {
		c = Change{Event: Lasts, Tell: true, First: !s.Told}
		s.Sent, s.Told = x.At, true
	}
	return s, c
}

// Episode is one line of the history: a rule fired, from Began to Ended.
type Episode struct {
	ID    string
	Rule  Rule // as it was
	Node  string
	Began time.Time
	First Reading // that caused it
	Worst float64
	Told  int // messages that said that it fires, to all receivers together once
	Ended time.Time
	Last  Reading // that ended it; zero where a change of the rule did
	Why   Because // "" while it lasts
}

// after is the episode after a change.
func (e Episode) after(x Reading, s State, c Change) Episode {
	if c.Tell && c.Event != Recovered {
		e.Told++
	}
	switch c.Event {
	case Recovered:
		e.Ended, e.Last, e.Why = x.At, x, c.Because
	case Lasts, Worsened:
		e.Worst = s.Worst
	}
	return e
}
