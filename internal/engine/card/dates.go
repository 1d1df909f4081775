package card

import (
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// parseBirthday reads a birthday as it is printed, 1990年1月31日; characters lost at the
// end are forgiven where a day is left that exists.
func parseBirthday(s string) (time.Time, bool) {
	year, rest, ok := strings.Cut(s, "年")
	if !ok {
		return time.Time{}, false
	}
	month, day, ok := strings.Cut(rest, "月")
	if !ok {
		return time.Time{}, false
	}
	day, _, _ = strings.Cut(day, "日")
	return makeDate(year, month, day)
}

func makeDate(year, month, day string) (time.Time, bool) {
	y, m, d := number(year, 4, 4), number(month, 1, 2), number(day, 1, 2)
	if y < 1900 || y > 2199 || m < 1 || m > 12 || d < 1 {
		return time.Time{}, false
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return t, t.Day() == d
}

// number reads digits of a length between least and most; -1 for anything else.
func number(s string, least, most int) int {
	if len(s) < least || len(s) > most {
		return -1
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// parseValidity reads issue and expiry as they are printed, 2018.02.28-2038.02.28 or
// 2018.02.28-长期. Marks between digits may be lost or mistaken; digits may not.
func parseValidity(s string) (issued time.Time, expires string, ok bool) {
	var digits strings.Builder
	long := false
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case r == '长' || r == '期':
			long = true
		case !isDot(r) && !isDash(r):
			return time.Time{}, "", false
		}
	}
	d := digits.String()
	if len(d) != 16 && !(long && len(d) == 8) {
		return time.Time{}, "", false
	}
	if issued, ok = makeDate(d[:4], d[4:6], d[6:8]); !ok {
		return time.Time{}, "", false
	}
	if long {
		return issued, ekyc.CardForever, len(d) == 8
	}
	end, ok := makeDate(d[8:12], d[12:14], d[14:])
	return issued, end.Format("20060102"), ok
}

// validityText is issue and expiry as they are printed.
func validityText(issued time.Time, expires string) string {
	s := issued.Format("2006.01.02") + "-"
	if t, err := time.Parse("20060102", expires); err == nil {
		return s + t.Format("2006.01.02")
	}
	return s + expires
}

// terms are the years for which documents are issued: identity cards for 5, 10 or 20
// years by age (Resident Identity Card Law, article 5), residence permits for 5.
var terms = []int{20, 10, 5}

// issuedFor tells for how many years a document with these dates was issued; ok is
// false for a validity that is not issued. A document runs to the same day of its last
// year or to the day before.
func issuedFor(issued time.Time, expires string) (years int, ok bool) {
	if expires == ekyc.CardForever {
		return 0, true
	}
	end, err := time.Parse("20060102", expires)
	if err != nil {
		return 0, false
	}
	for _, n := range terms {
		same := time.Date(issued.Year()+n, issued.Month(), issued.Day(), 0, 0, 0, 0, time.UTC)
		if gap := same.Sub(end); gap >= 0 && gap <= 24*time.Hour {
			return n, true
		}
	}
	return 0, false
}
