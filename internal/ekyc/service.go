package ekyc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"shiren/internal/cnid"
)

// Service is the core's one way in: every gateway, the capture page and the command
// line call it. All fields but Identity, Portrait and Videos are required. Safe for
// concurrent use.
type Service struct {
	Store    Store
	Blobs    Blobs
	Engine   Engine
	Sealer   Sealer
	Identity IdentitySource // nil: plans that compare with an authority are refused
	Portrait PortraitSource // nil: likewise
	Videos   Videos         // nil: recordings of video are refused, and none is kept
	Cards    CardReader     // nil: plans that read an identity document are refused
	Mobile   MobileSource   // nil: a mobile number cannot be checked
	Face     FaceSource     // nil: the local engine compares with Portrait
	Sources  []Source       // those that plans name; the four above are asked where neither plan nor Order names one
	Order    []string       // of Sources, for plans that name none and for direct calls
	Subjects Subjects       // needed by OpenAs and what follows it
	Requests Requests       // needed by Once
	Keys     Keys           // needed by AppKeys
	Counts   Counts         // nil: Purge leaves counts alone
	Observer Observer       // nil: nobody is told
	Records  Records        // needed by what operators do: see operations.go
	Now      func() time.Time
	Rand     io.Reader
	Log      *slog.Logger

	limiter   limiter
	grants    allowance
	sightings sightings
	rehearsed sightings // of sessions in test mode
}

// UploadPixels is the most that an uploaded reference may measure. Baidu H5 seed,
// uploadMatchImage: "图片分辨率小于1920*1080".
const UploadPixels = 1920 * 1080

// MaxImage is the most bytes of an image handed to the core. Seed: 10 MB of base64 text.
const MaxImage = 10 << 20

// SubmitTimeout bounds the analysis of one attempt; it is shorter than AttemptLease.
const SubmitTimeout = 45 * time.Second

// LogID makes an identifier for one request: 19 decimal digits, unguessable.
func (s *Service) LogID() string {
	var b [8]byte
	s.random(b[:])
	const lo = 1_000_000_000_000_000_000
	return strconv.FormatUint(lo+binary.BigEndian.Uint64(b[:])%(8*lo), 10)
}

const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// newToken makes a token of 24 characters, 142 bits. Length as in the seed's examples.
func (s *Service) newToken() Token {
	var b strings.Builder
	var r [32]byte
	for b.Len() < 24 {
		s.random(r[:])
		for _, c := range r {
			if c < 248 && b.Len() < 24 { // 248 = 4*62: no character is likelier
				b.WriteByte(tokenAlphabet[c%62])
			}
		}
	}
	return Token(b.String())
}

// random fills b. A machine without randomness cannot serve, so failure panics.
func (s *Service) random(b []byte) {
	if _, err := io.ReadFull(s.Rand, b); err != nil {
		panic(fmt.Sprintf("no randomness: %v", err))
	}
}

// Grant is the content of an access token.
type Grant struct {
	App     AppID
	Expires time.Time
	Nonce   [4]byte
	Tag     [12]byte // authenticates the rest
}

func (s *Service) tag(g Grant, key string) (tag [12]byte) {
	d := s.Sealer.Digest("access token", fmt.Appendf(nil, "%s\x00%s\x00%d\x00%x", g.App, key, g.Expires.Unix(), g.Nonce))
	copy(tag[:], d)
	return tag
}

// Grant exchanges an app's key and secret for an access grant of AccessWindow. Grants
// do not end each other. Codes: AppUnknown, SecretWrong, AppDisabled.
func (s *Service) Grant(ctx context.Context, key, secret string) (Grant, error) {
	app, err := s.AppByKey(ctx, key)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(app, secret, AccessWindow)
}

// GrantByID is Grant for protocols that name an app by its id and choose how long the
// grant lasts. Each call counts against GrantsPerWindow, kept in this process. Codes beside
// Grant's: LimitRate.
func (s *Service) GrantByID(ctx context.Context, id AppID, secret string, window time.Duration) (Grant, error) {
	app, err := s.AppByID(ctx, id)
	if err != nil {
		return Grant{}, err
	}
	if !s.grants.take(id, s.Now()) {
		return Grant{}, Errorf(LimitRate, "an app may ask for %d access tokens in %s; keep the one that you have", GrantsPerWindow, GrantsWindow)
	}
	return s.grant(app, secret, window)
}

func (s *Service) grant(app App, secret string, window time.Duration) (Grant, error) {
	a, b := sha256.Sum256([]byte(app.Secret)), sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return Grant{}, Errorf(SecretWrong, "the secret does not belong to this app")
	}
	g := Grant{App: app.ID, Expires: s.Now().Add(window).Truncate(time.Second)}
	s.random(g.Nonce[:])
	g.Tag = s.tag(g, app.Key)
	return g, nil
}

