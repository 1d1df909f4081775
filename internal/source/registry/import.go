package registry

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// Import is a file of people on its way into the register.
type Import struct {
	// Lines is CSV: a header that names columns, then a person a line, in UTF-8 or GB 18030.
	Lines io.Reader
	// File is what Fingerprint says of Lines.
	File string
	// Skip is how many people of Lines an earlier run dealt with.
	Skip int
	// Portrait reads the image of a person: the one of a name that stands in the file, or
	// the one that is named by the number where name is "". nil of both is none; an error
	// refuses the line. Nil: nobody has a portrait.
	Portrait func(name, number string) ([]byte, error)
	// Reject is told of each line that does not come in. why holds nothing of the line.
	Reject func(line int, why string) error
	// Commit is told how far the import has come, counted from the file's beginning only
	// where it was not continued, after that much is durable.
	Commit func(Imported) error
	// Batch is how many people are written at once, Workers how many are worked on.
	Batch, Workers int
}

// Imported counts what an import did.
type Imported struct {
	People    int `json:"people"` // lines dealt with
	Added     int `json:"added"`
	Replaced  int `json:"replaced"`
	Unchanged int `json:"unchanged"`
	Rejected  int `json:"rejected"`
	Portraits int `json:"portraits"` // measured
}

// Fingerprint reads a file's content to its end: what tells it from other files, and how
// many lines it has.
func Fingerprint(r io.Reader) (file string, lines int, err error) {
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		h.Write(buf[:n])
		lines += bytes.Count(buf[:n], []byte("\n"))
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)[:8]), lines, nil
		} else if err != nil {
			return "", 0, err
		}
	}
}

// columns are the names that a header may have, and what they mean.
var columns = map[string]string{
	"name": "name", "姓名": "name",
	"number": "number", "身份证号": "number", "身份证号码": "number", "证件号码": "number",
	"type": "type", "证件类型": "type",
	"mobile": "mobile", "mobiles": "mobile", "手机号": "mobile", "手机号码": "mobile",
	"carrier": "carrier", "carriers": "carrier", "运营商": "carrier",
	"portrait": "portrait", "照片": "portrait",
}

// types are the ways in which files name documents.
var types = map[string]ekyc.DocumentType{
	"id-card": ekyc.IDCard, "0": ekyc.IDCard, "身份证": ekyc.IDCard, "居民身份证": ekyc.IDCard,
	"residence-permit": ekyc.ResidencePermit, "4": ekyc.ResidencePermit, "居住证": ekyc.ResidencePermit, "港澳台居民居住证": ekyc.ResidencePermit,
}

// decoded gives UTF-8 without a byte order mark, whether r is that or GB 18030.
func decoded(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(64 << 10) // what there is; an error comes again when it is read
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
		return b
	}
	for i := 0; i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head); i++ { // a cut character
		head = head[:len(head)-1]
	}
	if utf8.Valid(head) {
		return b
	}
	return simplifiedchinese.GB18030.NewDecoder().Reader(b)
}

// line is one line of a file, read but not looked at.
type line struct {
	number int
	fields map[string]string
	bad    string // why it cannot be read
}

// item is a line on its way.
type item struct {
	line
	person   Person
	portrait string // as the file names it
	digest   string
	was      *found
	row      Row
	why      string // refused
	same     bool   // there already
	measured bool
	err      error // not the line's fault
}

// found is a record that is there already.
type found struct {
	row Row
	rec record
}

// Import brings the people of a file into the register, several at once and in the file's
// order. It may be repeated, and it may be broken off and go on with Skip: what is there
// already and the same is left alone, a person who differs is replaced, and keeps their
// portrait where the file has none. Of a number that stands on two lines of the file the
// first counts. A line that cannot come in is rejected; trouble that is not a line's own
// ends the import.
func (r *Registry) Import(ctx context.Context, im Import) (Imported, error) {
	var n Imported
	next, err := lines(im.Lines)
	if err != nil {
		return n, err
	}
	for range im.Skip {
		if _, ok, err := next(); err != nil || !ok {
			return n, err
		}
	}
	for {
		batch, err := gather(next, max(im.Batch, 1))
		if err != nil || len(batch) == 0 {
			return n, err
		}
		if err := r.importBatch(ctx, im, batch, &n); err != nil {
			return n, err
		}
		if im.Commit != nil {
			if err := im.Commit(n); err != nil {
				return n, err
			}
		}
	}
}

