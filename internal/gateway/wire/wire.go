// Package wire is what gateways of any vendor need of HTTP: bodies that are bounded in
// bytes, time and number, forms and base64 images in the dialects that clients send, and
// JSON replies. It knows no vendor and no interface.
package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// BodyTimeout is how long a body may take to arrive. Our choice.
const BodyTimeout = 30 * time.Second

// Of bodies over LargeBody, or of unknown length, LargeBodies are held at once, so that
// many clients with 10 MB images do not use up the memory. Our choice: 4 bodies and
// their images stay below 300 MB; a camera's pictures are never counted.
const (
	LargeBody   = 1 << 20
	LargeBodies = 4
)

// Door lets in as many large bodies as its capacity.
type Door chan struct{}

// NewDoor lets in LargeBodies.
func NewDoor() Door { return make(Door, LargeBodies) }

// Enter waits until the request's body may be read. leave is called when nothing of it is
// held any more. Code: Busy after BodyTimeout.
func (d Door) Enter(r *http.Request) (leave func(), err error) {
	if r.ContentLength >= 0 && r.ContentLength <= LargeBody {
		return func() {}, nil
	}
	select {
	case d <- struct{}{}:
		return func() { <-d }, nil
	case <-time.After(BodyTimeout):
		return nil, ekyc.Errorf(ekyc.Busy, "too many large images are being sent; try again, or send smaller ones")
	}
}

// buffers are reused for bodies: an image's text is read once and decoded out of them.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that is reused: two camera pictures and some.
const keepBuffer = 2 << 20

// Buffer is an empty buffer for a body.
func Buffer() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

// Release gives a buffer back. Nothing may point into it any more.
func Release(b *bytes.Buffer) {
	if b.Cap() <= keepBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// Read fills buf with the request's body: at most limit bytes, within BodyTimeout. Codes:
// BodyTooLarge, BadRequest.
func Read(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer, limit int64) error {
	tooLarge := ekyc.Errorf(ekyc.BodyTooLarge, "the body is larger than the interface's %d bytes", limit)
	if r.ContentLength > limit {
		return tooLarge
	}
	// A deadline in the past ends a read that is under way. net/http clears it before the
	// connection's next request.
	control := http.NewResponseController(w)
	stop := time.AfterFunc(BodyTimeout, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	defer stop.Stop()
	// A client's word for the length is believed up to what a reused buffer may have.
	buf.Grow(int(min(max(r.ContentLength, 512), keepBuffer-bytes.MinRead)) + bytes.MinRead)
	_, err := io.Copy(buf, http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge
	case err != nil:
		return ekyc.Errorf(ekyc.BadRequest, "the body did not arrive whole within %s", BodyTimeout)
	}
	return nil
}

var errForm = errors.New("not a form")

// Form calls set with each pair of a urlencoded form. Pairs are divided by '&' alone: a
// "data:image/jpeg;base64," prefix holds ';'. More than most pairs, bad escapes and a text
// without a pair are errors.
func Form(text []byte, most int, set func(name string, value []byte)) error {
	if bytes.IndexByte(text, '=') < 1 {
		return errForm
	}
	n := 0
	for pair := range bytes.SplitSeq(bytes.TrimSpace(text), []byte("&")) {
		if len(pair) == 0 {
			continue
		}
		k, v, _ := strings.Cut(string(pair), "=")
		name, err := url.QueryUnescape(k)
		if n++; err != nil || n > most {
			return errForm
		}
		if v, err = url.QueryUnescape(v); err != nil {
			return errForm
		}
		set(name, []byte(v))
	}
	return nil
}

// Image reads base64 in the dialects that clients send: with a "data:" prefix, space, the
// URL-safe alphabet, without padding. In a form, a space was a "+" that the client forgot
// to escape. The bytes are not looked at. Codes: ImageEmpty, ImageNotBase64, ImageTooLarge.
func Image(name string, text []byte, form bool) ([]byte, error) {
	if len(text) >= 5 && strings.EqualFold(string(text[:5]), "data:") {
		n := bytes.IndexByte(text[:min(len(text), 128)], ',')
		if n < 0 {
			return nil, ekyc.Errorf(ekyc.ImageNotBase64, "%s: the data: prefix does not end", name)
		}
		text = text[n+1:]
	}
	if len(text) > ekyc.MaxImage {
		return nil, ekyc.Errorf(ekyc.ImageTooLarge, "%s has %d bytes of base64; at most %d are accepted", name, len(text), ekyc.MaxImage)
	}
	if len(text) == 0 || !form && len(bytes.TrimSpace(text)) == 0 {
		return nil, ekyc.Errorf(ekyc.ImageEmpty, "%s is empty", name)
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text))+3)
	n, err := base64.StdEncoding.Decode(out, text)
	if err != nil {
		n, err = decodeLoose(out, text, form)
	}
	if err != nil {
		return nil, ekyc.Errorf(ekyc.ImageNotBase64, "%s is not base64", name)
	}
	return out[:n], nil
}

const (
	b64Bad   = 0xff
	b64Space = 0xfe
	b64Pad   = 0xfd
)

var b64 = func() (t [256]byte) {
	for i := range t {
		t[i] = b64Bad
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = byte(i)
	}
	t['-'], t['_'], t['='] = 62, 63, b64Pad
	for _, c := range " \t\r\n" {
		t[c] = b64Space
	}
	return t
}()

var errBase64 = errors.New("not base64")

func decodeLoose(out, text []byte, form bool) (n int, err error) {
	var acc uint32
	bits, digits, padded := 0, 0, false
	for _, c := range text {
		d := b64[c]
		if form && c == ' ' {
			d = 62
		}
		switch {
		case d == b64Space:
			continue
		case d == b64Pad:
			padded = true
			continue
		case d == b64Bad || padded:
			return 0, errBase64
		}
		acc, bits, digits = acc<<6|uint32(d), bits+6, digits+1
		if bits >= 8 {
			bits -= 8
			out[n] = byte(acc >> bits)
			n++
		}
	}
	if digits%4 == 1 || digits == 0 {
		return 0, errBase64
	}
	return n, nil
}

// WriteJSON writes a reply that nobody may store.
func WriteJSON(w http.ResponseWriter, log *slog.Logger, status int, message any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // links hold '&'
	if err := enc.Encode(message); err != nil {
		log.Error("encode reply", "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json;charset=UTF-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // a client that went away needs no answer
}
