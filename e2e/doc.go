// Package e2e walks through the whole server as its users do: a relying party's backend
// on the vendor's own SDK, a capture subject in a real browser with a camera that shows
// a real face, and the server exactly as `shiren serve` builds it, with real models.
//
// Here time is real, and a verdict must not hang on what else the machine does: two tests
// at a time walk and one plays before the camera (turn_test.go), honest people pass
// within five tries, and attackers are refused on each. Windows share browsers, and
// fake cameras are made once. Attackers and conditions by the hundred are played by
// internal/bench/injection, under a clock of its own, by the same rules.
//
// With SHIREN_SCREENSHOTS=DIR each step of the page is written there as PNG, for the
// README; the camera's picture is blurred in them, since test faces are not for show.
package e2e
