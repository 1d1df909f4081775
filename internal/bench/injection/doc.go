// Package injection measures how a server answers those who inject pictures in place of
// a camera, and how it treats honest people on poor phones and lines: the attackers of
// Attackers and the conditions of Conditions, played against a whole service.
//
// # What is real and what is SYNTHETIC
//
// The server is the one that `shiren serve` builds, with the real engine. The faces are
// those of two men in the video clips of the test models. Everything else is SYNTHETIC
// and says so wherever a figure appears: the light of the screen on the face (added in
// linear light), poor light (darkened, with noise), the cuts that make a man do what he
// is asked to, the network, the camera's pace, and every attacker. The figures say how
// the rules behave under these circumstances. They are no field trial, and they are no
// error rates of presentations by people.
//
// # How
//
//  1. Material decodes the stretches of the clips that Stretches lists.
//  2. A subject (honest or attacking) is told what the page shows and gives the picture
//     that its camera takes at a moment; a link delays, drops and reorders nothing.
//  3. A virtual session joins subject, link, ekyc.Presentation and ekyc.Service under a
//     clock of its own; a wired session does the same through the capture WebSocket in
//     real time. Memo lets equal pictures cost inference once.
//  4. Run plays both and counts.
//
// Chance comes from a seed: equal seeds give equal sessions as long as the engine and
// the rules are the same. Wired sessions depend on the machine's pace and do not repeat.
package injection
