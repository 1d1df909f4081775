package operator

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of what is written into an account. Our choice.
const (
	MinName = 2  // runes
	MaxName = 64 // runes
)

// Secret masks itself when printed or logged.
type Secret string

func (s Secret) String() string       { return "********" }
func (s Secret) GoString() string     { return "********" }
func (s Secret) LogValue() slog.Value { return slog.StringValue("********") }

// Account is a person who works at the console. Accounts are never removed: the journal
// names them.
type Account struct {
	ID       string
	Name     string // as it was written; two names that Fold alike are one
	Role     Role
	Password Secret // PHC string; "" until the person set one
	// TOTP is the shared secret (RFC 6238, 20 bytes) while codes are asked for; Pending the one
	// that is being enrolled. Both in base32 without padding.
	TOTP, Pending Secret
	Step          int64    // the last TOTP time step whose code was used, and may not be again
	Recovery      []string // digests of the recovery codes that are left
	Language      string   // zh-CN, en, or "": as the browser says
	Zone          string   // IANA name, or "": as the browser says
	Disabled      bool
	Created       time.Time
	Seen          time.Time // last sign-in; zero for none
	Version       int64     // counts changes; use of the account is none
}

// Active reports whether the account can sign in.
func (a Account) Active() bool { return !a.Disabled && a.Password != "" }

// SignIn is one browser's sign-in.
type SignIn struct {
	ID      string // SHA-256 of the cookie's value, hexadecimal; alone it opens nothing
	Account string
	Created time.Time
	Seen    time.Time // last request, at most TouchEvery ago
	Proved  time.Time // when the person last proved themselves
	Address string
	Agent   string // what the browser calls itself
}

// Spans of a sign-in. Idle and Absolute are shorter than what NIST SP 800-63B allows at AAL2
// (1 h of inactivity, 24 h in all). Our choice.
const (
	Idle       = 30 * time.Minute
	Absolute   = 12 * time.Hour
	TouchEvery = time.Minute     // SignIn.Seen is not written more often
	ProofFor   = 5 * time.Minute // a proof is good for changes of accounts
	MaxSignIns = 20              // of one account; the oldest is ended for a new one
	MaxAgent   = 200             // bytes
)

// Until is when the sign-in ends, unless it is used.
func (s SignIn) Until() time.Time {
	idle, absolute := s.Seen.Add(Idle), s.Created.Add(Absolute)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

// LinkKind is what a one-time link does.
type LinkKind string

const (
	LinkFirst    LinkKind = "first"    // makes an administrator, while there is none
	LinkRecovery LinkKind = "recovery" // makes an administrator; from the command line
	LinkInvite   LinkKind = "invite"   // sets a new account's password
	LinkReset    LinkKind = "reset"    // sets a password anew; codes are asked for no more
)

// LinkFor is how long a one-time link can be used. Our choice.
const LinkFor = 24 * time.Hour

// Link is a one-time link. Its secret is in nobody's hands but the receiver's.
type Link struct {
	ID      string // SHA-256 of the secret, hexadecimal
	Kind    LinkKind
	Account string // "" where the link makes one
	Until   time.Time
}

// Tries counts what was tried for a name or from an address since the last success.
type Tries struct {
	Key   string // kind and value; the store keeps a keyed digest of it
	Count int
	Last  time.Time
	Until time.Time // nothing is tried before
}

// Fold is what two names that are one have in common.
func Fold(name string) string { return strings.ToLower(norm.NFC.String(strings.TrimSpace(name))) }

func checkName(name string) (string, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	if n := utf8.RuneCountInString(name); n < MinName || n > MaxName || !utf8.ValidString(name) {
		return "", refuse(Invalid, fmt.Sprintf("the name must have %d to %d characters", MinName, MaxName))
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-@", r) {
			return "", refuse(Invalid, "the name may have letters, digits and . _ - @ only")
		}
	}
	return name, nil
}

// zones are what IANA names look like; whether there is one of that name, the browser knows.
var zones = regexp.MustCompile(`^[A-Za-z0-9_+/-]{0,64}$`)

func checkSettings(language, zone string) error {
	if language != "" && language != "zh-CN" && language != "en" {
		return refuse(Invalid, "the language must be zh-CN or en, or empty for the browser's own")
	}
	if !zones.MatchString(zone) {
		return refuse(Invalid, "the time zone must be a name like Asia/Shanghai, or empty for the browser's own")
	}
	return nil
}
