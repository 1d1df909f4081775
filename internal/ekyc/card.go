package ekyc

import (
	"context"
	"time"
)

// CardSide is a side of an identity document.
type CardSide string

const (
	CardFront CardSide = "front" // 人像面: name, number, portrait
	CardBack  CardSide = "back"  // 国徽面: authority and validity
)

// CardField names something that is printed on an identity document.
type CardField string

// The fields of both sides. A residence permit has no nation; its back carries a pass
// number and how often the permit was issued besides.
const (
	CardName      CardField = "name"
	CardGender    CardField = "gender" // 男 or 女
	CardNation    CardField = "nation" // without 族
	CardBirthday  CardField = "birthday"
	CardAddress   CardField = "address"
	CardNumber    CardField = "number"
	CardAuthority CardField = "authority"
	CardIssued    CardField = "issued"
	CardExpires   CardField = "expires"
	CardPass      CardField = "pass"  // a residence permit's 通行证号码
	CardTimes     CardField = "times" // a residence permit's 签发次数: two digits, 01 for the first
)

// CardForever is the CardExpires of a document without an end: 长期.
const CardForever = "长期"

// CardStatus says what kind of picture was given in place of a readable side.
type CardStatus string

const (
	CardReadable  CardStatus = "normal"
	CardWrongSide CardStatus = "reversed_side"   // the document's other side
	CardNone      CardStatus = "non_idcard"      // no identity document
	CardOther     CardStatus = "other_type_card" // a card of another kind
	CardBlurred   CardStatus = "blurred"         // or too small to be read
	CardCut       CardStatus = "incomplete"      // part of it lies outside the picture
	CardGlare     CardStatus = "over_exposure"
	CardDark      CardStatus = "over_dark"
)

// CardWord is one field as it was read.
type CardWord struct {
	Value string // normalised: dates as 20060102 or CardForever, the number in capitals; "" where nothing was read
	// Confidence that Value is what is printed, 0 to 1. It orders readings and is no
	// calibrated probability; the model card says what its limit was measured to do.
	Confidence float64
	// Doubtful tells that Value must not be presented as good: its confidence is below the
	// field's limit, or it disagrees with another field or with its own check character.
	Doubtful bool
	Quad     [4]Point // where it stands, clockwise from the top left as it is read
}

// CardFlag is something about a document that its reader measured and that may tell
// against it. Only what was measured on a set that a model card names is listed here.
type CardFlag string

const (
	CardNumberWrong    CardFlag = "number_wrong"    // the check character, region or date of the number does not hold
	CardBirthdayDiffer CardFlag = "birthday_differ" // printed birthday and number disagree
	CardGenderDiffer   CardFlag = "gender_differ"   // printed gender and number disagree
	CardDatesWrong     CardFlag = "dates_wrong"     // issue and expiry make no validity that is issued
	CardCopy           CardFlag = "copy"            // a photocopy: no colour where there must be some
)

// CardReading is what was read from one side in one image.
type CardReading struct {
	Side     CardSide // the side that was found
	Type     DocumentType
	Status   CardStatus
	Words    map[CardField]CardWord // of the side that was found; empty unless Status is CardReadable or CardWrongSide
	Flags    []CardFlag
	Quad     [4]Point // the document's corners, clockwise from its own top left
	Width    float64  // of the document in pixels of the image
	Sharp    float64  // 0 (blurred) to 1
	Crop     []byte   // the rectified document, JPEG; nil where none was found
	Portrait []byte   // the printed portrait, JPEG; nil on the back
}

// CardGlance is a quick look at a camera frame, to guide the hand that holds the document.
type CardGlance struct {
	Side   CardSide // "" while it cannot be told
	Status CardStatus
	Quad   [4]Point // zero where no document was found
	Width  float64
	Sharp  float64
}

// CardReader turns pictures of identity documents into readings. It decides nothing.
// Safe for concurrent use.
type CardReader interface {
	// ReadCard reads the side that is asked for from an image (JPEG, PNG or WebP, EXIF
	// orientation applied); of several documents the largest that shows it. A picture of
	// something else is a Status, not an error. Errors carry the Image* codes, Busy, or
	// EngineFailed.
	ReadCard(ctx context.Context, image []byte, side CardSide) (CardReading, error)
	// GlanceCard finds the document in a camera frame without reading it, within 150 ms of one core.
	GlanceCard(ctx context.Context, image []byte, side CardSide) (CardGlance, error)
}

// Expired reports whether a document was no longer valid on the day of now, Beijing
// time. One whose expiry was not surely read is not known to be.
func (r CardReading) Expired(now time.Time) bool {
	w := r.Words[CardExpires]
	if w.Doubtful || w.Value == "" || w.Value == CardForever {
		return false
	}
	last, err := time.ParseInLocation("20060102", w.Value, time.FixedZone("", int(beijing/time.Second)))
	return err == nil && !now.Before(last.AddDate(0, 0, 1))
}