// Access returns the app that a grant was given to. Codes: AccessInvalid, AccessExpired,
// AppDisabled, AppUnreviewed, AppExpired. A grant dies with its app and with a change of the app's API key.
func (s *Service) Access(ctx context.Context, g Grant) (App, error) {
	app, err := s.Store.App(ctx, g.App)
	if errors.Is(err, ErrAbsent) {
		return App{}, Errorf(AccessInvalid, "the access token was not made here; get a new one")
	} else if err != nil {
		return App{}, Wrap(Internal, "read app", err)
	}
	want := s.tag(g, app.Key)
	if subtle.ConstantTimeCompare(want[:], g.Tag[:]) != 1 {
		return App{}, Errorf(AccessInvalid, "the access token was not made here; get a new one")
	}
	if !s.Now().Before(g.Expires) {
		return App{}, Errorf(AccessExpired, "the access token's 30 days are over; get a new one")
	}
	return s.standing(app)
}

// AppByKey finds the app of an API key, for exchanging its secret or verifying a
// signature. Codes: AppUnknown, AppDisabled, AppUnreviewed, AppExpired.
func (s *Service) AppByKey(ctx context.Context, key string) (App, error) {
	app, err := s.Store.AppByKey(ctx, key)
	switch {
	case errors.Is(err, ErrAbsent):
		return App{}, Errorf(AppUnknown, "no app has this API key")
	case err != nil:
		return App{}, Wrap(Internal, "read app", err)
	}
	return s.standing(app)
}

// AppByID finds an app by its id. Codes: AppUnknown, AppDisabled, AppExpired, AppUnreviewed.
func (s *Service) AppByID(ctx context.Context, id AppID) (App, error) {
	app, err := s.Store.App(ctx, id)
	switch {
	case errors.Is(err, ErrAbsent):
		return App{}, Errorf(AppUnknown, "no app has this id")
	case err != nil:
		return App{}, Wrap(Internal, "read app", err)
	}
	return s.standing(app)
}

// quota returns nil if app may cause a charge of kind. Codes: QuotaNone, Maintenance,
// Stopped, LimitTotal.
func (s *Service) quota(ctx context.Context, app App, kind ChargeKind) error {
	q, ok := app.Quota[kind]
	if ok && q == 0 {
		return Errorf(QuotaNone, "the app has no quota for %q; the operator can open it", kind)
	}
	if err := s.switched(ctx, kind); err != nil {
		return err
	}
	if !ok || q == Unlimited || app.Test { // a test app has limits of its own, and no real charges
		return nil
	}
	n, err := s.Store.Charged(ctx, app.ID, kind)
	if err != nil {
		return Wrap(Internal, "count charges", err)
	}
	if n >= q {
		return Errorf(LimitTotal, "the app's quota of %d for %q is used up; the operator can raise it", q, kind)
	}
	return nil
}

// payer is the app as the session's charges see it: a Trial uses up no quota.
func (s *Session) payer(app App) App {
	if s.Trial {
		app.Quota = nil
	}
	return app
}

// ChargeOf is what a plan's attempts are charged as.
func (p Plan) ChargeOf() ChargeKind {
	switch p.Comparison {
	case CompareAuthority:
		return ChargeVerify
	case CompareUploaded:
		return ChargeMatch
	}
	return ChargeLive
}

// Open makes a session for one of the app's plans. Codes: BadRequest, PlanUnknown, PlanForeign, SourceMissing,
// Maintenance, Stopped.
func (s *Service) Open(ctx context.Context, app App, plan PlanID, to Redirect) (Session, error) {
	if !utf8.ValidString(to.Success) || !utf8.ValidString(to.Failed) {
		return Session{}, Errorf(BadRequest, "a redirect address is not UTF-8")
	}
	p, err := s.Store.Plan(ctx, plan)
	switch {
	case errors.Is(err, ErrAbsent):
		return Session{}, Errorf(PlanUnknown, "no plan has this id")
	case err != nil:
		return Session{}, Wrap(Internal, "read plan", err)
	case p.App != app.ID:
		return Session{}, Errorf(PlanForeign, "the plan belongs to another app")
	case p.Retired:
		return Session{}, Errorf(PlanUnknown, "the plan was retired and opens no sessions; the operator can bring it back")
	}
	return s.begin(ctx, app, Session{Plan: p, Redirect: to})
}

// Try makes a session of a plan that need not be stored, to try it: the page and the answers
// are real, sources that are asked cost what they cost, and everything kept of it is marked as
// the sandbox's, so that it is charged to no quota and counted in no total. Of an app in test mode it is
// scripted. Codes: those of Open, NotSwitchedOn of a plan that cannot be tried alone.
func (s *Service) Try(ctx context.Context, p Plan) (Session, error) {
	if err := p.Validate(); err != nil {
		return Session{}, Wrap(BadRequest, "the plan has a mistake", err)
	}
	if p.Retired {
		return Session{}, Errorf(PlanUnknown, "the plan was retired and opens no sessions; bring it back first")
	}
	if !p.Triable() {
		return Session{}, Errorf(NotSwitchedOn, "a plan with an image or an identity of the relying party's cannot be tried from the page alone")
	}
	app, err := s.AppByID(ctx, p.App)
	if err != nil {
		return Session{}, err
	}
	return s.begin(ctx, app, Session{Plan: p, Sandbox: true, Trial: !app.Test})
}

