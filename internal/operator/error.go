package operator

import (
	"errors"
	"time"
)

// Code says what kind of refusal an Error is.
type Code string

const (
	Absent     Code = "absent"             // there is no such account, sign-in or link
	Taken      Code = "taken"              // another account has the name
	Refused    Code = "refused"            // name, password or code is wrong, or the account is disabled
	CodeNeeded Code = "code_needed"        // the password is right; a code is asked for besides
	Wait       Code = "wait"               // too many tries: Error.After says how long
	Busy       Code = "busy"               // too many passwords are being checked at once
	Unproved   Code = "unproved"           // the person must prove themselves again first
	BadLink    Code = "link"               // the one-time link is unknown, used or too old
	Last       Code = "last_administrator" // it would leave nobody who can look after accounts
	Stale      Code = "conflict"           // the account was changed meanwhile
	Invalid    Code = "invalid"            // a value cannot be taken; Message says why
	Forbidden  Code = "forbidden"          // the role may not
)

// Error is a refusal. Message holds no secret and may be shown to whoever asked.
type Error struct {
	Code    Code
	Message string
	After   time.Duration // with Wait: how long, at least a second
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// CodeOf is the Code of the first Error in err's chain, "" where there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func refuse(c Code, message string) error { return &Error{Code: c, Message: message} }

var (
	errAbsent   = refuse(Absent, "there is no such thing")
	errRefused  = refuse(Refused, "the name, the password or the code is wrong, or the account is switched off")
	errCode     = refuse(CodeNeeded, "the code of the authenticator app, or a recovery code, is needed")
	errBusy     = refuse(Busy, "too many people sign in at this moment; try again in some seconds")
	errUnproved = refuse(Unproved, "prove with your password or a code that it is you, and try again")
	errLink     = refuse(BadLink, "the link was used, is too old or is cut off; ask for a new one (`shiren console link` or `shiren console reset NAME` prints one)")
	errLast     = refuse(Last, "this is the last administrator; make another one first")
	errStale    = refuse(Stale, "the account was changed meanwhile; look at it again")
	errMayNot   = refuse(Forbidden, "your role may not do this")
)

// ErrAbsent is what a Store says of something that it does not have.
var ErrAbsent = errAbsent

// ErrTaken is what a Store says of an account whose name another one has.
var ErrTaken = refuse(Taken, "another account has this name")
