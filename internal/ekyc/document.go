package ekyc

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shiren/internal/cnid"
)

// Limits of reading a document. Our choices.
const (
	// MaxReadings bounds the readings begun for one session: each costs about a second of
	// a core. Five tries a side, and as many again after a claim that did not check out.
	MaxReadings = 20
	// ReadingTimeout bounds one reading: OCR.md measured 1.2 to 1.5 s of a core a side.
	ReadingTimeout = 20 * time.Second
	// MaxWatches bounds how often a session's document is watched for, and WatchCardTimeout
	// how long each time: glances cost a sixth of a core while they last.
	MaxWatches       = 60
	WatchCardTimeout = time.Minute
)

// Sides are the sides of the document that the plan reads, in the order in which they are
// asked for; none where the identity comes from elsewhere.
func (p Plan) Sides() []CardSide {
	switch {
	case p.Identity != IdentityDocument:
		return nil
	case p.DocumentBack:
		return []CardSide{CardFront, CardBack}
	}
	return []CardSide{CardFront}
}

// Fields lists what is printed on a side, in the order in which it is printed.
func (s CardSide) Fields() []CardField {
	if s == CardBack {
		return []CardField{CardAuthority, CardIssued, CardExpires, CardPass, CardTimes}
	}
	return []CardField{CardName, CardGender, CardNation, CardBirthday, CardAddress, CardNumber}
}

// CardRecord is a side of the capture subject's document as a session holds it.
type CardRecord struct {
	Reading  CardReading // without its images
	Crop     string      // Evidence.Ref of the rectified side
	Portrait string      // Evidence.Ref of the printed portrait; "" where there is none
	LogID    string      // of the call that read it
}

// Document is what a session holds of the capture subject's identity document.
type Document struct {
	Front, Back *CardRecord // the last that were readable; nil until then
	// Confirmed is what the capture subject confirmed or corrected, having been shown what
	// was read: every field of the sides, birthday and gender as the number has them; nil
	// until then. It stands beside what was read and replaces nothing.
	Confirmed map[CardField]string
}

func (d *Document) side(s CardSide) *CardRecord {
	switch {
	case d == nil:
		return nil
	case s == CardBack:
		return d.Back
	}
	return d.Front
}

// Read is a field as it was read; the zero value where the side or the field was not.
func (d *Document) Read(f CardField) CardWord {
	for _, s := range []CardSide{CardFront, CardBack} {
		if r := d.side(s); r != nil {
			if w, ok := r.Reading.Words[f]; ok {
				return w
			}
		}
	}
	return CardWord{}
}

// Surely is a field as it may be presented to the relying party: as it was read, or,
// where that is doubtful, as the capture subject confirmed it, "" until they did.
func (d *Document) Surely(f CardField) string {
	w := d.Read(f)
	if w.Doubtful {
		return d.Confirmed[f]
	}
	return w.Value
}

// cardCodes says why a picture is no reading. CardReadable is not among them.
var cardCodes = map[CardStatus]Code{
	CardWrongSide: DocumentWrongSide, CardNone: DocumentNone, CardOther: DocumentOther, CardBlurred: DocumentBlurred,
	CardCut: DocumentCut, CardGlare: DocumentGlare, CardDark: DocumentDark,
}

// codeOf is why a reading of the side that was asked for cannot be used, or OK.
func (r CardReading) codeOf(side CardSide) Code {
	switch {
	case r.Status == CardReadable && r.Side != side:
		return DocumentWrongSide
	case r.Status == CardReadable:
		return OK
	}
	if c, ok := cardCodes[r.Status]; ok {
		return c
	}
	return DocumentNone
}

// MayRead says whether the document may be read or confirmed at now. Codes: those of
// Usable; NotSwitchedOn, ConsentMissing, TokenInvalid after MaxAttempts.
func (s *Session) MayRead(now time.Time) error {
	if err := s.Usable(now); err != nil {
		return err
	}
	switch {
	case s.Plan.Identity != IdentityDocument:
		return Errorf(NotSwitchedOn, "the plan does not read an identity document")
	case s.Agreement == nil:
		return Errorf(ConsentMissing, "the capture subject has not agreed to the authorisation text")
	case len(s.Attempts) >= MaxAttempts:
		return Errorf(TokenInvalid, "the token had its %d attempts", MaxAttempts)
	}
	return nil
}

