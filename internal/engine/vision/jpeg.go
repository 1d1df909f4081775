package vision

/*
#cgo linux LDFLAGS: -lturbojpeg
#cgo darwin CFLAGS: -I/opt/homebrew/opt/jpeg-turbo/include
#cgo darwin LDFLAGS: -L/opt/homebrew/opt/jpeg-turbo/lib -lturbojpeg
#include <string.h>
#include <turbojpeg.h>

// shiren_jpeg decodes src to w by h RGB pixels. The scaled size must follow from a
// full size of fw by fh. Returns 0, or 1 with a message.
static int shiren_jpeg(const unsigned char *src, unsigned long n, unsigned char *dst,
		int fw, int fh, int w, int h, char *message, size_t size) {
	tjhandle t = tjInitDecompress();
	if (t == NULL) {
		strncpy(message, "libjpeg-turbo has no memory", size - 1);
		return 1;
	}
	int gotW = 0, gotH = 0, sampling = 0, space = 0, bad = 0;
	// It also fails where it has no name for the chroma sampling, which decoding does
	// not need: judged is the size only.
	tjDecompressHeader3(t, src, n, &gotW, &gotH, &sampling, &space);
	if (gotW != fw || gotH != fh) {
		strncpy(message, "the header cannot be read", size - 1);
		bad = 1;
	} else if (tjDecompress2(t, src, n, dst, w, 3 * w, h, TJPF_RGB, TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0) {
		strncpy(message, tjGetErrorStr2(t), size - 1);
		bad = 1;
	}
	tjDestroy(t);
	return bad;
}
*/
import "C"

import (
	"errors"
	"unsafe"

	"shiren/internal/ekyc"
)

// decodeJPEG decodes at the largest of the scales n/8 at which the longest side is no
// longer than side, at 1/8 where none is.
func decodeJPEG(data []byte, h header, side int) (*Image, error) {
	n := 8
	for n > 1 && (max(h.w, h.h)*n+7)/8 > side {
		n--
	}
	im := NewImage((h.w*n+7)/8, (h.h*n+7)/8)
	var message [200]C.char
	bad := C.shiren_jpeg((*C.uchar)(unsafe.Pointer(&data[0])), C.ulong(len(data)), (*C.uchar)(unsafe.Pointer(&im.Pix[0])),
		C.int(h.w), C.int(h.h), C.int(im.W), C.int(im.H), &message[0], C.size_t(len(message)))
	if bad != 0 {
		im.Release()
		return nil, &ekyc.Error{Code: ekyc.ImageDamaged, Detail: "the JPEG is truncated or corrupt", Err: errors.New(C.GoString(&message[0]))}
	}
	return im, nil
}
