// Package operator knows who works at the console: accounts, roles, sign-ins, and the
// journal of what they saw and changed. It keeps nothing itself and speaks no protocol.
package operator

import (
	"slices"
	"time"
)

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

// Entry is one line of the journal: who saw or changed what, when, from where and why.
// It holds no personal data of capture subjects: Object names a record, never a person.
type Entry struct {
	ID      string
	At      time.Time
	Account string // id; "" before anybody signed in
	Name    string // of the account, as it was
	Address string
	Action  string // for example "record.reveal", "plan.change", "login.refused"
	Object  string // what it was done to
	Reason  string // given by the person, where one is asked for
	Detail  string // what changed, in short; no secrets, no personal data
}
