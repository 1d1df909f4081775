package video

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// split takes JPEGs out of ffmpeg's multipart stream, in which each has its length.
func split(data []byte) ([][]byte, error) {
	var list [][]byte
	r := bufio.NewReader(bytes.NewReader(data))
	length := -1
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return list, nil // the last boundary is not followed by a picture
		}
		if err != nil {
			return nil, err
		}
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(name, "Content-length"):
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 || length > len(data) {
				return nil, fmt.Errorf("picture %d has the length %q", len(list)+1, value)
			}
		case line == "" && length >= 0: // the end of a picture's header
			image := make([]byte, length)
			if _, err := io.ReadFull(r, image); err != nil {
				return nil, fmt.Errorf("picture %d of %d bytes is cut off", len(list)+1, length)
			}
			list, length = append(list, image), -1
		}
	}
}

// stamps takes the times out of what ffmpeg's metadata filter prints: lines like
// "frame:1    pts:1536    pts_time:0.125". They must rise.
func stamps(data []byte) ([]time.Duration, error) {
	var list []time.Duration
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "frame:") {
			continue
		}
		_, text, _ := strings.Cut(line, "pts_time:")
		s, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(s) || math.Abs(s) > 1e6 {
			return nil, fmt.Errorf("picture %d has the time %q", len(list)+1, text)
		}
		at := time.Duration(s * float64(time.Second))
		if n := len(list); n > 0 && at < list[n-1] {
			return nil, fmt.Errorf("picture %d comes before the one before it", n+1)
		}
		list = append(list, at)
	}
	return list, nil
}

// Sound counts as audible where windows of 100 ms are louder than -50 dB of full scale
// for half a second in all: a muted track is digital silence, a quiet room about -60 dB,
// speech before a phone -40 dB and more. Our choice.
const (
	soundRate   = 8000 // samples a second
	soundWindow = soundRate / 10
	soundLeast  = 5 // windows
)

var soundLevel = math.Pow(10, -50./20) // of the root mean square

// audible reports whether 16-bit little-endian samples hold sound.
func audible(samples []byte) bool {
	loud := 0
	for len(samples) >= 2*soundWindow {
		var sum float64
		for i := range soundWindow {
			v := float64(int16(binary.LittleEndian.Uint16(samples[2*i:]))) / 32768
			sum += v * v
		}
		if math.Sqrt(sum/soundWindow) > soundLevel {
			loud++
		}
		samples = samples[2*soundWindow:]
	}
	return loud >= soundLeast
}

// The EBML elements that may have an unknown size, which a browser's recorder uses: what
// follows lies inside until the file ends. RFC 9559, sections 5.1.1 and 5.1.3.
const (
	ebmlSegment = 0x18538067
	ebmlCluster = 0x1F43B675
)

// whole reports whether a webm ends where one of its elements does: ffmpeg takes one that
// is cut off for a shorter one. What is no EBML is left to ffmpeg.
func whole(b []byte) bool {
	for at := 0; at < len(b); {
		id, n := vint(b[at:], 4, false)
		if n == 0 {
			return true
		}
		if n < 0 {
			return false
		}
		size, m := vint(b[at+n:], 8, true)
		if m < 0 {
			return false
		}
		if m == 0 {
			return true
		}
		at += n + m
		switch {
		case size == unknown:
			if id != ebmlSegment && id != ebmlCluster {
				return true
			}
		case size > uint64(len(b)-at):
			return false
		case id != ebmlSegment: // that one is entered
			at += int(size)
		}
	}
	return true
}

const unknown = math.MaxUint64

// vint reads a number of up to longest bytes whose first byte's leading zeros tell its
// length; marked leaves that mark out and knows the unknown size. The length is 0 for
// what is none, and negative for one that is cut off.
func vint(b []byte, longest int, marked bool) (v uint64, n int) {
	if len(b) == 0 {
		return 0, -1
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > longest {
		return 0, 0
	}
	if n > len(b) {
		return 0, -1
	}
	for _, x := range b[:n] {
		v = v<<8 | uint64(x)
	}
	if mark := uint64(1) << (7 * n); marked {
		if v == 2*mark-1 {
			return unknown, n
		}
		v -= mark
	}
	return v, n
}
