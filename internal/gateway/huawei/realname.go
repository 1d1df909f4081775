package huawei

import (
	"encoding/hex"
	"unicode/utf8"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
)

// maxField is the most characters of a field once it is decrypted. The pages say "最大长度128"
// of the encrypted text, which no encrypted identity number fits.
const maxField = 128

// text reads a field that must be a string of 1 to most characters.
func (c *call) text(name string, most int) (string, error) {
	s, ok := c.body[name].(string)
	if n := utf8.RuneCountInString(s); !ok || n < 1 || n > most {
		return "", ekyc.Errorf(ekyc.BadRequest, "%s: want a string of 1 to %d characters", name, most)
	}
	return s, nil
}

func (c *call) openID() (ekyc.SubjectID, error) {
	s, err := c.text("openId", huawei.MaxOpenID)
	return ekyc.SubjectID(s), err
}

// maxCipher bounds an encrypted field: 97 bytes of SM2 and maxField characters of four
// bytes, in hex.
const maxCipher = 2 * (97 + 4*maxField)

// secret reads an encrypted field.
func (h *handler) secret(c *call, name string) (string, error) {
	s, err := c.text(name, maxCipher)
	if err != nil {
		return "", err
	}
	key, err := h.private(*c.find(c.auth.PetalpayEncKeyID, ekyc.KeyEncrypt, true, h.cfg.Now()))
	if err != nil {
		return "", ekyc.Wrap(ekyc.Internal, "read the platform's key", err)
	}
	plain, err := huawei.Decrypt(key, s)
	if err != nil || !utf8.ValidString(plain) || utf8.RuneCountInString(plain) > maxField {
		return "", ekyc.Errorf(ekyc.BadRequest, "%s: want a text of at most %d characters, encrypted with SM2 (C1C3C2, hex) for the key that petalpayEncKeyId names", name, maxField)
	}
	return plain, nil
}

// credential checks credentialType.
func (c *call) credential() error {
	s, err := c.text("credentialType", maxField)
	if err == nil && s != huawei.CredentialIDCard {
		err = ekyc.Errorf(ekyc.BadDocumentType, "credentialType: 01, the identity card, is offered")
	}
	return err
}

// facePreverify announces a person whose face is to be verified.
func (h *handler) facePreverify(c *call) (any, error) {
	openID, err := c.openID()
	if err != nil {
		return nil, err
	}
	if err := c.credential(); err != nil {
		return nil, err
	}
	number, err := h.secret(c, "credentialIdNo")
	if err != nil {
		return nil, err
	}
	name, err := h.secret(c, "realName")
	if err != nil {
		return nil, err
	}
	claim, err := ekyc.ParseCommonClaim(name, number)
	if err != nil {
		return nil, err
	}
	return h.open(c, ekyc.Opening{Subject: openID, Claim: claim})
}

// preverify announces a comparison of digests with the identity verified before.
func (h *handler) preverify(c *call) (any, error) {
	openID, err := c.openID()
	if err != nil {
		return nil, err
	}
	if err := c.credential(); err != nil {
		return nil, err
	}
	var o ekyc.Opening
	for name, to := range map[string]*[]byte{"credentialIdNo": &o.Expect.Number, "realName": &o.Expect.Name} {
		s, err := c.text(name, 128)
		if err != nil {
			return nil, err
		}
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 64 && len(b) != 32 {
			return nil, ekyc.Errorf(ekyc.BadRequest, "%s: want SHA-512 in hex, 128 characters, or SHA-256, 64", name)
		}
		*to = b
	}
	o.Subject, o.Purpose, o.Consent = openID, ekyc.PurposeConfirm, confirmText
	return h.open(c, o)
}

// authPreverify announces that the app will ask the user for the verified identity.
func (h *handler) authPreverify(c *call) (any, error) {
	openID, err := c.openID()
	if err != nil {
		return nil, err
	}
	return h.open(c, ekyc.Opening{Subject: openID, Purpose: ekyc.PurposeDisclose, Consent: discloseText})
}

func (h *handler) open(c *call, o ekyc.Opening) (any, error) {
	o.Opener = Opener
	ses, err := h.core.OpenAs(c.r.Context(), c.app, o)
	if err != nil {
		return nil, err
	}
	return huawei.PreverifyAnswer{Answer: huawei.Success.Says(), PreVerifyID: string(ses.Token)}, nil
}

// maxResultID bounds a verifyResultId. Ours have 44 characters; the page names no limit.
const maxResultID = 128

// result says what a verification came to: the seed's interface for PurposeFace.
func (h *handler) result(purpose ekyc.Purpose) func(*call) (any, error) {
	return func(c *call) (any, error) {
		id, err := c.text("verifyResultId", maxResultID)
		if err != nil {
			return nil, err
		}
		openID, err := c.openID()
		if err != nil {
			return nil, err
		}
		a, err := h.core.Redeem(c.r.Context(), c.app, purpose, openID, id)
		if err != nil {
			return nil, err
		}
		return huawei.ResultAnswer{Answer: huawei.Success.Says(), VerifyResult: a.Outcome == ekyc.Match}, nil
	}
}

// maxAuthID is the longest realNameAuthId. Page auth/result: "1-10".
const maxAuthID = 10

// authResult reads the identity that a user let the app read.
func (h *handler) authResult(c *call) (any, error) {
	id, err := c.text("realNameAuthId", maxAuthID)
	if err != nil {
		return nil, err
	}
	openID, err := c.openID()
	if err != nil {
		return nil, err
	}
	to := c.find(c.auth.DeveloperEncKeyID, ekyc.KeyEncrypt, false, h.cfg.Now())
	if to == nil {
		return nil, refuse(huawei.InvalidPublicKey, "developerEncKeyId names no valid key of the app; see shiren app keys list")
	}
	key, err := h.public(*to)
	if err != nil {
		return nil, refuse(huawei.InvalidPublicKey, "the developer's key cannot be read; import it again")
	}
	claim, err := h.core.Disclosed(c.r.Context(), c.app, openID, id)
	if err != nil {
		return nil, err
	}
	a := huawei.AuthAnswer{Answer: huawei.Success.Says(), CredentialType: huawei.CredentialIDCard}
	if a.CredentialIDNo, err = huawei.Encrypt(h.cfg.Rand, key, string(claim.Number)); err != nil {
		return nil, ekyc.Wrap(ekyc.Internal, "encrypt the number", err)
	}
	if a.RealName, err = huawei.Encrypt(h.cfg.Rand, key, string(claim.Name)); err != nil {
		return nil, ekyc.Wrap(ekyc.Internal, "encrypt the name", err)
	}
	return a, nil
}
