package baidu

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
)

// matchV4 compares image with register_image.
func (h *handler) matchV4(c *call) (any, error) {
	if c.body.list != nil {
		return nil, ekyc.Errorf(ekyc.BadRequest, "want an object with image and register_image")
	}
	probe, err := probe(c.body)
	if err != nil {
		return nil, err
	}
	reference, err := picture(c.body, "register_")
	if err != nil {
		return nil, err
	}
	return h.compare(c, probe, reference)
}

// probe reads the image that must come from life, with its three controls. There is no
// detector of synthetic images of its own: the stricter of liveness_control and
// spoofing_control is applied by the liveness detector.
func probe(b body) (ekyc.Picture, error) {
	p, err := picture(b, "")
	if err != nil {
		return p, err
	}
	spoofing, err := control(b, "spoofing_control", baidu.ParamLivenessControl)
	if strictness(spoofing) > strictness(p.Liveness) {
		p.Liveness = spoofing
	}
	return p, err
}

func strictness(l ekyc.Level) int {
	return slices.Index([]ekyc.Level{ekyc.LevelNone, ekyc.LevelLow, ekyc.LevelNormal, ekyc.LevelHigh}, l)
}

// matchV3 compares the two images of an array.
func (h *handler) matchV3(c *call) (any, error) {
	if c.body.list == nil {
		return nil, ekyc.Errorf(ekyc.BadRequest, "want an array of two images")
	}
	if len(c.body.list) != 2 {
		return nil, refuse(baidu.ImageCount, "%d images were sent; want two", len(c.body.list))
	}
	var pictures [2]ekyc.Picture
	for i, v := range c.body.list {
		b, err := v.object("image")
		if err == nil {
			pictures[i], err = picture(b, "")
		}
		if err != nil {
			return nil, err
		}
	}
	return h.compare(c, pictures[0], pictures[1])
}

// faceTypes are the documented kinds of pictures: from life, on an identity card, with a
// watermark, a certificate's, infrared. All are compared alike.
var faceTypes = []string{"", "LIVE", "IDCARD", "WATERMARK", "CERT", "INFRARED"}

// picture reads an image and its controls; prefix is "" or "register_".
func picture(b body, prefix string) (p ekyc.Picture, err error) {
	read := func(name string) string {
		s, e := b.text(prefix + name)
		if err == nil {
			err = e
		}
		return strings.ToUpper(strings.TrimSpace(s))
	}
	imageType, faceType := read("image_type"), read("face_type")
	if err != nil {
		return p, err
	}
	switch imageType {
	case "", baidu.Base64:
	case "URL":
		return p, refuse(baidu.ImageDownloadFail, "%simage_type URL is not served: nothing is fetched from elsewhere; send BASE64", prefix)
	case "FACE_TOKEN":
		return p, refuse(baidu.FaceTokenAbsent, "%simage_type FACE_TOKEN is not served: faces are not kept; send BASE64", prefix)
	default:
		return p, refuse(baidu.ParamImageType, "%simage_type: want BASE64", prefix)
	}
	if !slices.Contains(faceTypes, faceType) {
		return p, refuse(baidu.ParamFaceType, "%sface_type: want LIVE, IDCARD, WATERMARK, CERT or INFRARED", prefix)
	}
	if p.Quality, err = control(b, prefix+"quality_control", baidu.ParamQualityControl); err != nil {
		return p, err
	}
	if p.Liveness, err = control(b, prefix+"liveness_control", baidu.ParamLivenessControl); err != nil {
		return p, err
	}
	p.Image, err = b.image(prefix + "image")
	return p, err
}

func (h *handler) compare(c *call, probe, reference ekyc.Picture) (any, error) {
	x, err := h.core.Compare(c.r.Context(), c.app, probe, reference, c.logID)
	if err != nil {
		return nil, err
	}
	return baidu.MatchResult{
		Score:    percent(x.Comparison.Score),
		FaceList: []baidu.FaceToken{faceToken(probe.Image), faceToken(reference.Image)},
	}, nil
}

// faceToken names the face of an image: the same image has the same token, as
// documented. It opens nothing here, as no face is kept.
func faceToken(image []byte) baidu.FaceToken {
	d := sha256.Sum256(image)
	return baidu.FaceToken{FaceToken: hex.EncodeToString(d[:16])}
}