// begin makes a session of what ses says.
func (s *Service) begin(ctx context.Context, app App, ses Session) (Session, error) {
	p := ses.Plan
	switch {
	case p.Identity == IdentityDocument && s.Cards == nil:
		return Session{}, Errorf(SourceMissing, "plan %s reads an identity document and this server has no reader", p.ID)
	case p.Comparison == CompareAuthority && !app.Test:
		if err := s.verifiable(p); err != nil {
			return Session{}, err
		}
	}
	if err := s.switched(ctx, p.ChargeOf()); err != nil {
		return Session{}, err
	}
	key, err := s.Sealer.NewKey()
	if err != nil {
		return Session{}, Wrap(Internal, "make data key", err)
	}
	ses.Token, ses.App, ses.Protocol, ses.Opened, ses.Key = s.newToken(), app.ID, viaOf(ctx), s.Now().UTC(), key
	ses.Sandbox = ses.Sandbox || app.Test
	if err := s.Store.CreateSession(ctx, ses); err != nil {
		return Session{}, Wrap(Internal, "store session", err)
	}
	s.counted(ses.CountsSince(Tally{}))
	return ses, nil
}

// session reads a session and hides that it exists from everyone but its owner.
func (s *Service) session(ctx context.Context, t Token) (Session, error) {
	ses, err := s.Store.Session(ctx, t)
	if errors.Is(err, ErrAbsent) {
		return Session{}, errUnknownToken
	} else if err != nil {
		return Session{}, Wrap(Internal, "read session", err)
	}
	return ses, nil
}

// errUnknownToken is said of tokens that were never made and of another app's alike.
var errUnknownToken = Errorf(TokenInvalid, "the token is unknown")

// errErased is said of a session that is erased while something of it was under way.
var errErased = Errorf(TokenInvalid, "the session was erased")

func (s *Service) owned(ctx context.Context, app App, t Token) (Session, error) {
	ses, err := s.session(ctx, t)
	if err == nil && ses.App != app.ID {
		return Session{}, errUnknownToken
	}
	return ses, err
}

// update runs f in the store's atomic update and gives other failures a code.
func (s *Service) update(ctx context.Context, t Token, f func(*Session) error) (Session, error) {
	var before Tally // of what the last run of f was given: the one that is stored
	ses, err := s.Store.UpdateSession(ctx, t, func(ses *Session) error {
		before = ses.Tally()
		return f(ses)
	})
	if errors.Is(err, ErrAbsent) {
		return Session{}, errUnknownToken
	}
	var e *Error
	if err != nil && !errors.As(err, &e) {
		return Session{}, Wrap(Internal, "update session", err)
	}
	if err == nil && s.Observer != nil {
		s.counted(ses.CountsSince(before))
	}
	return ses, err
}

// ParseClaim reads an identity as people type it. Codes: BadName, BadIDNumber, BadDocumentType.
func ParseClaim(name, number string, t DocumentType) (Claim, error) {
	n, err := cnid.ParseName(name)
	if err != nil {
		return Claim{}, &Error{Code: BadName, Detail: err.Error()}
	}
	id, err := cnid.ParseNumber(number)
	if err != nil {
		return Claim{}, &Error{Code: BadIDNumber, Detail: err.Error()}
	}
	switch {
	case t != IDCard && t != ResidencePermit:
		return Claim{}, Errorf(BadDocumentType, "document type %d is not offered; 0 is the identity card, 4 the residence permit", t)
	case (t == ResidencePermit) != id.ResidencePermit():
		return Claim{}, Errorf(BadIDNumber, "the number does not belong to this type of document")
	}
	return Claim{Name: n, Number: id, Type: t}, nil
}

// Declare sets the claimed identity on behalf of the relying party. Codes: TokenInvalid,
// Undecided, NotSwitchedOn.
func (s *Service) Declare(ctx context.Context, app App, t Token, c Claim) error {
	return s.declare(ctx, t, c, func(ses *Session) error {
		if ses.App != app.ID {
			return errUnknownToken
		}
		return nil
	})
}

// DeclareFirst is Declare for whoever holds the token alone, as older clients call it.
// It sets a first identity and replaces none, so that nobody who was given the page's
// address can change what the relying party said. Codes: those of Declare, AccessMissing,
// AppDisabled, LimitRate, LimitDay.
func (s *Service) DeclareFirst(ctx context.Context, t Token, c Claim) error {
	ses, err := s.session(ctx, t)
	if err != nil {
		return err
	}
	app, err := s.Store.App(ctx, ses.App)
	if err != nil {
		return Wrap(Internal, "read app", err)
	}
	if app, err = s.standing(app); err != nil {
		return err
	}
	if err := s.Admit(ctx, app); err != nil {
		return err
	}
	return s.declare(ctx, t, c, func(ses *Session) error {
		if ses.Claim != nil {
			return Errorf(AccessMissing, "an identity was declared already; send access_token to replace it")
		}
		return nil
	})
}

