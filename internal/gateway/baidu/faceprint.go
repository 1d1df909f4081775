package baidu

import (
	"net/url"
	"strings"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
)

// verifyToken reads the token that every interface but generate needs. A text that is
// no token at all is looked up like any other.
func (c *call) verifyToken() (ekyc.Token, error) {
	s, err := c.body.required("verify_token")
	if err == nil && len(s) > 64 {
		err = ekyc.Errorf(ekyc.TokenInvalid, "the token is unknown")
	}
	return ekyc.Token(s), err
}

// generate opens a session for a plan. Seed 一.1.
func (h *handler) generate(c *call) (any, error) {
	plan, err := c.body.required("plan_id")
	if err != nil {
		return nil, err
	}
	to, err := redirect(c.body)
	if err != nil {
		return nil, err
	}
	ses, err := h.core.Open(c.r.Context(), c.app, ekyc.PlanID(strings.TrimSpace(plan)), to)
	if err != nil {
		return nil, err
	}
	return baidu.GenerateResult{VerifyToken: string(ses.Token)}, nil
}

// maxRedirect bounds a redirect address in bytes. Our choice: what browsers surely follow.
const maxRedirect = 2048

func redirect(b body) (to ekyc.Redirect, err error) {
	o, err := b.object("redirect_config")
	if err != nil {
		return to, err
	}
	for name, dst := range map[string]*string{"success_url": &to.Success, "failed_url": &to.Failed} {
		s, err := o.text(name)
		if err != nil {
			return to, err
		}
		if s == "" {
			continue
		}
		// Apps are sent to by schemes of their own; addresses that run as script are not.
		u, err := url.Parse(s)
		if err != nil || len(s) > maxRedirect || u.Scheme == "" {
			return to, ekyc.Errorf(ekyc.BadRequest, "redirect_config.%s: want an absolute URL of at most %d bytes", name, maxRedirect)
		}
		switch strings.ToLower(u.Scheme) {
		case "javascript", "data", "vbscript", "blob", "file", "about":
			return to, ekyc.Errorf(ekyc.BadRequest, "redirect_config.%s: this kind of URL is not followed", name)
		}
		*dst = s
	}
	return to, nil
}

// submit declares the capture subject's identity. Seed 一.2. Older clients call it under
// PathSchemeOld with the verify token alone: then only a first declaration is taken, so
// that nobody who was given the page's address can replace what the relying party said.
func (h *handler) submit(c *call) (any, error) {
	t, err := c.verifyToken()
	if err != nil {
		return nil, err
	}
	name, err := c.body.required("id_name")
	if err != nil {
		return nil, err
	}
	number, err := c.body.required("id_no")
	if err != nil {
		return nil, err
	}
	kind, err := c.body.integer("certificate_type")
	if err != nil {
		return nil, err
	}
	claim, err := ekyc.ParseClaim(name, number, ekyc.DocumentType(kind))
	if err != nil {
		return nil, err
	}
	if c.app.ID == "" {
		err = h.core.DeclareFirst(c.r.Context(), t, claim)
	} else {
		err = h.core.Declare(c.r.Context(), c.app, t, claim)
	}
	if err != nil {
		return nil, err
	}
	return 1, nil // seed: "返回固定结果1"
}

// upload sets the reference image. Seed 一.3.
func (h *handler) upload(c *call) (any, error) {
	t, err := c.verifyToken()
	if err != nil {
		return nil, err
	}
	quality, err := control(c.body, "quality_control", baidu.ParamQualityControl)
	if err != nil {
		return nil, err
	}
	liveness, err := control(c.body, "liveness_control", baidu.ParamLivenessControl)
	if err != nil {
		return nil, err
	}
	image, err := c.body.image("image")
	if err != nil {
		return nil, err
	}
	return nil, h.core.Enrol(c.r.Context(), c.app, t, image, quality, liveness)
}

var levels = map[baidu.Control]ekyc.Level{
	"": ekyc.LevelNone, baidu.ControlNone: ekyc.LevelNone, baidu.ControlLow: ekyc.LevelLow,
	baidu.ControlNormal: ekyc.LevelNormal, baidu.ControlHigh: ekyc.LevelHigh,
}

// control reads a strictness; absent is NONE (seed: "未主动传入时默认为NONE").
func control(b body, name string, code baidu.Code) (ekyc.Level, error) {
	s, err := b.text(name)
	if err != nil {
		return "", err
	}
	l, ok := levels[baidu.Control(strings.ToUpper(strings.TrimSpace(s)))]
	if !ok {
		return "", refuse(code, "%s: want NONE, LOW, NORMAL or HIGH", name)
	}
	return l, nil
}
