package operator

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Rules for passwords: NIST SP 800-63B-4, 3.1.1.2: length, no composition, nothing that is commonly used.
// The bounds are our choice; the upper one keeps hashing short.
const (
	MinPassword = 12  // characters
	MaxPassword = 128 // bytes
)

// common are passwords of MinPassword characters and more that lists of broken ones begin with,
// and this product's own words. What consists of few characters or of a row of them is refused
// without a list.
var common = []string{
	"password1234", "password12345", "password123456", "passwordpassword", "passw0rd1234", "p@ssw0rd1234", "p@ssword1234",
	"administrator", "administrator1", "administrator123", "adminadmin12", "admin1234567", "admin12345678", "rootrootroot",
	"qwertyuiop12", "qwertyuiop123", "qwertyuiop1234", "qwertyuiop[]", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv", "q1w2e3r4t5y6", "1q2w3e4r5t6y",
	"zaq12wsxcde3", "iloveyou1234", "letmeinletmein", "letmein12345", "welcome12345", "welcome123456", "changeme1234", "changemechangeme",
	"correcthorsebatterystaple", "woaini1314520", "woaini520520", "5201314520131", "shirenshiren", "shiren123456", "shirenshiren1",
}

// checkPassword says what is wrong with a new password of the account that is called name, and
// returns the password as it is hashed: in NFKC, as SP 800-63B-4, 3.1.1.2 says.
func checkPassword(password, name string) (string, error) {
	if len(password) > MaxPassword || !utf8.ValidString(password) {
		return "", refuse(Invalid, fmt.Sprintf("the password must have at most %d bytes", MaxPassword))
	}
	plain := norm.NFKC.String(password)
	n := utf8.RuneCountInString(plain)
	if n < MinPassword {
		return "", refuse(Invalid, fmt.Sprintf("the password must have at least %d characters", MinPassword))
	}
	if len(plain) > 4*MaxPassword {
		return "", refuse(Invalid, fmt.Sprintf("the password must have at most %d bytes", MaxPassword))
	}
	folded := strings.ToLower(plain)
	distinct, steps := map[rune]bool{}, map[rune]int{}
	last := rune(-1)
	for _, r := range folded {
		distinct[r] = true
		if last >= 0 {
			steps[r-last]++
		}
		last = r
	}
	easy := len(distinct) < 5
	for _, d := range []rune{0, 1, -1} { // aaaa, abcd, dcba
		easy = easy || steps[d] > (n-1)*3/4
	}
	for _, c := range common {
		easy = easy || folded == c
	}
	if easy {
		return "", refuse(Invalid, "the password is among the first that would be guessed; several words that do not belong together make a good one")
	}
	if f := Fold(name); f != "" && strings.Contains(folded, f) && n-utf8.RuneCountInString(f) < MinPassword {
		return "", refuse(Invalid, "the password must be more than the account's name")
	}
	return plain, nil
}

// Cost is what one argon2id hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultCost is the second recommended option of RFC 9106, 4: 64 MiB, for machines that have
// other things to do.
var DefaultCost = Cost{Memory: 64 << 10, Time: 3, Threads: 4}

// Bounds of hashes. Sizes are those of RFC 9106, 4; a stored hash beyond the others is taken for
// damaged, so that a changed database cannot make this process take all memory. Our choice.
const (
	saltSize   = 16
	hashSize   = 32
	maxMemory  = 1 << 20 // KiB
	maxTime    = 64
	maxThreads = 64
)

// phc is a hash in the PHC string format:
// $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH, both in base64 without padding.
type phc struct {
	Cost
	salt, hash []byte
}

func (p phc) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads, b.EncodeToString(p.salt), b.EncodeToString(p.hash))
}

// errHash says nothing of what was read.
var errHash = errors.New("the stored password hash is damaged")

func parsePHC(s string) (p phc, err error) {
	if len(s) > 512 {
		return p, errHash
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, errHash
	}
	set := strings.Split(part[3], ",")
	if len(set) != 3 {
		return p, errHash
	}
	number := func(i int, prefix string, least, most uint64) uint64 {
		text, ok := strings.CutPrefix(set[i], prefix)
		n, perr := strconv.ParseUint(text, 10, 32)
		if !ok || perr != nil || n < least || n > most || strconv.FormatUint(n, 10) != text {
			err = errHash
		}
		return n
	}
	p.Threads = uint8(number(2, "p=", 1, maxThreads))
	p.Memory = uint32(number(0, "m=", 8*uint64(p.Threads), maxMemory)) // RFC 9106, 3.1: at least 8 for each lane
	p.Time = uint32(number(1, "t=", 1, maxTime))
	bytes := func(i, least, most int) []byte {
		b, derr := base64.RawStdEncoding.Strict().DecodeString(part[i])
		if derr != nil || len(b) < least || len(b) > most || base64.RawStdEncoding.EncodeToString(b) != part[i] {
			err = errHash
		}
		return b
	}
	p.salt, p.hash = bytes(4, 8, 64), bytes(5, 16, 64)
	if err != nil {
		return phc{}, err
	}
	return p, nil
}

// Hashing bounds: so many hashes are computed at once, and so many wait. With DefaultCost
// that is 128 MiB at most. Our choice.
const (
	hashesAtOnce = 2
	hashesWait   = 16
)

// hasher computes hashes, few at once.
type hasher struct {
	cost   Cost
	rand   io.Reader
	places chan struct{} // those who compute and those who wait
	turns  chan struct{} // those who compute
	dummy  phc           // of nobody
}

func newHasher(cost Cost, rand io.Reader) (*hasher, error) {
	h := &hasher{cost: cost, rand: rand, places: make(chan struct{}, hashesAtOnce+hashesWait), turns: make(chan struct{}, hashesAtOnce)}
	h.dummy = phc{Cost: cost, salt: make([]byte, saltSize), hash: make([]byte, hashSize)}
	for _, b := range [][]byte{h.dummy.salt, h.dummy.hash} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("read random bytes: %w", err)
		}
	}
	return h, nil
}

func (h *hasher) key(ctx context.Context, plain string, salt []byte, c Cost, size int) ([]byte, error) {
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return nil, errBusy
	}
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(plain), salt, c.Time, c.Memory, c.Threads, uint32(size)), nil
}

// hash makes a new hash of a checked password.
func (h *hasher) hash(ctx context.Context, plain string) (Secret, error) {
	p := phc{Cost: h.cost, salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(h.rand, p.salt); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	var err error
	p.hash, err = h.key(ctx, plain, p.salt, h.cost, hashSize)
	return Secret(p.String()), err
}

// verify reports whether the password is that of stored. It takes as long where stored is "",
// and for passwords that nobody can have. old tells that the hash has another cost than new ones.
func (h *hasher) verify(ctx context.Context, stored Secret, password string) (ok, old bool, err error) {
	p := h.dummy
	if stored != "" {
		if p, err = parsePHC(string(stored)); err != nil {
			return false, false, err
		}
	}
	if len(password) > MaxPassword {
		password, stored = password[:MaxPassword], ""
	}
	got, err := h.key(ctx, norm.NFKC.String(password), p.salt, p.Cost, len(p.hash))
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(got, p.hash) == 1 && stored != ""
	return ok, p.Cost != h.cost, nil
}