// beginReading counts a reading before it is made, so that many at once cannot exceed
// MaxReadings. Codes: those of Usable; NotSwitchedOn, ConsentMissing, DocumentTries.
func (s *Session) beginReading(now time.Time, side CardSide) (try int, err error) {
	if err := s.MayRead(now); err != nil {
		return 0, err
	}
	switch {
	case !slices.Contains(s.Plan.Sides(), side):
		return 0, Errorf(NotSwitchedOn, "the plan does not read this side of the document")
	case s.Tries >= MaxReadings:
		return 0, Errorf(DocumentTries, "the token had its %d readings of a document", MaxReadings)
	}
	s.Tries++
	return s.Tries, nil
}

// sideRead is what came of one reading.
type sideRead struct {
	try      int
	side     CardSide
	logID    string
	code     Code       // why it is not used; OK
	answered bool       // the reader read the side: it is charged
	record   CardRecord // where code is OK
	evidence []Evidence // likewise
}

// finishReading records a reading: its call, its charge, and the side that was read in
// place of an earlier reading of it, which voids what was confirmed. It returns the
// evidence that nothing refers to any more, and why the side was not kept if the session
// went on meanwhile: call and charge are recorded all the same.
func (s *Session) finishReading(now time.Time, r sideRead) (void []Evidence, late error) {
	attempt := len(s.Attempts) + 1 // it belongs to the attempt that follows
	s.Calls = append(s.Calls, Call{Interface: CallOCR, Code: r.code, At: now, LogID: r.logID, Attempt: attempt})
	if r.answered {
		s.Read = append(s.Read, Charge{
			ID: s.Token.Digest()[:32] + "-ocr-" + strconv.Itoa(r.try), App: s.App, Plan: s.Plan.ID, Kind: ChargeOCR,
			At: now, LogID: r.logID, Attempt: attempt, Sandbox: s.Sandbox,
		})
	}
	if r.code != OK {
		return r.evidence, nil
	}
	if err := s.MayRead(now); err != nil { // an attempt stands on what was confirmed before it
		return r.evidence, err
	}
	var d Document
	if s.Document != nil {
		d = *s.Document // attempts share what it points to
	}
	old := d.side(r.side)
	if r.side == CardBack {
		d.Back = &r.record
	} else {
		d.Front = &r.record
	}
	d.Confirmed, s.Claim = nil, nil
	s.Document = &d
	s.Evidence = append(s.Evidence, r.evidence...)
	if old == nil || slices.ContainsFunc(s.Attempts, func(a Attempt) bool {
		x := a.Document.side(r.side)
		return x != nil && x.LogID == old.LogID
	}) {
		return nil, nil
	}
	s.Evidence = slices.DeleteFunc(s.Evidence, func(e Evidence) bool {
		if e.Ref != "" && (e.Ref == old.Crop || e.Ref == old.Portrait) {
			void = append(void, e)
			return true
		}
		return false
	})
	return void, nil
}

