package operator

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var cheap = Cost{Memory: 8, Time: 1, Threads: 1}

func chance(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// TestTOTPVectors are RFC 6238, appendix B, SHA-1; its codes have eight digits, of which ours are the last six.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	secret := Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("12345678901234567890")))
	for _, v := range []struct {
		at   int64
		code string
	}{{59, "94287082"}, {1111111109, "07081804"}, {1111111111, "14050471"}, {1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"}} {
		code, own := v.code[2:], v.at/totpPeriod
		for _, test := range []struct {
			now, after int64
			want       bool
		}{
			{v.at, 0, true},
			{(own - 1) * totpPeriod, 0, true}, // the app's clock is one step ahead
			{(own+2)*totpPeriod - 1, 0, true}, // or one behind
			{(own+2)*totpPeriod + 0, 0, false},
			{(own + 3) * totpPeriod, 0, false},
			{v.at, own, false}, // used
			{v.at, own - 1, true},
			{v.at, own + 1, false}, // an older one than the last that was used
		} {
			step, ok := totpStep(secret, code, time.Unix(test.now, 0), test.after)
			if ok != test.want || ok && step != own {
				t.Errorf("code of %d at %d after step %d: step %d, %v, want %v", v.at, test.now, test.after, step, ok, test.want)
			}
		}
	}
	for _, code := range []string{"", "28708", "2870822", "28708x", "９４２８７０８２"} {
		if _, ok := totpStep(secret, code, time.Unix(59, 0), 0); ok {
			t.Errorf("%q is taken for a code", code)
		}
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	h, err := newHasher(cheap, chance(1))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := h.hash(t.Context(), "four words of no song")
	if err != nil || !strings.HasPrefix(string(stored), "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("hash %q, %v", string(stored), err)
	}
	again, err := h.hash(t.Context(), "four words of no song")
	if err != nil || again == stored {
		t.Errorf("two hashes of one password are alike (%v)", err)
	}
	dearer, err := newHasher(Cost{Memory: 16, Time: 1, Threads: 1}, chance(2))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		h        *hasher
		stored   Secret
		password string
		ok, old  bool
	}{
		{h, stored, "four words of no song", true, false},
		{h, stored, "four words of no songs", false, false},
		{h, stored, "", false, false},
		{h, "", "", false, false}, // of nobody
		{h, "", strings.Repeat("x", 1<<20), false, false},
		{dearer, stored, "four words of no song", true, true},
	} {
		ok, old, err := test.h.verify(t.Context(), test.stored, test.password)
		if ok != test.ok || old != test.old || err != nil {
			t.Errorf("verify %q: %v, %v, %v, want %v, %v", test.password[:min(30, len(test.password))], ok, old, err, test.ok, test.old)
		}
	}
	long := strings.Repeat("ab cd ef gh ", 10) + "ijklmnop" // 128 bytes
	stored, err = h.hash(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, _ := h.verify(t.Context(), stored, long+"x"); ok || len(long) != MaxPassword {
		t.Errorf("a password that is too long is that of its beginning")
	}
	// ﬁ and ＡＢＣ are typed differently on different keyboards.
	stored, _ = h.hash(t.Context(), "fine ABC words here")
	if ok, _, _ := h.verify(t.Context(), stored, "ﬁne ＡＢＣ words here"); !ok {
		t.Error("equivalent characters are not equal")
	}
	if _, _, err := h.verify(t.Context(), "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA", "x"); !errors.Is(err, errHash) {
		t.Errorf("a hash that would take all memory: %v", err)
	}
}

// TestHashingIsBounded fills all places, so that the next caller is told to come later.
func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	h, err := newHasher(cheap, chance(1))
	if err != nil {
		t.Fatal(err)
	}
	for range hashesAtOnce {
		h.turns <- struct{}{}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, hashesAtOnce+hashesWait)
	for range hashesAtOnce + hashesWait {
		go func() {
			_, _, err := h.verify(ctx, "", "x")
			ended <- err
		}()
	}
	for len(h.places) < cap(h.places) {
		select {
		case err := <-ended:
			t.Fatalf("a caller with a place did not wait: %v", err)
		default:
		}
	}
	if _, _, err := h.verify(t.Context(), "", "x"); CodeOf(err) != Busy {
		t.Errorf("beyond all places: %v, want busy", err)
	}
	stop()
	for range hashesAtOnce + hashesWait {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that gave up: %v", err)
		}
	}
	for range hashesAtOnce {
		<-h.turns
	}
	if _, _, err := h.verify(t.Context(), "", "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		password string
		ok       bool
	}{
		{"four words of no song", true},
		{"一个没有人唱过的歌里的词", true}, // 12 characters
		{"一个没有人唱过的歌里的", false}, // 11
		{"xK9#mQ2$vL7", false},
		{"xK9#mQ2$vL7!", true},
		{"Administrator", false},
		{"PASSWORD1234", false},
		{"aaaaaaaaaaaaaaaa", false},
		{"abababababababab", false},
		{"abcdefghijklmnop", false},
		{"9876543210987654", false},
		{"wei.li", false},
		{"wei.li123456", false},
		{"wei.li and four words", true},
		{strings.Repeat("many words ", 11) + "1234567", true},
		{strings.Repeat("many words ", 11) + "12345678", false},
		{"broken \xff text in it", false},
	} {
		if _, err := checkPassword(test.password, "Wei.Li"); (err == nil) != test.ok {
			t.Errorf("%q (%d bytes): %v, want ok %v", test.password, len(test.password), err, test.ok)
		} else if err != nil && strings.Contains(err.Error(), test.password) {
			t.Errorf("%v repeats the password", err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"wei.li@example.com": true, "审计员": true, " li ": true, "x": false, "": false, "a b": false, "a\tb": false, "<b>": false,
		strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "e\u0301lan": true, "a\u202eb": false, "a\xffb": false,
	} {
		if got, err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %q, %v, want ok %v", name, got, err, ok)
		}
	}
	if Fold(" ÉLAN") != Fold("e\u0301lan ") {
		t.Error("one name written in two ways is two")
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var all time.Duration
	for count := range 200 {
		d := backoff(count, FreeForName)
		if count < FreeForName && d != 0 || count == FreeForName && d != FirstWait || count > 30 && d != LongestWait || d < backoff(count-1, FreeForName) {
			t.Errorf("try %d: wait %v", count, d)
		}
		if all += d; all > 24*time.Hour {
			if count > 120 {
				t.Errorf("%d guesses a day, want about a hundred", count)
			}
			break
		}
	}
	for a, want := range map[string]string{
		"192.0.2.7": "address 192.0.2.7", "::ffff:192.0.2.7": "address 192.0.2.7", "2001:db8:1:2:3::4": "address 2001:db8:1:2::/64", "fe80::1%eth0": "address fe80::/64",
	} {
		if got := triedAddress(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is counted as %q, want %q", a, got, want)
		}
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a\nb\x00c": "a b c", "\xff": "�", "实人": "实人", "123456": "1234…"} {
		if got := tidy(text, 5); got != want {
			t.Errorf("tidy(%q) = %q, want %q", text, got, want)
		}
	}
	if a := (From{Agent: strings.Repeat("实", 400)}).agent(); len(a) > MaxAgent || !utf8.ValidString(a) {
		t.Errorf("an agent of %d bytes is kept", len(a))
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		err        error
	}{
		{"", "", ErrNoReason},
		{" so \n ", "", ErrNoReason},
		{"有投诉", "", ErrNoReason},
		{" 客户投诉 ", "客户投诉", nil},
		{strings.Repeat("核", maxReason), strings.Repeat("核", maxReason), nil},
		{strings.Repeat("x", maxReason+1), "", ErrLongReason},
	} {
		if got, err := CheckReason(c.text); got != c.want || err != c.err {
			t.Errorf("%.20q: got %.20q and %v, want %.20q and %v", c.text, got, err, c.want, c.err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	a := Account{Password: "$argon2id$secret", TOTP: "SECRETSECRET"}
	var b bytes.Buffer
	for _, text := range []string{a.Password.String(), a.TOTP.GoString(), a.TOTP.LogValue().String()} {
		b.WriteString(text)
	}
	if strings.Contains(strings.ToLower(b.String()), "secret") {
		t.Errorf("printed: %s", &b)
	}
}

func FuzzPHC(f *testing.F) {
	for _, s := range []string{
		"", "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2i$v=19$m=65536,t=3,p=4$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=08,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Errorf("%q is read as %q", s, p)
		}
		if p.Memory > maxMemory || p.Time > maxTime || p.Threads > maxThreads || p.Memory < 8*uint32(p.Threads) || p.Time < 1 || len(p.hash) < 16 {
			t.Errorf("%q has a cost that cannot be paid", s)
		}
	})
}

func FuzzTokens(f *testing.F) {
	token, id, err := newToken(chance(3))
	if err != nil {
		f.Fatal(err)
	}
	if got, ok := parseToken(token); !ok || got != id {
		f.Fatalf("a new token is read as %q, %v, want %q", got, ok, id)
	}
	f.Add(token)
	f.Add(token[:42])
	f.Add(token + "=")
	f.Add("aaaa-bbbb-cccc-dddd")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := parseToken(s); ok && (len(id) != 64 || strings.Contains(id, s)) {
			t.Errorf("token %q: id %q", s, id)
		} else if !ok && id != "" {
			t.Errorf("no token %q has the id %q", s, id)
		}
		if digest, ok := parseRecovery(s); ok && len(digest) != 64 {
			t.Errorf("recovery code %q: digest %q", s, digest)
		}
		if m, err := ParseMark(s); err == nil {
			if again, err := ParseMark(m.Mark()); err != nil || again != m {
				t.Errorf("mark %q: %v, %v", s, again, err)
			}
		}
	})
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	codes, digests, err := newRecovery(chance(4))
	if err != nil || len(codes) != recoveryCodes {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	a := Account{TOTP: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Recovery: digests}
	typed := strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))
	if how, ok := a.useCode(typed, time.Unix(59, 0)); !ok || how != "recovery code" || len(a.Recovery) != recoveryCodes-1 {
		t.Errorf("a recovery code: %q, %v, %d left", how, ok, len(a.Recovery))
	}
	if _, ok := a.useCode(codes[3], time.Unix(59, 0)); ok {
		t.Error("a recovery code is good twice")
	}
	if len(digests) != recoveryCodes || digests[3] == digests[4] {
		t.Error("the caller's own list was changed")
	}
}
