package plan

import (
	"strings"

	"postroad/internal/service/control/words"
)

// AlteredRoutes are the routes that a change alters.
type AlteredRoutes struct {
	Count  int            `json:"count" doc:"Addresses and groups of addresses whose route is altered"`
	Stops  int            `json:"stops" doc:"Of these, those that stop being received from somebody"`
	Ours   int            `json:"-"` // of all, those that were addresses of proved domains here before
	Routes []AlteredRoute `json:"routes" nullable:"false" doc:"Those that are harmed most first; of a plan the first 100"`
}

// AlteredRoute is the route of one address, or of a group of addresses, that a change alters.
type AlteredRoute struct {
	Address   string `json:"address" doc:"*@domain for every address that nobody here was named for, * for every address of foreign domains"`
	Condition string `json:"condition,omitempty" doc:"For which addresses of the group, or when, this holds"`
	From      string `json:"from" doc:"Who writes"`
	Harm      string `json:"harm" doc:"What it means for who writes"`
	Before    string `json:"before" doc:"What becomes of the mail now"`
	After     string `json:"after" doc:"What becomes of it after the change"`
}

// Worst names the address that is harmed most, for a warning.
func (a *AlteredRoutes) Worst() string {
	r := &a.Routes[0]
	name := r.Address
	if domain, group := strings.CutPrefix(name, "*@"); group {
		name = "any other address of " + words.Show(domain)
	}
	if r.Condition != "" {
		name += ", " + r.Condition
	}
	return name
}