func (s *Service) declare(ctx context.Context, t Token, c Claim, may func(*Session) error) error {
	_, err := s.update(ctx, t, func(ses *Session) error {
		if err := may(ses); err != nil {
			return err
		}
		if err := ses.Usable(s.Now()); err != nil {
			return err
		}
		if ses.Plan.Identity != IdentityDeclared {
			return Errorf(NotSwitchedOn, "the plan does not take the identity from the relying party")
		}
		if err := ses.rehearse(c.Number); err != nil {
			return err
		}
		ses.Claim = &c
		return nil
	})
	return err
}

// Enrol sets the reference image on behalf of the relying party, after checking it at
// the levels asked for. It replaces an earlier one.
func (s *Service) Enrol(ctx context.Context, app App, t Token, image []byte, quality, liveness Level) error {
	ses, err := s.owned(ctx, app, t)
	if err != nil {
		return err
	}
	if err := ses.Usable(s.Now()); err != nil {
		return err
	}
	if ses.Plan.Comparison != CompareUploaded {
		return Errorf(NotSwitchedOn, "the plan does not compare with an uploaded image")
	}
	scripted, x, err := s.examineReference(ctx, ses, Picture{Image: image, Quality: quality, Liveness: liveness})
	if err != nil {
		return err
	}
	if x.Width*x.Height > UploadPixels {
		return Errorf(ImagePixels, "the image has %d x %d pixels; at most 1920 x 1080 are accepted", x.Width, x.Height)
	}
	// Each upload has a name of its own, so that a late one cannot replace the image
	// that an attempt was decided on.
	var n [8]byte
	s.random(n[:])
	ev, err := s.keep(ctx, &ses, EvidenceReference, 0, int64(binary.BigEndian.Uint64(n[:])), image, ses.Opened.Add(TokenWindow+ResultKept))
	if err != nil {
		return err
	}
	var old *Reference
	_, err = s.update(ctx, t, func(ses *Session) error {
		if err := ses.Usable(s.Now()); err != nil {
			return err
		}
		old = ses.Reference
		ses.Reference = &Reference{Evidence: ev, Scripted: scripted}
		if len(x.Faces) > 0 {
			ses.Reference.Template = x.Faces[0].Template
		}
		return nil
	})
	switch {
	case err != nil:
		old = &Reference{Evidence: ev} // the new image is the one to erase
	case old == nil:
		return nil
	}
	if derr := s.Blobs.Delete(ctx, old.Evidence.Ref); derr != nil {
		s.Log.WarnContext(ctx, "a replaced reference image was not erased; it stays sealed until its key is dropped", "err", derr)
	}
	return err
}

// Picture is an image with the strictness to examine it at.
type Picture struct {
	Image             []byte
	Quality, Liveness Level
}

// examine measures one picture of a face and applies the controls asked for. The
// result has at least one face, with a template.
func (s *Service) examine(ctx context.Context, p Picture) (Examination, error) {
	want := WantTemplate
	if p.Quality != LevelNone {
		want |= WantPose | WantEyes
	}
	if p.Liveness != LevelNone {
		want |= WantLiveness
	}
	x, err := s.Engine.Examine(ctx, p.Image, want)
	if err != nil {
		return x, err
	}
	// A still picture may show bystanders: the largest face is meant.
	alone := x
	alone.Faces = x.Faces[:min(1, len(x.Faces))]
	if c := Judge(alone, want, p.Quality); c != OK {
		return x, Errorf(c, "the picture does not reach the quality asked for (%s)", c)
	}
	if want&WantLiveness != 0 && x.Faces[0].Live < LiveAt(p.Liveness) {
		return x, Errorf(RefLiveness, "the picture does not pass the liveness control asked for")
	}
	return x, nil
}

// Compared is the answer of Compare.
type Compared struct {
	Comparison Comparison
	A, B       Examination
	LogID      string
}

// Compare compares the largest faces of two pictures directly, without a session, and
// charges one match once an answer was reached. Codes: Image*, quality codes,
// RefLiveness, QuotaNone, EngineFailed, Busy.
func (s *Service) Compare(ctx context.Context, app App, a, b Picture, logID string) (Compared, error) {
	if err := s.quota(ctx, app, ChargeMatch); err != nil {
		return Compared{}, err
	}
	d := Direct{ID: logID, Protocol: viaOf(ctx), App: app.ID, Kind: ChargeMatch, At: s.Now().UTC(), Sandbox: app.Test}
	c, err := s.rehearseCompare(app, a, b)
	if c == nil && err == nil {
		var real Compared
		real, err = s.compare(ctx, a, b)
		c = &real
	}
	if err != nil {
		return Compared{}, s.record(ctx, d, err)
	}
	c.LogID = logID
	d.Answered, d.Compared, d.Score = true, true, c.Comparison.Score
	d.Outcome, d.Why = answer{identity: Match, compared: true, comparison: c.Comparison}.outcome(ElementsMatchAt)
	return *c, s.record(ctx, d, nil)
}

