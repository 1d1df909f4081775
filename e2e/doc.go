// Package e2e walks through the whole server as its users do: a relying party's backend
// on the vendor's own SDK, a capture subject in a real browser with a camera that shows
// a real face, and the server exactly as `shiren serve` builds it, with real models.
//
// With SHIREN_SCREENSHOTS=DIR each step of the page is written there as PNG, for the
// README; the camera's picture is blurred in them, since test faces are not for show.
package e2e
