package card

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"math"
	"slices"
	"strings"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// ReadCard implements ekyc.CardReader.
func (r *Reader) ReadCard(ctx context.Context, data []byte, side ekyc.CardSide) (ekyc.CardReading, error) {
	end, err := r.turn(ctx)
	if err != nil {
		return ekyc.CardReading{}, err
	}
	defer end()
	im, err := vision.Decode(data, r.limits)
	if err != nil {
		return ekyc.CardReading{}, err
	}
	defer im.Release()
	docs, lines, err := r.documents(ctx, im)
	if err != nil {
		return ekyc.CardReading{}, err
	}
	p := choose(docs, side)
	if p == nil || p.support < enoughSupport && otherCard(lines) {
		return ekyc.CardReading{Status: r.without(im, lines)}, nil
	}
	return r.reading(ctx, im, p, side)
}

// found is a placed document with the lines that it was found by.
type found struct {
	*placed
	lines []*line
}

// documents finds all documents of an image, and the lines of its text. At most three
// rounds: each takes the lines of the document found away and looks at what is left.
func (r *Reader) documents(ctx context.Context, im *vision.Image) ([]found, []*line, error) {
	quads, err := r.find(im, firstSide)
	if err != nil {
		return nil, nil, err
	}
	var docs []found
	var all []*line
	for round := range 3 {
		if err := ctx.Err(); err != nil {
			return nil, nil, ekyc.Wrap(ekyc.Busy, "the reading was given up", err)
		}
		if len(quads) == 0 || round > 0 && len(quads) < 3 {
			break
		}
		p, lines, err := r.locate(im, quads)
		if err != nil {
			return nil, nil, err
		}
		if round == 0 {
			all = lines
		}
		if p == nil {
			break
		}
		docs = append(docs, found{p, lines})
		quads = slices.DeleteFunc(slices.Clone(quads), func(q quad) bool {
			m := p.back.Apply(q.at(0.5, 0.5))
			return m.X > -2 && m.X < cardWidth+2 && m.Y > -2 && m.Y < cardHeight+2
		})
	}
	return docs, all, nil
}

// locate reads quads of text and finds a document among them, turning everything round
// where the first way up shows none.
func (r *Reader) locate(im *vision.Image, quads []quad) (*placed, []*line, error) {
	quads = along(quads)
	turn, err := r.upside(im, quads)
	if err != nil {
		return nil, nil, err
	}
	lines, err := r.readAll(im, quads, turn)
	if err != nil {
		return nil, nil, err
	}
	if p := place(lines); p != nil {
		return r.closer(im, p, lines)
	}
	if len(quads) < 3 {
		return nil, lines, nil
	}
	other, err := r.readAll(im, quads, !turn)
	if err != nil {
		return nil, nil, err
	}
	if p := place(other); p != nil {
		return r.closer(im, p, other)
	}
	return nil, lines, nil
}

// closer looks for text once more on the document alone, rectified as well as it can
// be, where few labels said where it lies, and takes the better of both findings.
func (r *Reader) closer(im *vision.Image, p *placed, lines []*line) (*placed, []*line, error) {
	if p.support >= enoughSupport {
		return p, lines, nil
	}
	const margin, scale = 6, 9 // millimetres beyond the document; pixels a millimetre
	m := p.strip(-margin, -margin, cardWidth+margin, cardHeight+margin)
	flat := vision.NewImage(int(math.Round((cardWidth+2*margin)*scale)), (cardHeight+2*margin)*scale)
	defer flat.Release()
	to := m.from(flat.W, flat.H)
	im.WarpPerspective(flat, to)
	quads, err := r.find(flat, firstSide+flat.W/8)
	if err != nil {
		return nil, nil, err
	}
	for i := range quads {
		for k := range quads[i] {
			quads[i][k] = to.Apply(quads[i][k])
		}
	}
	// The document's own direction is known: all lines follow its upper edge.
	right := ekyc.Point{X: m[1].X - m[0].X, Y: m[1].Y - m[0].Y}
	for i, q := range quads {
		if (q[1].X-q[0].X)*right.X+(q[1].Y-q[0].Y)*right.Y < 0 {
			quads[i] = q.turned()
		}
	}
	again, err := r.readAll(im, quads, false)
	if err != nil {
		return nil, nil, err
	}
	if better := place(again); better != nil && better.support > p.support {
		return better, again, nil
	}
	return p, lines, nil
}