func (s *Service) compare(ctx context.Context, a, b Picture) (Compared, error) {
	var c Compared
	var errA, errB error
	var wg sync.WaitGroup
	wg.Go(func() { c.A, errA = s.examine(ctx, a) })
	c.B, errB = s.examine(ctx, b)
	wg.Wait()
	if errA != nil {
		return c, errA
	}
	if errB != nil {
		return c, errB
	}
	var err error
	c.Comparison, err = s.Engine.Compare(c.A.Faces[0].Template, c.B.Faces[0].Template)
	return c, Wrap(EngineFailed, "compare", err)
}

// Attend reads a session for the capture page. Code: TokenInvalid once nothing may be
// shown of it any more.
func (s *Service) Attend(ctx context.Context, t Token) (Session, error) {
	ses, err := s.session(ctx, t)
	if err != nil {
		return Session{}, err
	}
	if ses.State(s.Now()) == Gone {
		return Session{}, Errorf(TokenInvalid, "the token is %s", Gone)
	}
	return ses, nil
}

// Arrive is Attend for the page's first call: it notes when the page was loaded first. Where
// that cannot be written the page is shown all the same.
func (s *Service) Arrive(ctx context.Context, t Token) (Session, error) {
	ses, err := s.Attend(ctx, t)
	if err != nil || !ses.Attended.IsZero() {
		return ses, err
	}
	next, err := s.update(ctx, t, func(ses *Session) error {
		if ses.Attended.IsZero() {
			ses.Attended = s.Now().UTC()
		}
		return nil
	})
	if err != nil {
		s.Log.WarnContext(ctx, "that the page was loaded could not be noted; statistics will miss it", "err", err)
		return ses, nil
	}
	return next, nil
}

// Agree records that the capture subject agreed to the plan's authorisation text.
// The version must be the one that the session's plan shows.
func (s *Service) Agree(ctx context.Context, t Token, version string) error {
	ses, err := s.session(ctx, t)
	if err != nil {
		return err
	}
	if ses.Purpose != PurposeFace {
		return s.settle(ctx, ses, version)
	}
	_, err = s.update(ctx, t, func(ses *Session) error {
		now := s.Now().UTC()
		if err := ses.Usable(now); err != nil {
			return err
		}
		if version != ses.Plan.Consent.Version {
			return errOtherText
		}
		if ses.Agreement == nil {
			ses.Agreement = &Agreement{Version: version, At: now}
		}
		return nil
	})
	return err
}

// Enter sets the claimed identity as typed by the capture subject.
func (s *Service) Enter(ctx context.Context, t Token, c Claim) error {
	_, err := s.update(ctx, t, func(ses *Session) error {
		if err := ses.Usable(s.Now()); err != nil {
			return err
		}
		if ses.Plan.Identity != IdentityEntered {
			return Errorf(NotSwitchedOn, "the plan does not ask the capture subject for an identity")
		}
		if ses.Agreement == nil {
			return Errorf(ConsentMissing, "the capture subject has not agreed to the authorisation text")
		}
		if err := ses.rehearse(c.Number); err != nil {
			return err
		}
		ses.Claim = &c
		return nil
	})
	return err
}

// Challenge draws a challenge of a kind that the session's plan allows and stores it; an
// earlier one is void. Codes: those of Session.Ready, NotSwitchedOn.
func (s *Service) Challenge(ctx context.Context, t Token, kind LivenessKind) (Challenge, error) {
	ses, err := s.session(ctx, t)
	if err != nil {
		return Challenge{}, err
	}
	c, id := Draw(kind, ses.Plan, s.Rand, s.Now().UTC()), s.LogID()
	_, err = s.update(ctx, t, func(ses *Session) error { return ses.Ask(s.Now().UTC(), c, id) })
	if err != nil {
		return Challenge{}, err
	}
	return c, nil
}

// Look measures one camera frame for a Presentation.
func (s *Service) Look(ctx context.Context, frame []byte, want Want) (Examination, error) {
	return s.Engine.Examine(ctx, frame, want)
}

// Follow measures one camera frame and shows it to a presentation: a whole step for callers
// that look at one frame after the other.
func (s *Service) Follow(ctx context.Context, w *Presentation, f Frame) (Advice, Examination, error) {
	x, err := s.Look(ctx, f.Image, w.Wants())
	if err != nil {
		return Advice{}, x, err
	}
	return w.Observe(f, x), x, nil
}

// Abandon records a presentation that did not come about: CameraRefused, Cancelled,
// TimedOut or Interrupted. Any other code is BadRequest.
func (s *Service) Abandon(ctx context.Context, t Token, code Code) error {
	switch code {
	case CameraRefused, Cancelled, TimedOut, Interrupted:
	default:
		return Errorf(BadRequest, "%q does not end a presentation", code)
	}
	id := s.LogID()
	ses, err := s.update(ctx, t, func(ses *Session) error { return ses.Fail(s.Now().UTC(), code, id) })
	if err == nil {
		s.ended(&ses, ses.Attempts[len(ses.Attempts)-1])
	}
	return err
}