// lines reads the header and returns a reader of lines.
func lines(r io.Reader) (next func() (line, bool, error), err error) {
	c := csv.NewReader(decoded(r))
	c.FieldsPerRecord, c.ReuseRecord, c.TrimLeadingSpace = -1, true, true
	header, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	var names []string
	for _, h := range header {
		name, ok := columns[strings.ToLower(strings.TrimSpace(h))]
		if !ok {
			return nil, fmt.Errorf("the header names a column %q; want name, number, type, mobile, carrier and portrait, of which name and number are needed", h)
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("the header names the column %s twice", name)
		}
		names = append(names, name)
	}
	if !slices.Contains(names, "name") || !slices.Contains(names, "number") {
		return nil, errors.New("the header needs the columns name and number")
	}
	return func() (line, bool, error) {
		fields, err := c.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return line{}, false, nil
		case errors.As(err, &bad):
			return line{number: bad.StartLine, bad: "the line is not CSV: " + bad.Err.Error()}, true, nil
		case err != nil:
			return line{}, false, fmt.Errorf("read the file: %w", err)
		}
		at, _ := c.FieldPos(0)
		l := line{number: at, fields: make(map[string]string, len(names))}
		if len(fields) != len(names) {
			l.bad = fmt.Sprintf("the line has %d fields and the header %d", len(fields), len(names))
			return l, true, nil
		}
		for i, name := range names {
			l.fields[name] = strings.TrimSpace(fields[i])
		}
		return l, true, nil
	}, nil
}

func gather(next func() (line, bool, error), most int) ([]*item, error) {
	var batch []*item
	for len(batch) < most {
		l, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		batch = append(batch, &item{line: l})
	}
	return batch, nil
}

// importBatch brings some lines in, in one transaction.
func (r *Registry) importBatch(ctx context.Context, im Import, batch []*item, n *Imported) error {
	first := map[string]int{} // digest to line
	var digests []string
	for _, it := range batch {
		if it.parse(); it.why != "" {
			continue
		}
		it.digest = r.digest(it.person.Claim.Number)
		if at, ok := first[it.digest]; ok {
			it.why = sameNumber(at)
			continue
		}
		first[it.digest] = it.number
		digests = append(digests, it.digest)
	}
	there, err := r.Shelf.Find(ctx, digests)
	if err != nil {
		return err
	}
	known := make(map[string]*found, len(there))
	for _, row := range there {
		rec, err := r.open(row)
		if err != nil {
			return err
		}
		known[row.Digest] = &found{row, rec}
	}
	work := make(chan *item)
	var group sync.WaitGroup
	for range max(im.Workers, 1) {
		group.Go(func() {
			for it := range work {
				it.was = known[it.digest]
				r.prepare(ctx, im, it)
			}
		})
	}
	for _, it := range batch {
		if it.why == "" {
			work <- it
		}
	}
	close(work)
	group.Wait()
	return r.finish(ctx, im, batch, n)
}

func (r *Registry) finish(ctx context.Context, im Import, batch []*item, n *Imported) error {
	var rows []Row
	for _, it := range batch {
		if it.err != nil {
			return fmt.Errorf("line %d: %w", it.number, it.err)
		}
		if it.why == "" && it.row.Digest != "" {
			rows = append(rows, it.row)
		}
	}
	if len(rows) > 0 {
		if err := r.Shelf.Put(ctx, rows...); err != nil {
			return err
		}
	}
	for _, it := range batch {
		n.People++
		if it.measured {
			n.Portraits++
		}
		switch {
		case it.why != "":
			n.Rejected++
			if im.Reject != nil {
				if err := im.Reject(it.number, it.why); err != nil {
					return err
				}
			}
		case it.same:
			n.Unchanged++
		case it.was != nil:
			n.Replaced++
		default:
			n.Added++
		}
	}
	return nil
}