// choose takes the largest document that shows the side, else the largest.
func choose(docs []found, side ekyc.CardSide) *found {
	var best *found
	for i := range docs {
		d := &docs[i]
		fits, bestFits := d.face.side == side, best != nil && best.face.side == side
		if best == nil || fits && !bestFits || fits == bestFits && d.width() > best.width() {
			best = d
		}
	}
	return best
}

// otherCards are words on documents of other kinds.
var otherCards = []string{
	"驾驶证", "行驶证", "护照", "社会保障", "银行", "通行证", "营业执照", "户口", "结婚证", "学生证", "军官证", "工作证", "毕业证", "医保", "会员",
	"DRIVING", "PASSPORT", "UnionPay", "VISA", "银联", "信用卡", "准驾车型", "借记卡", "储蓄卡",
}

func otherCard(lines []*line) bool {
	return slices.ContainsFunc(lines, func(l *line) bool {
		text := l.text()
		return slices.ContainsFunc(otherCards, func(w string) bool { return strings.Contains(text, w) })
	})
}

// without says what an image without a document shows.
func (r *Reader) without(im *vision.Image, lines []*line) ekyc.CardStatus {
	light := measure(im)
	good, poor := 0, 0
	if otherCard(lines) {
		return ekyc.CardOther
	}
	for _, l := range lines {
		switch m := l.mean(); {
		case len(l.chars) >= 2 && m > 0.8:
			good++
		default:
			poor++
		}
	}
	switch {
	case light.mean < darkMean:
		return ekyc.CardDark
	case light.white > glareShare:
		return ekyc.CardGlare
	case poor >= blurredLines && poor > 2*good:
		return ekyc.CardBlurred
	}
	return ekyc.CardNone
}

// Limits of light. Our choice: the darkest image of the set that the model card names
// whose fields could still be read has a mean luma of .1, the brightest half of its
// document blown out.
const (
	darkMean     = 0.07
	glareShare   = 0.6
	blurredLines = 4
)

// light is what is measured of a picture as a whole.
type light struct {
	mean, white float64 // mean luma; the share of pixels that are blown out
}

func measure(im *vision.Image) light {
	var l light
	n := 0
	for i := 0; i+3 <= len(im.Pix); i += 3 * 7 {
		v := vision.Luma(im.Pix[i], im.Pix[i+1], im.Pix[i+2])
		l.mean += float64(v) / 255
		if v >= 252 {
			l.white++
		}
		n++
	}
	l.mean, l.white = l.mean/float64(max(1, n)), l.white/float64(max(1, n))
	return l
}

// cropScale is the pixels a millimetre of the rectified document. Our choice: 300 dots
// an inch, what scans of documents have.
const cropScale = 12

// portrait is where the printed portrait stands, millimetres: a little more than the
// 26 x 32 mm of GA 461.
var portrait = span{52.5, 7, 80.5, 42.5}