// Submit makes one attempt of a presentation and returns it decided. Its challenge must
// be the session's last one, unused and in time: that is checked, and the challenge used
// up, in the update that begins the attempt. Once begun, the attempt is finished even if
// ctx ends, and an attempt whose engine or source failed is finished as failed. Codes:
// those of Session.Answer, BadRequest.
func (s *Service) Submit(ctx context.Context, t Token, p Presented) (Attempt, error) {
	if len(p.Frames) == 0 || p.Kind.Recorded() {
		return Attempt{}, Errorf(BadRequest, "a live presentation has at least one frame")
	}
	return s.attempt(ctx, t, p.Challenge, p.Kind, func(ctx context.Context, ses *Session, ordinal int, c Challenge) Findings {
		return s.findings(ctx, ses, ordinal, c.asked(p.Started, p.Shown), p, nil)
	})
}

// attempt begins, finds and finishes.
func (s *Service) attempt(ctx context.Context, t Token, challenge string, kind LivenessKind, find func(context.Context, *Session, int, Challenge) Findings) (Attempt, error) {
	logID, ordinal := s.LogID(), 0
	var c Challenge
	ses, err := s.update(ctx, t, func(ses *Session) (err error) {
		ordinal, c, err = ses.Answer(s.Now().UTC(), challenge, kind, logID)
		return err
	})
	if err != nil {
		return Attempt{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SubmitTimeout)
	defer cancel()
	var f Findings
	if scene, ok := ses.scene(); ok {
		f = s.act(ctx, &ses, ordinal, scene)
	} else {
		f = find(ctx, &ses, ordinal, c)
	}
	var a Attempt
	_, err = s.update(ctx, t, func(ses *Session) (err error) {
		a, err = ses.Finish(s.Now().UTC(), ordinal, f)
		return err
	})
	if err == nil {
		s.ended(&ses, a)
	} else {
		s.unkept(ctx, f.Evidence, err)
	}
	if err == nil && a.Outcome == Match && ses.Subject != "" {
		s.certify(ctx, &ses)
	}
	return a, err
}

// unkept deletes the evidence of something that was not stored because its session was
// erased meanwhile: nobody else knows its names. After other failures a purge finds it.
func (s *Service) unkept(ctx context.Context, list []Evidence, why error) {
	if CodeOf(why) != TokenInvalid {
		return
	}
	for _, e := range list {
		if err := s.Blobs.Delete(ctx, e.Ref); err != nil {
			s.Log.WarnContext(ctx, "an image of an erased session was not deleted; it cannot be opened", "err", err)
		}
	}
}

// fail turns an error of the engine or a source into a finding and logs its cause.
func (s *Service) fail(ctx context.Context, f *Findings, fallback Code, doing string, err error) {
	code := CodeOf(err)
	if code == Internal || code == OK {
		code = fallback
	}
	f.Failure = code
	s.Log.ErrorContext(ctx, "attempt without an answer", "doing", doing, "code", string(code), "err", err)
}

// findings measures a presentation and asks the sources that its plan names, stopping
// where decide will stop. recording is the upload of a recorded kind, nil otherwise.
func (s *Service) findings(ctx context.Context, ses *Session, ordinal int, c Challenge, p Presented, recording []byte) (f Findings) {
	defer func() {
		if r := recover(); r != nil {
			s.fail(ctx, &f, Internal, "analyse", fmt.Errorf("panic: %v", r))
		}
	}()
	app, err := s.Store.App(ctx, ses.App)
	if err == nil {
		err = s.quota(ctx, ses.payer(app), ses.Plan.ChargeOf())
	}
	if err != nil {
		s.fail(ctx, &f, Internal, "check quota", err)
		return f
	}
	judged := make(chan Response, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				s.Log.ErrorContext(ctx, "judging a challenge failed", "err", r)
				judged <- Response{Kind: c.Kind, Code: ChallengeUnmet, Chance: 1, Why: "the judge failed"}
			}
		}()
		judged <- c.Judge(ses.Plan.LivenessLevel, p.Samples)
	}()
	video := s.video(ctx, ses.Plan, p, recording)
	probe, best, templates, ok := s.probe(ctx, ses.Plan, p.Frames, &f)
	response := <-judged
	f.Response = &response
	if !ok {
		return f
	}
	if c.Kind == LivenessDistance && response.Code == OK {
		if response, err = s.relief(ctx, c, p, response); err != nil {
			s.fail(ctx, &f, EngineFailed, "compare the presentation's perspective", err)
			return f
		}
	}
	if f.Changed, err = s.changed(ctx, templates, p); err != nil {
		s.fail(ctx, &f, EngineFailed, "compare the presentation's faces", err)
		return f
	}
	f.Risk = s.assess(ctx, ses, ordinal, p, probe, &f)
	now := s.Now().UTC()
	for i, fr := range best {
		kind, until := EvidenceFace, now.Add(ResultKept)
		if i > 0 {
			kind, until = EvidenceFrame, now.Add(MediaKept)
			if !ses.Plan.KeepMedia || i >= MediaImages {
				break
			}
		}
		ev, err := s.keep(ctx, ses, kind, ordinal, int64(i), fr.Image, until)
		if err != nil {
			s.fail(ctx, &f, Internal, "keep evidence", err)
			return f
		}
		f.Evidence = append(f.Evidence, ev)
	}
	if data := <-video; data != nil {
		ev, err := s.keep(ctx, ses, EvidenceVideo, ordinal, 0, data, now.Add(MediaKept))
		if err != nil {
			s.fail(ctx, &f, Internal, "keep video", err)
			return f
		}
		f.Evidence = append(f.Evidence, ev)
	}
	if f.liveness(ses.Plan.liveAt(p.Kind)) != OK {
		return f
	}
	f.Printed = s.printed(ctx, ses, probe)
	var ref Template
	switch ses.Plan.Comparison {
	case CompareNone:
		return f
	case CompareUploaded:
		ref, err = s.reference(ctx, ses)
		if err != nil {
			s.fail(ctx, &f, Internal, "read reference", err)
			return f
		}
	case CompareAuthority:
		if ses.scripted() { // knows nobody but its own cases, and asks nobody
			f.Identity = NoRecord
			return f
		}
		s.authority(ctx, ses, ordinal, best[0].Image, probe, &f)
		return f
	}
	f.Comparison, err = s.Engine.Compare(probe, ref)
	if err != nil {
		s.fail(ctx, &f, EngineFailed, "compare", err)
		return f
	}
	f.Compared = true
	return f
}

