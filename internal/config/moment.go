package config

import (
	"errors"
	"time"

	"github.com/pelletier/go-toml/v2"
)

var errMoment = errors.New(`want a date or a moment, as in 2027-01-01 or 2027-01-01T00:00:00+08:00`)

// beijing is where a date without a zone begins: the vendors' day.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// ParseMoment reads a moment as people write it. "" is none.
func ParseMoment(s string) (Moment, error) {
	if s == "" {
		return Moment{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return Moment{t.UTC()}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, beijing)
	if err != nil {
		return Moment{}, errMoment
	}
	return Moment{t.UTC()}, nil
}

// moment reads what TOML gave for one.
func moment(v any) (Moment, error) {
	switch v := v.(type) {
	case time.Time:
		return Moment{v.UTC()}, nil
	case toml.LocalDate:
		return Moment{v.AsTime(beijing).UTC()}, nil
	case toml.LocalDateTime:
		return Moment{v.AsTime(beijing).UTC()}, nil
	case string:
		return ParseMoment(v)
	}
	return Moment{}, errMoment
}