func sameNumber(line int) string {
	return fmt.Sprintf("the same identity number stands on line %d", line)
}

// parse reads the fields of a line.
func (it *item) parse() {
	if it.why = it.bad; it.why != "" {
		return
	}
	kind, given := types[strings.ToLower(it.fields["type"])]
	if n, err := cnid.ParseNumber(it.fields["number"]); !given && it.fields["type"] == "" && err == nil && n.ResidencePermit() {
		kind, given = ekyc.ResidencePermit, true
	}
	if !given && it.fields["type"] != "" {
		it.why = "type: want id-card or residence-permit"
		return
	}
	c, err := ekyc.ParseClaim(it.fields["name"], it.fields["number"], kind)
	if err != nil {
		it.why = map[ekyc.Code]string{ekyc.BadName: "name: ", ekyc.BadIDNumber: "number: "}[ekyc.CodeOf(err)] + ekyc.DetailOf(err)
		return
	}
	it.person, it.portrait = Person{Claim: c}, it.fields["portrait"]
	numbers, names := split(it.fields["mobile"]), split(it.fields["carrier"])
	if len(names) > 1 && len(names) != len(numbers) {
		it.why = "carrier: want one for all mobile numbers, or one for each"
		return
	}
	for i, text := range numbers {
		m, err := cnid.ParseMobile(text)
		if err != nil {
			it.why = "mobile: " + err.Error()
			return
		}
		carrier := ekyc.Carrier("")
		if len(names) > 0 {
			carrier, err = ParseCarrier(names[min(i, len(names)-1)])
		}
		if err != nil {
			it.why = "carrier: " + err.Error()
			return
		}
		it.person.Mobiles = append(it.person.Mobiles, Mobile{m, carrier})
	}
}

// split reads a list in one field.
func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(";|/；、 ", r) })
}

// prepare measures and seals a person, unless they are there already and the same.
func (r *Registry) prepare(ctx context.Context, im Import, it *item) {
	from := origin{im.File, it.number}
	if w := it.was; w != nil && w.rec.origin.File == im.File && w.rec.origin.Line != it.number {
		it.why = sameNumber(w.rec.origin.Line)
		return
	}
	if im.Portrait != nil {
		image, err := im.Portrait(it.portrait, string(it.person.Claim.Number))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			it.why = "portrait: there is no such file in the folder of portraits"
			return
		case err != nil:
			it.why = "portrait: the file cannot be read"
			return
		}
		it.person.Portrait = image
	}
	if w := it.was; w != nil && r.equal(it.person, w.rec) {
		it.same = true
		if w.rec.origin == from {
			return
		}
		it.person.Portrait = nil // the one that is there stays, with its embedding
	}
	if len(it.person.Portrait) > 0 {
		it.measured = true
		t, err := r.embed(ctx, it.person.Portrait)
		switch ekyc.CodeOf(err) {
		case ekyc.OK:
			it.person.Template = t
		case ekyc.EngineFailed, ekyc.Busy, ekyc.Internal:
			it.err = err
			return
		default:
			it.why = "portrait: " + ekyc.DetailOf(err)
			return
		}
	}
	it.row, it.err = r.seal(it.person, from, it.was)
	it.row.New = it.was == nil
}

// equal reports that a record says what a person of a file says.
func (r *Registry) equal(p Person, rec record) bool {
	if p.Claim != rec.Claim || !slices.Equal(p.Mobiles, rec.Mobiles) {
		return false
	}
	return len(p.Portrait) == 0 ||
		bytes.Equal(sumOf(p.Portrait), rec.sum) && rec.Template.Model == r.Examiner.Model() && rec.kept == !r.EmbeddingOnly
}