// reading reads the fields of a document.
func (r *Reader) reading(ctx context.Context, im *vision.Image, f *found, side ekyc.CardSide) (ekyc.CardReading, error) {
	if err := ctx.Err(); err != nil {
		return ekyc.CardReading{}, ekyc.Wrap(ekyc.Busy, "the reading was given up", err)
	}
	g := r.page(im, f.placed, f.lines)
	out := ekyc.CardReading{Side: f.face.side, Status: ekyc.CardReadable}
	x, y := im.Scale()
	for i, c := range f.corners() {
		out.Quad[i] = ekyc.Point{X: c.X * x, Y: c.Y * y}
	}
	out.Width = (math.Hypot(out.Quad[1].X-out.Quad[0].X, out.Quad[1].Y-out.Quad[0].Y) +
		math.Hypot(out.Quad[2].X-out.Quad[3].X, out.Quad[2].Y-out.Quad[3].Y)) / 2

	card := vision.NewImage(int(math.Round(cardWidth*cropScale)), cardHeight*cropScale)
	defer card.Release()
	im.WarpPerspective(card, g.strip(0, 0, cardWidth, cardHeight).from(card.W, card.H))
	out.Sharp = sharpness(card)
	var err error
	if out.Crop, err = encode(card); err != nil {
		return out, err
	}
	if f.face.side == ekyc.CardFront {
		p := vision.NewImage(int((portrait.x1-portrait.x0)*cropScale), int((portrait.y1-portrait.y0)*cropScale))
		defer p.Release()
		im.WarpPerspective(p, g.strip(portrait.x0, portrait.y0, portrait.x1, portrait.y1).from(p.W, p.H))
		if out.Portrait, err = encode(p); err != nil {
			return out, err
		}
	}
	if cutOff(f.placed, im) {
		out.Status = ekyc.CardCut
		return out, nil
	}
	var words map[ekyc.CardField]word
	if f.face.side == ekyc.CardFront {
		words, out.Flags, err = g.readFront()
	} else {
		words, out.Flags, err = g.readBack()
	}
	if err != nil {
		return out, err
	}
	out.Words = map[ekyc.CardField]ekyc.CardWord{}
	for field, w := range words {
		c := ekyc.CardWord{Value: w.text, Confidence: confidence(field, w)}
		c.Doubtful = w.doubt || w.text == "" || c.Confidence < least
		for i, p := range g.strip(w.at.x0, w.at.y0, w.at.x1, w.at.y1) {
			c.Quad[i] = ekyc.Point{X: p.X * x, Y: p.Y * y}
		}
		out.Words[field] = c
	}
	if f.face.permit || residencePermit(out.Words[ekyc.CardNumber]) {
		out.Type = ekyc.ResidencePermit
	}
	if colourless(card) {
		out.Flags = append(out.Flags, ekyc.CardCopy)
	}
	if status := unreadable(out, measure(card)); status != ekyc.CardReadable {
		out.Status, out.Words, out.Flags = status, nil, nil
	} else if out.Side != side {
		out.Status = ekyc.CardWrongSide
	}
	return out, nil
}

func residencePermit(number ekyc.CardWord) bool {
	return len(number.Value) == 18 && number.Value[0] == '8' && number.Value[1] >= '1' && number.Value[1] <= '3'
}

// unreadable says why nothing of a document could be read, or that some could.
func unreadable(c ekyc.CardReading, l light) ekyc.CardStatus {
	for _, w := range c.Words {
		if w.Confidence > hopeless {
			return ekyc.CardReadable
		}
	}
	for _, f := range c.Flags {
		if f == ekyc.CardNumberWrong || f == ekyc.CardDatesWrong {
			return ekyc.CardReadable
		}
	}
	switch {
	case l.mean < darkMean:
		return ekyc.CardDark
	case l.white > glareShare:
		return ekyc.CardGlare
	}
	return ekyc.CardBlurred
}

// cutOff tells whether a place that every document of the side has text in lies outside
// the image.
func cutOff(p *placed, im *vision.Image) bool {
	points := []ekyc.Point{{X: 9, Y: 9.8}, {X: 9, Y: 48}, {X: 76, Y: 47.7}, {X: 78, Y: 15}}
	if p.face.side == ekyc.CardBack {
		points = []ekyc.Point{{X: 12, Y: 12}, {X: 66, Y: 10}, {X: 22, Y: 47}, {X: 65, Y: 47}}
		if p.face.permit {
			points[2].Y, points[3].Y = 43, 38
		}
	}
	for _, q := range points {
		at := p.to.Apply(q)
		if !(at.X >= 0 && at.Y >= 0 && at.X < float64(im.W) && at.Y < float64(im.H)) {
			return true
		}
	}
	return false
}

