// Package cnid knows the shapes of Chinese identity claims: the 18-character
// identity number of GB 11643-1999 with its check character, and personal names.
// It is pure: no I/O, no clock, no knowledge of who a number belongs to. Its types
// mask themselves when printed, so that personal data cannot reach a log by accident.
package cnid

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Number is an 18-character identity number, upper case, whose check character and
// date of birth have been verified by ParseNumber. The zero value is no number.
type Number string

// Errors of ParseNumber, from the outside in: only the first that applies is returned.
var (
	ErrNumberLength = errors.New("an identity number has 18 characters")
	ErrNumberChars  = errors.New("an identity number has 17 digits and a check character 0-9 or X")
	ErrNumberBirth  = errors.New("the identity number holds no possible date of birth")
	ErrNumberCheck  = errors.New("the identity number's check character does not fit its digits")
)

// Weights and check characters of GB 11643-1999 (ISO 7064 MOD 11-2).
var (
	weights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	checks  = "10X98765432"
)

// ParseNumber reads an 18-character identity number. Surrounding space is ignored and
// a lower-case x is accepted. Its errors never repeat the input.
func ParseNumber(s string) (Number, error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) != 18 {
		return "", ErrNumberLength
	}
	sum := 0
	for i := range 17 {
		if s[i] < '0' || s[i] > '9' {
			return "", ErrNumberChars
		}
		sum += int(s[i]-'0') * weights[i]
	}
	if last := s[17]; last != 'X' && (last < '0' || last > '9') {
		return "", ErrNumberChars
	}
	born, err := time.Parse("20060102", s[6:14])
	if err != nil || born.Year() < 1850 {
		return "", ErrNumberBirth
	}
	if s[17] != checks[sum%11] {
		return "", ErrNumberCheck
	}
	return Number(s), nil
}

// CheckCharacter returns the check character for 17 digits, or 0 if they are not 17 digits.
func CheckCharacter(digits string) byte {
	if len(digits) != 17 {
		return 0
	}
	sum := 0
	for i := range 17 {
		if digits[i] < '0' || digits[i] > '9' {
			return 0
		}
		sum += int(digits[i]-'0') * weights[i]
	}
	return checks[sum%11]
}

// Birth is the date of birth that the number holds, at midnight UTC.
func (n Number) Birth() time.Time {
	if len(n) != 18 {
		return time.Time{}
	}
	t, _ := time.Parse("20060102", string(n[6:14]))
	return t
}

// Female reports whether the number's sequence part is even.
func (n Number) Female() bool { return len(n) == 18 && (n[16]-'0')%2 == 0 }

// ResidencePermit reports whether the number belongs to the residence permit of
// Hong Kong (81), Macau (82) or Taiwan (83) residents (State Council order of 2018).
func (n Number) ResidencePermit() bool {
	return strings.HasPrefix(string(n), "81") || strings.HasPrefix(string(n), "82") || strings.HasPrefix(string(n), "83")
}

// String masks the number: first three and last four characters stay.
func (n Number) String() string {
	if len(n) < 8 {
		return strings.Repeat("*", len(n))
	}
	return string(n[:3]) + strings.Repeat("*", len(n)-7) + string(n[len(n)-4:])
}

// GoString masks like String, for %#v.
func (n Number) GoString() string { return n.String() }

// LogValue masks like String.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Name is a personal name of 1 to MaxName characters, trimmed, as ParseName returns it.
type Name string

// MaxName is the longest accepted name in characters. Our choice: transliterated
// minority names on identity cards reach about 30; the documented calls name no limit.
const MaxName = 60

// ErrName is returned for a text that cannot be a person's name.
var ErrName = fmt.Errorf("a name has 1 to %d letters; only letters, marks, spaces, dots, hyphens and apostrophes occur in it", MaxName)

// ParseName reads a personal name: letters of any script, the separators · • . - ' and
// inner spaces. A full-width or other middle dot becomes U+00B7.
func ParseName(s string) (Name, error) {
	s = strings.TrimSpace(s)
	if !utf8.ValidString(s) || s == "" || utf8.RuneCountInString(s) > MaxName {
		return "", ErrName
	}
	letters := 0
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsLetter(r):
			letters++
		case unicode.IsMark(r), r == ' ', r == '.', r == '-', r == '\'', r == '’':
		case r == '·', r == '•', r == '・', r == '‧', r == '﹒', r == '．':
			r = '·'
		default:
			return "", ErrName
		}
		b.WriteRune(r)
	}
	if letters == 0 {
		return "", ErrName
	}
	return Name(b.String()), nil
}

// String masks the name: its first character stays.
func (n Name) String() string {
	if n == "" {
		return ""
	}
	_, w := utf8.DecodeRuneInString(string(n))
	return string(n[:w]) + strings.Repeat("*", max(1, utf8.RuneCountInString(string(n[w:]))))
}

// GoString masks like String, for %#v.
func (n Name) GoString() string { return n.String() }

// LogValue masks like String.
func (n Name) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Mobile is a mobile number of the mainland: eleven digits, the first of them 1. It
// masks itself when printed.
type Mobile string

// ParseMobile reads a mobile number. It tolerates the prefixes +86, 0086 and 86, and
// spaces and hyphens between digits. The error holds no part of the number.
func ParseMobile(s string) (Mobile, error) {
	s = strings.NewReplacer(" ", "", "-", "").Replace(s)
	for _, p := range []string{"+86", "0086", "86"} {
		if t := strings.TrimPrefix(s, p); len(t) == 11 {
			s = t
			break
		}
	}
	if len(s) != 11 {
		return "", fmt.Errorf("a mobile number has 11 digits, not %d characters", len(s))
	}
	for i, c := range s {
		if c < '0' || c > '9' || (i == 0 && c != '1') || (i == 1 && c < '3') {
			return "", errors.New("a mobile number is 11 digits and begins with 13 to 19")
		}
	}
	return Mobile(s), nil
}

// String shows the first three and the last two digits.
func (m Mobile) String() string {
	if len(m) != 11 {
		return "***********"
	}
	return string(m[:3]) + "******" + string(m[9:])
}

// GoString is String, so that %#v masks too.
func (m Mobile) GoString() string { return m.String() }

// LogValue is String, so that logs mask too.
func (m Mobile) LogValue() slog.Value { return slog.StringValue(m.String()) }