// Confirm takes what the capture subject says that their document says: the name and the
// number become the claim. A field that was read doubtfully must be given, others may be;
// birthday and gender follow from the number. Codes: those of Usable; NotSwitchedOn,
// ConsentMissing, ClaimMissing (a side was not read yet), DocumentDoubtful (a doubtful
// field was left out), BadName, BadIDNumber, BadDocumentField, DocumentExpired.
func (s *Session) Confirm(now time.Time, given map[CardField]string) error {
	if err := s.MayRead(now); err != nil {
		return err
	}
	all := map[CardField]string{}
	known := map[CardField]bool{}
	for _, side := range s.Plan.Sides() {
		r := s.Document.side(side)
		if r == nil {
			return Errorf(ClaimMissing, "the %s of the document has not been read yet", side)
		}
		for _, f := range side.Fields() {
			known[f] = true
			w := r.Reading.Words[f]
			v, said := given[f]
			switch {
			case f == CardBirthday || f == CardGender: // of the number, below
			case said:
				all[f] = strings.TrimSpace(v)
			case w.Doubtful:
				return Errorf(DocumentDoubtful, "%s was not surely read; it must be confirmed or corrected", f)
			default:
				all[f] = w.Value
			}
		}
	}
	for f := range given {
		if !known[f] {
			return Errorf(BadRequest, "a field that is not on the sides that the plan reads")
		}
	}
	c, err := parseCard(all[CardName], all[CardNumber])
	if err != nil {
		return err
	}
	all[CardName], all[CardNumber] = string(c.Name), string(c.Number)
	all[CardBirthday], all[CardGender] = c.Number.Birth().Format(cardDate), "男"
	if c.Number.Female() {
		all[CardGender] = "女"
	}
	for _, f := range slices.Sorted(maps.Keys(all)) {
		if !f.holds(all[f]) {
			return Errorf(BadDocumentField, "%s does not look like what is printed there", f)
		}
	}
	if s.Plan.DocumentBack {
		last := CardReading{Words: map[CardField]CardWord{CardExpires: {Value: all[CardExpires]}}}
		if last.Expired(now) {
			return Errorf(DocumentExpired, "the document is no longer valid")
		}
	}
	d := *s.Document
	d.Confirmed = all
	s.Document, s.Claim = &d, &c
	return nil
}

// parseCard is ParseClaim with the type of document that the number belongs to.
func parseCard(name, number string) (Claim, error) {
	t := IDCard
	if n, err := cnid.ParseNumber(number); err == nil && n.ResidencePermit() {
		t = ResidencePermit
	}
	return ParseClaim(name, number, t)
}

// cardDate is how dates of a document are written.
const cardDate = "20060102"

// Lengths of what is printed on a document, in characters. Our choices: the longest
// address of three printed lines has 35 characters; addresses of several scripts are
// longer.
const (
	maxAddress   = 120
	maxAuthority = 60
	maxNation    = 10
	maxPass      = 20
	maxTimes     = 2
)

// holds reports whether a text can be what is printed in a field; nothing can, where it
// was not read.
func (f CardField) holds(v string) bool {
	if !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
		return false
	}
	n := utf8.RuneCountInString(v)
	switch f {
	case CardIssued, CardExpires:
		if v == "" || f == CardExpires && v == CardForever {
			return true
		}
		_, err := time.Parse(cardDate, v)
		return err == nil
	case CardAddress:
		return n <= maxAddress
	case CardAuthority:
		return n <= maxAuthority
	case CardNation:
		return n <= maxNation
	case CardPass:
		return n <= maxPass
	case CardTimes:
		return n <= maxTimes
	}
	return true
}

// Item finds evidence by its reference.
func (s *Session) Item(ref string) (Evidence, bool) {
	for _, e := range s.Evidence {
		if e.Ref == ref && ref != "" {
			return e, true
		}
	}
	return Evidence{}, false
}

// Readings are the OCR calls and charges that belong to an attempt: those made for it
// and for attempts after the ordinal before.
func (s *Session) Readings(before, ordinal int) (calls []Call, charges []Charge) {
	for _, c := range s.Calls {
		if c.Interface == CallOCR && c.Attempt > before && c.Attempt <= ordinal {
			calls = append(calls, c)
		}
	}
	for _, c := range s.Read {
		if c.Attempt > before && c.Attempt <= ordinal {
			charges = append(charges, c)
		}
	}
	return calls, charges
}

// WatchCard counts that a camera begins to look for a side of the document. Codes: those
// of Usable; NotSwitchedOn, ConsentMissing, DocumentTries.
func (s *Service) WatchCard(ctx context.Context, t Token, side CardSide) error {
	if s.Cards == nil {
		return errNoReader
	}
	_, err := s.update(ctx, t, func(ses *Session) error {
		if err := ses.MayRead(s.Now()); err != nil {
			return err
		}
		switch {
		case !slices.Contains(ses.Plan.Sides(), side):
			return Errorf(NotSwitchedOn, "the plan does not read this side of the document")
		case ses.Watches >= MaxWatches:
			return Errorf(DocumentTries, "the token's document was watched for %d times", MaxWatches)
		}
		ses.Watches++
		return nil
	})
	return err
}