// sharpness is 0 for a blurred document and tends to 1: the Laplacian's variance where
// text is, against the variance of luma.
func sharpness(card *vision.Image) float64 {
	w, h := card.W, card.H
	luma := make([]float64, w*h)
	for i := range luma {
		luma[i] = float64(vision.Luma(card.Pix[3*i], card.Pix[3*i+1], card.Pix[3*i+2]))
	}
	var sum, squares, lap float64
	n := 0.0
	for y := h / 8; y < h-h/16; y += 2 {
		for x := w / 16; x < w-w/16; x += 2 {
			v := luma[y*w+x]
			d := luma[y*w+x-2] + luma[y*w+x+2] + luma[(y-2)*w+x] + luma[(y+2)*w+x] - 4*v
			sum, squares, lap, n = sum+v, squares+v*v, lap+d*d, n+1
		}
	}
	ratio := lap / n / (squares/n - sum/n*sum/n + 1)
	return ratio / (ratio + sharpHalf)
}

// sharpHalf is the ratio at which sharpness is one half. Our choice.
const sharpHalf = 0.25

// colourless tells that a document has no colour where every one has some: labels and
// background of the front, emblem and background of the back. Colours are taken against
// the document's own mean, so that tinted light does not count.
func colourless(card *vision.Image) bool { return colourfulness(card) < copyLimit }

// copyLimit is the colourfulness under which a document is taken for a photocopy.
// Measured on the generator's pictures: three copies had .005 to .036, others .26 and more.
const copyLimit = 0.08

func colourfulness(card *vision.Image) float64 {
	// Blocks of pixels, so that neither noise nor fringes of strokes count.
	const block = 12
	var rg, by []float64
	for y := 0; y+block <= card.H; y += block {
		for x := 0; x+block <= card.W; x += block {
			var r, g, b float64
			for j := range block {
				row := card.Pix[((y+j)*card.W+x)*3:]
				for i := range block {
					r, g, b = r+float64(row[3*i]), g+float64(row[3*i+1]), b+float64(row[3*i+2])
				}
			}
			if s := r + g + b; s > 90*block*block && r < 250*block*block {
				rg, by = append(rg, (r-g)/s), append(by, (b-(r+g)/2)/s)
			}
		}
	}
	if len(rg) < 50 {
		return 1
	}
	spread := func(v []float64) float64 {
		slices.Sort(v)
		return v[len(v)*99/100] - v[len(v)/100]
	}
	return math.Hypot(spread(rg), spread(by))
}

// encode is the picture as JPEG.
func encode(im *vision.Image) ([]byte, error) {
	rgba := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		rgba.Pix[4*i], rgba.Pix[4*i+1], rgba.Pix[4*i+2], rgba.Pix[4*i+3] = im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2], 255
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, rgba, &jpeg.Options{Quality: 90}); err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "a crop cannot be encoded", err)
	}
	return b.Bytes(), nil
}

// least is the confidence under which a value is doubtful.
const least = 0.9

// hopeless is the confidence up to which all of a document's values are taken for
// unread. Our choice.
const hopeless = 0.3

// confidence is how likely a value is what is printed.
func confidence(field ekyc.CardField, w word) float64 {
	if w.text == "" {
		return 0
	}
	c := w.share
	switch field {
	case ekyc.CardIssued, ekyc.CardExpires:
		// The looks' score of a whole line of 21 characters; .35 is one of them unsure.
		switch {
		case w.least < 0.1:
			c *= 0.5
		case w.least < 0.25:
			c *= 0.9
		}
	case ekyc.CardNumber, ekyc.CardBirthday, ekyc.CardGender:
	case ekyc.CardNation: // chosen among 56, its margin was judged already
		if w.least < 0.2 {
			c *= 0.7
		}
	default:
		c = math.Sqrt(w.share) * math.Pow(w.least, 0.7)
		if !w.agree {
			c *= 0.93
		}
	}
	return max(0, min(c, 0.999))
}