// fewAtOnce is how many frames of one presentation are examined at a time. All at once would
// put every live capture's next look behind them. Our choice.
const fewAtOnce = 2

// few does n things, fewAtOnce at a time.
func few(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, fewAtOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// MediaImages is how many images of a presentation the media call shows. Seed: "4张人脸图片".
const MediaImages = 4

// probe examines the frames and fuses the usable ones: the quality-weighted mean of
// their templates, the mean of their liveness. It returns the frames with their
// templates, best first.
func (s *Service) probe(ctx context.Context, p Plan, frames []Frame, f *Findings) (Template, []Frame, []Template, bool) {
	if len(frames) > ProbeFrames {
		frames = frames[:ProbeFrames]
	}
	xs := make([]Examination, len(frames))
	errs := make([]error, len(frames))
	few(len(frames), func(i int) { xs[i], errs[i] = s.Engine.Examine(ctx, frames[i].Image, WantAll) })
	var templates []Template
	var weights []float64
	var used []Frame
	var live Score
	worst := NoFace
	for i, x := range xs {
		if errs[i] != nil {
			s.fail(ctx, f, EngineFailed, "examine frame", errs[i])
			continue
		}
		if c := Judge(x, WantAll, p.QualityLevel); c != OK {
			worst = c
			continue
		}
		face := x.Faces[0]
		templates = append(templates, face.Template)
		weights = append(weights, max(face.Quality.Value, 0.01))
		used = append(used, frames[i])
		live += face.Live
	}
	if len(used) == 0 {
		if f.Failure == OK {
			f.Failure = worst
		}
		return Template{}, nil, nil, false
	}
	f.Failure = OK
	f.Measured, f.Live = true, live/Score(len(used))
	t, err := s.Engine.Fuse(templates, weights)
	if err != nil {
		s.fail(ctx, f, EngineFailed, "fuse templates", err)
		return Template{}, nil, nil, false
	}
	return t, used, templates, true
}

// reference returns the template of the uploaded image, made anew if the embedding
// model has changed since.
func (s *Service) reference(ctx context.Context, ses *Session) (Template, error) {
	if ses.Reference.Template.Model == s.Engine.Model() {
		return ses.Reference.Template, nil
	}
	image, err := s.open(ctx, ses, ses.Reference.Evidence)
	if err != nil {
		return Template{}, err
	}
	x, err := s.examine(ctx, Picture{Image: image, Quality: LevelNone, Liveness: LevelNone})
	if err != nil {
		return Template{}, err
	}
	return x.Faces[0].Template, nil
}

// authority asks the plan's sources about the claim and the probe.
func (s *Service) authority(ctx context.Context, ses *Session, ordinal int, image []byte, probe Template, f *Findings) {
	a, err := s.verify(WithCall(ctx, ses.Attempts[ordinal-1].LogID), ses.Plan, *ses.Claim, image, probe, &f.Asked)
	if err != nil {
		s.fail(ctx, f, SourceFailed, "ask the sources", err)
		return
	}
	f.Identity, f.Portrait, f.Compared, f.Comparison = a.identity, a.portrait, a.compared, a.comparison
}

// keep seals bytes as evidence of a session. The blob's name follows from what it is,
// so that a purge finds also what an interrupted attempt left.
func (s *Service) keep(ctx context.Context, ses *Session, kind EvidenceKind, attempt int, index int64, data []byte, until time.Time) (Evidence, error) {
	ref := s.blobRef(ses.Token, kind, attempt, index)
	sealed, err := s.Sealer.Seal(ses.Key, data, []byte(ref))
	if err != nil {
		return Evidence{}, Wrap(Internal, "seal evidence", err)
	}
	if err := s.Blobs.Put(ctx, ref, sealed); err != nil {
		return Evidence{}, Wrap(Internal, "store evidence", err)
	}
	sum := sha256.Sum256(data)
	return Evidence{
		Ref: ref, Kind: kind, Attempt: attempt, Type: imageType(data), Size: len(data),
		SHA256: hex.EncodeToString(sum[:]), Until: until,
	}, nil
}

func (s *Service) blobRef(t Token, kind EvidenceKind, attempt int, index int64) string {
	d := s.Sealer.Digest("evidence", fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d", t.Digest(), kind, attempt, index))
	return hex.EncodeToString(d[:16])
}

// imageType names the MIME type of image bytes that the engine has read.
func imageType(b []byte) string {
	switch {
	case len(b) > 3 && b[0] == 0xff && b[1] == 0xd8:
		return "image/jpeg"
	case len(b) > 8 && string(b[1:4]) == "PNG":
		return "image/png"
	case len(b) > 12 && string(b[8:12]) == "WEBP":
		return "image/webp"
	}
	return videoType(b)
}

func (s *Service) open(ctx context.Context, ses *Session, e Evidence) ([]byte, error) {
	sealed, err := s.Blobs.Get(ctx, e.Ref)
	if errors.Is(err, ErrAbsent) {
		return nil, Errorf(EvidenceGone, "the image was erased")
	} else if err != nil {
		return nil, Wrap(Internal, "read evidence", err)
	}
	data, err := s.Sealer.Open(ses.Key, sealed, []byte(e.Ref))
	return data, Wrap(Internal, "open sealed evidence", err)
}

// Result reads a session for its relying party after the capture. Codes: TokenInvalid
// (unknown, another app's, gone), QuotaNone (the interface that the plan needs is not
// open to the app: FAQ 2), LimitTotal (its quota is used up), Undecided (the first attempt is running), NotStarted (none was made).
func (s *Service) Result(ctx context.Context, app App, t Token) (Session, error) {
	ses, err := s.owned(ctx, app, t)
	if err != nil {
		return Session{}, err
	}
	now := s.Now()
	if ses.State(now) == Gone {
		return Session{}, Errorf(TokenInvalid, "the token is %s", Gone)
	}
	needs := []ChargeKind{ses.Plan.ChargeOf()}
	if ses.Plan.Identity == IdentityDocument {
		needs = append(needs, ChargeOCR)
	}
	for _, kind := range needs {
		if slices.ContainsFunc(ses.Charges(), func(c Charge) bool { return c.Kind == kind }) {
			continue // it was paid for
		}
		if err := s.quota(ctx, app, kind); err != nil {
			return Session{}, err
		}
	}
	if ses, err = s.play(ctx, ses); err != nil {
		return Session{}, err
	}
	if len(ses.Verifications(now)) == 0 {
		if ses.State(now) == Running {
			return Session{}, Errorf(Undecided, "the attempt is under way; ask again in a moment")
		}
		return Session{}, Errorf(NotStarted, "the capture subject has not been verified yet; open the H5 page first")
	}
	return ses, nil
}

// Evidence reads one evidence item of a session. Codes: TokenInvalid, EvidenceGone.
func (s *Service) Evidence(ctx context.Context, t Token, ref string) ([]byte, Evidence, error) {
	ses, err := s.Attend(ctx, t)
	if err != nil {
		return nil, Evidence{}, err
	}
	for _, e := range ses.Evidence {
		if e.Ref == ref && s.Now().Before(e.Until) {
			data, err := s.open(ctx, &ses, e)
			return data, e, err
		}
	}
	return nil, Evidence{}, Errorf(EvidenceGone, "the image was not kept, or was erased when it was due")
}

// SignLink makes the signature of a link to something until a moment; CheckLink
// verifies it in constant time and says EvidenceGone for a forged or a stale one.
func (s *Service) SignLink(what string, until time.Time) string {
	d := s.Sealer.Digest("link", fmt.Appendf(nil, "%s\x00%d", what, until.Unix()))
	return hex.EncodeToString(d[:16])
}

// CheckLink verifies a signature of SignLink.
func (s *Service) CheckLink(what string, until time.Time, sign string) error {
	if subtle.ConstantTimeCompare([]byte(s.SignLink(what, until)), []byte(sign)) != 1 || !s.Now().Before(until) {
		return Errorf(EvidenceGone, "the link is not valid or no longer valid; ask for a new one")
	}
	return nil
}