// GlanceCard looks at a camera frame that may show a document.
func (s *Service) GlanceCard(ctx context.Context, frame []byte, side CardSide) (CardGlance, error) {
	if s.Cards == nil {
		return CardGlance{}, errNoReader
	}
	return s.Cards.GlanceCard(ctx, frame, side)
}

var errNoReader = Errorf(NotSwitchedOn, "this server reads no identity documents")

// ReadCard reads a side of the capture subject's document from a picture and keeps what
// was read, with the rectified side and the printed portrait as evidence, until it is
// confirmed. One ChargeOCR is caused by each picture from which the side could be read;
// other pictures are free. A reading that has begun is finished even if ctx ends. Codes:
// those of Usable; NotSwitchedOn, ConsentMissing, DocumentTries; QuotaNone, LimitTotal, Image*, Busy, EngineFailed;
// Document* says what to do about the picture or the document.
func (s *Service) ReadCard(ctx context.Context, t Token, side CardSide, image []byte) (CardReading, error) {
	if s.Cards == nil {
		return CardReading{}, errNoReader
	}
	if len(image) > MaxImage {
		return CardReading{}, Errorf(ImageTooLarge, "the picture exceeds %d bytes", MaxImage)
	}
	r := sideRead{side: side, logID: s.LogID()}
	ses, err := s.update(ctx, t, func(ses *Session) (err error) {
		r.try, err = ses.beginReading(s.Now().UTC(), side)
		return err
	})
	if err != nil {
		return CardReading{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ReadingTimeout)
	defer cancel()
	read, failure := s.readCard(ctx, &ses, image, &r)
	if r.code = CodeOf(failure); failure == nil {
		failure = s.keepCard(ctx, &ses, read, &r)
		r.code = CodeOf(failure)
	}
	var void []Evidence
	var late error
	if _, err := s.update(ctx, t, func(ses *Session) error {
		void, late = ses.finishReading(s.Now().UTC(), r)
		if ses.Erased {
			return errErased
		}
		return nil
	}); err != nil {
		s.unkept(ctx, r.evidence, err)
		return CardReading{}, err
	}
	if r.answered && s.Observer != nil {
		s.Observer.Charged(ChargeOCR, ses.Sandbox)
	}
	if failure == nil {
		failure = late
	}
	for _, e := range void {
		if err := s.Blobs.Delete(ctx, e.Ref); err != nil {
			s.Log.WarnContext(ctx, "a replaced picture of a document was not erased; it stays sealed until its key is dropped", "err", err)
		}
	}
	if failure != nil {
		return CardReading{}, failure
	}
	return read, nil
}

// readCard asks the reader and applies the plan's rules to what it says.
func (s *Service) readCard(ctx context.Context, ses *Session, image []byte, r *sideRead) (CardReading, error) {
	app, err := s.Store.App(ctx, ses.App)
	if err != nil {
		return CardReading{}, Wrap(Internal, "read app", err)
	}
	if err := s.quota(ctx, app, ChargeOCR); err != nil {
		return CardReading{}, err
	}
	if err := rehearseCard(ses.Sandbox, image); err != nil {
		return CardReading{}, err
	}
	read, err := s.Cards.ReadCard(ctx, image, r.side)
	if err != nil {
		return CardReading{}, wrapEngine("read document", err)
	}
	if c := read.codeOf(r.side); c != OK {
		return CardReading{}, Errorf(c, "the picture does not show the %s of an identity document well enough (%s)", r.side, c)
	}
	r.answered = true
	switch {
	case read.Expired(s.Now()):
		return CardReading{}, Errorf(DocumentExpired, "the document is no longer valid")
	case ses.Plan.DocumentRisk && slices.Contains(read.Flags, CardCopy):
		return CardReading{}, Errorf(DocumentCopy, "the picture shows a copy; the plan wants the document itself")
	}
	return read, nil
}

// wrapEngine gives an error of the reader a code, if it has none.
func wrapEngine(doing string, err error) error {
	if CodeOf(err) == Internal {
		return Wrap(EngineFailed, doing, err)
	}
	return err
}

// keepCard seals the images of a reading. Their names follow from the try, so that a
// purge finds also what an interrupted reading left.
func (s *Service) keepCard(ctx context.Context, ses *Session, read CardReading, r *sideRead) error {
	until := ses.Opened.Add(TokenWindow + AttemptLease + ResultKept) // the session's own end comes first
	put := func(kind EvidenceKind, data []byte) (string, error) {
		if len(data) == 0 {
			return "", nil
		}
		e, err := s.keep(ctx, ses, kind, 0, int64(r.try), data, until)
		if err == nil {
			r.evidence = append(r.evidence, e)
		}
		return e.Ref, err
	}
	var err error
	kind := EvidenceCardFront
	if r.side == CardBack {
		kind = EvidenceCardBack
	}
	r.record = CardRecord{Reading: read, LogID: r.logID}
	r.record.Reading.Crop, r.record.Reading.Portrait = nil, nil
	if r.record.Crop, err = put(kind, read.Crop); err == nil {
		r.record.Portrait, err = put(EvidenceCardPortrait, read.Portrait)
	}
	return err
}

// ConfirmCard records what the capture subject confirmed or corrected of what was read;
// see Session.Confirm.
func (s *Service) ConfirmCard(ctx context.Context, t Token, given map[CardField]string) error {
	_, err := s.update(ctx, t, func(ses *Session) error { return ses.Confirm(s.Now(), given) })
	return err
}

// Recognise reads a side of a document directly, without a session, and charges one
// reading if a side could be read, though it be the other one. A picture of something
// else is a Status, not an error. Codes: NotSwitchedOn (no reader), QuotaNone, LimitTotal, Image*, Busy, EngineFailed.
func (s *Service) Recognise(ctx context.Context, app App, image []byte, side CardSide, logID string) (CardReading, error) {
	if s.Cards == nil {
		return CardReading{}, errNoReader
	}
	if err := s.quota(ctx, app, ChargeOCR); err != nil {
		return CardReading{}, err
	}
	d := Direct{ID: logID, Protocol: viaOf(ctx), App: app.ID, Kind: ChargeOCR, At: s.Now().UTC(), Sandbox: app.Test}
	if err := rehearseCard(app.Test, image); err != nil {
		return CardReading{}, s.record(ctx, d, err)
	}
	r, err := s.Cards.ReadCard(ctx, image, side)
	if err != nil {
		return CardReading{}, s.record(ctx, d, wrapEngine("read document", err))
	}
	if d.Answered = len(r.Words) > 0; d.Answered {
		d.Outcome = Match
	}
	d.Keys = personKeys(nil, r.Words[CardName].Value, r.Words[CardNumber].Value)
	return r, s.record(ctx, d, nil)
}

// printed compares the probe with the portrait that is printed on the document: evidence,
// which decides nothing. It is nil where there is no portrait or none that can be used.
func (s *Service) printed(ctx context.Context, ses *Session, probe Template) *Comparison {
	front := ses.Document.side(CardFront)
	if front == nil || front.Portrait == "" {
		return nil
	}
	e, ok := ses.Item(front.Portrait)
	if !ok {
		return nil
	}
	image, err := s.open(ctx, ses, e)
	if err == nil {
		var x Examination
		if x, err = s.examine(ctx, Picture{Image: image, Quality: LevelNone, Liveness: LevelNone}); err == nil {
			var c Comparison
			if c, err = s.Engine.Compare(probe, x.Faces[0].Template); err == nil {
				return &c
			}
		}
	}
	s.Log.InfoContext(ctx, "the portrait on the document could not be compared", "code", string(CodeOf(err)))
	return nil
}
