// Package operator knows who works at the console: accounts, roles, sign-ins, and the
// journal of what they saw and changed. It keeps nothing itself and speaks no protocol.
//
// # How somebody gets in
//
//  1. A one-time link makes the first administrator; later ones invite, or reset. A link holds
//     256 random bits, of which only the digest is kept, and is used up in the transaction that
//     sets the password: of two requests with one link, one wins.
//  2. SignIn counts a try for the name and for the address before it looks at anything, so that
//     parallel guesses count too; then it computes one argon2id hash, whether or not there is
//     such an account; then it checks password, code and account in one transaction.
//  3. A sign-in is a random value of 256 bits, known by its digest. Who reads it and its account
//     each time: what is disabled or ended has ended with the next request.
//  4. Changes of accounts need a proof of the person (password or code) of the last ProofFor.
//
// # The journal
//
// Each entry's Sum is a keyed digest of the entry and of the Sum before it, and the last Sum is
// kept apart: a line that was changed, removed, moved or put in shows in Verify. Whoever has the
// database but not the master key cannot compute sums. Whoever can put the whole database back to
// an earlier state can cut off the end unseen, unless somebody noted the last sum elsewhere: see
// Verify. Entries are written in the transaction of the change that they tell of, where this
// package makes the change.
package operator

import "slices"

// Role is what an account is for.
type Role string

const (
	Administrator Role = "administrator" // everything
	Operations    Role = "operator"      // plans, apps, registry, alarms, records, erasure
	Auditor       Role = "auditor"       // reads records, statistics, charges and the journal
	Integrator    Role = "integrator"    // tries interfaces; sees plans and apps, and no secret, person or record
)

// Permission is one thing that a role may do.
type Permission string

const (
	ReadRecords    Permission = "read_records"    // masked
	RevealPersons  Permission = "reveal_persons"  // unmasked, with a reason
	EraseRecords   Permission = "erase_records"   // before they are due
	ReadStatistics Permission = "read_statistics" // and charges
	ReadPlans      Permission = "read_plans"
	ChangePlans    Permission = "change_plans"
	ReadApps       Permission = "read_apps" // without secrets
	ChangeApps     Permission = "change_apps"
	ReadRegistry   Permission = "read_registry" // masked
	ChangeRegistry Permission = "change_registry"
	ReadAlarms     Permission = "read_alarms"
	ChangeAlarms   Permission = "change_alarms"
	UseExplorer    Permission = "use_explorer"
	ReadJournal    Permission = "read_journal"
	ChangeAccounts Permission = "change_accounts"
)

var permissions = map[Role][]Permission{
	Administrator: {
		ReadRecords, RevealPersons, EraseRecords, ReadStatistics, ReadPlans, ChangePlans, ReadApps, ChangeApps,
		ReadRegistry, ChangeRegistry, ReadAlarms, ChangeAlarms, UseExplorer, ReadJournal, ChangeAccounts,
	},
	Operations: {
		ReadRecords, RevealPersons, EraseRecords, ReadStatistics, ReadPlans, ChangePlans, ReadApps, ChangeApps,
		ReadRegistry, ChangeRegistry, ReadAlarms, ChangeAlarms, UseExplorer,
	},
	Auditor:    {ReadRecords, RevealPersons, ReadStatistics, ReadPlans, ReadApps, ReadRegistry, ReadAlarms, ReadJournal},
	Integrator: {ReadPlans, ReadApps, UseExplorer},
}

// May reports whether the role has a permission.
func (r Role) May(p Permission) bool { return slices.Contains(permissions[r], p) }

// Permissions lists what the role may do; nil for a role that does not exist.
func (r Role) Permissions() []Permission { return slices.Clone(permissions[r]) }
