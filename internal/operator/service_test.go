package operator_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"shiren/internal/operator"
	"shiren/internal/seal"
	"shiren/internal/store"
	"shiren/internal/testkit"
)

const strong, other = "four words of no song", "another long sentence"

// office is a service over a database in memory, with a clock that stands still.
type office struct {
	*operator.Service
	t     *testing.T
	clock *testkit.Clock
}

// dice is a fixed seed that may be read by many at once.
type dice struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (d *dice) Read(p []byte) (int, error) { d.mu.Lock(); defer d.mu.Unlock(); return d.r.Read(p) }

func openOffice(t *testing.T) *office {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{DSN: "sqlite::memory:", Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	o := &office{t: t, clock: &testkit.Clock{}}
	o.clock.Set(testkit.Start)
	o.Service, err = operator.New(operator.Config{
		Store: db.Operators(), Digester: sealer, Now: o.clock.Now, Rand: &dice{r: rand.NewChaCha8([32]byte{2})},
		Cost: operator.Cost{Memory: 8, Time: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func at(address string) operator.From {
	return operator.From{Address: netip.MustParseAddr(address), Agent: "a browser"}
}

var desk = at("192.0.2.1")

func (o *office) check(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) refused(what string, err error, want operator.Code) {
	o.t.Helper()
	if operator.CodeOf(err) != want {
		o.t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// who reads a cookie that must be good.
func (o *office) who(token string) operator.Actor {
	o.t.Helper()
	who, ok, err := o.Who(o.t.Context(), token, desk)
	if err != nil || !ok {
		o.t.Fatalf("nobody is signed in (%v)", err)
	}
	return who
}

func (o *office) gone(what, token string) {
	o.t.Helper()
	if _, ok, err := o.Who(o.t.Context(), token, desk); ok || err != nil {
		o.t.Errorf("%s: signed in %v, %v; want nobody", what, ok, err)
	}
}

// begin makes the first administrator and returns their cookie.
func (o *office) begin(name string) string {
	o.t.Helper()
	link, err := o.RecoveryLink(o.t.Context())
	o.check(err)
	_, token, err := o.Begin(o.t.Context(), link, operator.Beginning{Name: name, Password: strong}, desk)
	o.check(err)
	return token
}

// invite makes an account that has a password, and returns it with its cookie.
func (o *office) invite(admin, name string, role operator.Role) (operator.Account, string) {
	o.t.Helper()
	_, link, err := o.Invite(o.t.Context(), o.who(admin), name, role)
	o.check(err)
	a, token, err := o.Begin(o.t.Context(), link, operator.Beginning{Password: other}, desk)
	o.check(err)
	return a, token
}

func (o *office) signIn(name string, password operator.Secret, code string, from operator.From) (string, error) {
	_, token, err := o.SignIn(o.t.Context(), name, password, code, from)
	return token, err
}

func TestALinkIsUsedOnce(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	link, err := o.FirstLink(t.Context())
	o.check(err)
	spare, err := o.FirstLink(t.Context()) // of another server
	o.check(err)
	var won atomic.Int64
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			// As many as are hashed at once; the others are told to come later.
			for {
				_, token, err := o.Begin(t.Context(), link, operator.Beginning{Name: fmt.Sprint("person", i), Password: strong}, desk)
				switch operator.CodeOf(err) {
				case operator.Busy:
					continue
				case operator.BadLink:
				default:
					if err != nil {
						t.Error(err)
					} else if won.Add(1); token == "" {
						t.Error("won without a cookie")
					}
				}
				return
			}
		})
	}
	group.Wait()
	if list, err := o.Accounts(t.Context()); won.Load() != 1 || len(list) != 1 || err != nil {
		t.Errorf("%d of 20 won, %d accounts, %v; want one", won.Load(), len(list), err)
	}
	_, _, err = o.Begin(t.Context(), spare, operator.Beginning{Name: "somebody", Password: strong}, desk)
	o.refused("the first link of another server", err, operator.BadLink)
	if link, err := o.FirstLink(t.Context()); link != "" || err != nil {
		t.Errorf("there is an administrator, and a first link (%v)", err)
	}
}

func TestALinkEnds(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	first, err := o.FirstLink(t.Context())
	o.check(err)
	o.clock.Advance(operator.LinkFor - time.Millisecond)
	_, _, err = o.Open(t.Context(), first)
	o.check(err)
	o.clock.Advance(time.Millisecond)
	_, _, err = o.Open(t.Context(), first)
	o.refused("after its time", err, operator.BadLink)
	_, _, err = o.Begin(t.Context(), first, operator.Beginning{Name: "somebody", Password: strong}, desk)
	o.refused("after its time", err, operator.BadLink)

	admin := o.begin("admin")
	a, link, err := o.Invite(t.Context(), o.who(admin), "guest", operator.Auditor)
	o.check(err)
	newer, err := o.Renew(t.Context(), o.who(admin), a.ID)
	o.check(err)
	_, _, err = o.Open(t.Context(), link)
	o.refused("after a newer one", err, operator.BadLink)
	if l, named, err := o.Open(t.Context(), newer); err != nil || l.Kind != operator.LinkInvite || named.Name != "guest" {
		t.Errorf("the newer one: %v for %q, %v", l.Kind, named.Name, err)
	}
	_, err = o.Set(t.Context(), o.who(admin), a.ID, operator.Auditor, true, a.Version)
	o.check(err)
	_, _, err = o.Begin(t.Context(), newer, operator.Beginning{Password: other}, desk)
	o.refused("of an account that is switched off", err, operator.BadLink)
	for _, junk := range []string{"", "x", newer + "x", strings.Repeat("A", 43)} {
		_, _, err := o.Open(t.Context(), junk)
		o.refused("junk", err, operator.BadLink)
	}
}

func TestASignInEnds(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	token := o.begin("admin")
	o.clock.Advance(operator.Idle - time.Millisecond)
	o.who(token) // which is a use
	o.clock.Advance(operator.Idle - time.Millisecond)
	o.who(token)
	o.clock.Advance(operator.Idle)
	o.gone("idle", token)

	token, err := o.signIn("ADMIN", strong, "", desk)
	o.check(err)
	quiet := desk
	quiet.Background = true
	o.clock.Advance(operator.Idle / 2)
	if _, ok, err := o.Who(t.Context(), token, quiet); !ok || err != nil {
		t.Errorf("half way: %v, %v", ok, err)
	}
	o.clock.Advance(operator.Idle / 2)
	o.gone("used by the page alone", token)
	token, err = o.signIn("ADMIN", strong, "", desk)
	o.check(err)
	for range int(operator.Absolute/(20*time.Minute)) - 1 {
		o.clock.Advance(20 * time.Minute)
		o.who(token)
	}
	o.clock.Advance(20*time.Minute - time.Millisecond)
	who := o.who(token)
	o.clock.Advance(time.Millisecond)
	o.gone("after twelve hours of work", token)
	o.refused("by an ended sign-in", o.Settings(t.Context(), who, "en", ""), operator.Absent)

	token, err = o.signIn("admin", strong, "", desk)
	o.check(err)
	o.check(o.SignOut(t.Context(), o.who(token)))
	o.gone("signed out", token)
	if err := o.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	for _, junk := range []string{"", "x", strings.Repeat("A", 43), token + "="} {
		o.gone("junk", junk)
	}
}

// TestLockOut tries names that there are and names that there are not: nobody can tell them apart.
func TestLockOut(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	admin := o.begin("admin")
	guest, _, err := o.Invite(t.Context(), o.who(admin), "invited", operator.Auditor)
	o.check(err)
	off, _ := o.invite(admin, "switched.off", operator.Auditor)
	_, err = o.Set(t.Context(), o.who(admin), off.ID, off.Role, true, off.Version)
	o.check(err)
	story := func(name string, block int) (told []string) {
		for i := range 12 {
			from := at(fmt.Sprintf("198.51.%d.%d", block, i+1)) // as from many machines
			_, err := o.signIn(name, "a wrong password", "", from)
			told = append(told, err.Error())
			var e *operator.Error
			if errors.As(err, &e) && e.Code == operator.Wait {
				if _, err := o.signIn(name, strong, "", from); operator.CodeOf(err) != operator.Wait {
					t.Errorf("%s: while it waits the right password gives %v", name, err)
				}
				o.clock.Advance(e.After)
			}
		}
		return told
	}
	want := story("admin", 1)
	if want[0] != want[4] || want[5] == want[4] || !strings.HasPrefix(want[5], "wait") {
		t.Errorf("told: %q, want five refusals and then waits", want)
	}
	for i, name := range []string{"nobody", guest.Name, off.Name} {
		if told := story(name, i+2); !slices.Equal(told, want) {
			t.Errorf("%s is told %q, an administrator %q", name, told, want)
		}
	}
	o.clock.Advance(operator.LongestWait)
	token, err := o.signIn("admin", strong, "", desk)
	o.check(err)
	if _, err := o.signIn("admin", "a wrong password", "", desk); operator.CodeOf(err) != operator.Refused {
		t.Errorf("after a success tries do not begin anew: %v", err)
	}
	list, err := o.Entries(t.Context(), operator.EntryQuery{Action: "sign_in.refused", Limit: 1000})
	o.check(err)
	var details []string
	for _, e := range list {
		if e.Name == "nobody" || strings.Contains(e.Detail+e.Object, "nobody") {
			t.Errorf("the journal holds a name that is no account's: %+v", e)
		}
		if !slices.Contains(details, e.Detail) {
			details = append(details, e.Detail)
		}
	}
	if len(details) != 1 || details[0] != "wrong password" { // the right ones were not tried
		t.Errorf("the journal says %q", details)
	}
	for _, e := range list {
		if e.Account == "" {
			t.Errorf("the journal holds a try for no account: %+v", e)
		}
	}
	o.who(token)
}

func TestLockOutOfAnAddress(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.begin("admin")
	for i := range operator.FreeForAddress {
		// Of IPv6, the network is counted: its owner has all addresses of it.
		_, err := o.signIn(fmt.Sprint("name", i), "a wrong password", "", at(fmt.Sprintf("2001:db8::%x", i+1)))
		o.refused("a try", err, operator.Refused)
	}
	_, err := o.signIn("admin", strong, "", at("2001:db8::ffff"))
	o.refused("a further one", err, operator.Wait)
	if _, err := o.signIn("admin", strong, "", desk); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	o.clock.Advance(operator.TriesKept)
	o.check(o.Purge(t.Context()))
	if _, err := o.signIn("admin", strong, "", at("2001:db8::ffff")); err != nil {
		t.Errorf("a day later: %v", err)
	}
}

// TestParallelTriesCount sends guesses at once: no more than the free ones are looked at.
func TestParallelTriesCount(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.begin("admin")
	var looked atomic.Int64
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			_, err := o.signIn("admin", "a wrong password", "", at(fmt.Sprintf("198.51.100.%d", i+1)))
			switch operator.CodeOf(err) {
			case operator.Refused:
				looked.Add(1)
			case operator.Wait, operator.Busy:
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if looked.Load() > operator.FreeForName {
		t.Errorf("%d guesses were looked at, want at most %d", looked.Load(), operator.FreeForName)
	}
}

// enrol switches codes on and returns the generator of codes and the recovery codes.
func (o *office) enrol(token string) (func() string, []string) {
	o.t.Helper()
	e, err := o.EnrolTOTP(o.t.Context(), o.who(token))
	o.check(err)
	now := func() string {
		code, err := totp.GenerateCode(e.Secret, o.clock.Now())
		o.check(err)
		return code
	}
	codes, err := o.ConfirmTOTP(o.t.Context(), o.who(token), now())
	o.check(err)
	return now, codes
}

func TestCodes(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	token := o.begin("admin")
	second, err := o.signIn("admin", strong, "", desk)
	o.check(err)
	now, recovery := o.enrol(token)
	o.gone("a sign-in from before codes", second)
	_, err = o.signIn("admin", strong, now(), desk)
	o.refused("the code that confirmed", err, operator.Refused)
	for range 10 {
		_, err = o.signIn("admin", strong, "", desk)
		o.refused("no code, as often as one likes", err, operator.CodeNeeded)
	}
	o.clock.Advance(30 * time.Second)
	var won, lost atomic.Int64
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			if _, err := o.signIn("admin", strong, now(), at(fmt.Sprintf("198.51.100.%d", i+1))); err == nil {
				won.Add(1)
			} else {
				lost.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 4 {
		t.Errorf("one code sent five times at once was good %d times", won.Load())
	}
	o.clock.Advance(operator.LongestWait)
	if _, err := o.signIn("admin", strong, recovery[0], desk); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
	_, err = o.signIn("admin", strong, recovery[0], desk)
	o.refused("the same again", err, operator.Refused)
	_, err = o.signIn("admin", "a wrong password", recovery[1], desk)
	o.refused("with a wrong password", err, operator.Refused)
	if token, err = o.signIn("admin", strong, recovery[1], desk); err != nil {
		t.Errorf("a wrong password used a recovery code up: %v", err)
	}
	o.check(o.DisableTOTP(t.Context(), o.who(token)))
	if _, err := o.signIn("admin", strong, "", desk); err != nil {
		t.Errorf("after codes were switched off: %v", err)
	}
}

// TestCodesCannotBeGuessed knows the password and tries codes: the waits are those of passwords.
func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.enrol(o.begin("admin"))
	guesses := 0
	for i := range 100 {
		_, err := o.signIn("admin", strong, fmt.Sprintf("%06d", i), at(fmt.Sprintf("198.51.100.%d", i+1)))
		o.signIn("admin", strong, "", desk) // what is no guess does not begin them anew
		if operator.CodeOf(err) == operator.Wait {
			break
		}
		guesses++
	}
	if guesses > operator.FreeForName {
		t.Errorf("%d codes could be tried at once, want %d", guesses, operator.FreeForName)
	}
}

func TestProof(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	token := o.begin("admin")
	now, _ := o.enrol(token)
	o.clock.Advance(operator.ProofFor)
	_, _, err := o.Invite(t.Context(), o.who(token), "guest", operator.Auditor)
	o.refused("long after signing in", err, operator.Unproved)
	_, err = o.EnrolTOTP(t.Context(), o.who(token))
	o.refused("long after signing in", err, operator.Unproved)
	o.refused("switching codes off", o.DisableTOTP(t.Context(), o.who(token)), operator.Unproved)
	o.refused("a wrong password", o.Prove(t.Context(), o.who(token), "a wrong password", ""), operator.Refused)
	o.refused("nothing", o.Prove(t.Context(), o.who(token), "", ""), operator.Refused)
	code := now()
	o.check(o.Prove(t.Context(), o.who(token), "", code))
	o.refused("the code again", o.Prove(t.Context(), o.who(token), "", code), operator.Refused)
	_, _, err = o.Invite(t.Context(), o.who(token), "guest", operator.Auditor)
	o.check(err)
	o.clock.Advance(operator.ProofFor)
	o.check(o.Prove(t.Context(), o.who(token), strong, ""))
	_, _, err = o.Invite(t.Context(), o.who(token), "guest", operator.Auditor)
	o.refused("the same name", err, operator.Taken)
	_, _, err = o.Invite(t.Context(), o.who(token), "GUEST", operator.Auditor)
	o.refused("the same name in capitals", err, operator.Taken)
}

func TestPasswordChangeEndsOthers(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	token := o.begin("admin")
	second, err := o.signIn("admin", strong, "", desk)
	o.check(err)
	o.refused("a wrong one", o.ChangePassword(t.Context(), o.who(token), "a wrong password", other), operator.Refused)
	o.refused("none", o.ChangePassword(t.Context(), o.who(token), "", other), operator.Refused)
	o.refused("a weak one", o.ChangePassword(t.Context(), o.who(token), strong, "short"), operator.Invalid)
	o.check(o.ChangePassword(t.Context(), o.who(token), strong, other))
	o.who(token)
	o.gone("another browser", second)
	_, err = o.signIn("admin", strong, "", desk)
	o.refused("the old password", err, operator.Refused)
	if _, err := o.signIn("admin", other, "", desk); err != nil {
		t.Error(err)
	}
}

func TestAccountsEndAtOnce(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	admin := o.begin("admin")
	a, token := o.invite(admin, "second", operator.Administrator)
	who := o.who(token)
	_, err := o.Set(t.Context(), o.who(admin), a.ID, operator.Auditor, false, a.Version-1)
	o.refused("an old version", err, operator.Stale)
	a, err = o.Set(t.Context(), o.who(admin), a.ID, operator.Auditor, false, a.Version)
	o.check(err)
	o.gone("another role", token)
	_, _, err = o.Invite(t.Context(), who, "third", operator.Auditor)
	o.refused("by the role of before", err, operator.Absent)
	token, err = o.signIn("second", other, "", desk)
	o.check(err)
	_, _, err = o.Invite(t.Context(), o.who(token), "third", operator.Auditor)
	o.refused("by an auditor", err, operator.Forbidden)
	o.refused("by an auditor", o.EndSignIns(t.Context(), o.who(token), a.ID), operator.Forbidden)
	a, err = o.Set(t.Context(), o.who(admin), a.ID, operator.Auditor, true, a.Version)
	o.check(err)
	o.gone("switched off", token)
	_, err = o.signIn("second", other, "", desk)
	o.refused("switched off", err, operator.Refused)

	me := o.who(admin).Account
	_, err = o.Set(t.Context(), o.who(admin), me.ID, operator.Auditor, false, me.Version)
	o.refused("the last administrator's role", err, operator.Last)
	_, err = o.Set(t.Context(), o.who(admin), me.ID, operator.Administrator, true, me.Version)
	o.refused("the last administrator", err, operator.Last)
	_, err = o.Set(t.Context(), o.who(admin), me.ID, "king", false, me.Version)
	o.refused("a role that is none", err, operator.Invalid)
	o.who(admin) // whom the refusals changed nothing for
}

func TestSignInsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	admin := o.begin("admin")
	a, guest := o.invite(admin, "guest", operator.Auditor)
	list, err := o.SignIns(t.Context(), o.who(guest))
	if err != nil || len(list) != 1 || list[0].Address != "192.0.2.1" || list[0].Agent != "a browser" {
		t.Errorf("sign-ins: %+v, %v", list, err)
	}
	o.refused("another's", o.EndSignIn(t.Context(), o.who(admin), list[0].ID), operator.Absent)
	o.who(guest)
	second, err := o.signIn("guest", other, "", desk)
	o.check(err)
	o.check(o.EndSignIn(t.Context(), o.who(second), list[0].ID))
	o.gone("ended from another browser", guest)
	o.check(o.EndSignIns(t.Context(), o.who(admin), a.ID))
	o.gone("ended by an administrator", second)
	for range operator.MaxSignIns + 5 {
		o.clock.Advance(time.Second)
		if second, err = o.signIn("guest", other, "", desk); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := o.SignIns(t.Context(), o.who(second)); err != nil || len(list) != operator.MaxSignIns {
		t.Errorf("%d sign-ins, %v; want at most %d", len(list), err, operator.MaxSignIns)
	}
}

func TestResetFromTheCommandLine(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	token := o.begin("admin")
	o.enrol(token)
	_, err := o.ResetLink(t.Context(), "nobody")
	o.refused("of nobody", err, operator.Absent)
	link, err := o.ResetLink(t.Context(), "Admin")
	o.check(err)
	o.who(token) // until it is used
	_, fresh, err := o.Begin(t.Context(), link, operator.Beginning{Name: "ignored", Password: other}, desk)
	o.check(err)
	o.gone("from before", token)
	if a := o.who(fresh).Account; a.Name != "admin" || a.TOTP != "" || len(a.Recovery) != 0 {
		t.Errorf("after: %s, codes %v", a.Name, a.TOTP != "")
	}
	entries, err := o.Entries(t.Context(), operator.EntryQuery{Action: "account."})
	if err != nil || len(entries) < 2 || entries[0].Action != "account.begin" || entries[1].Name != "command line" {
		t.Errorf("journal: %+v, %v", entries, err)
	}
	if got, err := o.Verify(t.Context()); err != nil || got.Last == 0 {
		t.Errorf("verify: %+v, %v", got, err)
	}
}

func TestHashesFollowTheCost(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.begin("admin")
	cfg := o.Config
	cfg.Cost = operator.Cost{Memory: 16, Time: 1, Threads: 1}
	dearer, err := operator.New(cfg)
	o.check(err)
	for range 2 {
		a, _, err := dearer.SignIn(t.Context(), "admin", strong, "", desk)
		if err != nil || !strings.HasPrefix(string(a.Password), "$argon2id$v=19$m=16,") {
			t.Errorf("after signing in: %v", err)
		}
	}
}
