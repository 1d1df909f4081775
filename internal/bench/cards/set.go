package cards

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"shiren/internal/ekyc"
)

// Set is which pictures are made.
type Set struct {
	People int
	Seed   uint64
	Levels []Level // of each person's two sides; nil is all
	// Permits and Bilingual are the shares of people whose document is a residence permit
	// or, else, carries a second script.
	Permits, Bilingual float64
	Odd                int  // of each kind of odd picture
	Rare               bool // every name has a character of the third level; see RareName
}

// DefaultSet is what is measured where nobody says otherwise. The shares are our choice,
// far above those in the country.
func DefaultSet(people int, seed uint64) Set {
	return Set{People: people, Seed: seed, Permits: .12, Bilingual: .12, Odd: 1}
}

// Pictures is how many pictures the set has.
func (s Set) Pictures() int {
	n := len(s.Levels)
	if s.Levels == nil {
		n = len(Levels)
	}
	return s.People*2*n + s.Odd*len(Odds)
}

// Make makes a set and hands on its pictures one by one. It ends at the first error of
// each. The same set makes the same pictures on machines with the same fonts.
func (p *Press) Make(s Set, each func(Record, []byte) error) error {
	if s.Levels == nil {
		s.Levels = Levels
	}
	for i := range s.People {
		seed := s.Seed<<20 + uint64(i)
		r := rand.New(rand.NewPCG(seed, 0x736574))
		kind, bilingual := Resident, false
		switch f := r.Float64(); {
		case f < s.Permits:
			kind = pick(r, []Kind{HongKong, Macau, Taiwan})
		case f < s.Permits+s.Bilingual:
			bilingual = true
		}
		who := NewPerson(seed, kind, bilingual)
		if s.Rare {
			who.Name = RareName(seed)
		}
		for _, side := range []ekyc.CardSide{ekyc.CardFront, ekyc.CardBack} {
			card := p.Draw(who, side, Look{Seed: seed})
			for _, l := range s.Levels {
				pic, err := Shoot(card, Shot{Level: l, Seed: r.Uint64()})
				if err != nil {
					return err
				}
				rec := Record{File: fmt.Sprintf("%s_%03d_%s.jpg", l, i, side), Level: l, Side: side, Truth: who}
				rec.picture(pic)
				if err := each(rec, pic.JPEG); err != nil {
					return err
				}
			}
		}
	}
	for i := range s.Odd {
		for _, o := range Odds {
			rec, data, err := p.Strange(o, s.Seed<<20+uint64(i))
			if err != nil {
				return err
			}
			rec.File = fmt.Sprintf("odd_%03d_%s.jpg", i, o)
			if err := each(rec, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// Keep returns a function for Make that writes each picture into a folder, and one that
// writes truth.json at the end. The folder must be new or empty, so that no pictures of
// another set stay beside the list.
func Keep(dir string) (each func(Record, []byte) error, finish func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	if old, err := os.ReadDir(dir); err != nil {
		return nil, nil, err
	} else if len(old) > 0 {
		return nil, nil, errors.New("cards: " + dir + " is not empty; name a new folder")
	}
	var list []Record
	each = func(r Record, data []byte) error {
		list = append(list, r)
		return os.WriteFile(filepath.Join(dir, r.File), data, 0o644)
	}
	return each, func() error { return WriteTruth(dir, list) }, nil
}
