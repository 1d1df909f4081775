// Package cards makes synthetic identity documents, for measuring how well they are
// read: persons that do not exist, both sides of the resident identity card and of the
// residence permits of Hong Kong, Macau and Taiwan residents in their true layout, and
// photographs of them with chosen damage. Pictures of other things are made too, on
// which a reader must find nothing to present.
//
// Every document is marked as a specimen beside its fields, carries a drawn figure for a
// portrait and a rosette in the place of the state emblem. Every number is one that no
// authority issues; see Person.
//
// The same seed makes the same pictures on machines with the same fonts.
//
// What it is not: a real card. Print, lamination, holograms and real portraits are
// missing, and its layout is measured on other drawings, so expect less of a reader on
// real cards than it reaches here.
package cards
